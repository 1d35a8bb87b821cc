"""NumPy's answer where the GPU library's differs (CuPy's own list: docs.cupy.dev, "Differences").

Each guard looks at the values of one kind of call, on the device, before anything is written. Where
CuPy would answer otherwise than NumPy the call raises `NotAsNumpy`, and dispatch runs it on the host.
A guard costs one small kernel and one synchronisation, and only calls that can differ have one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from xpu._backends._base import NotAsNumpy
from xpu._backends._same_linalg import linear
from xpu._op import Op

__all__ = ["as_numpy"]

Raw = Any
Guard = Callable[..., None]


def as_numpy(op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, guarded or adapted where it can differ from NumPy's.

    Parameters
    ----------
    op : Op
        The row.
    function : callable
        The library's function, over raw arrays.

    Returns
    -------
    callable
        `function` itself where it never differs.
    """
    guard = _GUARDS.get(op.name)
    if op.kind == "elementwise":
        return _elementwise(op, _of_floats(function) if op.name in _OF_FLOATS else function, guard)
    if op.kind == "linalg":
        return linear(op, function)
    if op.name in _ADAPTED:
        return _ADAPTED[op.name](function)
    if guard is None:
        return function

    @functools.wraps(function, updated=())
    def guarded(*args: Any, **kwargs: Any) -> Any:
        guard(*args, **kwargs)
        return function(*args, **kwargs)

    return guarded


# ----------------------------------------------------------------------------- order of elements

# What is computed element by element besides ufuncs; other rows of that cost class look along axes.
_EACH = frozenset({
    "angle", "clip", "fix", "i0", "isclose", "isneginf", "isposinf", "nan_to_num", "round",
    "sinc",
})  # fmt: skip
_LAYOUT_ASIDE = frozenset({"casting", "decimals", "dtype", "equal_nan", "nan", "neginf", "posinf", "atol", "rtol"})


def _elementwise(op: Op, function: Callable[..., Any], guard: Guard | None) -> Callable[..., Any]:
    """Lay results out as NumPy does: CuPy's are in C order where operands are in any other."""
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
    if not (_is_array(value) and value.ndim):
        return value
    return value[(None,) * (len(order) - value.ndim)].transpose(order)


