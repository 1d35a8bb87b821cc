"""Probe of the driver and the cards through NVML, which makes no CUDA context.

Through nvidia-ml-py (``pynvml``) where it is installed, else through the driver's own library by
ctypes, under the same names: https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

from .answer import Answer

MISSING_LIBRARY = 12  # NVML_ERROR_LIBRARY_NOT_FOUND


class PlainError(RuntimeError):
    """An NVML status other than success, as `pynvml.NVMLError` carries it."""

    def __init__(self, value: int, text: str) -> None:
        super().__init__(text)
        self.value = value


class Memory(ctypes.Structure):
    """The structure ``nvmlMemory_t``, in bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Plain:
    """The few calls of `pynvml` that are needed here, over the driver's library."""

    NVMLError = PlainError

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None = None

    def nvmlInit(self) -> None:
        """Load the library and start it."""
        name = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
        try:
            self._library = ctypes.CDLL(name)
        except OSError as problem:
            raise PlainError(MISSING_LIBRARY, f"NVML Shared Library Not Found ({problem})") from None
        self._call("nvmlInit_v2")

    def nvmlSystemGetDriverVersion(self) -> str:
        """Return the driver's version."""
        return self._text("nvmlSystemGetDriverVersion")

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        """Return the newest CUDA version the driver knows, as 1000 major + 10 minor."""
        return self._number("nvmlSystemGetCudaDriverVersion_v2")

    def nvmlDeviceGetCount(self) -> int:
        """Return the number of cards."""
        return self._number("nvmlDeviceGetCount_v2")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> ctypes.c_void_p:
        """Return the handle of one card."""
        handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
        return handle

    def nvmlDeviceGetName(self, handle: ctypes.c_void_p) -> str:
        """Return a card's name."""
        return self._text("nvmlDeviceGetName", handle)

    def nvmlDeviceGetMemoryInfo(self, handle: ctypes.c_void_p) -> Memory:
        """Return a card's memory, in bytes."""
        memory = Memory()
        self._call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
        return memory

    def nvmlDeviceGetCudaComputeCapability(self, handle: ctypes.c_void_p) -> tuple[int, int]:
        """Return a card's compute capability."""
        return self._pair("nvmlDeviceGetCudaComputeCapability", handle)

    def nvmlDeviceGetMigMode(self, handle: ctypes.c_void_p) -> tuple[int, int]:
        """Return the current and the pending partitioning mode of a card."""
        return self._pair("nvmlDeviceGetMigMode", handle)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: ctypes.c_void_p) -> int:
        """Return the generation the link runs at now (cards slow it down when idle)."""
        return self._number("nvmlDeviceGetCurrPcieLinkGeneration", handle)

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: ctypes.c_void_p) -> int:
        """Return the generation the link can run at."""
        return self._number("nvmlDeviceGetMaxPcieLinkGeneration", handle)

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: ctypes.c_void_p) -> int:
        """Return the lanes the link has."""
        return self._number("nvmlDeviceGetCurrPcieLinkWidth", handle)

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: ctypes.c_void_p) -> int:
        """Return the lanes the link could have."""
        return self._number("nvmlDeviceGetMaxPcieLinkWidth", handle)

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        status = int(function(*arguments)) if function else 13  # NVML_ERROR_FUNCTION_NOT_FOUND
        if status:
            raise PlainError(status, f"{name} returned NVML status {status}")

    def _number(self, name: str, *arguments: Any) -> int:
        value = ctypes.c_int()
        self._call(name, *arguments, ctypes.byref(value))
        return value.value

    def _pair(self, name: str, *arguments: Any) -> tuple[int, int]:
        first, second = ctypes.c_int(), ctypes.c_int()
        self._call(name, *arguments, ctypes.byref(first), ctypes.byref(second))
        return first.value, second.value

    def _text(self, name: str, *arguments: Any) -> str:
        buffer = ctypes.create_string_buffer(96)
        self._call(name, *arguments, buffer, ctypes.c_uint(len(buffer)))
        return buffer.value.decode(errors="replace")


def probe(answer: Answer, root: str) -> None:
    """Tell the driver's version and what each card is.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Not used: NVML is found by the loader.
    """
    try:
        import pynvml

        nvml: Any = pynvml
        answer.fact("through", "nvidia-ml-py")
    except (ImportError, OSError, AttributeError, SyntaxError):
        nvml = Plain()
        answer.fact("through", "the driver's library")
    try:
        nvml.nvmlInit()
        answer.fact("driver", _plain(nvml.nvmlSystemGetDriverVersion()))
        answer.fact("cuda", int(nvml.nvmlSystemGetCudaDriverVersion_v2()))
        count = int(nvml.nvmlDeviceGetCount())
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
    except nvml.NVMLError as problem:
        status = int(getattr(problem, "value", 999))
        answer.fact("status", status)
        answer.error("nvml", f"{type(problem).__name__} ({status}): {problem}")
        return
    answer.fact("gpus", [_card(nvml, handle) for handle in handles])


def _plain(text: str | bytes) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _card(nvml: Any, handle: Any) -> dict[str, object]:
    """Read one card; what it does not tell (virtual cards hide their link) is None."""

    def ask(function: Callable[[Any], Any]) -> Any:
        try:
            return function(handle)
        except nvml.NVMLError:
            return None

    memory = ask(nvml.nvmlDeviceGetMemoryInfo)
    capability = ask(nvml.nvmlDeviceGetCudaComputeCapability)
    partition = ask(nvml.nvmlDeviceGetMigMode)
    return {
        "name": _plain(ask(nvml.nvmlDeviceGetName) or "unnamed"),
        "capability": list(capability) if capability else None,
        "memory_bytes": int(memory.total) if memory else None,
        "free_bytes": int(memory.free) if memory else None,
        "partitioned": bool(partition[0]) if partition else False,
        "pcie_generation": ask(nvml.nvmlDeviceGetCurrPcieLinkGeneration),
        "pcie_generation_max": ask(nvml.nvmlDeviceGetMaxPcieLinkGeneration),
        "pcie_width": ask(nvml.nvmlDeviceGetCurrPcieLinkWidth),
        "pcie_width_max": ask(nvml.nvmlDeviceGetMaxPcieLinkWidth),
    }
