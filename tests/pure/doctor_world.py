"""A made-up machine for the tests of `xpu doctor`.

Nothing of the tested code is replaced: the real probes run in real child processes, with the real
`site-packages` switched off (``python -S``) and this world in its place: packages with their
metadata, shared libraries from the C compiler, and a root folder with ``dev``, ``proc``, ``sys``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from xpu._doctor import Report, _run, diagnose
from xpu._doctor._facts import Process

COMPILER = shutil.which("cc") or shutil.which("gcc")

# Stands for libnvidia-ml.so.1; https://docs.nvidia.com/deploy/nvml-api/ has the real signatures.
NVML = """
#include <string.h>
int nvmlInit_v2(void) { return STATUS; }
int nvmlInitWithFlags(unsigned flags) { return STATUS; }  /* what nvidia-ml-py calls */
int nvmlSystemGetDriverVersion(char *t, unsigned n) { strncpy(t, DRIVER, n); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *v) { *v = CUDA; return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = COUNT; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) { *h = (void *)(1L + i); return 0; }
int nvmlDeviceGetName(void *h, char *t, unsigned n) { strncpy(t, "NVIDIA H200", n); return 0; }
int nvmlDeviceGetMemoryInfo(void *h, unsigned long long *m) {
    m[0] = 150ULL << 30; m[1] = FREE; m[2] = m[0] - m[1]; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *h, int *a, int *b) {
    *a = MAJOR; *b = MINOR; return 0; }
int nvmlDeviceGetCurrPcieLinkGeneration(void *h, unsigned *v) { *v = 1; return 0; }
int nvmlDeviceGetMaxPcieLinkGeneration(void *h, unsigned *v) { *v = 5; return 0; }
int nvmlDeviceGetCurrPcieLinkWidth(void *h, unsigned *v) { *v = LANES; return 0; }
int nvmlDeviceGetMaxPcieLinkWidth(void *h, unsigned *v) { *v = 16; return 0; }
"""  # nvmlDeviceGetMigMode is left out: older drivers lack it

# Stands for every library of the toolkit: each asks only for its own function.
TOOLKIT = """
#define PROPERTIES(f) int f(int which, int *v) { \\
    int p[] = {MAJOR, MINOR, 0}; *v = p[which]; return 0; }
int cudaRuntimeGetVersion(int *v) { *v = 1000 * MAJOR + 10 * MINOR; return 0; }
int nvrtcVersion(int *a, int *b) { *a = MAJOR; *b = MINOR; return 0; }
int nvJitLinkVersion(unsigned *a, unsigned *b) { *a = MAJOR; *b = MINOR; return 0; }
int nvrtcGetNumSupportedArchs(int *n) { *n = 3; return 0; }
int nvrtcGetSupportedArchs(int *v) { v[0] = 75; v[1] = 90; v[2] = 120; return 0; }
PROPERTIES(cublasLtGetProperty) PROPERTIES(cublasGetProperty) PROPERTIES(cufftGetProperty)
PROPERTIES(curandGetProperty) PROPERTIES(cusparseGetProperty) PROPERTIES(cusolverGetProperty)
"""

CUDNN = """
#include <stddef.h>
#ifdef PART
int cudnn_part(void);
int cudnnCreate(void **h) { return cudnn_part(); }
#else
int cudnnCreate(void **h) { return STATUS; }
#endif
size_t cudnnGetVersion(void) { return 91900; }
size_t cudnnGetCudartVersion(void) { return 13010; }
const char *cudnnGetErrorString(int s) {
    return s == 1001 ? "CUDNN_STATUS_NOT_INITIALIZED"
                     : "CUDNN_STATUS_SUBLIBRARY_VERSION_MISMATCH"; }
int cudnnDestroy(void *h) { return 0; }
"""

# Stands for CuPy: the calls of the probe, each failing with the message it is told to fail with.
CUPY = """
import json, os, types, warnings
PLAN = json.loads({plan!r})
__version__ = {version!r}

class CUDARuntimeError(RuntimeError):
    pass

class CompileException(Exception):
    pass

def may_fail(step):
    if step in PLAN:
        kind, text = PLAN[step]
        raise {{"cuda": CUDARuntimeError, "compile": CompileException,
               "permission": PermissionError}}.get(kind, RuntimeError)(text)

