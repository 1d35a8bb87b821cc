"""Timing on any device: medians of interleaved rounds, on one clock, with the device's queue empty at both ends."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import xpu
from xpu._backends import HOST, Backend, backend, now
from xpu._device import parse

__all__ = ["Case", "NotHere", "Run", "each", "interleaved", "library", "rounds_for", "settings"]

# What a library may raise in the middle of a table: it takes the place of a time, and the table goes on.
ERRORS = (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError, ImportError)

# Seconds after which no further round of a row is begun.
ENOUGH = 4.0


class NotHere(Exception):
    """A part, a library or a device that this machine lacks; the message says which."""


class Run(NamedTuple):
    """What a part is told.

    Attributes
    ----------
    device : str
        ``"cuda"`` or ``"pretend"``.
    small : bool
        A dry run: small sizes.
    emit : callable
        Takes one finished row, so that it survives whatever comes after.
    deadline : float
        On `time.monotonic`'s clock: no new row is begun after it.
    """

    device: str
    small: bool
    emit: Callable[[dict[str, Any]], None]
    deadline: float

    @property
    def target(self) -> Backend:
        """The accelerator."""
        return backend(parse(self.device))

    def spent(self) -> bool:
        """Return whether the time is up."""
        return time.monotonic() > self.deadline


Case = Callable[[], Any]


def interleaved(run: Run, cases: Mapping[str, Case | str], rounds: int) -> dict[str, float | str]:
    """Time several ways of one computation in turn.

    Parameters
    ----------
    run : Run
        The device whose queue is waited for.
    cases : dict
        From a name to what to run, or to why there is nothing to run.
    rounds : int
        Readings of each at most, after one that is thrown away; of what takes seconds there is one.

    Returns
    -------
    dict
        Median seconds; text where something failed, or why it was not run.
    """
    began = time.monotonic()
    readings: dict[str, list[float]] = {name: [] for name in cases}
    failed = {name: f"not run: {case}" for name, case in cases.items() if isinstance(case, str)}
    for turn in range(rounds + 1):
        if turn > 1 and (run.spent() or time.monotonic() - began > ENOUGH):
            break  # one reading of each is there
        for name, case in cases.items():
            if name in failed or isinstance(case, str):
                continue
            where = HOST if name in _ON_HOST else run.target
            start = now(where)
            try:
                case()
            except ERRORS as error:
                failed[name] = f"failed: {type(error).__name__}: {error}"[:200]
                continue
            if turn:
                readings[name].append(now(where) - start)
    return {name: failed[name] if name in failed else statistics.median(readings[name]) for name in cases}


_ON_HOST = frozenset({"numpy", "xpu cpu"})


def rounds_for(first: float, most: int) -> int:
    """Return how many rounds to take of something that takes so many seconds."""
    return max(2, min(most, int(0.25 / max(first, 1e-6))))


def each(run: Run, work: Case, times: int) -> float:
    """Return the seconds of one of several calls in a row, on the device's own clock, after one thrown away."""
    work()
    start = run.target.seconds()
    for _ in range(times):
        work()
    return (run.target.seconds() - start) / times


def library(name: str, run: Run) -> Any:
    """Return CuPy or torch on the GPU; in a dry run what plays their part, so that the code runs.

    Raises
    ------
    NotHere
        If it is not installed, or sees no GPU.
    """
    if run.device == "pretend":
        if name == "cupy":
            return SimpleNamespace(
                **{key: getattr(np, key) for key in dir(np) if not key.startswith("__")},
                __name__="cupy",
                asnumpy=np.asarray,
            )
        return _imported("torch")
    found = _imported(name)
    if name == "torch" and not found.cuda.is_available():
        message = "torch sees no GPU"
        raise NotHere(message)
    return found


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"{name} is not installed ({error})"
        raise NotHere(message) from None


def settings(run: Run, mode: str) -> Any:
    """Return the settings of a mode: auto, cpu or gpu."""
    names = {"auto": "auto", "cpu": "cpu", "gpu": run.device}
    return xpu.config(device=names[mode], on_fallback="warn")
