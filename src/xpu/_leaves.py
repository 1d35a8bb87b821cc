"""The arrays in a call's arguments: found in nested tuples, lists and dictionaries, replaced, and told by shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend
from xpu._block import Handle, anchor, read, shaped
from xpu._op import host_only
from xpu._ops import creation
from xpu._transfer import lift
from xpu._wrap import kinds, own

__all__ = ["arrays_in", "bring_back", "key_of", "lent", "mapped", "overlapping"]


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a structure of the same kind with every array in it changed."""
    if isinstance(value, (Handle, np.ndarray)):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)([mapped(v, change) for v in value])
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[mapped(v, change) for v in value])
    if type(value) is dict:
        return {k: mapped(v, change) for k, v in value.items()}
    return value


def arrays_in(*values: Any) -> list[Any]:
    """Return the arrays in structures, each once, in order."""
    found: dict[int, Any] = {}

    def note(array: Any) -> Any:
        found.setdefault(id(array), array)
        return array

    for value in values:
        mapped(value, note)
    return list(found.values())


def key_of(value: Any, numbers: Callable[[Any], Hashable]) -> Hashable:
    """Return what tells one signature from another: shapes and dtypes of arrays, the values of the rest.

    Parameters
    ----------
    value : object
        A structure of arguments.
    numbers : callable
        What a float or complex number counts as: its value, or its type alone.
    """
    if isinstance(value, Handle):
        meta = shaped(value)
        return "xpu", meta.shape, meta.dtype.str, isinstance(value, kinds.scalar)
    if isinstance(value, np.ndarray):
        return "numpy", value.shape, value.dtype.str
    if isinstance(value, (tuple, list)):
        return type(value).__name__, tuple(key_of(v, numbers) for v in value)
    if isinstance(value, Mapping):
        return "dict", tuple((k, key_of(v, numbers)) for k, v in value.items())
    if isinstance(value, (float, complex, np.inexact)):
        return type(value).__name__, numbers(value)
    if isinstance(value, (bool, int, str, bytes, type(None), np.generic, np.dtype, type, slice)):
        return type(value).__name__, repr(value)
    return type(value).__qualname__, id(value)


def overlapping(arrays: list[Any]) -> bool:
    """Return True where two NumPy arrays share memory: a write to one is a write to the other."""
    foreign = [a for a in arrays if isinstance(a, np.ndarray)]
    return any(np.may_share_memory(a, b) for i, a in enumerate(foreign) for b in foreign[:i])


def lent(array: Any, where: Backend | None) -> Any:
    """Return an xpu array for one call.

    NumPy memory is lent as it is where `where` is None (writes go to it), and copied once otherwise: to
    the host, or straight to a device.
    """
    if isinstance(array, Handle):
        return array
    if where is None or host_only(array.dtype):
        return creation.asarray(array, copy=False)
    return own(lift(array, where) if where is not HOST else array.copy(), scalar=False)


def bring_back(result: Any, lent_out: Mapping[int, tuple[Any, Any]]) -> Any:
    """Return a result with its xpu arrays as NumPy's; one that was an argument is that argument.

    Parameters
    ----------
    result : object
        A structure.
    lent_out : dict
        By ``id`` of the lent xpu array: the user's array, and the lent one.
    """

    def change(array: Any) -> Any:
        if not isinstance(array, Handle):
            return array
        if id(array) in lent_out:
            return lent_out[id(array)][0]
        if isinstance(array, kinds.scalar):
            return np.asarray(read(array, HOST))[()]
        return anchor(array)

    return mapped(result, change)
