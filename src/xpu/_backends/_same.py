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

from xpu._op import Op

__all__ = ["NotAsNumpy", "as_numpy"]

Raw = Any
Guard = Callable[..., None]


class NotAsNumpy(Exception):
    """The library would not give NumPy's answer for these values; the text is the reason to record."""


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
    if op.kind == "elementwise" and (op.name in _POINTWISE or getattr(op.host, "signature", "none") is None):
        return _elementwise(function, guard)
    if guard is None:
        return function

    @functools.wraps(function, updated=())
    def guarded(*args: Any, **kwargs: Any) -> Any:
        guard(*args, **kwargs)
        return function(*args, **kwargs)

    return guarded


# ----------------------------------------------------------------------------- order of elements


# Functions that work on each element alone, as ufuncs without a signature do. `diff`, `cross` or `outer`, priced as
# elementwise functions are, do not: an axis means something to them.
_POINTWISE = frozenset(
    {"angle", "around", "clip", "fix", "i0", "iscomplex", "isclose", "isneginf", "isposinf", "isreal", "nan_to_num"}
    | {"round", "sinc"}
)


def _elementwise(function: Callable[..., Any], guard: Guard | None) -> Callable[..., Any]:
    """Keep Fortran order as NumPy does: CuPy's result of two Fortran-ordered arrays is in C order."""

    def called(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("casting") == "unsafe":
            message = "casting='unsafe': conversions out of range differ"
            raise NotAsNumpy(message)
        if guard is not None:
            guard(*args, **kwargs)
        if not kwargs and _all_fortran(args):
            made = function(*[a.T if _is_array(a) else a for a in args])
            return tuple(m.T for m in made) if isinstance(made, tuple) else made.T
        return function(*args, **kwargs)

    return called


def _all_fortran(args: tuple[Any, ...]) -> bool:
    arrays = [a for a in args if _is_array(a) and a.ndim]
    return bool(arrays) and all(
        a.flags.f_contiguous and not a.flags.c_contiguous and a.shape == arrays[0].shape for a in arrays
    )


# ----------------------------------------------------------------------------- indices


def _in_bounds(index: Raw, length: int) -> None:
    """CuPy wraps an index that is out of bounds; NumPy raises."""
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


def _get(x: Raw, key: Any) -> None:
    for part, length in _integer_parts(x, key):
        _in_bounds(part, length)


def _set(x: Raw, key: Any, value: Any) -> None:
    _values_fit(value, x.dtype)
    found = list(_integer_parts(x, key))
    for part, length in found:
        _in_bounds(part, length)
    if found and _is_array(value) and value.size > 1:
        linear = 0
        for part, length in found:
            linear = linear * length + part % length
        _no_repeats(linear)


def _take(a: Raw, indices: Any, axis: int | None = None, **_: Any) -> None:
    if _is_array(indices):
        _in_bounds(indices, a.size if axis is None else a.shape[axis])


def _take_along(a: Raw, indices: Raw, axis: int | None = -1) -> None:
    _in_bounds(indices, a.size if axis is None else a.shape[axis])


def _put(a: Raw, ind: Any, v: Any, mode: str = "raise") -> None:
    _values_fit(v, a.dtype)
    if _is_array(ind):
        if mode == "raise":
            _in_bounds(ind, a.size)
        if _is_array(v) and v.size > 1:
            _no_repeats(ind % max(a.size, 1))


def _put_along(arr: Raw, indices: Raw, values: Any, axis: int | None) -> None:
    _values_fit(values, arr.dtype)
    length = arr.size if axis is None else arr.shape[axis]
    _in_bounds(indices, length)
    if not (_is_array(values) and values.size > 1 and indices.size > 1):
        return
    ordered = (indices % length).reshape(-1).copy() if axis is None else (indices % length).swapaxes(axis, -1).copy()
    ordered.sort(axis=-1)
    if bool((ordered[..., 1:] == ordered[..., :-1]).any()):
        message = "an element is written more than once"
        raise NotAsNumpy(message)


def _delete(arr: Raw, obj: Any, axis: int | None = None) -> None:
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


def _cast(x: Raw, dtype: Any, *_: Any, **__: Any) -> None:
    _values_fit(x, np.dtype(dtype))


def _copyto(dst: Raw, src: Any, *_: Any, **__: Any) -> None:
    _values_fit(src, dst.dtype)


def _ordered(a: Raw, *_: Any, **__: Any) -> None:
    """CuPy's minima and maxima of complex numbers pass over NaN in some of its kernels."""
    if a.dtype.kind == "c" and a.size and bool((a != a).any()):
        message = "complex values with NaN among them"
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


_GUARDS: Mapping[str, Guard] = {
    "getitem": _get,
    "setitem": _set,
    "take": _take,
    "take_along_axis": _take_along,
    "put": _put,
    "put_along_axis": _put_along,
    "delete": _delete,
    "astype": _cast,
    "copyto": _copyto,
    "max": _ordered,
    "min": _ordered,
    "amax": _ordered,
    "amin": _ordered,
    "argmax": _ordered,
    "argmin": _ordered,
    "ptp": _ordered,
    "power": _power,
    "pow": _power,
}
