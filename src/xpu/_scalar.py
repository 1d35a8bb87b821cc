"""`scalar`: what reductions and 0-d arithmetic return."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from xpu._array import Values, ndarray
from xpu._gate import gate
from xpu._hot import scalar_binary, scalar_reflected
from xpu._taken import taken
from xpu._wrap import PLAIN, kinds, wrap

__all__ = ["scalar"]


_SEQUENCES = (list, tuple, str, bytes, bytearray)


def _met(python: Any, otherwise: Any) -> Any:
    """Meet arrays of other libraries as NumPy's scalar does: to a tensor or a data frame it is a number."""

    def method(self: Any, other: Any) -> Any:
        foreign = hasattr(type(other), "__array_priority__") and not isinstance(other, (ndarray, np.generic))
        return python(self._value(), other) if foreign else otherwise(self, other)

    return method


def _swapped(python: Any) -> Any:
    return lambda mine, other: python(other, mine)


def _multiplied(self: Any, other: Any) -> Any:
    """Multiply by anything but a plain number; a sequence is repeated, as NumPy's integers do."""
    return self._value() * other if isinstance(other, _SEQUENCES) else Values.__mul__(self, other)


def _multiplying(self: Any, other: Any) -> Any:
    return other * self._value() if isinstance(other, _SEQUENCES) else Values.__rmul__(self, other)


class scalar(Values):
    """An immutable 0-d array: what NumPy's reductions and 0-d arithmetic return.

    It stays on its device until Python reads it. `s += 1` rebinds; it hashes, formats and indexes
    like ``numpy.float64``.

    Examples
    --------
    >>> import xpu
    >>> s = xpu.arange(4).sum()
    >>> f"{s:03d}", s == 6, [10, 20, 30, 40, 50, 60, 70][s]
    ('006', np.True_, 70)
    """

    __slots__ = ()
    __module__ = "xpu"

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """NumPy's scalar class: ``isinstance(x.sum(), float)`` and ``numpy.floating`` hold where they hold in NumPy."""
        return self.dtype.type

    def __repr__(self) -> str:
        return repr(self._value())

    def __str__(self) -> str:
        return str(self._value())

    def __format__(self, spec: str) -> str:
        return format(self._value(), spec)

    def _value(self) -> Any:
        raw = self._raw
        at_hand = gate.open or (gate.ajar and isinstance(raw, np.generic))
        return raw if at_hand else np.asarray(taken(self))[()]

    __iter__ = None  # else Python would iterate by index, and find nothing

    def copy(self, order: str = "C") -> scalar:
        """Return itself: it does not change."""
        return self

    def __copy__(self) -> scalar:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> scalar:
        return self

    def __bool__(self) -> bool:
        return bool(self._value())

    def __bytes__(self) -> bytes:
        value = self._value()
        return bytes(value) if self.dtype.kind in "iu" else value.tobytes()

    def __int__(self) -> int:
        return int(self._value())

    def __float__(self) -> float:
        return float(self._value())

    def __index__(self) -> int:
        return operator.index(self._value())

    def __getitem__(self, key: Any) -> Any:
        try:
            return Values.__getitem__(self, key)
        except IndexError:
            message = "invalid index to scalar variable."
            raise IndexError(message) from None

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

    def hex(self) -> str:
        """Return a float in hexadecimal."""
        return str(self._value().hex())

    def bit_count(self) -> int:
        """Return the number of ones of an integer."""
        return int(self._value().bit_count())

    @property
    def numerator(self) -> scalar:
        """An integer itself."""
        return wrap(self._value().numerator)  # type: ignore[no-any-return]

    @property
    def denominator(self) -> int:
        """One, for an integer."""
        return int(self._value().denominator)

    def __setitem__(self, key: Any, value: Any) -> None:
        message = f"'numpy.{type(self._value()).__name__}' object does not support item assignment"
        raise TypeError(message)

    __add__ = scalar_binary(operator.add, _met(operator.add, Values.__add__))
    __sub__ = scalar_binary(operator.sub, _met(operator.sub, Values.__sub__))
    __mul__ = scalar_binary(operator.mul, _met(operator.mul, _multiplied))
    __truediv__ = scalar_binary(operator.truediv, _met(operator.truediv, Values.__truediv__))
    __floordiv__ = scalar_binary(operator.floordiv, _met(operator.floordiv, Values.__floordiv__))
    __mod__ = scalar_binary(operator.mod, _met(operator.mod, Values.__mod__))
    __pow__ = scalar_binary(operator.pow, _met(operator.pow, Values.__pow__))
    __and__ = scalar_binary(operator.and_, _met(operator.and_, Values.__and__))
    __or__ = scalar_binary(operator.or_, _met(operator.or_, Values.__or__))
    __xor__ = scalar_binary(operator.xor, _met(operator.xor, Values.__xor__))
    __lshift__ = scalar_binary(operator.lshift, _met(operator.lshift, Values.__lshift__))
    __rshift__ = scalar_binary(operator.rshift, _met(operator.rshift, Values.__rshift__))
    __radd__ = scalar_reflected(operator.add, _met(_swapped(operator.add), Values.__radd__))
    __rsub__ = scalar_reflected(operator.sub, _met(_swapped(operator.sub), Values.__rsub__))
    __rmul__ = scalar_reflected(operator.mul, _met(_swapped(operator.mul), _multiplying))
    __rtruediv__ = scalar_reflected(operator.truediv, _met(_swapped(operator.truediv), Values.__rtruediv__))
    __rfloordiv__ = scalar_reflected(operator.floordiv, _met(_swapped(operator.floordiv), Values.__rfloordiv__))
    __rmod__ = scalar_reflected(operator.mod, _met(_swapped(operator.mod), Values.__rmod__))
    __rpow__ = scalar_reflected(operator.pow, _met(_swapped(operator.pow), Values.__rpow__))
    __rand__ = scalar_reflected(operator.and_, _met(_swapped(operator.and_), Values.__rand__))
    __ror__ = scalar_reflected(operator.or_, _met(_swapped(operator.or_), Values.__ror__))
    __rxor__ = scalar_reflected(operator.xor, _met(_swapped(operator.xor), Values.__rxor__))
    __rlshift__ = scalar_reflected(operator.lshift, _met(_swapped(operator.lshift), Values.__rlshift__))
    __rrshift__ = scalar_reflected(operator.rshift, _met(_swapped(operator.rshift), Values.__rrshift__))
    __lt__ = scalar_binary(operator.lt, _met(operator.lt, Values.__lt__))
    __le__ = scalar_binary(operator.le, _met(operator.le, Values.__le__))
    __gt__ = scalar_binary(operator.gt, _met(operator.gt, Values.__gt__))
    __ge__ = scalar_binary(operator.ge, _met(operator.ge, Values.__ge__))
    __eq__ = scalar_binary(operator.eq, _met(operator.eq, Values.__eq__))
    __ne__ = scalar_binary(operator.ne, _met(operator.ne, Values.__ne__))
    __iadd__ = __add__
    __isub__ = __sub__
    __imul__ = __mul__
    __itruediv__ = __truediv__
    __ifloordiv__ = __floordiv__
    __imod__ = __mod__
    __ipow__ = __pow__
    __iand__ = __and__
    __ior__ = __or__
    __ixor__ = __xor__
    __ilshift__ = __lshift__
    __irshift__ = __rshift__
    __imatmul__ = Values.__matmul__


kinds.scalar, kinds.new_scalar = scalar, type.__call__.__get__(scalar)
kinds.both = frozenset({ndarray, scalar})
kinds.known = kinds.both | PLAIN
