"""The pretend device: NumPy posing as a GPU, so that placement can be tested and watched anywhere.

It is as strict as a GPU library: its arrays are a type of their own, refuse implicit conversion,
and never mix with NumPy's. What CuPy lacks it lacks. It runs on a virtual clock that advances by
what the machine profile predicts, and fails on demand (`faults`).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xpu._backends._differences import cupys_way
from xpu._backends._numpy import NumpyBackend, address, host_bytes, owner
from xpu._backends._same import as_numpy
from xpu._device import Device
from xpu._machine import Machine
from xpu._op import OPS, Op, Work

__all__ = ["PretendArray", "PretendBackend", "PretendLost", "PretendOutOfMemory"]


class PretendOutOfMemory(MemoryError):
    """The pretend device's memory is full, or was told to say so."""


class PretendLost(RuntimeError):
    """The pretend device was told to disappear."""


class PretendTorn(RuntimeError):
    """A kernel that was told to stop half-way: every other element it should write is spoilt."""


class Memory:
    """So many bytes of memory, for what is allocated from now on.

    Parameters
    ----------
    nbytes : int
        How much there is.
    fragmented : bool
        What is let go lies in pieces too small to be used, until the pool is given back (`release`).
    """

    def __init__(self, nbytes: int, *, fragmented: bool) -> None:
        self.nbytes = nbytes
        self.used = self.peak = self.in_pieces = 0
        self._fragmented = fragmented
        self._alive: dict[int, weakref.ref[Any]] = {}

    def take(self, array: np.ndarray[Any, Any]) -> None:
        """Take an allocation's memory until it goes."""
        key, size = id(array), array.nbytes
        if key in self._alive:
            return
        left = self.nbytes - self.used - self.in_pieces
        if size > left:
            message = f"{size} bytes asked for, {left} of {self.nbytes} left on the pretend device"
            raise PretendOutOfMemory(message)
        self.used += size
        self.peak = max(self.peak, self.used)

        def gone(_: object) -> None:
            del self._alive[key]
            self.used -= size
            self.in_pieces += size if self._fragmented else 0

        self._alive[key] = weakref.ref(array, gone)

    def release(self) -> None:
        """Give the pool back: its pieces are whole again."""
        self.in_pieces = 0


class PretendArray:
    """An array on the pretend device; NumPy's functions refuse it, as they refuse CuPy's."""

    __slots__ = ("__weakref__", "_data")
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: Any) -> None:
        self._data: np.ndarray[tuple[int, ...], np.dtype[Any]] = data

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray[Any, Any]:
        message = (
            f"Implicit conversion of a pretend array of shape {self.shape} to a NumPy array is not "
            "allowed; go through the backend's download."
        )
        raise TypeError(message)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype."""
        return self._data.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides in bytes."""
        return self._data.strides

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._data.nbytes

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.itemsize

    @property
    def flags(self) -> Any:
        """NumPy's flags."""
        return self._data.flags

    def __repr__(self) -> str:
        return f"PretendArray(shape={self.shape}, dtype={self.dtype})"


