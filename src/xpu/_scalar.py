"""`scalar`: what reductions and 0-d arithmetic return."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._array import ndarray
from xpu._block import taken
from xpu._wrap import kinds

__all__ = ["scalar"]


class scalar(ndarray):
    """An immutable 0-d array: what NumPy's reductions and 0-d arithmetic return.

    It stays on its device until Python reads it. `s += 1` rebinds; it hashes, formats and indexes
    like ``numpy.float64``.

    Examples
    --------
    >>> import xpu
    >>> s = xpu.arange(4).sum()
    >>> f"{s:03d}", s == 6, [10, 20, 30, 40, 50, 60, 70][s]
    ('006', True, 70)
    """

    __slots__ = ()
    __module__ = "xpu"

    def __repr__(self) -> str:
        return repr(self._value())

    def __str__(self) -> str:
        return str(self._value())

    def __format__(self, spec: str) -> str:
        return format(self._value(), spec)

    def _value(self) -> Any:
        return np.asarray(taken(self))[()]

    def __hash__(self) -> int:  # type: ignore[override]  # arrays do not hash, scalars do
        return hash(self._value())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._value(), digits) if digits is not None else round(self._value())

    def __trunc__(self) -> int:
        return self._value().__trunc__()  # type: ignore[no-any-return]

    def __floor__(self) -> int:
        return int(np.floor(self._value()))

    def __ceil__(self) -> int:
        return int(np.ceil(self._value()))

    def is_integer(self) -> bool:
        """Return True for a whole number."""
        return bool(self._value().is_integer())

    def as_integer_ratio(self) -> tuple[int, int]:
        """Return numerator and denominator."""
        return self._value().as_integer_ratio()  # type: ignore[no-any-return]

    def __setitem__(self, key: Any, value: Any) -> None:
        message = f"'{type(self._value()).__name__}' object does not support item assignment"
        raise TypeError(message)

    __iadd__ = ndarray.__add__
    __isub__ = ndarray.__sub__
    __imul__ = ndarray.__mul__
    __itruediv__ = ndarray.__truediv__
    __ifloordiv__ = ndarray.__floordiv__
    __imod__ = ndarray.__mod__
    __ipow__ = ndarray.__pow__
    __iand__ = ndarray.__and__
    __ior__ = ndarray.__or__
    __ixor__ = ndarray.__xor__
    __ilshift__ = ndarray.__lshift__
    __irshift__ = ndarray.__rshift__
    __imatmul__ = ndarray.__matmul__


kinds.scalar = scalar
