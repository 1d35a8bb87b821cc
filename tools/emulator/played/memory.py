"""Device memory, which is the host's, as NumPy arrays."""

import ctypes
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided


def at(pointer: int, dtype: Any, count: int) -> np.ndarray:
    """Return `count` elements at a device pointer."""
    dtype = np.dtype(dtype)
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(pointer), dtype)


def of(array: Any) -> np.ndarray:
    """Return a CuPy array's memory in its shape and strides (not negative)."""
    if not array.size:
        return np.empty(array.shape, array.dtype)
    reach = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
    return as_strided(at(array.data.ptr, array.dtype, reach // array.itemsize + 1), array.shape, array.strides)
