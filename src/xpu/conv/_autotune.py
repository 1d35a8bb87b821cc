"""Measured plans: each engine that may win runs once per convolution, and the winner is kept on disk.

A prediction knows rates; a measurement knows this processor's caches.  It costs a few runs of the
convolution, once per shape, so it is asked for: ``xpu.config(autotune=True)``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import statistics
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy

from xpu import _hardware
from xpu.conv import _autotune_store, _threads
from xpu.conv._geometry import ConvGeometry
from xpu.conv._plan import ConvPlan, execute, plan_conv, with_engine, with_measured

__all__ = ["forget", "measure", "tuned_plan"]

Array = Any
Clock = Callable[[], float]

# An engine predicted this many times slower than the fastest is not worth a run.
HOPELESS = 30.0
# One whose first run takes this many times the best so far gets no second one.
BEATEN = 3.0
ROUNDS = 5
# Seconds after which an engine is not run again.
BUDGET = 0.2
# First runs up to this many seconds are repeated: they may have built a plan or read a library.
SHORT = 0.1
# Seconds before the next engine on several threads: the idle threads of a BLAS or of OpenMP spin on for up to
# about 30 ms and would slow what comes after them.
SETTLE = 0.04
_MOST_KNOWN = 4096
# What the engines run on: a new version is measured anew.
_LIBRARIES = {
    "compiled": "numba",
    "planes": "numba",
    "onednn": "onednn-cpu-gomp",
    "fft": "scipy",
    "cudnn": "nvidia-cudnn-frontend",
}


class _Known:
    """Times already read or measured in this process, and the lock under which one is measured at a time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.times: OrderedDict[tuple[Any, ...], dict[str, float]] = OrderedDict()


_KNOWN = _Known()


def _in_child() -> None:
    _KNOWN.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def forget() -> None:
    """Forget what this process knows; the files stay."""
    with _KNOWN.lock:
        _KNOWN.times.clear()


def tuned_plan(geometry: ConvGeometry, **options: Any) -> ConvPlan:
    """Return the plan with the engine that was fastest when measured here.

    Parameters
    ----------
    geometry : ConvGeometry
        What to compute.
    **options
        Those of `xpu.conv.plan_conv`: ``device``, ``engines``, ``workspace_limit``, ``without``.

    Returns
    -------
    ConvPlan
        With ``measured`` set. As predicted where only one engine is left, or none could be run.

    Warns
    -----
    MachineFileWarning
        If a kept file cannot be used; the engines are then measured again.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 2, 64), (2, 2, 3), "f4", "f4")
    >>> tuned_plan(g, engines=("gemm", "direct")).measured
    True
    """
    plan = plan_conv(geometry, **options)
    if len(plan.seconds) < 2 or geometry.empty:
        return plan
    memory = (geometry, plan.device, _threads.count(), tuple(sorted(dict(plan.seconds))))
    with _KNOWN.lock:
        seconds = _KNOWN.times.get(memory)
        if seconds is None:
            key = _key(plan)
            seconds = _autotune_store.get(key)
            if seconds is None:
                seconds = measure(plan)
                if not seconds:
                    return plan
                _autotune_store.put(key, seconds)
            _KNOWN.times[memory] = seconds
            if len(_KNOWN.times) > _MOST_KNOWN:
                _KNOWN.times.popitem(last=False)
    return with_measured(plan, seconds)


def _key(plan: ConvPlan) -> dict[str, Any]:
    """Return what a measurement depends on, as plain data."""
    return {
        "geometry": str(plan.geometry),
        "threads": _threads.count(),
        "engines": {name: _version(name) for name in sorted(dict(plan.seconds))},
        "numpy": numpy.__version__,
        "processor": _processor(plan.device),
    }


@functools.cache
def _processor(device: str) -> str:
    card = _hardware.first_card() if device == "cuda" else None
    host = _hardware.host()
    return f"{host.title}, {host.cores} cores" + (f"; {card.title}, driver {card.driver}" if card else "")


@functools.cache
def _version(engine: str) -> str:
    package = _LIBRARIES.get(engine.partition("-")[0].partition(":")[0])
    try:
        return "" if package is None else importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def measure(plan: ConvPlan, clock: Clock = time.perf_counter) -> dict[str, float]:
    """Run the engines of a plan that may win and return the median seconds of each.

    Parameters
    ----------
    plan : ConvPlan
        With predicted seconds, fastest first.
    clock : callable
        Returns seconds.

    Returns
    -------
    dict of str to float
        Engines that were run to the end; empty where none could be, as for want of memory.
    """
    xp, finish = _namespace(plan)
    try:
        first, second = (_operand(xp, shape, plan.geometry.dtype) for shape in plan.geometry.operand_shapes)
    except MemoryError:
        return {}

    def once(engine: str) -> float:
        start = clock()
        execute(with_engine(plan, engine), xp, first, second)
        finish()
        return clock() - start

    times: dict[str, float] = {}
    best = float("inf")
    fastest = plan.seconds[0][1]
    for engine, predicted in plan.seconds:
        if times and predicted > HOPELESS * fastest:
            continue
        if _threads.count() > 1:
            time.sleep(SETTLE)
        try:
            samples = [once(engine)]
            if samples[0] < SHORT:
                samples = [once(engine)]
            while len(samples) < ROUNDS and sum(samples) < BUDGET and samples[0] <= BEATEN * best:
                samples.append(once(engine))
        except (MemoryError, RuntimeError):  # cuDNN's refusals and NotImplementedError are RuntimeErrors
            continue
        times[engine] = statistics.median(samples)
        best = min(best, times[engine])
    return times


def _namespace(plan: ConvPlan) -> tuple[Any, Callable[[], object]]:
    """Return the library of the plan's arrays and what waits for its queue."""
    if plan.device == "cpu":
        return numpy, lambda: None
    cupy = importlib.import_module("cupy")
    return cupy, lambda: cupy.cuda.get_current_stream().synchronize()


def _operand(xp: Any, shape: tuple[int, ...], dtype: numpy.dtype[Any]) -> Array:
    """Return numbers between -1 and 1 that are no subnormals: 16 of them, over and over."""
    values = numpy.linspace(-1, 1, 16) + (0.25j if dtype.kind == "c" else 0)
    return xp.resize(xp.asarray(values.astype(dtype)), shape)
