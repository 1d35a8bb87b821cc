"""Finds what compiles kernels, and compiles: the emulator's own C files and CuPy's kernels, into one folder."""

import hashlib
import os
import shutil
import subprocess
import sysconfig
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

C = Path(__file__).parent / "c"
SOURCES = [C / name for name in ("kernel.h", "threads.h", "threads.c", "entry_points.c")]
OPTIONS = ["-O0", "-fPIC", "-w"]
KERNEL_OPTIONS = ["-std=c++17", "-mf16c", "-fpermissive", "-DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP"]
FOLDER = "XPU_EMULATOR_FOLDER"  # says to child processes where the compiled files are, and that they are emulated
HEADERS = "XPU_EMULATOR_HEADERS"


class EmulatorError(RuntimeError):
    """The emulator cannot be set up; the message says what is missing."""


class Toolchain(NamedTuple):
    """What compiles a kernel, and where to.

    Attributes
    ----------
    gxx : str
        The compiler.
    includes : list of str
        ``-I`` options: the emulator's, CUDA's and CuPy's headers.
    folder : Path
        Compiled files; its name is a digest of everything they depend on besides their own source.
    """

    gxx: str
    includes: list[str]
    folder: Path


def _cuda_headers() -> Path:
    """Find the folder of `cuda_fp16.h`: as asked, the toolkit's, or the one that pip installed."""
    told = [Path(os.environ[v]) for v in (HEADERS,) if os.environ.get(v)]
    toolkit = [Path(os.environ[v]) / "include" for v in ("CUDA_PATH", "CUDA_HOME") if os.environ.get(v)]
    nvidia = find_spec("nvidia")
    roots = nvidia.submodule_search_locations or [] if nvidia else []
    installed = [folder for root in roots for folder in sorted(Path(root).glob("*/include"))]
    for folder in told or [*toolkit, *installed]:
        if (folder / "cuda_fp16.h").exists() and (folder / "crt" / "host_defines.h").exists():
            return folder
    msg = "no CUDA headers: pip install 'nvidia-cuda-runtime==13.*' 'nvidia-cuda-crt==13.*', or give --headers FOLDER"
    raise EmulatorError(msg)


def _cupy_headers() -> list[Path]:
    found = find_spec("cupy")
    if found is None or found.origin is None:
        msg = "no CuPy: pip install 'cupy-cuda13x>=14'"
        raise EmulatorError(msg)
    include = Path(found.origin).parent / "_core" / "include"
    return [include, *(include / "cupy" / "_cccl" / name for name in ("libcudacxx", "thrust", "cub"))]


def toolchain(cache: Path | None = None) -> Toolchain:
    """Find the compiler, the headers and the folder.

    Parameters
    ----------
    cache : Path, optional
        Where folders of compiled files go; without it, the folder that the parent process has chosen.

    Raises
    ------
    EmulatorError
        If the compiler, CuPy or CUDA's headers are missing.
    """
    gxx = shutil.which("g++")
    if gxx is None:
        msg = "no g++ on PATH: the emulator compiles every kernel with it"
        raise EmulatorError(msg)
    includes = [f"-I{p}" for p in (C, _cuda_headers(), *_cupy_headers())]
    if cache is None:
        return Toolchain(gxx, includes, Path(os.environ[FOLDER]))
    compiler = subprocess.run([gxx, "--version"], capture_output=True, text=True, check=True).stdout
    cupy = next(v for v in map(_version, ("cupy-cuda13x", "cupy-cuda12x", "cupy")) if v)
    depends = [compiler, cupy, *OPTIONS, *KERNEL_OPTIONS, *includes, sysconfig.get_config_var("INCLUDEPY")]
    digest = hashlib.sha256("\n".join([*depends, *(s.read_text() for s in SOURCES)]).encode())
    return Toolchain(gxx, includes, cache / digest.hexdigest()[:16])


def _version(package: str) -> str:
    try:
        return version(package)
    except ModuleNotFoundError:  # PackageNotFoundError is one
        return ""


def _compile(tools: Toolchain, target: Path, arguments: list[str]) -> str:
    """Compile to a name of this process and move it into place; return what the compiler said if it failed."""
    made = target.with_name(f"{target.name}.{os.getpid()}")
    done = subprocess.run([tools.gxx, *OPTIONS, *arguments, "-o", str(made)], capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    made.replace(target)
    return ""


def prepare(tools: Toolchain) -> None:
    """Compile the emulator's own files, unless they are there.

    Raises
    ------
    EmulatorError
        If one does not compile.
    """
    tools.folder.mkdir(parents=True, exist_ok=True)
    kernel = [*KERNEL_OPTIONS, *tools.includes]
    python = f"-I{sysconfig.get_path('include')}"
    parts = {
        "libemu_threads.so": ["-O2", "-shared", "-x", "c", str(C / "threads.c")],
        "entry_points.so": ["-O2", "-shared", python, "-x", "c", str(C / "entry_points.c")],
        "kernel.h.gch": [*kernel, "-x", "c++-header", str(C / "kernel.h")],
    }
    for name, arguments in parts.items():
        said = "" if (tools.folder / name).exists() else _compile(tools, tools.folder / name, arguments)
        if said:
            msg = f"{name} does not compile:\n{said[:4000]}"
            raise EmulatorError(msg)


def library(tools: Toolchain, text: str, defines: list[str]) -> tuple[Path, str]:
    """Compile a kernel's C++ text, or find it compiled; return the library and what the compiler said if it failed."""
    key = hashlib.sha256("\n".join([text, *defines]).encode()).hexdigest()[:32]
    target = tools.folder / f"{key}.so"
    if target.exists():
        return target, ""
    source = tools.folder / f"{key}.{os.getpid()}.cpp"
    source.write_text(text, encoding="utf-8")
    folder = str(tools.folder)
    linked = ["-shared", str(source), f"-L{folder}", "-lemu_threads", f"-Wl,-rpath,{folder}"]
    headers = [f"-I{folder}", *tools.includes, "-include", "kernel.h"]
    said = _compile(tools, target, [*KERNEL_OPTIONS, *headers, *defines, *linked])
    source.unlink()
    return target, said
