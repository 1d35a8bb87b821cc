"""The arrays in a call's arguments: found in nested tuples, lists and dictionaries, replaced, and told by shape."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from xpu._block import Handle, home, shaped
from xpu._wrap import kinds

__all__ = ["arrays_in", "key_of", "mapped", "overlapping"]


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
    """Return True where two arrays share memory: a write to one is a write to the other."""
    foreign = [a for a in arrays if isinstance(a, np.ndarray)]
    if any(np.may_share_memory(a, b) for i, a in enumerate(foreign) for b in foreign[:i]):
        return True
    views = [home(a) for a in arrays if isinstance(a, Handle)]
    blocks = [id(v.block) for v in views if v is not None]
    return len(set(blocks)) < len(blocks)
