"""The parts of the namespace that are neither rows nor classes: dtype functions, inspection, odds and ends."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._backends import HOST, devices
from xpu._block import Handle, View, home, read, shaped
from xpu._config import current
from xpu._device import CPU, Device, parse
from xpu._gate import gate
from xpu._ops import rest
from xpu.errors import text

__all__ = [
    "__array_namespace_info__",
    "astype",
    "broadcast_shapes",
    "can_cast",
    "common_type",
    "finfo",
    "iinfo",
    "iscomplexobj",
    "isdtype",
    "isfortran",
    "isrealobj",
    "isscalar",
    "iterable",
    "may_share_memory",
    "min_scalar_type",
    "ndim",
    "require",
    "result_type",
    "shape",
    "shares_memory",
    "size",
]


def _dtype(value: Any) -> Any:
    """Stand in for an array by something of its dtype that NumPy's dtype functions take."""
    if isinstance(value, Handle):
        meta = shaped(value)
        return meta.dtype
    return value


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Cast an array to another dtype (array API standard).

    Parameters
    ----------
    x : ndarray
        The array.
    dtype : dtype
        The target.
    copy : bool, optional
        False returns `x` itself where nothing has to change.
    device : str or Device, optional
        Pins the result there.

    Returns
    -------
    ndarray
        Of `x`'s shape.

    Examples
    --------
    >>> import xpu
    >>> xpu.astype(xpu.ones(2), xpu.int64)
    array([1, 1])
    """
    made = rest.cast(x, dtype, copy=copy)
    return made if device is None else made.to_device(device)


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """Return the dtype that NumPy's promotion gives; arrays count by dtype, Python scalars weakly."""
    return np.result_type(*(_dtype(a) for a in arrays_and_dtypes))


def can_cast(from_: Any, to: Any, /, casting: Any = "safe") -> bool:
    """Return True if one dtype (or array's dtype) casts to another under the rule."""
    return bool(np.can_cast(_dtype(from_), to, casting))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return True if a dtype is of a kind (array API standard)."""
    return bool(np.isdtype(_dtype(dtype), kind))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """Return the shape that shapes broadcast to."""
    return np.broadcast_shapes(*shapes)


class _FloatLimits:
    """`numpy.finfo` with Python floats, as the array API standard asks."""

    def __init__(self, theirs: Any, dtype: np.dtype[Any]) -> None:
        self._theirs = theirs
        self.bits = int(theirs.bits)
        self.eps = float(theirs.eps)
        self.max = float(theirs.max)
        self.min = float(theirs.min)
        self.smallest_normal = float(theirs.smallest_normal)
        self.dtype = dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def __repr__(self) -> str:
        return repr(self._theirs)


def finfo(type: Any, /) -> Any:
    """Return the limits of a floating dtype; takes dtypes and arrays.

    Examples
    --------
    >>> import xpu
    >>> xpu.finfo(xpu.float32).bits
    32
    """
    given = _dtype(type)
    kind = np.asarray(given).dtype if isinstance(given, (float, complex, np.generic)) else np.dtype(given)
    theirs = np.finfo(kind)
    return _FloatLimits(theirs, np.dtype(theirs.dtype))


def iinfo(type: Any, /) -> Any:
    """Return the limits of an integer dtype; takes dtypes and arrays."""
    return np.iinfo(_dtype(type))


def shape(a: Any) -> tuple[int, ...]:
    """Return the shape of an array or nested sequence."""
    return shaped(a).shape if isinstance(a, Handle) else np.shape(a)


def ndim(a: Any) -> int:
    """Return the number of axes of an array or nested sequence."""
    return len(shaped(a).shape) if isinstance(a, Handle) else np.ndim(a)


def size(a: Any, axis: int | None = None) -> int:
    """Return the number of elements, or the length of an axis."""
    if not isinstance(a, Handle):
        return int(np.size(a, axis))
    meta = shaped(a)
    return meta.size if axis is None else meta.shape[axis]


def isscalar(element: Any) -> bool:
    """Return True for Python's, NumPy's and xpu's scalars."""
    return bool(np.isscalar(element))


