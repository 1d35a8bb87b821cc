"""Host memory of large results, used again once nobody holds them.

NumPy writes ``a + b + c`` into the temporary ``a + b``, because it sees that nobody else has it. Ours
are held by their handles, so it never sees that; every operator would ask the system for fresh pages,
which costs as much as the arithmetic. Instead the last few large results stay on a shelf, and one
that only the shelf still holds is the next result's memory. Large means what NumPy means by it
(``NPY_MIN_ELIDE_BYTES``, 256 KiB, in its ``temp_elide.c``).
"""

from __future__ import annotations

import os
import sys
from collections import deque
from functools import lru_cache
from typing import Any

import numpy as np

__all__ = ["LARGE", "compute", "release", "seen"]

LARGE = 1 << 17

_SHELVED = 6  # results looked at; an expression has fewer temporaries of one kind alive
_NUMBERS = "biufc"

Raw = Any

_shelf: deque[np.ndarray[Any, Any]] = deque()


class _Seen:
    """Whether there ever was a large result: before, no operator need ask for its size."""

    __slots__ = ("large",)

    def __init__(self) -> None:
        self.large = False


seen = _Seen()


def _references(shelf: deque[Any]) -> int:
    """Return how many references an array shows that only a shelf held."""
    array = shelf.pop()
    return sys.getrefcount(array)


_ALONE = _references(deque([np.empty(1)]))
# Without the interpreter lock a count is no proof.
_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)() and sys.implementation.name == "cpython"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such call on Windows
        return 1 << 32


_MOST = _memory() // 32 if _COUNTS else 0  # bytes the shelf may hold


def compute(ufunc: np.ufunc, *operands: Raw) -> Raw:
    """Return ``ufunc(*operands)``, in memory of an earlier result where there is some.

    Parameters
    ----------
    ufunc : numpy.ufunc
        With one result.
    *operands : numpy.ndarray, numpy.generic, int, float, complex or bool
        Its inputs.

    Returns
    -------
    numpy.ndarray or numpy.generic
        As NumPy gives it: same values, dtype, shape and order of the axes.
    """
    room = _room(ufunc, operands) if _shelf else None
    if room is not None:
        ufunc(*operands, room)
        _shelf.append(room)
        return room
    try:
        result = ufunc(*operands)
    except MemoryError:
        if not _shelf:
            raise
        release()
        result = ufunc(*operands)
    if type(result) is np.ndarray and LARGE <= result.nbytes <= _MOST // 2 and result.flags.c_contiguous:
        _shelf.append(result)
        _keep_within_bounds()
    return result


def release() -> None:
    """Let go of all memory that is kept for later."""
    _shelf.clear()


def _keep_within_bounds() -> None:
    held = sum([array.nbytes for array in tuple(_shelf)])
    while _shelf and (len(_shelf) > _SHELVED or held > _MOST):
        try:
            held -= _shelf.popleft().nbytes
        except IndexError:  # another thread was here
            return


def _room(ufunc: np.ufunc, operands: tuple[Raw, ...]) -> Raw:
    """Take an array off the shelf that may hold the result; None if there is none."""
    shape: tuple[int, ...] | None = None
    kinds: list[Any] = []
    for value in operands:
        kind: Any = type(value)
        if kind is np.ndarray:
            kind = value.dtype
            here = value.shape
            if here:
                if (shape is not None and shape != here) or not (value.flags.c_contiguous or _rows_first(value)):
                    return None
                shape = here
        elif issubclass(kind, np.generic):
            kind = value.dtype
        kinds.append(kind)
    dtype = None if shape is None else _dtype(ufunc, *kinds)
    return None if dtype is None else _take(shape, dtype)


def _take(shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> Raw:
    """Take the newest array off the shelf that nobody else holds: it is the likeliest in the cache."""
    held: list[Raw] = []
    found = None
    while found is None:
        try:
            array = _shelf.pop()  # now no other thread can take it
        except IndexError:
            break
        if sys.getrefcount(array) == _ALONE and array.dtype is dtype and array.shape == shape:
            found = array
        else:
            held.append(array)
    held.reverse()
    _shelf.extend(held)
    return found


def _rows_first(array: np.ndarray[Any, Any]) -> bool:
    """Return True if NumPy lays out a result over this operand in C order."""
    before = None
    for stride in array.strides:
        if stride <= 0 or (before is not None and stride > before):
            return False
        before = stride
    return True


@lru_cache(maxsize=1024)
def _dtype(ufunc: np.ufunc, *kinds: Any) -> np.dtype[Any] | None:
    """Return the result's dtype; None if that is not sure."""
    if ufunc.signature is not None or ufunc.nout != 1 or ufunc.nin != len(kinds):
        return None
    if any(isinstance(kind, np.dtype) and kind.kind not in _NUMBERS for kind in kinds):
        return None
    try:
        found = ufunc.resolve_dtypes((*kinds, None))[-1]
    except TypeError:
        return None
    return found if found.kind in _NUMBERS and found.isnative else None
