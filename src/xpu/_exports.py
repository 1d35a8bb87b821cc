"""Whether a library may write into what ``numpy.asarray(x)`` shows it.

As a rule it may not: the write would be lost once the bytes are on a device. But libraries compute in place on what a
user's function returned (SciPy's Krylov solvers on ``matvec(v)``, for one), and where a variable of the library is all
that holds the array, nobody is left to miss a write. Reference counts tell, as in `_elision`, on CPython up to 3.13.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from xpu._elision import COUNTS

__all__ = ["held_by_a_library_alone"]

_LIBRARIES = ("site-packages", "dist-packages")


class _Probe:
    """Shows the count of an array that one variable holds, when NumPy asks for its memory."""

    def __init__(self) -> None:
        self.count = 0
        self.memory = np.empty(1)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        self.count = _count(self)
        return self.memory.__array_interface__


def _count(held: Any) -> int:
    return sys.getrefcount(held)


def _one_variable() -> int:
    probe = _Probe()
    np.asarray(probe)
    return probe.count


# One for every name and stack on the way. A debugger or profiler that watches this import holds frames, and so more.
_EXPECTED = 5
_ONE = _EXPECTED if COUNTS and _one_variable() == _EXPECTED else 0


def held_by_a_library_alone(handle: Any) -> bool:
    """Return True if the caller's caller is a library's function, whose variable is all that holds the array."""
    if _count(handle) > _ONE + 1:  # the parameter
        return False
    where = sys._getframe(2).f_code.co_filename
    return any(name in where for name in _LIBRARIES)
