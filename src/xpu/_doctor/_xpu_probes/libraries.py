"""Probe of the CUDA toolkit: each library is found, loaded and asked for its version.

None of these calls needs a driver. Which library answers to which call:
https://docs.nvidia.com/cuda/ (the ``...GetVersion`` and ``...GetProperty`` functions).
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable

from . import finding
from .answer import FAILURES, Answer


def _thousands(number: int) -> str:
    """Turn CUDA's 13020 (1000 major + 10 minor) into ``"13.2"``."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _one(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(library: ctypes.CDLL) -> str:
        value = ctypes.c_int()
        library[function](ctypes.byref(value))
        return _thousands(value.value)

    return ask


def _two(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(library: ctypes.CDLL) -> str:
        major, minor = ctypes.c_int(), ctypes.c_int()
        library[function](ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    return ask


def _properties(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(library: ctypes.CDLL) -> str:
        value, parts = ctypes.c_int(), []
        for which in range(3):  # libraryPropertyType: major, minor, patch
            library[function](which, ctypes.byref(value))
            parts.append(str(value.value))
        return ".".join(parts)

    return ask


LIBRARIES: dict[str, Callable[[ctypes.CDLL], str]] = {
    "cudart": _one("cudaRuntimeGetVersion"),
    "nvrtc": _two("nvrtcVersion"),
    "nvJitLink": _two("nvJitLinkVersion"),
    "cublasLt": _properties("cublasLtGetProperty"),
    "cublas": _properties("cublasGetProperty"),
    "cufft": _properties("cufftGetProperty"),
    "curand": _properties("curandGetProperty"),
    "cusparse": _properties("cusparseGetProperty"),
    "cusolver": _properties("cusolverGetProperty"),
}


def probe(answer: Answer, root: str) -> None:
    """Tell, per library and for the headers, the version, the place and how it was found.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Root of the file system, for the search without cuda-pathfinder.
    """
    for name, ask in LIBRARIES.items():
        try:
            path, found_via = _load(name, root)
        except FAILURES as problem:
            answer.fact(name, {"error": _short(problem)})
            continue
        entry = {"path": path, "found_via": found_via, "version": ""}
        with answer.step(f"version of {name}"):
            library = ctypes.CDLL(path)
            entry["version"] = ask(library)
            if name == "nvrtc":
                answer.fact("architectures", _architectures(library))
        answer.fact(name, entry)
    with answer.step("headers"):
        answer.fact("headers", _headers(root))


def _short(problem: Exception) -> str:
    """Keep the loader's own words, once: pathfinder repeats them for every folder it tried."""
    return f"{type(problem).__name__}: {str(problem).strip().splitlines()[0][:300]}"


def _load(name: str, root: str) -> tuple[str, str]:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib
    except (ImportError, AttributeError):
        return _search(name, root)
    found = load_nvidia_dynamic_lib(name)
    return str(found.abs_path), str(found.found_via)


def _search(name: str, root: str) -> tuple[str, str]:
    for path in finding.in_packages(f"*/lib/lib{name}.so.*"):
        ctypes.CDLL(path)
        return path, "site-packages"
    for path in finding.in_folders(f"lib{name}.so.*", root):
        ctypes.CDLL(path)
        return path, "system-search"
    message = f"lib{name}.so: cannot open shared object file: No such file or directory"
    raise OSError(message)


def _architectures(nvrtc: ctypes.CDLL) -> list[int]:
    """Return the compute capabilities NVRTC can compile for: 75 is 7.5."""
    count = ctypes.c_int()
    nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    values = (ctypes.c_int * max(count.value, 1))()
    nvrtc.nvrtcGetSupportedArchs(values)
    return list(values)[: count.value]


def _headers(root: str) -> dict[str, object]:
    """Find the header folder of the CUDA runtime, its version, and the two CuPy always needs."""
    folder, found_via = _header_folder(root)
    if not folder:
        return {"path": "", "found_via": "", "version": "", "lacking": []}
    wanted = ("vector_types.h", "cuda_fp16.h")
    lacking = [name for name in wanted if not os.path.exists(os.path.join(folder, name))]
    with open(os.path.join(folder, "cuda_runtime_api.h"), encoding="utf-8") as file:
        number = re.search(r"#define\s+CUDART_VERSION\s+(\d+)", file.read())
    version = _thousands(int(number[1])) if number else ""
    return {"path": folder, "found_via": found_via, "version": version, "lacking": lacking}


def _header_folder(root: str) -> tuple[str, str]:
    try:
        from cuda.pathfinder import locate_nvidia_header_directory
    except (ImportError, AttributeError):
        for path in finding.in_packages("*/include/cuda_runtime_api.h"):
            return os.path.dirname(path), "site-packages"
        folders = (os.environ.get("CUDA_PATH", ""), os.path.join(root, "usr/local/cuda"))
        for folder in folders:
            if folder and os.path.exists(os.path.join(folder, "include", "cuda_runtime_api.h")):
                return os.path.join(folder, "include"), "system-search"
        return "", ""
    found = locate_nvidia_header_directory("cudart")
    return (str(found.abs_path), str(found.found_via)) if found else ("", "")
