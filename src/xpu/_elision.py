"""Writing ``a + b + c`` into the temporary ``a + b``, as NumPy does for its own arrays.

NumPy reuses a temporary's memory where only the interpreter's stack holds it (``temp_elide.c``). Our
arrays hold theirs from a handle, so NumPy never sees that, and large expressions would ask the system
for fresh pages at every step, which costs as much as the arithmetic. So the same test is made here:
nobody but the caller's stack holds the handle, nobody but the handle holds the array, and the caller
is Python code at an operator (an extension may call ``__add__`` on references it has only borrowed).
Large means what it means to NumPy (``NPY_MIN_ELIDE_BYTES``).
"""

from __future__ import annotations

import sys
from functools import lru_cache
from opcode import opmap
from typing import Any

import numpy as np

__all__ = ["LARGE", "elided"]

LARGE = 1 << 18

_NUMBERS = "biufc"
_OPERATOR = opmap["BINARY_OP"]

# Reference counts mean this up to CPython 3.13: from 3.14 on the stack only borrows variables, and
# without the interpreter lock another thread may take a reference at any time.
_COUNTS = (
    sys.implementation.name == "cpython"
    and sys.version_info < (3, 14)
    and getattr(sys, "_is_gil_enabled", lambda: True)()
)


def _counts(handle: Any) -> tuple[int, int]:
    raw = handle._raw
    return sys.getrefcount(handle), sys.getrefcount(raw)


class _Probe:
    """Shows the counts of a temporary: what `elided` sees when an operator calls it."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw = np.empty(1)

    def __add__(self, other: object) -> tuple[int, int]:
        raw = self._raw  # operator methods hold it too
        return self._elided(self, other) if raw.size else (0, 0)

    @staticmethod
    def _elided(left: Any, right: object) -> tuple[int, int]:
        return _counts(left)


_LEFT = _Probe() + None if _COUNTS else (0, 0)
_RIGHT = (_LEFT[0], _LEFT[1] - 1)  # the method holds its own array only


def elided(ufunc: np.ufunc, left: Any, right: Any, swapped: bool = False) -> Any:
    """Compute ``left <operator> right`` in the memory of a temporary among them, where that is safe.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The operator's.
    left : ndarray
        A handle with a NumPy array; the method's ``self``. Called from its operator method.
    right : ndarray, int, float, complex or bool
        The other operand.
    swapped : bool, optional
        It is ``right <operator> left``, with a Python number on the right.

    Returns
    -------
    ndarray or None
        The temporary, which now is the result; None if neither may be written: nothing is done then.
    """
    if _counts(left) == _LEFT:
        result, other = left, right
    elif type(right) is type(left) and _counts(right) == _RIGHT:
        result, other = right, left
    else:
        return None
    frame = sys._getframe(2)
    if frame.f_code.co_code[frame.f_lasti] != _OPERATOR:
        return None
    memory = result._raw
    kind: Any = type(other)
    if kind is type(result):
        other = other._raw
        kind = other.dtype
        if other.shape != memory.shape:
            return None
    kinds = (kind, memory.dtype) if swapped or result is right else (memory.dtype, kind)
    if not memory.flags.owndata or _dtype(ufunc, *kinds) != memory.dtype:
        return None
    if result is left and not swapped:
        ufunc(memory, other, memory)
    else:
        ufunc(other, memory, memory)
    return result


@lru_cache(maxsize=1024)
def _dtype(ufunc: np.ufunc, *kinds: Any) -> np.dtype[Any] | None:
    """Return the result's dtype; None if that is not sure."""
    if ufunc.signature is not None or ufunc.nout != 1 or ufunc.nin != 2:
        return None
    if any(isinstance(kind, np.dtype) and kind.kind not in _NUMBERS for kind in kinds):
        return None
    try:
        return ufunc.resolve_dtypes((*kinds, None))[-1]
    except TypeError:
        return None
