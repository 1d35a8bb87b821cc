"""The hot paths: while the gate is open, an operator is one Python call around NumPy's.

What `ndarray` does most (operators, indexing, methods) is made here. Open means that every array is
a NumPy array on the host and nothing watches (`_gate`); everything else goes on to the public
functions, and from there to `_dispatch.call`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xpu._backends import backend_of
from xpu._block import Handle
from xpu._dispatch import call
from xpu._elision import LARGE, elided, elided_alone, raised
from xpu._gate import gate
from xpu._interop import listed, read_index
from xpu._ops import rest
from xpu._ops._make import Function, UFunc
from xpu._short import TOO_MUCH, assign_of_few_bytes, at_hand, of_few_bytes, window, write_of_few_bytes
from xpu._subclass import BARE
from xpu._taken import taken
from xpu._wrap import NUMBERS, PLAIN, enclose, holds_none, kinds, wrap

__all__ = [
    "binary", "elements", "follow", "get_item", "in_place", "method", "power", "power_in_place", "reflected",
    "scalar_binary", "scalar_reflected", "set_item", "transposed", "unary",
]  # fmt: skip

_array: Any = None  # `ndarray`
_new: Any = None  # makes an empty one
_plain: Any = None  # `ndarray` while the gate is open: the only test on the hot path
_NUMPY, _GENERIC = np.ndarray, np.generic  # globals of this file: one look-up less on the hot path
_numbers = NUMBERS
_ABSENT = object()


def follow(plain: Any) -> None:
    """Take `ndarray` when the gate opens, None when it closes."""
    global _array, _new, _plain
    _array, _new, _plain = plain or _array, kinds.new_array, plain


# ----------------------------------------------------------------------------- operators


def binary(
    ufunc: UFunc, *, reuses: bool = True, anything: Callable[[Any, Any], Any] | None = None
) -> Callable[[Any, Any], Any]:
    """Make ``x + y`` of a ufunc; `reuses` where its result may lie in a temporary.

    `anything` is the operator where it takes more than the ufunc: ``==`` and ``!=``.
    """
    host: Any = ufunc.op.host
    least = LARGE if reuses else sys.maxsize

    def method(self: Any, other: Any) -> Any:
        try:
            if type(other) is _plain:
                raw = self._raw
                if raw.nbytes >= least:
                    result = elided(host, self, other)
                    if result is not None:
                        return result
                raw = host(raw, other._raw)
            elif _plain is not None and type(other) in _numbers:
                raw = self._raw
                if raw.nbytes >= least:
                    result = elided(host, self, other)
                    if result is not None:
                        return result
                raw = host(raw, other)
            elif _plain is not None and type(other) is kinds.scalar:
                raw = host(self._raw, other._raw)
            else:
                return _elsewhere(ufunc, self, other)
        except TypeError:
            if anything is None:
                raise
            return enclose(anything(*(taken(x) if isinstance(x, Handle) else x for x in (self, other))), [])
        if type(raw) is _NUMPY:
            result = _new()
        elif isinstance(raw, _GENERIC):
            result = kinds.new_scalar()
        else:
            return enclose(raw, [])
        result._raw = raw
        return result

    return method


def reflected(ufunc: UFunc) -> Callable[[Any, Any], Any]:
    """Make ``2 + x`` of a ufunc."""
    host: Any = ufunc.op.host
    python = _AS_NUMPYS.get(ufunc.op.name)

    def method(self: Any, other: Any) -> Any:
        if _plain is None or type(other) not in _numbers:
            if gate.ajar and type(other) in _numbers:
                made = of_few_bytes(ufunc.op, other, self)
                if made is not TOO_MUCH:
                    return made
            if _takes(other) or _wraps(other):
                return ufunc(other, self)
            if python is None or not _asks_for_numpys(other):
                return NotImplemented
            return enclose(python(other, np.asarray(taken(self))), [])
        raw = self._raw
        if raw.nbytes >= LARGE:
            result = elided(host, self, other, swapped=True)
            if result is not None:
                return result
        raw = host(other, raw)
        if type(raw) is _NUMPY:
            result = _new()
            result._raw = raw
            return result
        return wrap(raw) if type(raw) is not tuple else enclose(raw, [])

    return method


def in_place(ufunc: UFunc) -> Callable[[Any, Any], Any]:
    """Make ``x += y`` of a ufunc."""
    host: Any = ufunc.op.host

    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is _plain:
            host(self._raw, other._raw, self._raw)
            return self
        if _plain is not None:
            if kind in _numbers:
                host(self._raw, other, self._raw)
                return self
            if kind is kinds.scalar:
                host(self._raw, other._raw, self._raw)
                return self
        elif gate.ajar and (kind in kinds.both or kind in _numbers) and write_of_few_bytes(ufunc.op, self, other):
            return self
        if not _takes(other) and getattr(kind, "__array_ufunc__", _ABSENT) is not None:
            return NotImplemented
        ufunc(self, other, out=self)  # in place NumPy defers to no `__array_ufunc__ = None`: it refuses
        return self

    return method


def power(ufunc: UFunc) -> Callable[[Any, Any], Any]:
    """Make ``x ** y``: NumPy's operator knows squares and roots, its ufunc does not."""

    def method(self: Any, other: Any) -> Any:
        raw = self._raw
        if _plain is None:
            return _elsewhere(ufunc, self, other)
        if raw.nbytes >= LARGE:
            result = raised(self, other)
            if result is not None:
                return result
        if type(other) in kinds.both:
            other = other._raw
        elif type(other) not in _numbers:
            return _elsewhere(ufunc, self, other)
        return wrap(raw**other)

    return method


