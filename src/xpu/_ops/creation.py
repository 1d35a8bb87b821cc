"""Where arrays are born, and how foreign data comes in.

With `device=` an array is pinned there. Without it, constant arrays are born on the device that
first uses them, the rest on the host.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend, accelerator, backend, backend_of
from xpu._backends._lost import lose, lost
from xpu._backends._numpy import run_here
from xpu._block import (
    Handle,
    devices_of,
    evict,
    home,
    host_view,
    read,
    settle,
    shaped,
    shared,
    write,
    writing,
)
from xpu._config import current
from xpu._device import CPU, Device, parse
from xpu._dispatch import call, unborn
from xpu._gate import gate
from xpu._op import OPS, POSTPONED, POSTPONED_BYTES, host_only
from xpu._ops._make import Function, function, view
from xpu._subclass import Subclassed
from xpu._taken import taken
from xpu._transfer import lower
from xpu._wrap import NUMBERS, enclose, host_call, kinds, own, wrap
from xpu.errors import DeviceError, DeviceLostError, text

__all__ = ["array", "asarray", "to_device"]


class Creation(Function):
    """A function that makes an array; `device=` pins it."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        device = kwargs.pop("device", None) if kwargs else None
        if device is None:
            if gate.open:
                return host_call(self._bare, args, kwargs, self.op.host)
            if _few(self.op.name, args, kwargs) and not current().watching:
                made = self.op.host(*args, **kwargs)
                alone = type(made) is np.ndarray and made.base is None
                return own(made, scalar=False) if alone else enclose(made, [])
            postponed = self._lazy(args, kwargs)
            return call(self.op, args, kwargs) if postponed is None else postponed
        made = host_call(self._bare, args, kwargs, self.op.host) if gate.open else call(self.op, args, kwargs)
        return to_device(made, device, function=self.op.name)

    def _lazy(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Postpone a large constant array to its first use, under automatic placement only."""
        settings = current()
        if settings.device != "auto" or settings.takes is not None:  # who takes calls over wants to see it made
            return None
        if self.op.name not in _CONSTANT or kwargs.get("like") is not None:
            return None
        if any(isinstance(a, Handle) or not isinstance(a, _PLAIN) for a in args):
            return None
        empty = np.broadcast_to(np.empty((), self._dtype(args, kwargs)), _shape_of(args, kwargs))
        if kwargs.get("order", "C") != "C" or empty.nbytes < POSTPONED_BYTES or host_only(empty.dtype):
            return None
        value = (_CONSTANT[self.op.name],) if self.op.name != "full" else args[1:2]
        if not value:
            return None
        return unborn(_FULL.op, (empty.shape, value[0], empty.dtype), empty.shape, empty.dtype)

    def _dtype(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> np.dtype[Any]:
        position = 2 if self.op.name == "full" else 1
        dtype: Any = kwargs.get("dtype", args[position] if len(args) > position else None)
        if dtype is None:
            dtype = np.asarray(args[1]).dtype if self.op.name == "full" and len(args) > 1 else float
        found: np.dtype[Any] = np.dtype(dtype)
        return found


_PLAIN = (int, float, complex, np.generic, tuple, type, np.dtype)
_CONSTANT = dict(zip(POSTPONED, (0, 1, None), strict=True))


_FEW = POSTPONED_BYTES // 8  # elements


def _few(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return True for a small array whose size shows in its arguments: the host makes it at once."""
    first = args[0] if args else None
    if name in ("zeros", "ones", "empty", "full"):
        return type(first) is int and first <= _FEW
    if name == "arange":
        return all(type(a) is int and -_FEW <= a <= _FEW for a in args)
    if name == "linspace":
        first = args[2] if len(args) > 2 else kwargs.get("num", 50)
        return type(first) is int and first <= _FEW
    return False


def _shape_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs.get("shape", args[0] if args else ())


def creation(name: str, **fields: Any) -> Creation:
    """Make a creation function from a row."""
    return Creation(function(name, "creation", keeps_0d=True, **fields).op)


# fmt: off
arange = creation("arange", arrays=())
empty = creation("empty", arrays=())
empty_like = creation("empty_like")
eye = creation("eye", arrays=())
fromfunction = function("fromfunction", "host", gpu=None)
full = _FULL = creation("full", arrays=())
full_like = creation("full_like")
geomspace = creation("geomspace", arrays=())
identity = creation("identity", arrays=())
indices = creation("indices", arrays=())
linspace = creation("linspace", arrays=())
logspace = creation("logspace", arrays=())
meshgrid = function("meshgrid", "copy", arrays=(0, 1, 2), keeps_0d=True)
ones = creation("ones", arrays=())
ones_like = creation("ones_like")
tri = creation("tri", arrays=())
tril = function("tril", "copy")
triu = function("triu", "copy")
vander = function("vander", "elementwise", weight=4)
zeros = creation("zeros", arrays=())
zeros_like = creation("zeros_like")
copy = function("copy", "copy", keeps_0d=True)
_as_view = view("asarray")
# fmt: on


def to_device(x: Any, device: Device | str, *, function: str = "to_device") -> Any:
    """Return the array pinned to a device: itself if it is pinned there already, else a copy in C order.

    Parameters
    ----------
    x : ndarray
        The array.
    device : str or Device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"pretend"``.
    function : str, optional
        Public function to name in errors.

    Returns
    -------
    ndarray
        Operations on it run on that device.

    Raises
    ------
    DeviceError
        If there is no such device, or it cannot hold the dtype (a ``ValueError``).
    DeviceLostError
        If the device stopped answering.
    """
    target = backend(parse(device, function))
    view_ = home(x)
    if view_ is not None and view_.block.pin == target.device:
        return x
    kind = shaped(x).dtype
    if target is not HOST and host_only(kind):
        raise DeviceError(
            text(function, f"dtype {kind} cannot leave the host for {target.device}", "Keep it on 'cpu'.")
        )
    is_scalar = isinstance(x, kinds.scalar)
    if HOST is target:
        raw: Any = np.array(read(x, HOST), order="C", copy=True)
        raw = raw[()] if is_scalar else raw
    else:
        raw = _copied_there(x, target, function)
    made = own(raw, scalar=is_scalar)
    if not host_only(kind) and not isinstance(raw, np.generic):
        shared(made).block.pin = target.device
    return made


def _copied_there(x: Any, target: Backend, function: str) -> Any:
    try:
        if target.device in lost:
            raise DeviceLostError(text(function, f"{target.device} was lost ({lost[target.device]})", _RESTART))
        try:
            return target.compact(read(x, target))
        except target.out_of_memory:
            evict(target.device)
            target.release()
            return target.compact(read(x, target))
    except target.lost as error:
        lose(target.device, str(error))
        problem = f"{target.device} does not answer ({error}); the array is where it was"
        raise DeviceLostError(text(function, problem, _RESTART)) from error


_RESTART = "Restart the process to use the device again."


def asarray(
    obj: Any,
    /,
    dtype: Any = None,
    order: Any = None,
    *,
    device: Any = None,
    copy: bool | None = None,
    like: Any = None,
) -> Any:
    """Convert to an xpu array.

    A NumPy array is copied, since a later write by its owner would silently make a device replica
    stale; ``copy=False`` shares its memory and keeps the array on the host.

    Parameters
    ----------
    obj : array_like
        xpu, NumPy or CuPy array, scalar, or nested sequence.
    dtype : dtype, optional
        Element type; NumPy's inference if omitted.
    order : {'C', 'F', 'A', 'K'}, optional
        Memory order.
    device : str or Device, optional
        Pins the array there.
    copy : bool, optional
        True always copies, False never does; None copies foreign memory only.
    like : object, optional
        Ignored, for NumPy's signature.

    Returns
    -------
    ndarray
        The array, of the shape of `obj`.

    Raises
    ------
    ValueError
        If ``copy=False`` cannot be kept.

    Examples
    --------
    >>> import xpu
    >>> xpu.asarray([1, 2, 3]).dtype
    dtype('int64')
    """
    kind = type(obj)
    if gate.open and device is None:
        if kind is kinds.array and dtype is None and order is None and not copy:
            return obj
        if (kind is list or kind is tuple or kind in NUMBERS) and copy is not False:
            return wrap(run_here(np.array, (obj, dtype), {"order": order or "K"}))
    if device is not None:
        made = asarray(obj, dtype, order, copy=copy)
        if copy is not False:
            return to_device(made, device, function="asarray")
        if parse(device, "asarray") not in (devices_of(made) or {CPU}):
            raise ValueError(text("asarray", f"copy=False, but the array is not on {device!r}", "Use copy=None."))
        if not host_only(made.dtype) and not isinstance(made, kinds.scalar):
            shared(made).block.pin = parse(device)
        return made
    if isinstance(obj, Handle):
        return _from_handle(obj, dtype, order, copy)
    if isinstance(obj, Subclassed) and copy is None:
        shown = obj.view(kinds.array)  # a class derived from xpu's: its memory is known to stay on the host
        return shown if dtype is None and order is None else asarray(shown, dtype, order)
    where = backend_of(obj)
    if where is not None and where is not HOST:
        raw = obj if copy is False else where.compact(obj)
        made = own(raw, scalar=False)
        return made if dtype is None else made.astype(dtype)
    if copy is False:
        raw = np.asarray(obj, dtype, order=order, copy=False)
        made = kinds.new_array()
        settle(made, host_view(raw, anchored=True))
        return made
    if copy is None and not isinstance(obj, (np.ndarray, np.generic)) and hasattr(type(obj), "__array__"):
        obj = run_here(np.asarray, (obj,), {})  # asked for a copy itself, an older `__array__` warns
    raw = run_here(np.array, (obj, dtype), {"order": order or "K", "copy": True})
    if raw.base is not None and not gate.open:
        raw = raw.copy(order="K")
    return wrap(raw) if gate.open else _where_forced(own(raw, scalar=False), raw.dtype)


def _where_forced(made: Any, dtype: np.dtype[Any]) -> Any:
    """Move a new array to the device that settings force every operation to; `auto` waits for a use."""
    settings = current()
    target = None if settings.device in ("auto", "cpu") or host_only(dtype) else accelerator(settings)
    if target is not None:
        # Where it cannot go it stays: its first use will say what is wrong.
        no_matter = contextlib.suppress(*target.out_of_memory, *target.lost, *target.failures)
        with no_matter, writing([shared(made).block], target) as begin:
            write(made, target)
            begin()
    return made


def _from_handle(x: Any, dtype: Any, order: Any, copy: bool | None) -> Any:
    if isinstance(x, kinds.scalar):
        host = np.array(taken(x), dtype)
        return wrap(host) if gate.open else own(host, scalar=False)
    kind = shaped(x).dtype
    laid_out = order in (None, "K", "A") or (x.flags.f_contiguous if order == "F" else x.flags.c_contiguous)
    if copy is not True and (dtype is None or np.dtype(dtype) == kind) and laid_out:
        return x
    if copy is False:
        problem = f"copy=False, but dtype {kind} or the order has to change to {dtype}, {order}"
        raise ValueError(text("asarray", problem, "Use copy=None."))
    return x.astype(kind if dtype is None else dtype, order=order or "K", copy=copy is True or not laid_out)


def array(
    obj: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
    device: Any = None,
) -> Any:
    """Make an array, as `numpy.array`; see `asarray` for `copy` and `device`.

    Examples
    --------
    >>> import xpu
    >>> xpu.array([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if subok and device is None and _of_a_subclass(obj):
        return np.array(obj, dtype, copy=copy, order=order, subok=True, ndmin=ndmin)
    made = asarray(obj, dtype, order, device=device, copy=copy)
    missing = ndmin - made.ndim
    return made.reshape((1,) * missing + made.shape) if missing > 0 else made


def asanyarray(
    obj: Any, /, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None, like: Any = None
) -> Any:
    """As `asarray`, but NumPy's subclasses (matrices, masked and record arrays, a user's own) pass as they are."""
    if device is None and _of_a_subclass(obj):
        return np.asanyarray(obj, dtype, order, copy=copy)
    return asarray(obj, dtype, order, device=device, copy=copy)


def _of_a_subclass(obj: Any) -> bool:
    return isinstance(obj, np.ndarray) and type(obj) is not np.ndarray and backend_of(obj) is HOST


def ascontiguousarray(obj: Any, /, dtype: Any = None, *, like: Any = None) -> Any:
    """As `numpy.ascontiguousarray`: C order and at least one axis."""
    made = asarray(obj, dtype)
    if made.flags.c_contiguous and made.ndim:
        return made
    return made.astype(made.dtype, order="C", copy=True).reshape(made.shape or (1,))


def asfortranarray(obj: Any, /, dtype: Any = None, *, like: Any = None) -> Any:
    """As `numpy.asfortranarray`: Fortran order."""
    made = asarray(obj, dtype)
    return made if made.flags.f_contiguous else made.astype(made.dtype, order="F", copy=True)


def asarray_chkfinite(obj: Any, dtype: Any = None, order: Any = None) -> Any:
    """As `numpy.asarray_chkfinite`: refuse infinities and NaNs."""
    made = asarray(obj, dtype, order)
    if made.dtype.kind in "fc" and not bool(OPS["isfinite"].host(taken(made)).all()):
        raise ValueError(text("asarray_chkfinite", f"array of shape {made.shape} holds infs or NaNs", "Mask them."))
    return made


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """Take an array from another library through DLPack, sharing memory where that is possible.

    Parameters
    ----------
    x : object
        Has ``__dlpack__`` and ``__dlpack_device__``.
    device : str or Device, optional
        Pins the result there.
    copy : bool, optional
        True copies, False must share.

    Returns
    -------
    ndarray
        Host memory that is shared stays on the host.
    """
    if isinstance(x, Handle):
        if copy is True and device is None:  # the standard: where `x` is
            where = backend(x.device)  # type: ignore[attr-defined]
            return own(where.compact(read(x, where)), scalar=False)
        return asarray(x, device=device, copy=copy)
    kind = int(x.__dlpack_device__()[0])
    if kind == 1:
        made = asarray(np.from_dlpack(x), copy=copy is True)
    else:
        target = backend(parse("cuda"))
        raw = target.run(OPS["from_dlpack"].host, (x,), {}, OPS["from_dlpack"].work([], {}))
        made = own(raw, scalar=False)
    return made if device is None else to_device(made, device, function="from_dlpack")


_from_dlpack_row = function("from_dlpack", "creation", arrays=())


def asnumpy(x: Any) -> np.ndarray[Any, Any]:
    """Return a NumPy array with the values, a copy (CuPy's name for it).

    Parameters
    ----------
    x : array_like
        Any array or sequence.

    Returns
    -------
    numpy.ndarray
        Writeable, independent of `x`.

    Examples
    --------
    >>> import xpu
    >>> xpu.asnumpy(xpu.ones(2))
    array([1., 1.])
    """
    if isinstance(x, Handle):
        return np.array(taken(x), copy=True)
    where = backend_of(x)
    return np.array(x, copy=True) if where in (None, HOST) else lower(x, where)


class _Grid:
    """An index trick (``r_``, ``mgrid``, ...) that gives xpu arrays."""

    __slots__ = ("_theirs",)

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        raw = tuple(taken(p) if isinstance(p, Handle) else p for p in parts)
        made = self._theirs[raw if isinstance(key, tuple) else raw[0]]
        return tuple(map(wrap, made)) if isinstance(made, (tuple, list)) else wrap(made)

    def __repr__(self) -> str:
        return repr(self._theirs)


c_ = _Grid(np.c_)
mgrid = _Grid(np.mgrid)
ogrid = _Grid(np.ogrid)
r_ = _Grid(np.r_)


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0, *, like: Any = None) -> Any:
    """Return an array over a buffer's memory, as `numpy.frombuffer`; it stays on the host."""
    return asarray(np.frombuffer(buffer, dtype, count, offset), copy=False)
