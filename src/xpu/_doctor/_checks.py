"""Whether the parts fit together: one small function per thing that can be wrong.

Each returns what was seen, in words, or an empty text if nothing is wrong or nothing is known.
Version floors: https://docs.nvidia.com/deploy/cuda-compatibility/ (drivers), the CUDA 13 release
notes (compute capability 7.5), and NVRTC's own list of what it compiles for.
"""

from __future__ import annotations

import os

from xpu._doctor._facts import Facts, version

DRIVER_FLOOR = {12: (525, 60, 13), 13: (580, 65, 6)}  # Linux; Windows: 528.33 for CUDA 12
CAPABILITY_FLOOR = {12: (5, 0), 13: (7, 5)}
CUPY_FLOOR = (14,)
FRONTEND_RANGE = ((1, 22), (1, 29))  # from 1.29 on it brings half a gigabyte of compilers
NOT_LOADED, NOT_FOUND, LIBRARY_MISMATCH = 9, 12, 18  # NVML's statuses
PLENTY = 512 * 2**20  # bytes of free GPU memory that cuDNN surely starts in
NEEDED = ("nvrtc", "cudart", "cublas", "cufft", "curand", "cusparse", "cusolver")


def dotted(numbers: tuple[int, ...]) -> str:
    """Return ``(13, 0)`` as ``"13.0"``."""
    return ".".join(map(str, numbers))


def no_card(facts: Facts) -> str:
    """Say so if the bus was looked at and carries no NVIDIA card."""
    return "" if facts.card_expected else "no NVIDIA display controller on the PCI bus"


def shut_out(facts: Facts) -> str:
    """Say so if this is a container that was started without the GPU."""
    nodes = facts.entry("machine", "nodes")
    hidden = facts.variable("NVIDIA_VISIBLE_DEVICES") in ("", "void", "none")
    outside = not facts.container or no_card(facts)
    if outside or facts.driver or (nodes and not hidden):
        return ""
    return f"a {facts.container} container without /dev/nvidia* and without the driver's library"


def hidden(facts: Facts) -> str:
    """Say so if CUDA_VISIBLE_DEVICES leaves no device (the first bad entry ends the list)."""
    value = facts.variable("CUDA_VISIBLE_DEVICES")
    if value is None:
        return ""
    first = value.split(",")[0].strip()
    number = int(first) if first.lstrip("-").isdigit() else None
    count = len(facts.gpus) if facts.gpus else None
    if number is not None:
        empty = number < 0 or (count is not None and number >= count)
    else:
        empty = not first.startswith(("GPU-", "MIG-"))
    return f"CUDA_VISIBLE_DEVICES={value!r}" if empty else ""


def forbidden(facts: Facts) -> str:
    """Say so if the driver's device files are there and this user may not open them."""
    shut = [name for name, may in facts.entry("machine", "nodes").items() if not may]
    return f"no permission for /dev/{', /dev/'.join(shut)}" if shut else ""


def stale_driver(facts: Facts) -> str:
    """Say so if the driver was updated under a running kernel module."""
    status = facts.get("nvml", "status")
    return f"NVML status {status}" if status == LIBRARY_MISMATCH else ""


def no_driver(facts: Facts) -> str:
    """Say so if there may be a card and its driver's library or kernel module is not there."""
    status = facts.get("nvml", "status")
    better = no_card(facts) or shut_out(facts) or facts.driver_cuda
    return f"NVML status {status}" if status in (NOT_LOADED, NOT_FOUND) and not better else ""


def troubled_driver(facts: Facts) -> str:
    """Say so if the driver is there and answers with an error of another kind."""
    status = facts.get("nvml", "status")
    known = (None, NOT_LOADED, NOT_FOUND, LIBRARY_MISMATCH)
    return "" if status in known else f"NVML status {status}"


def driver_too_old(facts: Facts) -> str:
    """Say so if the driver is older than the CUDA the CuPy wheel was built for."""
    floor = DRIVER_FLOOR.get(facts.wheel_cuda, ())
    old = bool(facts.driver) and version(facts.driver) < floor
    newest = facts.driver_cuda
    if floor and (old or (newest and newest[0] < facts.wheel_cuda)):
        have = f"driver {facts.driver or '?'} runs CUDA up to {dotted(newest) or '?'}"
        return f"{have}; {facts.wheels[0]} needs {floor[0]}.{floor[1]:02}.{floor[2]:02} or newer"
    return ""


