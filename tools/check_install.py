"""Check that ``pip install "xpu-array[cuda13]"`` is all that a user with a driver needs.

    python tools/check_install.py                    # both extras resolve (about a minute)
    python tools/check_install.py --install cuda13   # a real install, some 3 GB on disk, deleted after

The real install goes into a virtual environment of its own. There CuPy and the cuDNN frontend are
imported, every library CuPy and xpu call is found and loaded through cuda-pathfinder, NVRTC compiles
a kernel with the installed headers for an H100 (which needs no GPU), and the doctor is asked whether
the parts fit. It stands outside the test suite for its size. Exit status 0: all is well.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

EXTRAS = ("cuda12", "cuda13")
LIBRARIES = (
    "cudart", "nvrtc", "nvJitLink", "cublasLt", "cublas", "cufft", "curand", "cusparse", "cusolver", "cudnn",
)  # fmt: skip
KERNEL = b"""
#include <cuda_fp16.h>
extern "C" __global__ void twice(__half *x) { x[threadIdx.x] = x[threadIdx.x] + x[threadIdx.x]; }
"""
PARTS = ("CuPy", "CUDA runtime", "NVRTC", "CUDA headers", "cuBLAS", "cuFFT", "cuRAND", "cuSPARSE",
         "cuSOLVER", "cuDNN", "cuDNN frontend", "nvidia-ml-py", "cuda-pathfinder")  # fmt: skip


def resolve(python: Path, project: Path, extra: str) -> bool:
    """Let pip resolve an extra without installing it; print what it would install."""
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"]
    done = subprocess.run([*command, f"{project}[{extra}]"], capture_output=True, text=True, check=False)
    good = done.returncode == 0 and f'"name": "cupy-{extra}x"' in done.stdout
    print(f"{extra}: {'resolves' if good else 'does not resolve: ' + done.stderr[-400:]}")
    return good


def install(python: Path, project: Path, extra: str) -> bool:
    """Install an extra for real, and look at it from inside."""
    pip = [str(python), "-m", "pip", "install", "--quiet", f"{project}[{extra}]"]
    if subprocess.run(pip, check=False).returncode:
        print(f"{extra}: pip failed")
        return False
    inside = [str(python), str(Path(__file__).resolve()), "--inside"]
    return subprocess.run(inside, check=False, cwd=python.parent).returncode == 0


def look() -> bool:
    """Check the environment this runs in; print a line per check."""
    import cudnn
    import cupy
    from cuda.pathfinder import find_nvidia_header_directory, load_nvidia_dynamic_lib

    print(f"cupy {cupy.__version__}, cudnn frontend {cudnn.__version__}: imported")
    bad = []
    for name in LIBRARIES:
        found = load_nvidia_dynamic_lib(name)
        print(f"{name}: {found.found_via}: {found.abs_path}")
        if not Path(found.abs_path).is_relative_to(sys.prefix):
            bad.append(f"{name} is not this environment's: {found.abs_path}")
    folder = find_nvidia_header_directory("cudart")
    size = compile_kernel(load_nvidia_dynamic_lib("nvrtc").abs_path, str(folder))
    print(f"headers: {folder}; NVRTC made {size} bytes of code for sm_90 with them")
    if not size:
        bad.append("NVRTC compiled nothing")
    bad += ask_doctor()
    print("\n".join(bad) or "all is well")
    return not bad


def ask_doctor() -> list[str]:
    """Return what the doctor finds wrong with the installed parts; the card is not its concern."""
    from xpu._doctor import doctor

    report = doctor()
    print(report)
    wrong = [f"{r.part}: {r.found}" for r in report.rows if r.part in PARTS and r.verdict != "ok"]
    return wrong + [f"{f.part}: {f.cause}" for f in report.findings if f.part in PARTS]


def compile_kernel(nvrtc: str, headers: str) -> int:
    """Compile `KERNEL` for compute capability 9.0; return the size of the binary, in bytes."""
    library = ctypes.CDLL(nvrtc)
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    library.nvrtcCreateProgram(ctypes.byref(program), KERNEL, b"twice.cu", 0, None, None)
    options = (ctypes.c_char_p * 2)(b"-arch=sm_90", f"-I{headers}".encode())
    status = library.nvrtcCompileProgram(program, 2, options)
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    return 0 if status else size.value


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--install", choices=EXTRAS, help="install this one for real")
    parser.add_argument("--folder", help="where the environment goes (a temporary folder)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return 0 if look() else 1
    project = Path(__file__).resolve().parent.parent
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        if options.install:
            return 0 if install(python, project, options.install) else 1
        resolved = [resolve(python, project, extra) for extra in EXTRAS]  # both, to see both
        return 0 if all(resolved) else 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
