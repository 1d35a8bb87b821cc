"""Compiled kernels, made or read from the disk by a background thread, and taken up when they are there.

A call never waits for the compiler: until its kernels are ready an engine refuses, and the plan takes another one.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import pickle
import threading
from typing import Any

__all__ = ["begin", "module", "ready", "refuse", "wait", "why_not"]

# In the order in which they are made.  Each has `steps()`: calls that compile, or load, one kernel each.
_MODULES = ("xpu.conv._tiles", "xpu.conv._winograd_kernels", "xpu.conv._plane_kernels")
_LOCK = threading.Lock()
# Seconds before the thread imports numba: the call that started it is mostly done then, and need not share with it.
_PAUSE = 0.1


class _State:
    """What is there, and the thread that makes the rest."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.thread: threading.Thread | None = None
        self.problem: str | None = None
        self.leaving = threading.Event()

    def load(self) -> None:
        if self.leaving.wait(_PAUSE):
            return
        for name in _MODULES:
            try:
                module = importlib.import_module(name)
                for step in module.steps():
                    if self.leaving.is_set():
                        return
                    step()
            except (pickle.UnpicklingError, EOFError) as error:
                self.problem = (
                    f"its kernels on the disk cannot be read ({type(error).__name__}: {error}). Delete the files *.nbi "
                    "in NUMBA_CACHE_DIR, or beside the package in __pycache__"
                )
                return
            except (ImportError, OSError, RuntimeError, NotImplementedError) as error:
                self.problem = f"its kernels could not be compiled ({type(error).__name__}: {error})"
                if "no locator available" in str(error):
                    self.problem = (
                        "numba finds no folder to keep its kernels in. Set NUMBA_CACHE_DIR to one that can be written"
                    )
                return
            if self.problem is None:
                self.made[name] = module

    def leave(self) -> None:
        """Wait for the kernel in hand, no longer: the compiler must not be cut off in the middle."""
        self.leaving.set()
        if self.thread is not None:
            self.thread.join()


_STATE = _State()


def _installed() -> bool:
    try:
        return importlib.util.find_spec("numba") is not None
    except ImportError:  # an import hook may refuse it
        return False


def begin() -> None:
    """Start the thread, once, if numba is installed."""
    with _LOCK:
        if _STATE.thread is None and _STATE.problem is None:
            if not _installed():
                _STATE.problem = "numba is not installed"
                return
            _STATE.thread = threading.Thread(target=_STATE.load, name="xpu-conv-compile", daemon=True)
            _STATE.thread.start()
            atexit.register(_STATE.leave)


def module(name: str) -> Any:
    """Return a module of kernels, ``None`` until its kernels are compiled."""
    return _STATE.made.get(f"xpu.conv.{name}")


def why_not(name: str) -> str | None:
    """Return ``None`` where a module's kernels are ready, else why they are not."""
    if module(name) is not None:
        return None
    return _STATE.problem or "its kernels are not compiled yet"


def ready() -> bool:
    """Return whether all kernels are compiled and loaded."""
    return len(_STATE.made) == len(_MODULES)


def wait() -> bool:
    """Begin to compile if need be, wait for the end, and return whether all kernels are ready."""
    begin()
    if _STATE.thread is not None:
        _STATE.thread.join()
    return ready()


def refuse(reason: str) -> None:
    """Do without kernels from now on, as where numba is not installed."""
    with _LOCK:
        _STATE.made.clear()
        _STATE.problem = reason
