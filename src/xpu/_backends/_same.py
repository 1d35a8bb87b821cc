"""NumPy's answer where the GPU library's differs (CuPy's own list: docs.cupy.dev, "Differences").

Each guard looks at the values of one kind of call, on the device, before anything is written. Where
CuPy would answer otherwise than NumPy the call raises `NotAsNumpy`, and dispatch runs it on the host.
A guard costs one small kernel and one synchronisation, and only calls that can differ have one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from xpu._backends._base import NotAsNumpy
from xpu._backends._same_linalg import linear
from xpu._backends._same_order import elementwise, is_array
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
    if op.name in _ADAPTED:
        function = _ADAPTED[op.name](function)
    if op.kind == "elementwise":
        return elementwise(op, function, guard)
    if op.kind == "linalg":
        return linear(op, function)
    if guard is None:
        return function

    @functools.wraps(function, updated=())
    def guarded(*args: Any, **kwargs: Any) -> Any:
        guard(*args, **kwargs)
        return function(*args, **kwargs)

    return guarded


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
        elif is_array(part) and part.dtype.kind in "iu" and axis < x.ndim:
            yield part, x.shape[axis]
            axis += 1
        else:
            axis += _axes_of(part)


def _axes_of(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if is_array(part) and part.dtype.kind == "b" else 1


def _numpys_key(key: Any) -> None:
    """CuPy makes integers of what NumPy refuses as an index, such as 1.5."""
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, slice):
            known = all(v is None or hasattr(v, "__index__") for v in (part.start, part.stop, part.step))
        elif is_array(part):
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
    if found and is_array(value) and value.size > 1:
        linear = 0
        for part, length in found:
            linear = linear * length + _wide(part) % length
        _no_repeats(linear)


def _take(a: Raw, indices: Any, axis: int | None = None, **_: Any) -> None:
    indices = _index(indices)
    if is_array(indices):
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
    if is_array(ind):
        if mode == "raise":
            _in_bounds(ind, a.size)
        elif mode == "clip" and ind.size and bool((ind < 0).any()):  # NumPy's first element, CuPy's last ones
            message = "a negative index is clipped"
            raise NotAsNumpy(message)
        if is_array(v) and v.size > 1:
            _no_repeats(_wide(ind) % max(a.size, 1))


def _put_along(arr: Raw, indices: Raw, values: Any, axis: int | None) -> None:
    _values_fit(values, arr.dtype)
    length = arr.size if axis is None else arr.shape[axis]
    _in_bounds(indices, length)
    if not (is_array(values) and values.size > 1 and indices.size > 1):
        return
    places = _wide(indices) % length
    ordered = places.reshape(-1).copy() if axis is None else places.swapaxes(axis, -1).copy()
    ordered.sort(axis=-1)
    if bool((ordered[..., 1:] == ordered[..., :-1]).any()):
        message = "an element is written more than once"
        raise NotAsNumpy(message)


def _delete(arr: Raw, obj: Any, axis: int | None = None) -> None:
    obj = _index(obj)
    if is_array(obj) and obj.dtype.kind in "iu":
        _in_bounds(obj, arr.size if axis is None else arr.shape[axis])


# ----------------------------------------------------------------------------- values


def _values_fit(value: Any, dtype: np.dtype[Any]) -> None:
    """Converting a float that an integer type cannot hold is undefined in C++; NumPy's answer is the host's."""
    if dtype.kind not in "iu":
        return
    if type(value) is float:
        value = np.asarray(value)
    if not is_array(value) or value.dtype.kind not in "fc" or not value.size:
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


def _moments(a: Raw, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, **_: Any) -> None:
    """Where `ddof` leaves no degree of freedom CuPy's are NaN; NumPy's are infinite or NaN."""
    axes = range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    count = math.prod(a.shape[i] for i in axes if -a.ndim <= i < a.ndim)
    if not ddof < count:
        message = f"ddof={ddof} of {count} elements"
        raise NotAsNumpy(message)


def _quantiles(a: Raw, *_: Any, **__: Any) -> None:
    """NumPy has none of booleans, and of NaN they are NaN; CuPy sorts NaN last, and of no values it reads outside."""
    if a.dtype.kind == "b" or not a.size:
        message = "booleans" if a.size else "no values"
        raise NotAsNumpy(message)
    _no_nan(a)


def _no_nan(values: Any) -> None:
    if type(values) is float or (is_array(values) and values.dtype.kind == "f" and values.size):
        found = values != values
        if found if isinstance(found, bool) else bool(found.any()):
            message = "NaN among the values"
            raise NotAsNumpy(message)


def _searchsorted(a: Raw, v: Any, *_: Any, **__: Any) -> None:
    """CuPy compares integers as C does: -1 is greater than any number of a wide unsigned type."""
    kinds = {x.dtype.kind: x.dtype.itemsize for x in (a, v) if is_array(x)}
    if kinds.keys() == {"i", "u"} and kinds["u"] >= max(4, kinds["i"]):
        message = "signed and unsigned integers"
        raise NotAsNumpy(message)


def _digitize(x: Raw, bins: Raw, *_: Any, **__: Any) -> None:
    _searchsorted(bins, x)
    if bins.size > 1 and not (bool((bins[1:] >= bins[:-1]).all()) or bool((bins[1:] <= bins[:-1]).all())):
        message = "bins are not in order"
        raise NotAsNumpy(message)


def _clip(_: Raw, low: Any = None, high: Any = None, *__: Any, **___: Any) -> None:
    """A bound that is NaN makes NaN in NumPy, and bounds nothing in CuPy."""
    _no_nan(low)
    _no_nan(high)


def _all_finite(*operands: Any, **_: Any) -> None:
    """CuPy convolves floats by Fourier transforms, which spread one NaN or infinity over the whole result."""
    for x in operands[:2]:
        if not (is_array(x) and x.dtype.kind in "fc" and x.size):
            continue
        for part in (x.real, x.imag) if x.dtype.kind == "c" else (x,):
            if not bool((abs(part) < math.inf).all()):
                message = "NaN or infinities among the values"
                raise NotAsNumpy(message)


def _real_only(a: Raw, *_: Any, **__: Any) -> None:
    """NumPy refuses complex numbers where CuPy drops their imaginary parts."""
    if a.dtype.kind == "c":
        message = "complex numbers where real ones are expected"
        raise NotAsNumpy(message)


def _expm1(x: Any, *_: Any, **__: Any) -> None:
    """CuPy subtracts one from the exponential of complex numbers: near zero no digit is left."""
    if is_array(x) and x.dtype.kind == "c":
        message = "complex numbers near zero lose their digits"
        raise NotAsNumpy(message)


def _unique(a: Raw, *flags: Any, axis: Any = None, **_: Any) -> None:
    """Along an axis CuPy sorts in Python, by signed differences, which wrap."""
    if axis is not None or len(flags) > 3:
        message = "along an axis the GPU library compares by differences, which wrap"
        raise NotAsNumpy(message)


def _round(a: Raw, decimals: int = 0, *_: Any, **__: Any) -> None:
    """NumPy refuses decimals of booleans."""
    if decimals and a.dtype.kind == "b":
        message = "decimals of booleans"
        raise NotAsNumpy(message)


def _power(x: Any, y: Any, *_: Any, **__: Any) -> None:
    """NumPy refuses a negative integer power of integers."""
    kind = y.dtype.kind if is_array(y) else "i" if type(y) is int else ""
    if kind == "i" and (not is_array(x) or x.dtype.kind in "biu"):
        negative = bool((y < 0).any()) if is_array(y) else y < 0
        if negative:
            message = "a negative integer power"
            raise NotAsNumpy(message)


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


def _in_a_tuple(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's several results are a tuple, CuPy's a list."""

    @functools.wraps(function, updated=())
    def several(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        return tuple(made) if isinstance(made, list) else made

    return several


_ADAPTED: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "astype": _casting,
    "flip": _flip,
    "gradient": _in_a_tuple,
    "meshgrid": _in_a_tuple,
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
    "std": _moments,
    "var": _moments,
    "percentile": _quantiles,
    "quantile": _quantiles,
    "clip": _clip,
    "convolve": _all_finite,
    "correlate": _all_finite,
    "digitize": _digitize,
    **dict.fromkeys(["fft.rfft", "fft.rfft2", "fft.rfftn", "fft.ihfft"], _real_only),
    "isin": _searchsorted,
    "searchsorted": _searchsorted,
    "expm1": _expm1,
    "round": _round,
    "unique": _unique,
    "power": _power,
    "pow": _power,
}
