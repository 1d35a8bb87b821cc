"""The host: NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from xpu._device import CPU
from xpu._op import Op, Work

__all__ = ["NumpyBackend", "alone", "foreign", "host_bytes", "owner", "run_here"]

Host = np.ndarray[Any, Any]


def owner(array: Host) -> Host:
    """Return the array at the end of the chain of bases: the one that stands for the memory."""
    base = array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            array = base
        base = getattr(base, "base", None)  # `as_strided` holds its array through a go-between
    return array


def host_bytes(array: Host) -> Host:
    """Return a flat uint8 view over the memory between an array's lowest and highest byte."""
    axes = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    ordered = array.transpose(axes)
    if ordered.flags.c_contiguous:
        return ordered.reshape(-1).view(np.uint8)
    low, high = byte_bounds(array)
    ascending = array[tuple(slice(None, None, -1 if s < 0 else 1) for s in array.strides)]
    first = ascending[(slice(0, 1),) * array.ndim].reshape(1).view(np.uint8)
    return as_strided(first, (high - low,), (1,))


class _Alone:
    """Memory that another library allocated, of which one array is the only user."""

    def __init__(self, memory: Host) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__


def alone(array: Host) -> Host:
    """Return the same array over the same memory, known to have no other user: it may leave the host.

    Not for arrays of Python objects.
    """
    if array.base is None or not array.size or array.dtype.hasobject:
        return array
    memory = host_bytes(array)
    own = np.asarray(_Alone(memory))
    same = np.ndarray(array.shape, array.dtype, own, address(array) - address(memory), array.strides)
    same.flags.writeable = array.flags.writeable
    return same


def foreign(holder: Host) -> bool:
    """Whether the memory of an `owner` may have users that xpu does not know."""
    return holder.base is not None and not isinstance(holder.base, _Alone)


def address(array: Host) -> int:
    """Return the address of the first element."""
    return int(array.__array_interface__["data"][0])


def run_here(function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a function of NumPy's; it refuses an xpu array from the ``__array__`` of a user's class."""
    args = tuple(args)
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        if "__array__ method not producing an array" not in str(error):
            raise
        return function(*map(_converted, args), **{name: _converted(value) for name, value in kwargs.items()})


def _converted(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_converted, value))
    if not hasattr(type(value), "__array__") or isinstance(value, (np.ndarray, np.generic)):
        return value
    return np.asarray(value.__array__())


class NumpyBackend:
    """NumPy on the host."""

    device = CPU
    raw_type: type = np.ndarray
    out_of_memory: tuple[type[Exception], ...] = ()
    lost: tuple[type[Exception], ...] = ()
    failures: tuple[type[Exception], ...] = ()
    survives_fork = True

    def function(self, op: Op) -> Callable[..., Any]:
        """Return the row's host function: there always is one."""
        return op.host

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], work: Work) -> Any:
        """Call it."""
        return run_here(function, args, kwargs)

    def allocate(self, nbytes: int) -> Host:
        """Return uninitialised bytes."""
        return np.empty(nbytes, np.uint8)

    def root(self, raw: Host) -> Host:
        """Return the bytes of the allocation behind an array."""
        return host_bytes(owner(raw))

    def offset(self, root: Host, raw: Host) -> int:
        """Return where an array starts in its root."""
        return address(raw) - address(root) if raw.size else 0

    def view(
        self, root: Host, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Host:
        """Return the array at `offset` in `root`."""
        if 0 in shape:  # with its strides: `np.empty` gives it others
            return as_strided(np.empty(1, dtype), shape, strides)
        return np.ndarray(shape, dtype, root, offset, strides)

    def upload(self, root: Host, host: Host) -> None:
        """Copy bytes."""
        root[...] = host

    def download(self, root: Host, host: Host) -> None:
        """Copy bytes."""
        host[...] = root

    def compact(self, raw: Host) -> Host:
        """Return a C-contiguous copy."""
        return np.array(raw, order="C", copy=True)

    def holds(self, raw: Any) -> bool:
        """Return True for a NumPy array."""
        return isinstance(raw, np.ndarray)

    def shares(self, raw: Host, other: Host) -> bool:
        """Return True if both lie in one allocation."""
        return owner(raw) is owner(other)

    def seconds(self) -> float:
        """Return the host's clock."""
        return time.perf_counter()

    def release(self) -> None:
        """NumPy keeps no pool worth emptying."""
