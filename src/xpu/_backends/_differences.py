"""What the pretend device does as CuPy does, where CuPy differs from NumPy.

Without these, a test on the pretend device could not see that xpu fails to give NumPy's answer.
The behaviours are those of CuPy's documentation ("Differences between CuPy and NumPy").
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xpu._op import Op

__all__ = ["cupys_way"]


def cupys_way(op: Op) -> Callable[..., Any]:
    """Return the row's NumPy function, behaving as CuPy's."""
    own = _DIFFERENT.get(op.name)
    if own is not None:
        return own
    return _c_ordered(op.host) if op.kind == "elementwise" else op.host


def _c_ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Results are in C order, whatever the order of the operands."""

    def called(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        if kwargs.get("out") is not None or len(args) > getattr(function, "nin", len(args)):
            return made
        return tuple(map(_in_c_order, made)) if isinstance(made, tuple) else _in_c_order(made)

    return called


def _in_c_order(made: Any) -> Any:
    return np.ascontiguousarray(made) if isinstance(made, np.ndarray) and made.ndim else made


def _wrapped(index: Any, length: int) -> Any:
    """An index out of bounds comes round to the other end."""
    if not (isinstance(index, np.ndarray) and index.dtype.kind in "iu" and length):
        return index
    return index.astype(np.intp) % length


def _wrapped_key(x: np.ndarray[Any, Any], key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(p, np.ndarray) and p.dtype.kind in "iu" for p in parts):
        return key
    taken = sum(0 if p is None or p is Ellipsis else p.ndim if _is_mask(p) else 1 for p in parts)
    made, axis = [], 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - taken
            made.append(part)
            continue
        made.append(_wrapped(part, x.shape[axis]) if axis < x.ndim else part)
        axis += 0 if part is None else part.ndim if _is_mask(part) else 1
    return tuple(made) if isinstance(key, tuple) else made[0]


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


def _as_integers(key: Any) -> Any:
    """A float that is an index is cut to an integer."""
    if isinstance(key, tuple):
        return tuple(map(_as_integers, key))
    if isinstance(key, slice):
        return slice(*(_as_integers(v) for v in (key.start, key.stop, key.step)))
    return int(key) if isinstance(key, (float, np.floating)) else key


def _getitem(x: np.ndarray[Any, Any], key: Any) -> Any:
    return x[_wrapped_key(x, _as_integers(key))]


def _setitem(x: np.ndarray[Any, Any], key: Any, value: Any) -> None:
    """Of several writes to one element the first wins here: as good as any other."""
    key = _wrapped_key(x, _as_integers(key))
    value = _saturated(value, x.dtype)
    if isinstance(key, np.ndarray) and key.dtype.kind in "iu" and isinstance(value, np.ndarray) and value.ndim:
        x[key.reshape(-1)[::-1]] = np.broadcast_to(value, key.shape + x.shape[1:]).reshape(-1, *x.shape[1:])[::-1]
        return
    x[key] = value


def _saturated(value: Any, dtype: np.dtype[Any]) -> Any:
    """A float that an integer type cannot hold becomes its nearest value, NaN zero (CUDA's conversions)."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc" or dtype.kind not in "iu":
        return value
    limits = np.iinfo(dtype)
    real = np.nan_to_num(value.real.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    made = np.asarray(np.trunc(np.clip(real, float(limits.min), np.nextafter(float(limits.max), 0)))).astype(dtype)
    made[real >= float(limits.max)] = limits.max
    return made


def _astype(x: Any, dtype: Any, order: str = "K", casting: Any = None, copy: bool = True) -> Any:
    if casting is not None:
        message = "casting is not supported yet"
        raise TypeError(message)
    return _saturated(x, np.dtype(dtype)).astype(dtype, order=order, copy=copy)


def _take(a: Any, indices: Any, axis: int | None = None, **kwargs: Any) -> Any:
    return np.take(a, _wrapped(indices, a.size if axis is None else a.shape[axis]), axis, **kwargs)


def _take_along_axis(a: Any, indices: Any, axis: int | None = -1) -> Any:
    return np.take_along_axis(a, _wrapped(indices, a.size if axis is None else a.shape[axis]), axis)


def _put(a: Any, ind: Any, v: Any, mode: str = "wrap") -> None:
    flat = np.asarray(ind).reshape(-1)
    if mode == "clip":
        flat = np.clip(flat, -a.size, a.size - 1)
    np.put(a, flat[::-1], np.resize(_saturated(np.asarray(v), a.dtype), flat.shape)[::-1], "wrap")


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    length = arr.size if axis is None else arr.shape[axis]
    before = 0 if axis is None else axis % arr.ndim
    backwards = (*[slice(None)] * before, slice(None, None, -1))
    values = np.broadcast_to(_saturated(np.asarray(values), arr.dtype), indices.shape)
    np.put_along_axis(arr, _wrapped(indices, length)[backwards], values[backwards], axis)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    return np.delete(arr, _wrapped(obj, arr.size if axis is None else arr.shape[axis]), axis)


def _compress(condition: Any, a: Any, axis: int | None = None, **kwargs: Any) -> Any:
    """The condition is not looked at beyond its first axis, and what it selects comes round to the other end."""
    return np.take(a, _wrapped(np.nonzero(condition)[0], a.size if axis is None else a.shape[axis]), axis, **kwargs)


def _extract(condition: Any, arr: Any) -> Any:
    return _compress(np.ravel(condition), arr.ravel())


def _plain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Several results are a tuple without names."""
    made = function(*args, **kwargs)
    return tuple(made) if isinstance(made, tuple) else made


def _eig(a: Any) -> Any:
    """Eigenvalues are complex, whatever they are."""
    return tuple(m.astype(np.result_type(m, np.complex64)) for m in np.linalg.eig(a))


def _eigvals(a: Any) -> Any:
    return _eig(a)[0]


def _eigh(a: Any, *args: Any, **kwargs: Any) -> Any:
    """Float16 is taken, too."""
    if a.dtype != np.float16:
        return tuple(np.linalg.eigh(a, *args, **kwargs))
    return tuple(m.astype(np.float16) for m in np.linalg.eigh(a.astype(np.float32), *args, **kwargs))


def _of_small_floats(function: Callable[..., Any], x: Any) -> Any:
    """Small integers are computed with in half or single precision."""
    small = {1: np.float16, 2: np.float32}.get(x.dtype.itemsize, np.float64)
    return function(x.astype(small)).astype(small) if x.dtype.kind in "biu" else function(x)


def _nan_place(function: Callable[..., Any], a: Any, axis: Any = None, **kwargs: Any) -> Any:
    """An index out of range, where all is NaN."""
    found = function(np.where(np.isnan(a).all(axis=axis, keepdims=True), 0, a), axis, **kwargs)
    return np.where(np.isnan(a).all(axis=axis), -1, found)


def _nan_moment(function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """Zero of no elements."""
    made = function(a, *args, **kwargs)
    return made if np.size(a) else np.zeros_like(made)


def _moment(function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """NaN, where no degree of freedom is left."""
    made = function(a, *args, **kwargs)
    return np.where(np.isinf(made), np.nan, made).astype(made.dtype) if np.isfinite(a).all() else made


def _in_order(function: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> None:
    """In place, in C order alone."""
    if not x.flags.c_contiguous:
        message = "Sorting non-contiguous array is not supported."
        raise NotImplementedError(message)
    function(x, *args, **kwargs)


def _quantile(function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """Booleans have quantiles, NaN is as good as infinity, and of no values whatever lies there is read."""
    if not a.size:
        a = np.ones((1,) * a.ndim, a.dtype)
    a = a.astype(np.float64) if a.dtype.kind == "b" else a
    if a.dtype.kind == "f":
        a = np.where(np.isnan(a), np.asarray(np.inf, a.dtype), a)
    return function(a, *args, **kwargs)


def _clip(x: Any, low: Any = None, high: Any = None, *args: Any, **kwargs: Any) -> Any:
    """A bound that is NaN bounds nothing."""
    return np.clip(x, _bound(low, -np.inf), _bound(high, np.inf), *args, **kwargs)


def _bound(value: Any, infinity: float) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.where(np.isnan(value), np.asarray(infinity, value.dtype), value)
    return infinity if isinstance(value, float) and value != value else value


def _round(a: Any, decimals: int = 0, *args: Any, **kwargs: Any) -> Any:
    """Booleans have decimals."""
    return a if a.dtype.kind == "b" and decimals else np.round(a, decimals, *args, **kwargs)


def _in_a_list(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Several results are a list."""
    made = function(*args, **kwargs)
    return list(made) if isinstance(made, tuple) else made


def _searchsorted(a: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
    """A negative number is a large one beside a wide unsigned type, as in C."""
    sizes = {x.dtype.kind: x.dtype.itemsize for x in (a, np.asarray(v))}
    if sizes.keys() == {"i", "u"} and sizes["u"] >= 4:
        a, v = a.astype(np.uint64), np.asarray(v).astype(np.uint64)
    return np.searchsorted(a, v, *args, **kwargs)


def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Bins are not looked at."""
    falling = bins.size > 1 and bins[0] > bins[-1]
    return np.digitize(x, np.sort(bins)[::-1] if falling else np.sort(bins), right)


def _of_the_real_part(function: Callable[..., Any], a: Any, *args: Any, **kwargs: Any) -> Any:
    """Imaginary parts are dropped."""
    return function(a.real, *args, **kwargs)


def _by_transforms(function: Callable[..., Any], a: Any, v: Any, *args: Any, **kwargs: Any) -> Any:
    """What is not finite spreads over everything."""
    made = function(a, v, *args, **kwargs)
    return made if np.isfinite(a).all() and np.isfinite(v).all() else np.full_like(made, np.nan)


def _flip(m: Any, axis: Any = None) -> Any:
    """Without an axis the result is a view."""
    return np.flip(m, axis) if m.ndim else m[...]


def _passing_over_nan(function: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """Minima and maxima of complex numbers pass over NaN."""
    if x.dtype.kind == "c":
        x = np.where(np.isnan(x), x.reshape(-1)[:1], x) if x.size else x
    return function(x, *args, **kwargs)


def _power(x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
    """A negative integer power of an integer is an integer."""
    if np.result_type(x, y).kind == "i" and np.any(np.less(y, 0)):
        return np.trunc(np.power(np.asarray(x, float), y)).astype(np.result_type(x, y))
    return np.power(x, y, *args, **kwargs)


def _expm1(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Of complex numbers, one is subtracted from their exponential."""
    return np.subtract(np.exp(x), 1, *args, **kwargs) if x.dtype.kind == "c" else np.expm1(x, *args, **kwargs)


def _unique(a: Any, *args: Any, **kwargs: Any) -> Any:
    """Along an axis, unsigned integers are compared as signed ones."""
    if kwargs.get("axis") is None or a.dtype.kind != "u" or len(kwargs) > 1:
        return np.unique(a, *args, **kwargs)
    return np.unique(a.view(f"i{a.itemsize}"), *args, **kwargs).view(a.dtype)


_DIFFERENT: Mapping[str, Callable[..., Any]] = {
    "getitem": _getitem,
    "setitem": _setitem,
    "astype": _astype,
    "compress": _compress,
    "extract": _extract,
    "clip": _c_ordered(_clip),
    "unique": _unique,
    "expm1": _c_ordered(_expm1),
    "round": _c_ordered(_round),
    "flip": _flip,
    **{name: functools.partial(_by_transforms, getattr(np, name)) for name in ("convolve", "correlate")},
    **{
        f"fft.{name}": functools.partial(_of_the_real_part, getattr(np.fft, name))
        for name in ("rfft", "rfft2", "rfftn", "ihfft")
    },
    **{name: functools.partial(_in_a_list, getattr(np, name)) for name in ("gradient", "meshgrid")},
    "digitize": _digitize,
    "searchsorted": _searchsorted,
    **{name: functools.partial(_nan_place, getattr(np, name)) for name in ("nanargmax", "nanargmin")},
    **{name: functools.partial(_nan_moment, getattr(np, name)) for name in ("nanstd", "nanvar")},
    "ndarray.sort": functools.partial(_in_order, np.ndarray.sort),
    "ndarray.partition": functools.partial(_in_order, np.ndarray.partition),
    **{name: functools.partial(_moment, getattr(np, name)) for name in ("std", "var")},
    "percentile": functools.partial(_quantile, np.percentile),
    "quantile": functools.partial(_quantile, np.quantile),
    "i0": _c_ordered(functools.partial(_of_small_floats, np.i0)),
    "sinc": _c_ordered(functools.partial(_of_small_floats, np.sinc)),
    "linalg.eig": _eig,
    "linalg.eigh": _eigh,
    "linalg.eigvals": _eigvals,
    **{f"linalg.{name}": functools.partial(_plain, getattr(np.linalg, name)) for name in ("qr", "slogdet", "svd")},
    "take": _take,
    "take_along_axis": _take_along_axis,
    "put": _put,
    "put_along_axis": _put_along_axis,
    "delete": _delete,
    "power": _power,
    "pow": _power,
    **{
        name: functools.partial(_passing_over_nan, getattr(np, name))
        for name in ("max", "min", "amax", "amin", "argmax", "argmin")
    },
}