def _axis_order(args: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Return the axes from the slowest to the fastest in memory, as NumPy's iterator has them; None for C order.

    An axis goes before a slower one only where all operands that stride along both agree (``npyiter``'s rule).
    """
    arrays = [a for a in args if _is_array(a) and a.ndim]
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


# ----------------------------------------------------------------------------- indices


def _wide(index: Raw) -> Raw:
    """Small integer types cannot hold a length to compare and compute with."""
    return index if index.dtype.itemsize == np.dtype(np.intp).itemsize else index.astype(np.intp)


def _in_bounds(index: Raw, length: int) -> None:
    """CuPy wraps an index that is out of bounds; NumPy raises."""
    index = _wide(index)
    if index.size and bool(((index < -length) | (index >= length)).any()):
        message = f"an index is out of bounds for {length} elements"
        raise NotAsNumpy(message)


def _no_repeats(index: Raw) -> None:
    """Which of several writes to one element wins is undefined in CuPy; in NumPy it is the last."""
    if index.size > 1:
        ordered = index.reshape(-1).copy()
        ordered.sort()
        if bool((ordered[1:] == ordered[:-1]).any()):
            message = "an element is written more than once"
            raise NotAsNumpy(message)


def _integer_parts(x: Raw, key: Any) -> Iterator[tuple[Raw, int]]:
    """Yield the integer arrays of an indexing key with the lengths of the axes they index."""
    parts = key if isinstance(key, tuple) else (key,)
    consumed = sum(_axes_of(p) for p in parts)
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - consumed
        elif _is_array(part) and part.dtype.kind in "iu" and axis < x.ndim:
            yield part, x.shape[axis]
            axis += 1
        else:
            axis += _axes_of(part)


def _axes_of(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if _is_array(part) and part.dtype.kind == "b" else 1


def _numpys_key(key: Any) -> None:
    """CuPy makes integers of what NumPy refuses as an index, such as 1.5."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, slice):
            known = all(v is None or hasattr(v, "__index__") for v in (part.start, part.stop, part.step))
        elif _is_array(part):
            known = part.dtype.kind in "biu"
        else:
            known = part is None or part is Ellipsis or hasattr(part, "__index__")
        if not known:
            message = f"an index of type {type(part).__name__}"
            raise NotAsNumpy(message)


def _get(x: Raw, key: Any) -> None:
    _numpys_key(key)
    for part, length in _integer_parts(x, key):
        _in_bounds(part, length)


def _set(x: Raw, key: Any, value: Any) -> None:
    _numpys_key(key)
    _values_fit(value, x.dtype)
    found = list(_integer_parts(x, key))
    for part, length in found:
        _in_bounds(part, length)
    if found and _is_array(value) and value.size > 1:
        linear = 0
        for part, length in found:
            linear = linear * length + _wide(part) % length
        _no_repeats(linear)


def _take(a: Raw, indices: Any, axis: int | None = None, **_: Any) -> None:
    indices = _index(indices)
    if _is_array(indices):
        _in_bounds(indices, a.size if axis is None else a.shape[axis])


def _compress(condition: Raw, a: Raw, axis: int | None = None, *_: Any, **__: Any) -> None:
    """What a condition longer than the axis selects there is out of bounds; CuPy reads the first of several axes."""
    if condition.ndim != 1:
        message = f"a condition of {condition.ndim} axes"
        raise NotAsNumpy(message)
    _no_longer(condition, a.size if axis is None else a.shape[axis])


def _extract(condition: Raw, a: Raw) -> None:
    _no_longer(condition, a.size)


def _no_longer(condition: Raw, length: int) -> None:
    if condition.size > length:
        message = f"a condition for {condition.size} elements, of {length}"
        raise NotAsNumpy(message)


def _index(value: Any) -> Any:
    """A single index is looked at on the host."""
    return np.asarray(value) if isinstance(value, int) else value


def _take_along(a: Raw, indices: Raw, axis: int | None = -1) -> None:
    _in_bounds(indices, a.size if axis is None else a.shape[axis])


def _put(a: Raw, ind: Any, v: Any, mode: str = "raise") -> None:
    _values_fit(v, a.dtype)
    ind = _index(ind)
    if _is_array(ind):
        if mode == "raise":
            _in_bounds(ind, a.size)
        elif mode == "clip" and ind.size and bool((ind < 0).any()):  # NumPy's first element, CuPy's last ones
            message = "a negative index is clipped"
            raise NotAsNumpy(message)
        if _is_array(v) and v.size > 1:
            _no_repeats(_wide(ind) % max(a.size, 1))


def _put_along(arr: Raw, indices: Raw, values: Any, axis: int | None) -> None:
    _values_fit(values, arr.dtype)
    length = arr.size if axis is None else arr.shape[axis]
    _in_bounds(indices, length)
    if not (_is_array(values) and values.size > 1 and indices.size > 1):
        return
    places = _wide(indices) % length
    ordered = places.reshape(-1).copy() if axis is None else places.swapaxes(axis, -1).copy()
    ordered.sort(axis=-1)
    if bool((ordered[..., 1:] == ordered[..., :-1]).any()):
        message = "an element is written more than once"
        raise NotAsNumpy(message)


def _delete(arr: Raw, obj: Any, axis: int | None = None) -> None:
    obj = _index(obj)
    if _is_array(obj) and obj.dtype.kind in "iu":
        _in_bounds(obj, arr.size if axis is None else arr.shape[axis])


# ----------------------------------------------------------------------------- values


def _values_fit(value: Any, dtype: np.dtype[Any]) -> None:
    """Converting a float that an integer type cannot hold is undefined in C++; NumPy's answer is the host's."""
    if dtype.kind not in "iu":
        return
    if type(value) is float:
        value = np.asarray(value)
    if not _is_array(value) or value.dtype.kind not in "fc" or not value.size:
        return
    real = value.real if value.dtype.kind == "c" else value
    limits = np.iinfo(dtype)
    # Truncation is towards zero. Where a coarse type rounds a bound, the edge itself goes to the host.
    fits = (real > float(limits.min) - 1) & (real < float(limits.max) + 1)
    if not bool(fits.all()):
        message = f"a value does not fit {dtype}"
        raise NotAsNumpy(message)


def _casting(function: Callable[..., Any]) -> Callable[..., Any]:
    """CuPy's ``astype`` refuses ``casting=``: what it would allow is looked up here."""

    @functools.wraps(function, updated=())
    def cast(x: Raw, dtype: Any, order: str = "K", casting: str = "unsafe", copy: bool = True) -> Any:
        if casting != "unsafe" and not np.can_cast(x.dtype, dtype, casting):  # type: ignore[arg-type]
            message = f"{x.dtype} does not cast to {dtype} under {casting!r}"
            raise NotAsNumpy(message)
        _values_fit(x, np.dtype(dtype))
        return function(x, dtype, order, copy=copy)

    return cast


def _copyto(dst: Raw, src: Any, *_: Any, **__: Any) -> None:
    _values_fit(src, dst.dtype)


def _ordered(a: Raw, *_: Any, **__: Any) -> None:
    """CuPy's minima and maxima of complex numbers pass over NaN in some of its kernels."""
    if a.dtype.kind == "c" and a.size and bool((a != a).any()):
        message = "complex values with NaN among them"
        raise NotAsNumpy(message)


def _nan_places(a: Raw, axis: int | None = None, *_: Any, **__: Any) -> None:
    """Where all is NaN, CuPy gives an index out of range; NumPy raises."""
    if a.dtype.kind in "fc" and a.size and bool((a != a).all(axis=axis).any()):
        message = "a slice of nothing but NaN"
        raise NotAsNumpy(message)


def _nan_moments(a: Raw, *args: Any, ddof: float = 0, **_: Any) -> None:
    """CuPy's are 0 of no elements, and infinite where `ddof` leaves none; NumPy's are NaN."""
    ddof = args[3] if len(args) > 3 else ddof
    if not a.size or ddof not in (0, 1):
        message = f"{a.size} elements, ddof={ddof}"
        raise NotAsNumpy(message)


def _no_booleans(a: Raw, *_: Any, **__: Any) -> None:
    """NumPy has no quantile of booleans."""
    if a.dtype.kind == "b":
        message = "booleans"
        raise NotAsNumpy(message)


def _power(x: Any, y: Any, *_: Any, **__: Any) -> None:
    """NumPy refuses a negative integer power of integers."""
    kind = y.dtype.kind if _is_array(y) else "i" if type(y) is int else ""
    if kind == "i" and (not _is_array(x) or x.dtype.kind in "iu"):
        negative = bool((y < 0).any()) if _is_array(y) else y < 0
        if negative:
            message = "a negative integer power"
            raise NotAsNumpy(message)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "flags")  # NumPy's scalars too, which have no duplicates


def _flip(function: Callable[..., Any]) -> Callable[..., Any]:
    """Without an axis there is nothing to flip: NumPy gives the value, CuPy a view."""

    @functools.wraps(function, updated=())
    def flip(m: Raw, *args: Any, **kwargs: Any) -> Any:
        made = function(m, *args, **kwargs)
        return made if m.ndim else made.copy()

    return flip


def _in_one_piece(function: Callable[..., Any]) -> Callable[..., Any]:
    """CuPy sorts arrays in C order only, in place."""

    @functools.wraps(function, updated=())
    def sort(x: Raw, *args: Any, **kwargs: Any) -> None:
        whole = x if x.flags.c_contiguous else x.copy(order="C")
        function(whole, *args, **kwargs)
        if whole is not x:
            x[...] = whole

    return sort


_ADAPTED: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "astype": _casting,
    "flip": _flip,
    "ndarray.partition": _in_one_piece,
    "ndarray.sort": _in_one_piece,
}

_GUARDS: Mapping[str, Guard] = {
    "getitem": _get,
    "setitem": _set,
    "compress": _compress,
    "extract": _extract,
    "take": _take,
    "take_along_axis": _take_along,
    "put": _put,
    "put_along_axis": _put_along,
    "delete": _delete,
    "copyto": _copyto,
    "max": _ordered,
    "min": _ordered,
    "amax": _ordered,
    "amin": _ordered,
    "argmax": _ordered,
    "argmin": _ordered,
    "ptp": _ordered,
    "nanargmax": _nan_places,
    "nanargmin": _nan_places,
    "nanstd": _nan_moments,
    "nanvar": _nan_moments,
    "percentile": _no_booleans,
    "quantile": _no_booleans,
    "power": _power,
    "pow": _power,
}