def no_cupy(facts: Facts) -> str:
    """Say so if no CuPy package is installed."""
    unknown = facts.get("machine", "packages") is None
    found = facts.wheels or facts.cupy or unknown
    return "" if found else "no package cupy, cupy-cuda12x or cupy-cuda13x"


def many_cupys(facts: Facts) -> str:
    """Say so if several CuPy packages lie over one another."""
    return ", ".join(facts.wheels) if len(facts.wheels) > 1 else ""


def cupy_too_old(facts: Facts) -> str:
    """Say so if CuPy is older than the one xpu is written for, or built for CUDA 11."""
    old = bool(facts.cupy) and version(facts.cupy) < CUPY_FLOOR
    gone = facts.wheel_cuda == 11
    return f"CuPy {facts.cupy} ({', '.join(facts.wheels)})" if old or gone else ""


def rocm(facts: Facts) -> str:
    """Say so if CuPy is built for AMD cards."""
    return ", ".join(n for n in facts.wheels if "rocm" in n or n.startswith("amd"))


def missing_libraries(facts: Facts) -> str:
    """Name the libraries CuPy needs that could not be loaded, if CuPy is installed."""
    if not facts.cupy:
        return ""
    lost = [name for name in NEEDED if "error" in facts.library(name)]
    return f"not found: {', '.join(lost)}" if lost else ""


def missing_headers(facts: Facts) -> str:
    """Say so if NVRTC is there and the headers every kernel includes are not."""
    headers = facts.library("headers")
    if not facts.cupy or not headers or not facts.library("nvrtc").get("path"):
        return ""
    if not headers.get("path"):
        return "" if rootless_cuda(facts) else "no CUDA header folder"
    lacking = headers.get("lacking") or []
    return f"{headers['path']} lacks {', '.join(lacking)}" if lacking else ""


def rootless_cuda(facts: Facts) -> str:
    """Say so if CUDA_PATH leads nowhere, or a system toolkit is there that nothing points to."""
    path = facts.variable("CUDA_PATH") or facts.variable("CUDA_HOME")
    if path and not os.path.isdir(path):
        return f"CUDA_PATH={path!r} is not a folder"
    found_via = str(facts.library("nvrtc").get("found_via") or "")
    headers = facts.library("headers")
    system = found_via not in ("", "site-packages", "conda") and facts.get("machine", "toolkits")
    if facts.cupy and system and headers and not headers.get("path"):
        return f"NVRTC is at {facts.library('nvrtc')['path']}, its headers are not found"
    return ""


def wrong_architecture(facts: Facts) -> str:
    """Say so if a card is too old for the wheel's CUDA, or too new for NVRTC."""
    floor = CAPABILITY_FLOOR.get(facts.wheel_cuda, ())
    old = [c for c in facts.capabilities if floor and c < floor]
    if old:
        start = f"CUDA {facts.wheel_cuda} starts at {dotted(floor)}"
        return f"compute capability {dotted(old[0])}; {start}"
    return new_architecture(facts)


def new_architecture(facts: Facts) -> str:
    """Say so if a card is newer than everything NVRTC can compile for."""
    known = [int(number) for number in facts.get("libraries", "architectures") or ()]
    new = [c for c in facts.capabilities if known and c[0] * 10 + c[1] > max(known)]
    if not new:
        return ""
    return f"compute capability {dotted(new[0])}; NVRTC stops at {max(known) // 10}.{max(known) % 10}"


def mixed_toolkit(facts: Facts) -> str:
    """Say so if NVRTC and the headers it will read come from different CUDA releases."""
    compiler = facts.library_version("nvrtc")[:2]
    headers = facts.library_version("headers")[:2]
    if not compiler or not headers or compiler == headers:
        return ""
    return f"NVRTC {dotted(compiler)} with headers of CUDA {dotted(headers)}"


