"""Probe of everything that is only read: packages, environment, device files, container, cache."""

from __future__ import annotations

import glob
import importlib.metadata
import os
import platform
import re
import sys

from .answer import Answer

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "CUDA_PATH",
    "CUDA_HOME",
    "LD_LIBRARY_PATH",
    "CUPY_CACHE_DIR",
    "CUPY_CACHE_IN_MEMORY",
    "CUPY_COMPILE_WITH_PTX",
    "CONDA_PREFIX",
)
PACKAGE = re.compile(r"^(amd-cupy|cupy(-.+)?|nvidia-.+|cuda-(pathfinder|toolkit|bindings|core)|numba-cuda|torch)$")


def probe(answer: Answer, root: str) -> None:
    """Tell what the machine, the environment and the installed packages are.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Folder that holds ``dev``, ``etc``, ``proc`` and ``sys``.
    """
    answer.fact("python", f"{platform.python_version()} at {sys.executable}")
    answer.fact("platform", sys.platform)
    answer.fact("system", _system(root))
    answer.fact("container", _container(root))
    answer.fact("wsl", os.path.exists(os.path.join(root, "dev/dxg")))
    answer.fact("cards_on_bus", _cards(root))
    answer.fact("kernel_module", _kernel_module(root))
    answer.fact("nodes", _nodes(root))
    answer.fact("variables", {name: os.environ[name] for name in VARIABLES if name in os.environ})
    answer.fact("toolkits", sorted(glob.glob(os.path.join(root, "usr/local/cuda*"))))
    answer.fact("cache", _cache())
    answer.fact("packages", _packages())


def _read(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            return file.read(100_000)
    except OSError:
        return ""


def _system(root: str) -> str:
    """Return the identifiers of the Linux distribution, for example ``"ubuntu debian"``."""
    release = _read(root, "etc/os-release")
    return " ".join(re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', release, re.MULTILINE))


def _container(root: str) -> str:
    if os.path.exists(os.path.join(root, ".dockerenv")):
        return "docker"
    if os.path.exists(os.path.join(root, "run/.containerenv")):
        return "podman"
    control = _read(root, "proc/1/cgroup")
    found = re.search(r"docker|kubepods|containerd|libpod|lxc", control)
    return found[0] if found else ""


def _cards(root: str) -> int | None:
    """Count NVIDIA display controllers (vendor 0x10de, class 0x03....).

    None: nothing can be told; no bus is to be seen, or the GPU is in the processor (Tegra).
    """
    bus = os.path.join(root, "sys/bus/pci/devices")
    devices = os.listdir(bus) if os.path.isdir(bus) else []
    if not devices or os.path.exists(os.path.join(root, "etc/nv_tegra_release")):
        return None
    kinds = [(_read(bus, f"{d}/vendor").strip(), _read(bus, f"{d}/class")) for d in devices]
    return sum(vendor == "0x10de" and kind.startswith("0x03") for vendor, kind in kinds)


def _kernel_module(root: str) -> str:
    found = re.search(r"(\d{3,}\.\d+(?:\.\d+)?)", _read(root, "proc/driver/nvidia/version"))
    return found[1] if found else ""


def _nodes(root: str) -> dict[str, bool]:
    """Device files of the driver, each with whether this user may open it."""
    found = glob.glob(os.path.join(root, "dev/nvidia[0-9]*"))
    found += glob.glob(os.path.join(root, "dev/nvidiactl"))
    return {os.path.basename(path): os.access(path, os.R_OK | os.W_OK) for path in sorted(found)}


def _cache() -> dict[str, object]:
    """Where CuPy keeps compiled kernels, and whether it can write there (cupy/cuda/compiler.py)."""
    path = os.environ.get("CUPY_CACHE_DIR") or os.path.expanduser("~/.cupy/kernel_cache")
    ancestor = os.path.abspath(path)
    while not os.path.exists(ancestor) and os.path.dirname(ancestor) != ancestor:
        ancestor = os.path.dirname(ancestor)
    writable = os.path.isdir(ancestor) and os.access(ancestor, os.W_OK | os.X_OK)
    memory = os.environ.get("CUPY_CACHE_IN_MEMORY", "0") == "1"
    home = os.path.expanduser("~")
    shown = "~" + path[len(home) :] if path.startswith(home + os.sep) else path
    return {"path": path, "shown": shown, "writable": writable, "in_memory": memory}


def _packages() -> dict[str, str]:
    """Versions of the installed packages that matter here, by normalised name."""
    found: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", str(package.metadata["Name"] or "")).lower()
        if PACKAGE.match(name):
            found.setdefault(name, package.version or "unknown")
    return found
