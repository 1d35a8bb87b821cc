"""The order of a result's elements in memory, and the precision of functions of small integers, as NumPy's.

CuPy's results are in C order where operands are in any other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends._base import NotAsNumpy
from xpu._op import Op

__all__ = ["elementwise", "is_array"]

Raw = Any
Guard = Callable[..., None]

# What is computed element by element besides ufuncs; other rows of that cost class look along axes.
_EACH = frozenset({
    "angle", "clip", "fix", "i0", "isclose", "isneginf", "isposinf", "nan_to_num", "round",
    "sinc",
})  # fmt: skip
_LAYOUT_ASIDE = frozenset({"casting", "decimals", "dtype", "equal_nan", "nan", "neginf", "posinf", "atol", "rtol"})


def elementwise(op: Op, function: Callable[..., Any], guard: Guard | None) -> Callable[..., Any]:
    """Return `function`, guarded, and laying results out as NumPy does."""
    function = _of_floats(function) if op.name in _OF_FLOATS else function
    each = op.name in _EACH or (isinstance(op.host, np.ufunc) and op.host.signature is None)
    inputs = getattr(op.host, "nin", 3)

    def called(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("casting") == "unsafe":
            message = "casting='unsafe': conversions out of range differ"
            raise NotAsNumpy(message)
        if kwargs.get("order", "K") not in ("K", None):
            message = f"order={kwargs['order']!r}: the GPU library has one order"
            raise NotAsNumpy(message)
        if guard is not None:
            guard(*args, **kwargs)
        order = _axis_order(args) if each and len(args) <= inputs and _LAYOUT_ASIDE.issuperset(kwargs) else None
        if order is None:
            return function(*args, **kwargs)
        back = tuple(order.index(i) for i in range(len(order)))
        made = function(*[_turned(a, order) for a in args], **kwargs)
        return tuple(m.transpose(back) for m in made) if isinstance(made, tuple) else made.transpose(back)

    return called


# CuPy computes these of small integers in half or single precision, NumPy in double.
_OF_FLOATS = frozenset({"i0", "sinc"})


def _of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def called(x: Raw, *args: Any, **kwargs: Any) -> Any:
        return function(x.astype(np.float64) if x.dtype.kind in "biu" else x, *args, **kwargs)

    return called


def _turned(value: Any, order: tuple[int, ...]) -> Any:
    if not (is_array(value) and value.ndim):
        return value
    return value[(None,) * (len(order) - value.ndim)].transpose(order)


def _axis_order(args: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Return the axes from the slowest to the fastest in memory, as NumPy's iterator has them; None for C order.

    An axis goes before a slower one only where all operands that stride along both agree (``npyiter``'s rule).
    """
    arrays = [a for a in args if is_array(a) and a.ndim]
    if all(a.flags.c_contiguous for a in arrays):
        return None
    ndim = max(a.ndim for a in arrays)
    strides = [
        (0,) * (ndim - a.ndim) + tuple(0 if n == 1 else abs(s) for n, s in zip(a.shape, a.strides, strict=True))
        for a in arrays
    ]
    order = list(range(ndim))
    for axis in reversed(range(ndim - 1)):
        place = order.index(axis)
        target = place
        for other in range(place + 1, ndim):
            pairs = [(s[axis], s[order[other]]) for s in strides if s[axis] and s[order[other]]]
            if pairs and any(outer >= inner for outer, inner in pairs):
                break
            if pairs:
                target = other
        order.insert(target, order.pop(place))
    return None if order == sorted(order) else tuple(order)


def is_array(value: Any) -> bool:
    """Return True for raw arrays, and for NumPy's scalars."""
    return hasattr(value, "dtype") and hasattr(value, "flags")
