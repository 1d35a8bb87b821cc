"""What the hardware says of itself: a name for this machine, and a profile to start from before calibration.

The GPU is read through NVML, which makes no CUDA context, so a later fork stays safe. Rates follow from
its clocks, bus and cores; calibration and observed times replace them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpu._machine import Link, Machine, Processor, Rates, shipped

__all__ = ["Card", "Host", "card", "card_of", "host", "identity", "start"]


@dataclass(frozen=True)
class Host:
    """The CPU side: model, logical cores, bytes of memory, bytes of the largest cache (0 if unknown)."""

    title: str
    cores: int
    memory: int
    cache: int


@dataclass(frozen=True)
class Card:
    """A GPU as NVML describes it; clocks in Hz, memory in bytes, bus in bits; 0 where it does not say."""

    title: str
    memory: int
    memory_clock: float
    bus: int
    core_clock: float
    cores: int
    capability: tuple[int, int]
    generation: int
    lanes: int
    driver: str = ""

    @property
    def bandwidth(self) -> float:
        """Bytes a second in theory: two transfers per memory clock over the bus."""
        return 2 * self.memory_clock * self.bus / 8

    @property
    def flops(self) -> float:
        """Float32 operations a second in theory: a fused multiply-add per core and clock."""
        return 2 * self.core_clock * self.cores

    @property
    def link(self) -> float:
        """Bytes a second of the PCIe link in theory (PCI-SIG: transfers a second per lane, coding apart)."""
        rate = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}.get(self.generation, 0.0)
        return rate * self.lanes


def host(root: str = "/") -> Host:
    """Describe the CPU; `root` is where ``proc`` and ``sys`` lie."""
    import platform  # only when a machine is described: import xpu stays cheap

    title = platform.processor() or platform.machine()
    for line in _lines(os.path.join(root, "proc/cpuinfo")):
        if line.startswith("model name"):
            title = line.partition(":")[2].strip()
            break
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this system
        memory = 0
    caches = [0]
    folder = os.path.join(root, "sys/devices/system/cpu/cpu0/cache")
    for index in range(8):
        for line in _lines(os.path.join(folder, f"index{index}", "size")):
            caches.append(_size(line))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Host(title, cores, memory, max(caches))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _size(text: str) -> int:
    """Read a size as the kernel writes it: ``32K``, ``1024K``, ``36M``."""
    digits = text.strip().rstrip("KMG")
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text.strip()[-1:], 1)
    return int(digits) * unit if digits.isdigit() else 0


def card(nvml: Any, index: int = 0) -> Card | None:
    """Describe a GPU.

    Parameters
    ----------
    nvml : module
        ``pynvml`` or anything with its functions.
    index : int, optional
        Which GPU.

    Returns
    -------
    Card or None
        None if NVML finds no such GPU.
    """

    def ask(name: str, *args: Any) -> Any:
        try:
            return getattr(nvml, name)(*args)
        except (nvml.NVMLError, AttributeError):  # older drivers and small cards do not answer everything
            return 0

    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        title = nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError:
        return None
    memory = ask("nvmlDeviceGetMemoryInfo", handle)
    capability = ask("nvmlDeviceGetCudaComputeCapability", handle) or (0, 0)
    return Card(
        title=title.decode() if isinstance(title, bytes) else str(title),
        memory=int(getattr(memory, "total", 0)),
        memory_clock=ask("nvmlDeviceGetMaxClockInfo", handle, 2) * 1e6,  # NVML_CLOCK_MEM
        bus=int(ask("nvmlDeviceGetMemoryBusWidth", handle)),
        core_clock=ask("nvmlDeviceGetMaxClockInfo", handle, 1) * 1e6,  # NVML_CLOCK_SM
        cores=int(ask("nvmlDeviceGetNumGpuCores", handle)),
        capability=(int(capability[0]), int(capability[1])),
        generation=int(ask("nvmlDeviceGetMaxPcieLinkGeneration", handle)),
        lanes=int(ask("nvmlDeviceGetMaxPcieLinkWidth", handle)),
        driver=str(ask("nvmlSystemGetDriverVersion") or ""),
    )


def first_card() -> Card | None:
    """Describe the first GPU, or return None without one or without nvidia-ml-py."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    return card(nvml)


