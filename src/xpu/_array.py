"""`ndarray`: what users hold. One line per operator; what is hot is in `_hot`, the rest in `_dispatch`."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterator
from types import GenericAlias, ModuleType
from typing import Any, ClassVar

import numpy as np

from xpu._array_class import Arrays
from xpu._backends import HOST, backend
from xpu._block import View, anchor, devices_of, home, read, settle, shared
from xpu._config import current
from xpu._device import CPU, Device, parse
from xpu._exports import held_by_a_library_alone
from xpu._flags import Flags
from xpu._gate import gate
from xpu._hot import (  # fmt: skip
    binary,
    elements,
    follow,
    get_item,
    in_place,
    power,
    power_in_place,
    reflected,
    set_item,
    transposed,
    unary,
)
from xpu._interop import array_function, array_ufunc
from xpu._methods import Methods
from xpu._op import host_only
from xpu._ops import creation, rest
from xpu._ops import elementwise as ew
from xpu._parents import holder, holder_of_block
from xpu._subclass import Subclassed, SubclassedWithUfuncs
from xpu._taken import taken
from xpu._wrap import kinds, wrap
from xpu.errors import text

__all__ = ["Values", "ndarray"]


class Values(Methods, metaclass=Arrays):
    """What arrays and scalars have in common: a scalar has no length and no elements, so `scalar` is no `ndarray`."""

    __slots__ = ()
    __array_priority__: ClassVar[float] = 1000.0
    __module__ = "xpu"

    # ------------------------------------------------------------------ metadata

    def _meta(self) -> Any:
        return self._home if self._raw is None else self._raw

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        meta: Any = self._home if self._raw is None else self._raw
        return meta.shape  # type: ignore[no-any-return]

    @shape.setter
    def shape(self, shape: Any) -> None:
        if not gate.accelerated:
            self._raw.shape = shape
            return
        made = rest.reshape(self, shape)
        theirs, mine = home(made), home(self)
        if theirs is None or mine is None or theirs.block is not mine.block:
            problem = f"shape {self.shape} cannot become {shape} without a copy"
            raise AttributeError(text("ndarray.shape", problem, "Use reshape."))
        self._raw, self._home = made._raw, theirs

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type: NumPy's own dtype object."""
        meta: Any = self._home if self._raw is None else self._raw
        return meta.dtype  # type: ignore[no-any-return]

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        made = rest.dtype_view(self, dtype)
        self._raw = made._raw
        if gate.accelerated:
            self._home = home(made)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self._meta().ndim)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(self._meta().size)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return int(self._meta().nbytes)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self._meta().itemsize)

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next, per axis."""
        return self._meta().strides  # type: ignore[no-any-return]

    @property
    def flags(self) -> Any:
        """NumPy's memory flags."""
        raw = self._raw
        if isinstance(raw, (np.ndarray, np.generic)):
            return raw.flags
        meta = self._meta()
        ghost = np.lib.stride_tricks.as_strided(np.empty(1, meta.dtype), meta.shape, meta.strides)
        if getattr(meta, "readonly", False) or isinstance(self, kinds.scalar):
            ghost.flags.writeable = False
        view = home(self)
        return Flags(ghost.flags, view is None or not view.derived, self.setflags)

    @property
    def device(self) -> Device:
        """Where the bytes are valid now: where settings put every operation, if there, else the host, if there."""
        where = devices_of(self)
        view = home(self)
        if view is not None and view.block.pin is not None:
            return view.block.pin
        if len(where) > 1:  # a value read by the host must not seem to have moved
            asked = current().device
            if asked != "auto" and parse(asked) in where:
                return parse(asked)
        return CPU if CPU in where or not where else next(iter(where))

    @property
    def base(self) -> ndarray | None:
        """An array over the memory this is a view of; None if it has its own."""
        if not gate.open:
            view = home(self)
            if view is None or not view.derived:
                return None
            known = holder_of_block(view.block)
            if known is not None:
                return known  # type: ignore[no-any-return]
            whole: ndarray = kinds.new_array()
            count = view.block.nbytes // max(view.itemsize, 1)
            shown = View(view.block, (count,), (view.itemsize,), view.dtype, 0, readonly=view.readonly)
            shown.derived = False
            settle(whole, shown)
            return whole
        found = getattr(self._raw, "base", None)
        if not isinstance(found, np.ndarray):
            return None
        known = holder(found)
        return wrap(found) if known is None else known  # type: ignore[no-any-return]

    T = property(transposed, doc="The transpose, a view.")

    @property
    def mT(self) -> ndarray:
        """The last two axes transposed, a view."""
        return rest.matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def real(self) -> ndarray:
        """The real part, a view."""
        return rest.real(self)  # type: ignore[no-any-return]

    @real.setter
    def real(self, value: Any) -> None:
        rest.real(self)[...] = value

    @property
    def imag(self) -> ndarray:
        """The imaginary part, a view of a complex array."""
        return rest.imag(self)  # type: ignore[no-any-return]

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError(
                text(
                    "ndarray.imag", f"dtype {self.dtype} has no imaginary part to set", "Convert with astype(complex)."
                )
            )
        rest.imag(self)[...] = value

    @property
    def flat(self) -> Any:
        """A flat iterator over the host's copy; the array stays on the host from then on."""
        return anchor(self).flat

    @flat.setter
    def flat(self, value: Any) -> None:
        anchor(self).flat[:] = value

    @property
    def ctypes(self) -> Any:
        """NumPy's ctypes object; the array stays on the host from then on."""
        return anchor(self).ctypes

    @property
    def data(self) -> memoryview:
        """The buffer; the array stays on the host from then on."""
        return anchor(self).data

    # ------------------------------------------------------------------ devices and protocols

    def to_device(self, device: Device | str, /, *, stream: Any = None) -> ndarray:
        """Return the array pinned to a device; see the array API standard.

        Parameters
        ----------
        device : str or Device
            ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"pretend"``.
        stream : object, optional
            Accepted for the standard's sake; transfers are ordered with the device's queue.

        Returns
        -------
        ndarray
            Itself if it is pinned there already, else a copy in C order.
        """
        return creation.to_device(self, device)  # type: ignore[no-any-return]

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12", "2025.12"):
            raise ValueError(
                text("ndarray.__array_namespace__", f"unknown api_version {api_version!r}", "The newest is '2025.12'.")
            )
        return importlib.import_module("xpu")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        host = np.asarray(taken(self))
        if copy or (dtype is not None and np.dtype(dtype) != host.dtype):
            if copy is False:
                raise ValueError(
                    text("ndarray.__array__", f"copy=False, but {host.dtype} has to become {dtype}", "Use copy=None.")
                )
            return np.array(host, dtype, copy=True)
        shown = host.view()
        shown.flags.writeable = False  # a write here would be lost once the bytes are elsewhere
        return shown

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """The host's replica, read-only where others hold the array: what NumPy looks for before `__array__`."""
        if isinstance(self, kinds.scalar):
            message = "a scalar has no memory to show"
            raise AttributeError(message)
        if held_by_a_library_alone(self):
            return {**anchor(self).__array_interface__, "strides": self.strides}
        if not gate.open and not host_only(self.dtype):
            shared(self).block.ensure(HOST)  # the whole block, for its memory outlives this call
        shown = taken(self).view()
        shown.flags.writeable = False
        # Explicit strides tell consumers without a buffer protocol to ask for `tobytes`.
        return {**shown.__array_interface__, "strides": shown.strides}

    def __array_ufunc__(self: Any, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        if isinstance(self, SubclassedWithUfuncs):  # by its class's name: ndarray.__array_ufunc__(self, ...)
            return SubclassedWithUfuncs.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        return array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self: Any, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(self, Subclassed):
            return np.ndarray.__array_function__(self, func, types, args, kwargs)
        return array_function(func, args, kwargs)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None
    ) -> Any:
        wants_host = dl_device is not None and int(dl_device[0]) == 1
        if CPU in devices_of(self) or wants_host or self.device.kind == "pretend":
            host = np.array(taken(self), copy=True) if copy else anchor(self)
            newer = {"max_version": max_version, "dl_device": dl_device, "copy": copy}  # NumPy 2.0 knows none
            return host.__dlpack__(**{name: value for name, value in newer.items() if value is not None})
        raw = read(self, backend(self.device))
        return raw.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        device = self.device
        return (2, device.index) if device.kind == "cuda" else (1, 0)

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Return the values for reading, as data frames' method of that name: matplotlib asks for it."""
        return self.__array__()

    @property
    def _numba_type_(self) -> Any:
        """What `numba` asks of an argument: functions it compiles take xpu arrays, on the host."""
        return importlib.import_module("xpu._kernels._numba_arrays").type_of(self)

    def _numba_host_(self) -> np.ndarray[Any, Any]:
        """The memory that compiled code reads and writes."""
        return anchor(self)

    def __jax_array__(self) -> Any:
        """What JAX asks of an operand: its own functions and operators take xpu arrays."""
        return importlib.import_module("jax.numpy").asarray(np.asarray(read(self, HOST)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (np.asarray(taken(self)), isinstance(self, kinds.scalar))

    def __copy__(self) -> Any:
        return creation.copy(self, order="K")

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self.dtype.hasobject:
            return wrap(self._raw.__deepcopy__(memo))
        return self.__copy__()

    # ------------------------------------------------------------------ reading by Python

    def item(self, *args: Any) -> Any:
        """Return one element as a Python scalar."""
        return taken(self).item(*args)

    def __bytes__(self) -> bytes:
        return taken(self).tobytes()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """Return nested lists of Python scalars."""
        return taken(self).tolist()

    def __bool__(self) -> bool:
        return bool(taken(self))

    def __int__(self) -> int:
        return int(taken(self))

    def __float__(self) -> float:
        return float(taken(self))

    def __complex__(self) -> complex:
        return complex(taken(self))

    def __index__(self) -> int:
        return operator.index(taken(self))

    def __repr__(self) -> str:
        return repr(np.asarray(taken(self)))

    def __str__(self) -> str:
        return str(taken(self))

    def __format__(self, spec: str) -> str:
        return format(taken(self), spec)

    __hash__ = None  # type: ignore[assignment]

    # ------------------------------------------------------------------ indexing

    __getitem__ = get_item

    # ------------------------------------------------------------------ operators

    __add__ = binary(ew.add)
    __sub__ = binary(ew.subtract)
    __mul__ = binary(ew.multiply)
    __truediv__ = binary(ew.divide)
    __floordiv__ = binary(ew.floor_divide)
    __mod__ = binary(ew.remainder)
    __pow__ = power(ew.power)
    __matmul__ = binary(ew.matmul, reuses=False)
    __and__ = binary(ew.bitwise_and)
    __or__ = binary(ew.bitwise_or)
    __xor__ = binary(ew.bitwise_xor)
    __lshift__ = binary(ew.left_shift)
    __rshift__ = binary(ew.right_shift)
    __divmod__ = binary(ew.divmod, reuses=False)
    __radd__ = reflected(ew.add)
    __rsub__ = reflected(ew.subtract)
    __rmul__ = reflected(ew.multiply)
    __rtruediv__ = reflected(ew.divide)
    __rfloordiv__ = reflected(ew.floor_divide)
    __rmod__ = reflected(ew.remainder)
    __rpow__ = reflected(ew.power)
    __rmatmul__ = reflected(ew.matmul)
    __rand__ = reflected(ew.bitwise_and)
    __ror__ = reflected(ew.bitwise_or)
    __rxor__ = reflected(ew.bitwise_xor)
    __rlshift__ = reflected(ew.left_shift)
    __rrshift__ = reflected(ew.right_shift)
    __rdivmod__ = reflected(ew.divmod)
    __iadd__ = in_place(ew.add)
    __isub__ = in_place(ew.subtract)
    __imul__ = in_place(ew.multiply)
    __itruediv__ = in_place(ew.divide)
    __ifloordiv__ = in_place(ew.floor_divide)
    __imod__ = in_place(ew.remainder)
    __ipow__ = power_in_place(ew.power)
    __iand__ = in_place(ew.bitwise_and)
    __ior__ = in_place(ew.bitwise_or)
    __ixor__ = in_place(ew.bitwise_xor)
    __ilshift__ = in_place(ew.left_shift)
    __irshift__ = in_place(ew.right_shift)
    __lt__ = binary(ew.less, reuses=False)
    __le__ = binary(ew.less_equal, reuses=False)
    __gt__ = binary(ew.greater, reuses=False)
    __ge__ = binary(ew.greater_equal, reuses=False)
    __eq__ = binary(ew.equal, reuses=False, anything=operator.eq)
    __ne__ = binary(ew.not_equal, reuses=False, anything=operator.ne)
    __neg__ = unary(ew.negative)
    __pos__ = unary(ew.positive)
    __abs__ = unary(ew.absolute)
    __invert__ = unary(ew.invert)


class ndarray(Values):
    """An n-dimensional array whose bytes are on the host, on a GPU, or on both.

    It is made by the functions of this package (`array`, `zeros`, ...); calling the class is NumPy's
    low-level constructor. Attributes and methods are NumPy's; `device` and `to_device` are the array
    API standard's.

    A class derived from it is one of NumPy's: it stays on the host, with all that NumPy does for subclasses, and
    shares memory with the array it is a view of.

    Parameters
    ----------
    shape : int or tuple of int
        Lengths of the axes.
    dtype : dtype, optional
        Element type.
    buffer : object, optional
        Memory to show, shared; the array stays on the host then. Without one the elements are arbitrary.
    offset : int, optional
        Bytes from the start of `buffer` to the first element.
    strides : tuple of int, optional
        Bytes from one element to the next, per axis.
    order : {'C', 'F'}, optional
        Memory order.

    Examples
    --------
    >>> import xpu
    >>> a = xpu.arange(6).reshape(2, 3)
    >>> a[:, 1:] += 10
    >>> a.tolist()
    [[0, 11, 12], [3, 14, 15]]
    """

    __slots__ = ()
    __module__ = "xpu"

    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)

    def __len__(self) -> int:
        meta: Any = self._home if self._raw is None else self._raw
        shape = meta.shape
        if not shape:
            message = "len() of unsized object"
            raise TypeError(message)
        return shape[0]  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            message = "iteration over a 0-d array"
            raise TypeError(message)
        return elements(self)

    def __contains__(self, value: Any) -> bool:
        return bool(rest.any(self == value))

    __setitem__ = set_item

    def __imatmul__(self, other: Any) -> Any:
        self[...] = ew.matmul(self, other)
        return self


def _revive(values: np.ndarray[Any, Any], is_scalar: bool) -> ndarray:
    """Rebuild an array from a pickle, on the host."""
    if is_scalar:
        return wrap(values[()])  # type: ignore[no-any-return]
    return creation.asarray(values)  # type: ignore[no-any-return]


kinds.array, kinds.new_array = ndarray, type.__call__.__get__(ndarray)


gate.follow(lambda is_open: follow(ndarray if is_open else None))
