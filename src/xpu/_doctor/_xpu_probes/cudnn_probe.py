"""Probe of cuDNN: which copies there are, whether one starts, and its Python frontend."""

from __future__ import annotations

import ctypes
import os

from . import finding
from .answer import FAILURES, Answer

STARTED = 0


def probe(answer: Answer, root: str) -> None:
    """Tell the copies, the version, whether it starts, whence its parts came, and the frontend.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Root of the file system, for copies outside pip.
    """
    installed = finding.in_packages("*/lib/libcudnn.so.*")
    copies = installed + finding.in_folders("libcudnn.so.9", root)
    answer.fact("copies", list(dict.fromkeys(os.path.realpath(path) for path in copies)))
    with answer.step("load libcudnn"):
        path = _load(copies)
        library = ctypes.CDLL(path)
        answer.fact("path", path)
        answer.fact("found_via", "site-packages" if path in installed else "system-search")
        _start(answer, library)
    answer.fact("loaded", finding.loaded("libcudnn"))
    with answer.step("import cudnn"):
        import cudnn

        answer.fact("frontend", str(cudnn.__version__))
        answer.fact("frontend_backend", int(cudnn.backend_version()))


def _load(copies: list[str]) -> str:
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return str(load_nvidia_dynamic_lib("cudnn").abs_path)
    except FAILURES:
        path = copies[0] if copies else "libcudnn.so.9"
        ctypes.CDLL(path)  # says in the loader's words why not
        return path


def _start(answer: Answer, library: ctypes.CDLL) -> None:
    library.cudnnGetVersion.restype = ctypes.c_size_t
    library.cudnnGetCudartVersion.restype = ctypes.c_size_t
    library.cudnnGetErrorString.restype = ctypes.c_char_p
    answer.fact("version", int(library.cudnnGetVersion()))
    answer.fact("cudart", int(library.cudnnGetCudartVersion()))
    handle = ctypes.c_void_p()
    status = int(library.cudnnCreate(ctypes.byref(handle)))
    answer.fact("status", status)
    if status != STARTED:
        words = library.cudnnGetErrorString(status) or b""
        answer.error("cudnnCreate", f"{words.decode(errors='replace')} ({status})")
        return
    library.cudnnDestroy(handle)
