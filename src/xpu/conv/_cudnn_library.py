"""cuDNN in this process: found and loaded in the one order that works, or a clear reason why not.

``libcudnn`` ends the whole process where ``libcublasLt`` cannot be loaded ("Invalid handle. Cannot
load symbol cublasLtGetVersion"), so cuda-pathfinder loads that first and any failure stays a Python
exception. The frontend (``nvidia-cudnn-frontend``) then finds ``libcudnn`` already there.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from typing import Any

from xpu.errors import XpuError, text

__all__ = [
    "CudnnError",
    "CudnnRefusedError",
    "CudnnUnavailableError",
    "HandlePool",
    "cause",
    "load",
]

# cublasLt must come first, see above.
_LIBRARIES = ("cublasLt", "cudnn")
# 1.22 is the oldest frontend whose graphs were planned in the tests; 1.29 and newer work too but
# depend on 486 MB of packages that convolutions do not need, so the extras stop below it.
_OLDEST_FRONTEND = (1, 22)
_OLDEST_CUDNN = 90000
_PASSING = ("ALLOC_FAILED", "INTERNAL_ERROR", "EXECUTION_FAILED", "cudaError")
_REMEDY = 'Install it: pip install "xpu-array[cuda13]" (or [cuda12]). Then run `xpu doctor`.'


class CudnnError(XpuError, RuntimeError):
    """Base of the two below.

    Attributes
    ----------
    reason : str
        The cause alone, in one line; the message adds what was asked and what to do.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CudnnUnavailableError(CudnnError):
    """cuDNN is not installed, does not load, or does not start on this device."""


class CudnnRefusedError(CudnnError):
    """cuDNN has no plan for this convolution, or could not launch it: compute it another way."""

    @property
    def lasting(self) -> bool:
        """Whether asking again would be refused again; not so after a want of memory."""
        return not any(status in self.reason for status in _PASSING)


def cause(error: BaseException) -> str:
    r"""Return an exception's message as one line of at most 300 characters.

    Examples
    --------
    >>> cause(RuntimeError("no plan\n  because"))
    'no plan because'
    >>> cause(ImportError())
    'ImportError'
    """
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:297]}..."


def load() -> Any:
    """Return the frontend's module ``cudnn`` with every library it needs already loaded.

    Returns
    -------
    module
        ``cudnn`` of nvidia-cudnn-frontend, 1.22 or newer.

    Raises
    ------
    CudnnUnavailableError
        With what is missing and the command that installs it. The answer is kept: libraries that
        were missing once are not looked for again in this process.
    """
    module, problem = _loaded()
    if problem:
        message = text("nn", f"cuDNN cannot be used: {problem}", _REMEDY)
        raise CudnnUnavailableError(message, problem)
    return module


@functools.cache
def _loaded() -> tuple[Any, str]:
    """Load everything once; (module, "") or (None, problem)."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
    except ImportError as error:
        return None, f"cuda-pathfinder is not installed ({cause(error)})"
    for name in _LIBRARIES:
        try:
            pathfinder.load_nvidia_dynamic_lib(name)
        except (RuntimeError, OSError) as error:
            return None, f"lib{name} cannot be loaded ({cause(error)})"
    try:
        cudnn = importlib.import_module("cudnn")
    except (ImportError, OSError, AssertionError) as error:
        return None, f"nvidia-cudnn-frontend cannot be imported ({cause(error)})"
    problem = _too_old(cudnn)
    return (None, problem) if problem else (cudnn, "")


def _too_old(cudnn: Any) -> str:
    """Return what is wrong with the versions, or an empty string."""
    version = str(getattr(cudnn, "__version__", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if not hasattr(cudnn, "pygraph") or numbers < _OLDEST_FRONTEND:
        return f"nvidia-cudnn-frontend is {version}, xpu needs 1.22 or newer"
    try:
        backend = int(cudnn.backend_version())
    except RuntimeError as error:
        return f"libcudnn does not answer ({cause(error)})"
    if backend < _OLDEST_CUDNN:
        return f"libcudnn is {backend}, xpu needs version 9"
    return ""


class _Lease:
    """A handle lent to one thread on one device; it goes back when the thread ends."""

    __slots__ = ("_free", "handle")

    def __init__(self, handle: Any, free: list[Any]) -> None:
        self.handle = handle
        self._free = free

    def __del__(self) -> None:
        self._free.append(self.handle)


class HandlePool:
    """One cuDNN handle per thread and device.

    cuDNN is thread-safe as long as threads do not share a handle. Making one allocates memory on
    the device, so the handle of a thread that ended is lent to the next one. Handles are never
    destroyed: plans built with one may outlive the thread.

    Parameters
    ----------
    create : callable
        Makes a handle for the current device.

    Examples
    --------
    >>> pool = HandlePool(object)
    >>> pool.get(0) is pool.get(0), pool.get(0) is pool.get(1)
    (True, False)
    """

    def __init__(self, create: Callable[[], Any]) -> None:
        self._create = create
        self._mine = threading.local()
        self._free: dict[int, list[Any]] = {}

    def get(self, device: int) -> Any:
        """Return this thread's handle for a device, which must be the current one."""
        leases: dict[int, _Lease] | None = getattr(self._mine, "leases", None)
        if leases is None:
            leases = self._mine.leases = {}
        lease = leases.get(device)
        if lease is None:
            free = self._free.setdefault(device, [])
            try:
                handle = free.pop()  # atomic: two threads never get the same one
            except IndexError:
                handle = self._create()
            lease = leases[device] = _Lease(handle, free)
        return lease.handle