def card_of(device: str) -> Card:
    """Describe the GPU in use; where NVML is not there to ask, by its name alone.

    Examples
    --------
    >>> card_of("cuda:0").title != ""
    True
    """
    return first_card() or Card(device, 0, 0.0, 0, 0.0, 0, (0, 0), 0, 0)


def identity(found: Card | None, here: Host | None = None) -> Mapping[str, str]:
    """Return what calibrated rates depend on: hardware and library versions.

    Returns
    -------
    dict
        Plain text by name; `digest` makes a file name of it.
    """
    here = here or host()
    return {
        "cpu": here.title,
        "cores": str(here.cores),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "cupy": _cupy_version() if found is not None else "",
        "gpu": "" if found is None else f"{found.title}, {found.memory} bytes, PCIe {found.generation} x{found.lanes}",
        "driver": "" if found is None else found.driver,
        "system": sys.platform,
    }


def digest(named: Mapping[str, str]) -> str:
    """Return a short name for an identity, fit for a file."""
    import hashlib  # only when a file is looked up: import xpu stays cheap

    told = "\n".join(f"{k}={v}" for k, v in sorted(named.items()))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _cupy_version() -> str:
    import importlib.metadata  # as above

    for name in ("cupy-cuda13x", "cupy-cuda12x", "cupy"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


# ----------------------------------------------------------------------------- a profile to start from

# Full-rate float64: compute capabilities of the data-centre chips (CUDA programming guide,
# "Throughput of native arithmetic instructions").
_FULL_DOUBLE = frozenset({(6, 0), (7, 0), (8, 0), (9, 0), (10, 0)})
_USABLE = 0.85  # of the theoretical memory bandwidth, and 0.8 of the link's


def start(found: Card | None, here: Host | None = None) -> Machine:
    """Return a profile made of what the hardware reports.

    Parameters
    ----------
    found : Card or None
        The GPU.
    here : Host, optional
        The CPU; asked if omitted.
    """
    here = here or host()
    model = shipped("generic")
    cpu = Processor(f"{here.title}, {here.cores} cores", here.memory or model.cpu.memory, _on_cores(model, here.cores))
    note = "Not calibrated: made of what the hardware reports; `xpu calibrate` measures it."
    if found is None:
        return Machine("uncalibrated", cpu.title, cpu, None, model.to_device, model.to_host, (), note)
    like = shipped("h200")
    assert like.accelerator is not None
    gpu = Processor(found.title, found.memory or like.accelerator.memory, _on_card(like.accelerator, found))
    links = []
    for link in (like.to_device, like.to_host):
        pinned = 0.8 * found.link or link.pinned_bandwidth
        pageable = min(link.bandwidth, 0.5 * pinned)
        links.append(Link(link.latency, pageable, pinned))
    return Machine("uncalibrated", f"{cpu.title}, with {found.title}", cpu, gpu, links[0], links[1], (), note)


def _on_cores(model: Machine, cores: int) -> dict[str, Rates]:
    """Scale matrix products to the cores (the generic profile counts two); the rest of NumPy uses one."""
    classes = dict(model.cpu.classes)
    for kind in ("matmul", "linalg"):
        rates, share = classes[kind], max(0.5, min(cores, 16) / 2)
        classes[kind] = Rates(rates.latency, rates.bandwidth, {w: r * share for w, r in rates.rate.items()})
    return classes


def _on_card(like: Processor, found: Card) -> dict[str, Rates]:
    """Scale a known card's rates to this one's memory bandwidth and arithmetic."""
    known = like.classes["elementwise"]
    memory = _USABLE * found.bandwidth / known.bandwidth if found.bandwidth else 1.0
    single = found.flops / known.rate["f4"] if found.flops else 1.0
    double = single * known.rate["f4"] / known.rate["f8"] * (1 / 2 if found.capability in _FULL_DOUBLE else 1 / 64)
    scale = {"f2": single, "f4": single, "f8": double}
    return {
        kind: Rates(
            r.latency,
            r.bandwidth * memory,
            {w: v * (memory if kind in ("sort", "gather", "scan") else scale[w]) for w, v in r.rate.items()},
            r.warmup,
        )
        for kind, r in like.classes.items()
    }
