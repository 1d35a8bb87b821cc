"""Timing on any device: medians of interleaved rounds, with the device's queue empty at both ends."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import xpu
from xpu._backends import backend
from xpu._device import parse

__all__ = ["clock_of", "cupy_or_none", "interleaved", "torch_or_none"]


def clock_of(device: str) -> Callable[[], float]:
    """Return the clock of a device, read after its work is done: the host's clock, or virtual time (pretend)."""
    return time.perf_counter if device == "cpu" else backend(parse(device)).seconds


def interleaved(
    cases: Mapping[str, tuple[Callable[[], Any], Callable[[], float]]], rounds: int
) -> dict[str, float | str]:
    """Time several ways of one computation in turn; an error takes the place of a time.

    Parameters
    ----------
    cases : dict
        From a name to what to run and the clock to read.
    rounds : int
        Readings of each, after one that is thrown away.

    Returns
    -------
    dict
        Median seconds, or the error's text.
    """
    readings: dict[str, list[float]] = {name: [] for name in cases}
    failed: dict[str, str] = {}
    for turn in range(rounds + 1):
        for name, (work, clock) in cases.items():
            if name in failed:
                continue
            start = clock()
            try:
                work()
            except (
                RuntimeError,
                TypeError,
                ValueError,
                ArithmeticError,
                LookupError,
                AttributeError,
                MemoryError,
            ) as e:
                failed[name] = f"{type(e).__name__}: {e}"[:200]
                continue
            if turn:
                readings[name].append(clock() - start)
    return {name: failed.get(name) or statistics.median(readings[name]) for name in cases}


def cupy_or_none(device: str) -> Any:
    """Return CuPy where there is a GPU to run it on."""
    return importlib.import_module("cupy") if device == "cuda" else None


def torch_or_none(device: str) -> Any:
    """Return torch where it is installed and sees the GPU."""
    if device != "cuda":
        return None
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def settings(device: str, mode: str) -> Any:
    """Return the settings of a mode: auto, cpu or gpu."""
    names = {"auto": "auto", "cpu": "cpu", "gpu": device}
    return xpu.config(device=names[mode], on_fallback="warn")