for text in PLAN.get("warnings", ()):
    warnings.warn(text)
may_fail("import")

def count():
    may_fail("count")
    return PLAN.get("devices", 1)

runtime = types.SimpleNamespace(
    driverGetVersion=lambda: PLAN.get("driver", 13000), runtimeGetVersion=lambda: 13020,
    getDeviceCount=count)
cuda = types.SimpleNamespace(
    runtime=runtime, compiler=types.SimpleNamespace(CompileException=CompileException))

class Row(list):
    def __mul__(self, factor):
        may_fail("compile")
        return Row(x * factor for x in self)
    def sum(self):
        return sum(self)

class Grid:
    def __matmul__(self, other):
        may_fail("matmul")
        return Grid()
    def __getitem__(self, index):
        return 64.0

def arange(n, dtype=None):
    return Row(range(n))
def ones(shape, dtype=None):
    return Grid()
def sort(row):
    may_fail("sort")
    return sorted(row)
def transform(grid):
    may_fail("fft")
    return [64.0 + 0j]
fft = types.SimpleNamespace(fft=transform)
"""

# Stands for nvidia-ml-py: the error carries the status, and everything else is as in the library.
PYNVML = """
class NVMLError(Exception):
    def __init__(self, value):
        super().__init__("No permission")
        self.value = value
def nvmlInit():
    if STATUS:
        raise NVMLError(STATUS)
def nvmlSystemGetDriverVersion():
    return b"570.1"
def nvmlSystemGetCudaDriverVersion_v2():
    return 12080
def nvmlDeviceGetCount():
    return 1
def nvmlDeviceGetHandleByIndex(index):
    return index
def nvmlDeviceGetName(handle):
    return b"NVIDIA A100"
def refuse(handle):
    raise NVMLError(3)
nvmlDeviceGetCudaComputeCapability = lambda handle: (8, 0)
nvmlDeviceGetMemoryInfo = nvmlDeviceGetMigMode = refuse
nvmlDeviceGetCurrPcieLinkGeneration = nvmlDeviceGetMaxPcieLinkGeneration = refuse
nvmlDeviceGetCurrPcieLinkWidth = nvmlDeviceGetMaxPcieLinkWidth = refuse
"""

# Stands for cuda-pathfinder: finds what it is told of.
PATHFINDER = """
import types
class DynamicLibNotFoundError(RuntimeError):
    pass
def load_nvidia_dynamic_lib(name):
    if name not in FOUND:
        raise DynamicLibNotFoundError(f'Failure finding "lib{name}.so.13": No such file')
    return types.SimpleNamespace(abs_path=FOUND[name], found_via="conda")
def locate_nvidia_header_directory(name):
    return None
