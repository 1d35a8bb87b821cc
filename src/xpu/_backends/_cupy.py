"""One CUDA device: CuPy >= 14.

Written from CuPy's source and documentation. NOT RUN ON A GPU yet: only its dispatch half is tested,
with genuine ``cupy.ndarray`` objects over an address that is never read.
"""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import cupy
import cupyx
import numpy as np
from cupy.cuda.compiler import CompileException
from cupy.cuda.memory import OutOfMemoryError
from cupy_backends.cuda.api.driver import CUDADriverError
from cupy_backends.cuda.api.runtime import CUDARuntimeError

from xpu._backends._base import follow
from xpu._backends._cupy_complex import OF_COMPLEX
from xpu._backends._cupy_division import DIVISIONS
from xpu._backends._cupy_streams import StreamLanes, staging_pool
from xpu._backends._probe import within_limit
from xpu._backends._same import as_numpy
from xpu._device import Device
from xpu._op import Op, Work
from xpu.errors import DeviceError

__all__ = ["CupyBackend"]

Raw = Any


class CupyOutOfMemory(MemoryError):
    """A CUDA call outside CuPy's pool found no memory."""


class CupyLost(RuntimeError):
    """The device does not answer any more (sticky CUDA errors), or never did."""


# CUDA errors that say that this process cannot use the device at all (CUDA runtime API, "Error handling"):
# cudaErrorInitializationError (3: after a fork, too), InsufficientDriver (35: the driver is older than the runtime),
# NoDevice (100), InvalidDevice (101), StartupFailure (127), SystemNotReady (802), SystemDriverMismatch (803),
# CompatNotSupportedOnDevice (804).
_UNUSABLE = frozenset({3, 35, 100, 101, 127, 802, 803, 804})
# CUDA errors after which every later call on the context fails: cudaErrorECCUncorrectable (214),
# IllegalAddress (700), LaunchFailure (719), and the codes around them in the CUDA runtime API's
# list of errors that "leave the process in an inconsistent state".
_STICKY = frozenset({46, 214, 215, 220, 700, 709, 710, 714, 715, 716, 717, 718, 719, 999})
_CUDA_OUT_OF_MEMORY = 2

# Functions that answer as NumPy where CuPy's do not.
_OURS = {**DIVISIONS, **OF_COMPLEX}