class PretendBackend:
    """NumPy behind the manners of a GPU, on a virtual clock."""

    raw_type: type = PretendArray
    out_of_memory: tuple[type[Exception], ...] = (PretendOutOfMemory,)
    lost: tuple[type[Exception], ...] = (PretendLost,)
    failures: tuple[type[Exception], ...] = (
        TypeError,
        ValueError,
        RuntimeError,
        NotImplementedError,
        ArithmeticError,
        IndexError,
        AttributeError,
        ImportError,
        OSError,
    )

    def __init__(self, device: Device, machine: Machine) -> None:
        self.device = device
        self.machine = machine
        self.clock = 0.0
        self.acted = 0.0  # seconds that the host spent on playing the device
        self.frozen: float | None = None  # the host's time of its own, while work is queued on a lane
        self.pinned = False  # whether copies go through page-locked memory (a lane's do)
        self.uploads = self.downloads = 0
        self.fault: Callable[[str], None] = _no_fault
        self.missing: frozenset[str] = frozenset()
        self.slow_link = 1.0
        room = machine.accelerator
        self.memory: Memory | None = None if room is None else Memory(room.memory, fragmented=False)
        self.survives_fork = True
        self.overrides: Mapping[str, Callable[..., Any]] = {}
        self._host = NumpyBackend()
        self._functions: dict[Op, Callable[..., Any]] = {}

    def function(self, op: Op) -> Callable[..., Any] | None:
        """Return NumPy's function where CuPy has one of the same name."""
        if op.gpu is None or op.name in self.missing:
            return None
        self.fault("function:" + op.name)
        if op not in self._functions:
            self._functions[op] = as_numpy(op, cupys_way(op))
        return self.overrides.get(op.name) or self._functions[op]

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], work: Work) -> Any:
        """Call NumPy on the arrays behind; the clock advances by the predicted time."""
        seen: dict[int, PretendArray] = {}
        began = time.perf_counter()
        try:
            inside = [_inside(a, seen) for a in args]
            try:
                self.fault("run")
            except PretendTorn:
                for position in OPS[work.op].writes:
                    inside[position].reshape(-1)[::2] = 0
                raise
            result = function(*inside, **{k: _inside(v, seen) for k, v in kwargs.items()})
        finally:
            self.acted += time.perf_counter() - began
        if self.machine.accelerator is not None:
            self.clock += self.machine.accelerator.seconds(work)
        made = _outside(result, seen)
        if self.memory is not None:
            for array in made if isinstance(made, (list, tuple)) else (made,):
                if isinstance(array, PretendArray):
                    self.memory.take(owner(array._data))
        return made

    def allocate(self, nbytes: int) -> PretendArray:
        """Return uninitialised bytes."""
        self.fault("allocate")
        made = np.empty(nbytes, np.uint8)
        if self.memory is not None:
            self.memory.take(made)
        return PretendArray(made)

    def root(self, raw: PretendArray) -> PretendArray:
        """Return the bytes of the allocation behind an array."""
        return PretendArray(host_bytes(owner(raw._data)))

    def offset(self, root: PretendArray, raw: PretendArray) -> int:
        """Return where an array starts in its root."""
        return address(raw._data) - address(root._data) if raw.size else 0

    def view(
        self, root: PretendArray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> PretendArray:
        """Return the array at `offset` in `root`."""
        return PretendArray(self._host.view(root._data, offset, shape, strides, dtype))

    def upload(self, root: PretendArray, host: np.ndarray[Any, Any]) -> None:
        """Copy host bytes in; counted and timed."""
        self.fault("upload")
        self._copy(root._data, host, "in upload")
        self.uploads += 1
        self.clock += self.machine.to_device.seconds(host.nbytes, pinned=self.pinned) * self.slow_link

    def download(self, root: PretendArray, host: np.ndarray[Any, Any]) -> None:
        """Copy bytes out; counted and timed."""
        self.fault("download")
        self._copy(host, root._data, "in download")
        self.downloads += 1
        self.clock += self.machine.to_host.seconds(host.nbytes, pinned=self.pinned) * self.slow_link

    def _copy(self, target: np.ndarray[Any, Any], source: np.ndarray[Any, Any], where: str) -> None:
        """Copy in two halves: something may go wrong between them."""
        began, half = time.perf_counter(), source.size // 2
        target[:half] = source[:half]
        self.fault(where)
        target[half:] = source[half:]
        self.acted += time.perf_counter() - began

    def compact(self, raw: PretendArray) -> PretendArray:
        """Return a C-contiguous copy."""
        made = self._host.compact(raw._data)
        if self.memory is not None:
            self.memory.take(made)
        return PretendArray(made)

    def holds(self, raw: Any) -> bool:
        """Return True for one of its arrays."""
        return isinstance(raw, PretendArray)

    def shares(self, raw: PretendArray, other: PretendArray) -> bool:
        """Return True if both lie in one allocation."""
        return owner(raw._data) is owner(other._data)

    def seconds(self) -> float:
        """Return the virtual clock."""
        return self.clock

    def freeze(self) -> None:
        """Let the host's time stand still: what runs now is played, and took place on another lane."""
        self.frozen = time.perf_counter() - self.acted

    def thaw(self) -> None:
        """Let it go on from where it stood."""
        if self.frozen is not None:
            self.acted, self.frozen = time.perf_counter() - self.frozen, None

    def release(self) -> None:
        """Give the pool back, where a test has one played."""
        if self.memory is not None:
            self.memory.release()


def _no_fault(where: str) -> None:
    """Nothing fails unless a test asks for it."""


def _inside(value: Any, seen: dict[int, PretendArray]) -> Any:
    if isinstance(value, PretendArray):
        seen[id(value._data)] = value
        return value._data
    if type(value) in (list, tuple):
        return type(value)([_inside(v, seen) for v in value])
    if isinstance(value, np.ndarray):
        message = f"Unsupported type {type(value)} of shape {value.shape} on the pretend device"
        raise TypeError(message)
    return value


def _outside(value: Any, seen: dict[int, PretendArray]) -> Any:
    if isinstance(value, np.ndarray):
        return seen.get(id(value)) or PretendArray(value)
    if isinstance(value, np.generic):
        return PretendArray(np.asarray(value))
    if isinstance(value, (list, tuple)):
        items = [_outside(v, seen) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
