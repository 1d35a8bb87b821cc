"""Thrust's sorts, by NumPy."""

from typing import Any

import numpy as np

from played import memory


def sort(dtype: Any, data: int, _keys: int, shape: Any) -> None:
    """Sort along the last axis, in place."""
    a = memory.at(data, dtype, int(np.prod(shape))).reshape(shape)
    a[...] = np.sort(a, -1, kind="stable")


def argsort(dtype: Any, index: int, data: int, _keys: int, shape: Any) -> None:
    """Write the order along the last axis, and sort the data, as Thrust does."""
    a = memory.at(data, dtype, int(np.prod(shape))).reshape(shape)
    memory.at(index, np.intp, a.size).reshape(shape)[...] = np.argsort(a, -1, kind="stable")
    a[...] = np.sort(a, -1, kind="stable")


def lexsort(dtype: Any, index: int, keys: int, k: int, n: int) -> None:
    """Write the order of `n` columns of `k` keys."""
    memory.at(index, np.intp, n)[...] = np.lexsort(memory.at(keys, dtype, k * n).reshape(k, n))


def play(thrust: Any) -> None:
    """Replace the functions of CuPy's Thrust module."""
    thrust.sort, thrust.argsort, thrust.lexsort = sort, argsort, lexsort