class CupyBackend:
    """CuPy on one device."""

    raw_type: type = cupy.ndarray
    out_of_memory: tuple[type[Exception], ...] = (CupyOutOfMemory, OutOfMemoryError)
    lost: tuple[type[Exception], ...] = (CupyLost,)
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
        CompileException,
    )

    def __init__(self, device: Device) -> None:
        self.device = device
        self._on = cupy.cuda.Device(device.index)
        self._functions: dict[Op, Callable[..., Any] | None] = {}
        self._local = threading.local()
        self._awake = False

    @property
    def cuda_device(self) -> Any:
        """CuPy's device, a context manager."""
        return self._on

    @property
    def survives_fork(self) -> bool:
        """Whether a process forked now could use the device: not once there is a CUDA context."""
        return not self._awake

    def _wake(self) -> None:
        """Make the CUDA context, under a time limit: this is the first call that can hang."""

        def ask() -> None:
            with self._on:
                cupy.cuda.runtime.free(0)

        try:
            within_limit(str(self.device), ask, (CUDARuntimeError,))
        except DeviceError as error:
            raise CupyLost(str(error)) from error
        except CUDARuntimeError as error:
            raise _translated(error, self.device) from error
        self._awake = True

    @contextmanager
    def here(self) -> Iterator[None]:
        """Return a region on this device; CUDA's own errors become out-of-memory or a lost device."""
        if not self._awake:
            self._wake()
        try:
            with self._on:
                yield
        except (CUDARuntimeError, CUDADriverError) as error:
            raise _translated(error, self.device) from error

    @property
    def staging(self) -> StreamLanes | None:
        """What queues this thread's copies, while a pipeline runs."""
        return getattr(self._local, "staging", None)

    @staging.setter
    def staging(self, lanes: StreamLanes | None) -> None:
        self._local.staging = lanes

    def lanes(self) -> StreamLanes:
        """Return streams for copies in, compute and copies out."""
        return StreamLanes(self, staging_pool())

    def function(self, op: Op) -> Callable[..., Any] | None:
        """Return CuPy's function for a row, or None where this CuPy has none."""
        if op not in self._functions:
            path = op.gpu
            found = None
            if path == "self":  # xpu's own function over raw arrays of any library
                found = op.host
            elif path is not None:
                found = _cupyx(path) if path.startswith("cupyx.") else follow(path, cupy)
                found = _OURS.get(path, found)
            if found is not None and op.kind == "linalg":
                found = _raising(found)
            self._functions[op] = None if found is None else as_numpy(op, found)
        return self._functions[op]

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], work: Work) -> Any:
        """Call it on this device; CUDA's own errors become out-of-memory or a lost device."""
        if not self._awake:
            self._wake()
        try:
            with self._on:
                return function(*args, **kwargs)
        except RuntimeError as error:  # CUDA's two kinds, and those of cuBLAS, cuFFT, cuSOLVER
            meant = _translated(error, self.device)
            if meant is error:
                raise
            raise meant from error

    def allocate(self, nbytes: int) -> Raw:
        """Return uninitialised bytes from the pool."""
        with self.here():
            return cupy.empty(nbytes, np.uint8)

    def root(self, raw: Raw) -> Raw:
        """Return the bytes of the allocation behind an array, up to the array's end.

        The pool rounds allocations up to 512 bytes; what lies behind the array is nobody's and need not move.
        """
        memory = raw.data.mem
        end = 0
        if raw.size:
            end = raw.data.ptr - memory.ptr + raw.itemsize
            end += sum((n - 1) * s for n, s in zip(raw.shape, raw.strides, strict=True) if s > 0)
        return cupy.ndarray((end,), np.uint8, memptr=cupy.cuda.MemoryPointer(memory, 0))

    def offset(self, root: Raw, raw: Raw) -> int:
        """Return where an array starts in its root."""
        return int(raw.data.ptr - root.data.ptr) if raw.size else 0

    def view(
        self, root: Raw, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Raw:
        """Return the array at `offset` in `root`."""
        return cupy.ndarray(shape, dtype, memptr=root.data + offset, strides=strides)

    def upload(self, root: Raw, host: np.ndarray[Any, Any]) -> None:
        """Copy host bytes in, staged by CuPy through its pinned pool (so the source is free at once)."""
        if self.staging is not None and self.staging.upload(root, host):
            return
        with self.here():
            root[: host.size].set(host)
            # `set` does not keep its source alive; a pageable source is safe only once copied.
            cupy.cuda.get_current_stream().synchronize()

    def download(self, root: Raw, host: np.ndarray[Any, Any]) -> None:
        """Copy bytes out; returns when they are there."""
        if self.staging is not None and self.staging.download(root, host):
            return
        with self.here():
            root[: host.size].get(out=host)

    def compact(self, raw: Raw) -> Raw:
        """Return a C-contiguous copy, made on the device."""
        with self.here():
            return cupy.array(raw, order="C", copy=True)

    def holds(self, raw: Raw) -> bool:
        """Return True for a CuPy array on this device."""
        return isinstance(raw, cupy.ndarray) and raw.data.device_id == self.device.index

    def shares(self, raw: Raw, other: Raw) -> bool:
        """Return True if both lie in one allocation: CuPy makes one memory object for each."""
        return raw.data.mem is other.data.mem

    def seconds(self) -> float:
        """Return the host's clock after the device's queue is empty."""
        with self.here():
            cupy.cuda.get_current_stream().synchronize()
        return time.perf_counter()

    def release(self) -> None:
        """Give pooled memory back; FFT plans (of this thread) hold workspace, so they go too."""
        with self.here():
            with suppress(ImportError, RuntimeError):  # no cuFFT: no plans
                cupy.fft.config.get_plan_cache().clear()
            cupy.get_default_memory_pool().free_all_blocks()
            cupy.get_default_pinned_memory_pool().free_all_blocks()
        staging_pool().clear()


def _raising(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of ``cupy.linalg`` raise ``LinAlgError``: CuPy does not look at cuSOLVER's verdict unless told to.

    Without it the inverse of a singular matrix is a matrix of rubbish. Looking costs one synchronisation.
    """

    @functools.wraps(function, updated=())
    def raising(*args: Any, **kwargs: Any) -> Any:
        with cupyx.errstate(linalg="raise"):
            return function(*args, **kwargs)

    return raising


def _cupyx(path: str) -> Any:
    """Return a function of cupyx; its modules load CUDA libraries, so only when needed.

    None where a library is missing (``ImportError``, or cuda-pathfinder's ``DynamicLibNotFoundError``, a
    ``RuntimeError``): placement asks before anything runs, and has to get an answer.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except (ImportError, RuntimeError, OSError):
        return None


def _translated(error: RuntimeError, device: Device) -> Exception:
    """Return what an error of CUDA or of one of its libraries means here; others as they are.

    Runtime calls raise `CUDARuntimeError`, launches `CUDADriverError`; both count alike from 200 on, and the
    driver's 2 is out of memory too. cuBLAS, cuFFT and cuSOLVER allocate workspace by themselves.
    """
    if "ALLOC_FAILED" in str(error):  # CUBLAS_STATUS_ALLOC_FAILED, CUFFT_ALLOC_FAILED, CUSOLVER_STATUS_ALLOC_FAILED
        message = f"{device} is out of memory: {error}"
        return CupyOutOfMemory(message)
    if not isinstance(error, (CUDARuntimeError, CUDADriverError)):
        return error
    if error.status == _CUDA_OUT_OF_MEMORY:
        message = f"{device} is out of memory: {error}"
        return CupyOutOfMemory(message)
    if error.status in _STICKY or error.status in _UNUSABLE:
        message = f"{device} {'stopped answering' if error.status in _STICKY else 'cannot be used'}: {error}"
        return CupyLost(message)
    other: Exception = error
    return other