def power_in_place(ufunc: UFunc) -> Callable[[Any, Any], Any]:
    """Make ``x **= y``, with the same knowledge of squares and roots."""

    def method(self: Any, other: Any) -> Any:
        if _plain is not None and (type(other) in _numbers or type(other) in kinds.both):
            raw = self._raw
            raw **= other._raw if isinstance(other, Handle) else other
            return self
        if not _takes(other):
            return NotImplemented
        ufunc(self, other, out=self)
        return self

    return method


def unary(ufunc: UFunc) -> Callable[[Any], Any]:
    """Make ``-x`` of a ufunc."""
    host: Any = ufunc.op.host

    def method(self: Any) -> Any:
        raw = self._raw
        if _plain is None:
            made = of_few_bytes(ufunc.op, self) if gate.ajar else TOO_MUCH
            return ufunc(self) if made is TOO_MUCH else made
        if raw.nbytes >= LARGE:
            result = elided_alone(host, self)
            if result is not None:
                return result
        raw = host(raw)
        if type(raw) is not _NUMPY:
            return wrap(raw)
        result = _new()
        result._raw = raw
        return result

    return method


def scalar_binary(python: Callable[[Any, Any], Any], otherwise: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make ``s + y`` of a scalar: NumPy's scalar arithmetic is many times faster than its ufuncs."""

    def method(self: Any, other: Any) -> Any:
        mine = self._raw
        kind = type(other)
        if _plain is None and not (gate.ajar and isinstance(mine, _GENERIC)):
            return otherwise(self, other)
        if kind in _numbers:
            raw = python(mine, other)
        elif kind in kinds.both and (_plain is not None or isinstance(other._raw, _GENERIC)):
            raw = python(mine, other._raw)
        else:
            return otherwise(self, other)
        if isinstance(raw, _GENERIC):
            result = kinds.new_scalar()
        elif type(raw) is _NUMPY:
            result = _new()
        else:
            return enclose(raw, [])
        result._raw = raw
        return result

    return method


def scalar_reflected(
    python: Callable[[Any, Any], Any], otherwise: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """Make ``2 + s`` of a scalar."""

    def method(self: Any, other: Any) -> Any:
        mine = self._raw
        if type(other) not in _numbers or (_plain is None and not (gate.ajar and isinstance(mine, _GENERIC))):
            return otherwise(self, other)
        raw = python(other, mine)
        if not isinstance(raw, _GENERIC):
            return enclose(raw, [])
        result = kinds.new_scalar()
        result._raw = raw
        return result

    return method


def _elsewhere(ufunc: UFunc, x: Any, other: Any) -> Any:
    """Run an operator while the gate is not open, or on operands of other types."""
    if type(other) in kinds.both or type(other) in _numbers:
        made = of_few_bytes(ufunc.op, x, other) if gate.ajar else TOO_MUCH
        return call(ufunc.op, (x, other), {}) if made is TOO_MUCH else made
    takes = _takes(other) or (ufunc.op.name == "equal" and _wraps(other))
    python = _AS_NUMPYS.get(ufunc.op.name)
    if takes or python is None or not _asks_for_numpys(other):
        return ufunc(x, other) if takes else NotImplemented
    return enclose(python(np.asarray(taken(x)), other), [])


def _takes(other: Any) -> bool:
    """Defer to types that want to handle us themselves (NumPy's own rule, NEP 13)."""
    if isinstance(other, (Handle, np.ndarray)):
        return isinstance(other, Handle) or type(other) in BARE
    override = getattr(type(other), "__array_ufunc__", _ABSENT)
    if override is not _ABSENT:
        return override is not None
    if isinstance(other, np.generic) or getattr(other, "__array_priority__", 0.0) <= 0.0:  # NumPy's array has zero
        return True
    return backend_of(other) is not None


_AS_NUMPYS: dict[str, Any] = {
    "add": operator.add, "subtract": operator.sub, "divide": operator.truediv, "less": operator.lt,
    "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge, "multiply": operator.mul,
}  # fmt: skip


def _asks_for_numpys(other: Any) -> bool:
    """SciPy's sparse arrays add and divide by NumPy's own dense arrays alone, a matrix multiplies by them alone."""
    return (hasattr(type(other), "tocsr") and hasattr(type(other), "nnz")) or isinstance(other, np.matrix)


def _wraps(other: Any) -> bool:
    """PyTorch's tensors, which left the operator to us: NumPy computes and their ``__array_wrap__`` makes a tensor."""
    kind = type(other)
    return hasattr(kind, "__array_wrap__") and hasattr(kind, "__array__") and not hasattr(kind, "__array_ufunc__")


# ----------------------------------------------------------------------------- views and indexing


def transposed(self: Any) -> Any:
    """Return ``x.T``."""
    if _plain is None or type(self) is not _plain:
        raw = at_hand(self) if gate.ajar else TOO_MUCH
        return window(self, raw.T) if type(raw) is _NUMPY else rest.transpose(self)
    result = _new()
    result._raw = self._raw.T
    return result


_BASIC = frozenset({int, slice, type(None), type(Ellipsis), *(np.dtype(code).type for code in "bhilqBHILQ")})
_DIRECT = _BASIC | {bool, np.bool, str, list, np.ndarray}  # keys that NumPy takes as they are


def get_item(self: Any, key: Any) -> Any:
    """Return ``x[key]``."""
    kind = type(key)
    if _plain is not None:
        if kind is tuple and key:
            for part in key:
                if type(part) in kinds.both:
                    key = _bare_key(key)
                    break
            raw = self._raw[key]
        elif kind in _DIRECT:
            raw = self._raw[key]
        elif kind in kinds.both:
            raw = self._raw[key._raw]
        else:
            return read_index(self, key)
    elif gate.ajar and (kind in _BASIC or (kind is tuple and key and _BASIC.issuperset(map(type, key)))):
        raw = at_hand(self)
        if type(raw) is not _NUMPY:
            return read_index(self, key)
        raw = raw[key]
        return window(self, raw) if type(raw) is _NUMPY else raw
    else:
        return read_index(self, key)
    if type(raw) is _NUMPY:
        result = _new()
        result._raw = raw
        return result
    return raw


def _bare_key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([part._raw if isinstance(part, Handle) else part for part in key])


def elements(self: Any) -> Iterator[Any]:
    """Iterate over the first axis: NumPy gives the elements of one axis while the gate is open."""
    done = 0
    raw = self._raw
    if _plain is not None and raw.ndim == 1:
        for item in raw:
            yield item
            done += 1
            if _plain is None:
                break
    for i in range(done, len(self)):
        yield self[i]


def set_item(self: Any, key: Any, value: Any) -> None:
    """Run ``x[key] = value``."""
    if _plain is None:
        basic = type(key) in _BASIC or (type(key) is tuple and _BASIC.issuperset(map(type, key)))
        known = type(value) in _numbers or type(value) in kinds.both
        if gate.ajar and basic and known and assign_of_few_bytes(rest.item_set.op, self, key, value):
            return
        rest.item_set(self, listed(key) if isinstance(key, list) else key, value)
        return
    if isinstance(value, Handle):
        value = value._raw
    if isinstance(key, Handle):
        key = key._raw
    elif type(key) is tuple and not kinds.both.isdisjoint(map(type, key)):
        key = _bare_key(key)
    self._raw[key] = value


# ----------------------------------------------------------------------------- methods


def method(function: Callable[..., Any], name: str, summary: str) -> Callable[..., Any]:
    """Make ``x.name(...)`` of a public function that takes the array first."""
    host: Any = getattr(np.ndarray, name)
    row = function.op if isinstance(function, Function) else None

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = self._raw
        if _plain is None or type(given) is not _NUMPY:
            if gate.ajar and row is not None and not args and not kwargs:
                made = of_few_bytes(row, self)
                if made is not TOO_MUCH:
                    return made
            return function(self, *args, **kwargs)
        for value in args:
            if type(value) not in PLAIN and not (type(value) is tuple and holds_none(value)):
                return function(self, *args, **kwargs)
        if kwargs:
            for value in kwargs.values():
                if type(value) not in PLAIN and not (type(value) is tuple and holds_none(value)):
                    return function(self, *args, **kwargs)
            raw = host(given, *args, **kwargs)
        else:
            raw = host(given, *args) if args else host(given)
        if type(raw) is _NUMPY:
            if raw is given:
                return self
            result = _new()
        elif isinstance(raw, _GENERIC):
            result = kinds.new_scalar()
        else:
            return enclose(raw, [])
        result._raw = raw
        return result

    method.__name__, method.__qualname__, method.__doc__ = name, f"ndarray.{name}", summary
    return method

