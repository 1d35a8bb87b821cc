"""Puts the played card under CuPy the moment it is imported, and not before."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from played import build

_DEVICE_FILE = "/dev/nvidiactl"


def _before_cupy() -> None:
    from played import runtime

    runtime.play(Path(os.environ[build.FOLDER]) / "entry_points.so")


def _after_cupy(cupy: Any) -> None:
    from played import blas, fft, kernels, sorting

    libraries = importlib.import_module("cupy_backends.cuda.libs")
    sys.modules["cupy_backends.cuda.libs.cublas"] = libraries.cublas = cupy.cuda.cublas = blas.module()
    sys.modules["cupy.cuda.cufft"] = cupy.cuda.cufft = fft.module()
    kernels.play(importlib.import_module("cupy.cuda.compiler"), importlib.import_module("cupy.cuda.function"))
    sorting.play(importlib.import_module("cupy.cuda.thrust"))


def _show_a_driver() -> None:
    """Let the driver's device file seem to be there: by it xpu knows one."""
    there = os.path.exists
    os.path.exists = lambda path: path == _DEVICE_FILE or there(path)


class _Around(Loader):
    """CuPy's own loader, and what is to happen around it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = module.__spec__.loader = self.inner
        _before_cupy()
        self.inner.exec_module(module)
        _after_cupy(module)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if name != "cupy":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Around(spec.loader)
        return spec


def install() -> None:
    """Show a driver, and wait for CuPy."""
    _show_a_driver()
    sys.meta_path.insert(0, _Finder())