def new_ptx(facts: Facts) -> str:
    """Say so if PTX is asked for and the toolkit that writes it is newer than the driver."""
    compiler = facts.library_version("nvrtc")[:2]
    asked = facts.variable("CUPY_COMPILE_WITH_PTX") == "1" or new_architecture(facts)
    if asked and facts.driver_cuda and compiler > facts.driver_cuda:
        return f"PTX from NVRTC {dotted(compiler)}, driver reads up to {dotted(facts.driver_cuda)}"
    return ""


def forked(facts: Facts) -> str:
    """Say so if CUDA is loaded in this process and its workers are, or it is, a fork."""
    process = facts.process
    if not process.cuda_loaded or not (process.forked or process.start_method == "fork"):
        return ""
    who = "this process was forked" if process.forked else "workers start by fork"
    return f"{who} with CUDA loaded"


def full_card(facts: Facts) -> str:
    """Say so if cuDNN does not start and a card has next to no memory left."""
    free = [int(g["free_bytes"]) for g in facts.gpus if g.get("free_bytes") is not None]
    if facts.get("cudnn", "status") and free and min(free) < PLENTY:
        return f"{min(free) / 2**20:.0f} MiB of GPU memory free"
    return ""


def mixed_cudnn(facts: Facts) -> str:
    """Say so if parts of cuDNN come from several folders, or two packages share one folder."""
    loaded = facts.get("cudnn", "loaded") or ()
    folders = sorted({os.path.dirname(path) for path in loaded})
    if len(folders) > 1:
        return f"parts loaded from {' and '.join(folders)}"
    packages = sorted(name for name in facts.packages if name.startswith("nvidia-cudnn-cu"))
    if len(packages) > 1:
        return f"{' and '.join(packages)} are both installed, in one folder"
    return ""


def other_cudnn(facts: Facts) -> str:
    """Say so if cuDNN was built for another CUDA major version than CuPy."""
    cudart = int(facts.get("cudnn", "cudart") or 0) // 1000
    if not cudart or not facts.wheel_cuda or cudart == facts.wheel_cuda:
        return ""
    return f"cuDNN for CUDA {cudart}, {facts.wheels[0]}"


def no_cudnn(facts: Facts) -> str:
    """Say so if cuDNN is not installed while CuPy is."""
    answer = facts.probes.get("cudnn")
    gone = answer is not None and answer.ending == "ok" and not answer.facts.get("path")
    return "no libcudnn.so.9" if gone and facts.cupy and not facts.get("cudnn", "copies") else ""


def wrong_frontend(facts: Facts) -> str:
    """Say so if the cuDNN frontend is absent beside cuDNN, or out of xpu's range."""
    have = str(facts.get("cudnn", "frontend") or facts.packages.get("nvidia-cudnn-frontend") or "")
    low, high = FRONTEND_RANGE
    if have and low <= version(have) < high:
        return ""
    if have:
        return f"nvidia-cudnn-frontend {have}, wanted >={dotted(low)},<{dotted(high)}"
    return "nvidia-cudnn-frontend is not installed" if facts.get("cudnn", "path") else ""


def shadowed_cublas(facts: Facts) -> str:
    """Say so if pip's libcublas, loaded alone, gets a libcublasLt from another folder."""
    home = os.path.dirname(str(facts.get("linking", "cublas") or ""))
    others = [p for p in facts.get("linking", "cublasLt") or () if os.path.dirname(p) != home]
    return f"libcublas of {home} gets {others[0]}" if home and others else ""


def closed_cache(facts: Facts) -> str:
    """Say so if CuPy cannot keep its compiled kernels."""
    cache = facts.entry("machine", "cache")
    if not facts.cupy or not cache or cache.get("writable") or cache.get("in_memory"):
        return ""
    return f"{cache.get('path')} cannot be written"


def broken_probes(facts: Facts) -> str:
    """Name the probes that crashed, hung or answered nonsense, with how they ended."""
    bad = [probe for probe in facts.probes.values() if probe.ending != "ok"]
    return "; ".join(f"the {probe.name} probe: {probe.detail}" for probe in bad)