"""


class World:
    """A machine to be diagnosed; without further calls it is bare: no driver, card or package.

    Parameters
    ----------
    folder : Path
        An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root, self.site, self.loader = folder / "root", folder / "site", folder / "loader"
        for path in (self.root / "sys/bus/pci/devices", self.site, self.loader, folder / "home"):
            path.mkdir(parents=True)
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(self.site),
            "LD_LIBRARY_PATH": str(self.loader),
        }
        self.python: tuple[str, ...] = (sys.executable, "-S", "-P")
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            self.env["COVERAGE_PROCESS_CONFIG"] = os.environ["COVERAGE_PROCESS_CONFIG"]
            self.env["XPU_COVERAGE"] = str(Path(sys.modules["coverage"].__path__[0]).parent)
            self.python += (str(Path(__file__).with_name("watched_child.py")),)
        self.card_on_bus("0x1af4", "0x020000")  # some other device, so that the bus can be read

    def card_on_bus(self, vendor: str = "0x10de", kind: str = "0x030200") -> None:
        """Plug a PCI device in; an NVIDIA display controller by default."""
        device = self.root / f"sys/bus/pci/devices/0000:{vendor[2:]}"
        self.write(device / "vendor", vendor + "\n")
        self.write(device / "class", kind + "\n")

    def write(self, path: Path, text: str) -> Path:
        """Write a file and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, source: str, target: Path, *options: str, **defined: object) -> Path:
        """Make a shared library from C."""
        if COMPILER is None:
            pytest.skip("no C compiler to make the made-up libraries with")
        target.parent.mkdir(parents=True, exist_ok=True)
        macros = [f"-D{name}={value}" for name, value in defined.items()]
        command = [COMPILER, "-shared", "-fPIC", "-w", "-x", "c", "-", "-o", str(target)]
        options = ("-x", "none", *options)
        subprocess.run([*command, *macros, *options], input=source, text=True, check=True)
        return target

    def driver(
        self,
        version: str = "580.159.04",
        cuda: int = 13000,
        cc: tuple[int, int] = (9, 0),
        *,
        count: int = 1,
        free: int = 149 << 30,
        lanes: int = 16,
        status: int = 0,
    ) -> None:
        """Install a driver (its NVML) and plug cards in."""
        self.card_on_bus()
        values = {"STATUS": status, "CUDA": cuda, "COUNT": count, "FREE": f"{free}ULL"}
        values |= {"MAJOR": cc[0], "MINOR": cc[1], "LANES": lanes, "DRIVER": f'"{version}"'}
        self.compile(NVML, self.loader / "libnvidia-ml.so.1", **values)

    def package(self, name: str, version: str) -> None:
        """Install the metadata of a package."""
        folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        self.write(folder / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def cupy(self, wheel: str = "cupy-cuda13x", version: str = "14.2.0", **plan: object) -> None:
        """Install a CuPy whose named steps fail with ``(kind, message)``."""
        self.package(wheel, version)
        source = CUPY.format(plan=json.dumps(plan), version=version)
        self.write(self.site / "cupy/__init__.py", source)

    def toolkit(
        self,
        version: tuple[int, int] = (13, 0),
        *,
        headers: tuple[int, int] | None = (13, 0),
        without: Sequence[str] = (),
    ) -> Path:
        """Install the toolkit as pip lays it out; return its folder."""
        home = self.site / "nvidia/cu13"
        names = ("cudart", "nvrtc", "nvJitLink", "cublasLt", "cublas", "cufft", "curand")
        first = home / "lib/first"
        self.compile(TOOLKIT, first, MAJOR=version[0], MINOR=version[1])
        for name in (*names, "cusparse", "cusolver"):
            if name not in without:
                shutil.copy(first, home / f"lib/lib{name}.so.{version[0]}")
        if headers:
            define = f"#define CUDART_VERSION  {headers[0] * 1000 + headers[1] * 10}\n"
            for header in ("cuda_runtime_api.h", "vector_types.h", "cuda_fp16.h"):
                if header not in without:
                    self.write(home / "include" / header, define)
        return home

    def cudnn(self, status: int = 0, frontend: str = "1.28.0") -> Path:
        """Install cuDNN with its frontend; return its library."""
        self.package("nvidia-cudnn-cu13", "9.19.0.56")
        self.package("nvidia-cudnn-frontend", frontend)
        source = f"__version__ = {frontend!r}\ndef backend_version():\n    return 91900\n"
        self.write(self.site / "cudnn/__init__.py", source)
        library = self.site / "nvidia/cudnn/lib/libcudnn.so.9"
        return self.compile(CUDNN, library, STATUS=status)

    def healthy(self, **cupy: object) -> World:
        """Install everything, of today."""
        self.driver()
        self.toolkit()
        self.cudnn()
        self.cupy(**cupy)
        return self

    def report(self, process: Process | None = None, **limits: float) -> Report:
        """Let the doctor look at this machine, with time limits for the named probes."""
        plans = _run.plans(root=str(self.root), python=self.python)
        plans = tuple(replace(p, limit=limits.get(p.name, p.limit)) for p in plans)
        return diagnose(plans, process=process, env=self.env)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a bare machine."""
    return World(tmp_path)


def verdict(report: Report, part: str) -> str:
    """Return the verdict of the first row of that name."""
    return next(row.verdict for row in report.rows if row.part == part)


def keys(report: Report) -> list[str]:
    """Return the findings' names, in their order."""
    return [finding.key for finding in report.findings]


def mend(report: Report, key: str) -> str:
    """Return the command that mends one finding."""
    return next(finding.mend for finding in report.findings if finding.key == key)