def iterable(y: Any) -> bool:
    """Return True if an object can be iterated over."""
    return np.iterable(y)


def iscomplexobj(x: Any) -> bool:
    """Return True for an array or number of complex dtype."""
    return shaped(x).dtype.kind == "c" if isinstance(x, Handle) else np.iscomplexobj(x)


def isrealobj(x: Any) -> bool:
    """Return True for an array or number that is not of complex dtype."""
    return not iscomplexobj(x)


def isfortran(a: Any) -> bool:
    """Return True for an array in Fortran order that is not also in C order."""
    return bool(a.flags.fnc)


def _on_host(value: Any) -> Any:
    return read(value, HOST) if isinstance(value, Handle) else value


def _side_by_side(a: Any, b: Any) -> tuple[Any, Any]:
    """Return host arrays that overlap where two arrays do, wherever those are: windows without memory on one block."""
    first, second = (home(x) if isinstance(x, Handle) else None for x in (a, b))
    if a is b or not (isinstance(a, Handle) and isinstance(b, Handle)) or gate.open:
        return _on_host(a), _on_host(b)
    if first is None or second is None or first.block is not second.block:
        return np.empty(0), np.empty(0)
    base = np.empty(1, np.uint8)
    return np.asarray(_Window(base, first)), np.asarray(_Window(base, second))


class _Window:
    """Shape and strides at an address, as NumPy's array interface; nothing is read through it."""

    def __init__(self, base: np.ndarray[Any, Any], view: View) -> None:
        self._base = base
        self.__array_interface__ = {
            "version": 3,
            "data": (base.ctypes.data + view.offset, True),
            "shape": view.shape,
            "strides": view.strides,
            "typestr": f"|V{view.dtype.itemsize}",
        }


def may_share_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    """Return True if two arrays might share memory."""
    return bool(np.may_share_memory(*_side_by_side(a, b), max_work or 0))


def shares_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    """Return True if two arrays share memory."""
    return bool(np.shares_memory(*_side_by_side(a, b), -1 if max_work is None else max_work))


def min_scalar_type(a: Any, /) -> np.dtype[Any]:
    """Return the smallest dtype that holds a scalar."""
    return np.min_scalar_type(_on_host(a))


def common_type(*arrays: Any) -> Any:
    """Return the inexact scalar type common to arrays."""
    return np.common_type(*[np.empty(0, _dtype(a)) if isinstance(a, Handle) else a for a in arrays])


def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """Return an array that fulfils memory requirements, as `numpy.require`."""
    host = _on_host(a)
    made = np.require(host, dtype, requirements)
    itself = isinstance(a, Handle) and made is host and a.strides == made.strides  # type: ignore[attr-defined]
    return a if itself else rest.reshape(made, made.shape)


class _Info:
    """What ``xpu.__array_namespace_info__()`` returns."""

    def capabilities(self) -> dict[str, Any]:
        """Return what the namespace can do."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """Return the device of a new array."""
        name = current().device
        return CPU if name == "auto" else parse(name)

    def devices(self) -> tuple[Device, ...]:
        """Return the devices of this machine."""
        found = devices()
        default = self.default_device()
        return tuple(found if default in found else [*found, default])

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype[Any]]:
        """Return the default dtypes: NumPy's, on every device."""
        self._check(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.intp),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype[Any]]:
        """Return the standard's dtypes by name, of a kind if one is given."""
        self._check(device)
        names = (
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float32",
            "float64",
            "complex64",
            "complex128",
        )
        found = {name: np.dtype(name) for name in names}
        return found if kind is None else {n: d for n, d in found.items() if np.isdtype(d, kind)}

    def _check(self, device: Any) -> None:
        if device is not None and parse(device, "__array_namespace_info__") not in self.devices():
            known = ", ".join(self.devices())
            raise ValueError(text("__array_namespace_info__", f"no device {str(device)!r} here", f"Here: {known}."))


def __array_namespace_info__() -> _Info:
    """Return the array API standard's inspection object.

    Examples
    --------
    >>> import xpu
    >>> xpu.__array_namespace_info__().capabilities()["boolean indexing"]
    True
    """
    return _Info()
