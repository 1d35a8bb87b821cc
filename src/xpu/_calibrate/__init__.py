"""Calibration: this machine measured in about ten seconds, and saved for every later process."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from xpu import _hardware, _store
from xpu._backends import Backend, automatic, forget_machines
from xpu._calibrate._card import LINK_SIZES, link, time_on_card, with_warmup
from xpu._calibrate._fit import Series, fit, quieter
from xpu._calibrate._host import Memory, time_probe
from xpu._calibrate._probes import CODES, Probe, probes
from xpu._calibrate._steps import Progress, Step, perform
from xpu._calibrate._timing import CalibrationError, Clock
from xpu._machine import Machine
from xpu._processor import Link, Processor
from xpu.errors import MachineFileWarning, text, warn_user

__all__ = ["CalibrationError", "measure", "run"]


def run(
    seconds: float, limit: float, export: str | os.PathLike[str] | None, save: bool, progress: bool | None
) -> Machine:
    """Do what `xpu.calibrate` says."""
    if not seconds > 0 or not limit > 0:
        problem = f"seconds={seconds!r} and limit={limit!r} must both be positive"
        raise ValueError(text("calibrate", problem))
    target = automatic.get() if automatic.possible and not automatic.profile else None
    found = _hardware.first_card() if target is not None else None
    show = sys.stderr.isatty() if progress is None else progress
    with _bar(show) as bar:
        machine = measure(target, found, seconds, limit, bar)
    named = _hardware.identity(found)
    if export is not None:
        _store.write(machine, export)
    if save:
        _keep(machine, named)
    forget_machines(machine)
    return machine


def measure(
    target: Backend | None,
    found: _hardware.Card | None,
    seconds: float,
    limit: float,
    progress: Callable[[str], Progress],
) -> Machine:
    """Measure the host and, if there is one, the GPU `target`; nothing is saved."""
    start = _hardware.start(found)
    wanted = probes()
    cpu = _host(start.cpu, wanted, seconds, limit, progress("host"))
    card, up, down = start.accelerator, start.to_device, start.to_host
    if target is not None and card is not None:
        card, up, down = _card(card, wanted, target, (seconds, limit), progress(card.title))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    sources = (f"xpu calibrate, {day}, NumPy {np.__version__}",)
    return Machine("calibrated", start.title, cpu, card, up, down, sources, "")


def _host(start: Processor, wanted: list[Probe], seconds: float, limit: float, progress: Progress) -> Processor:
    clock = Clock()
    memory = Memory(clock)
    series: dict[tuple[str, str], Series] = {}

    def timing(probe: Probe) -> Callable[[], None]:
        def run() -> None:
            found = time_probe(probe, clock)
            key = (found.op, found.code)
            series[key] = quieter(series[key], found) if key in series else found

        return run

    round_ = [Step("main memory", memory.run), *(Step(probe.name, timing(probe)) for probe in wanted)]
    perform(round_ * 2, seconds, limit, progress)  # time that is left over goes into a second round
    return fit(series.values(), memory.streams(), start, start.title, start.memory)


def _card(
    start: Processor, wanted: list[Probe], target: Backend, times: tuple[float, float], progress: Progress
) -> tuple[Processor, Link, Link]:
    events: Any = importlib.import_module("xpu._backends._events")
    timer = events.Events(target.device)
    copies: dict[tuple[bool, str], list[tuple[int, float]]] = {}
    series: list[Series] = []
    warmups: list[tuple[str, float]] = []

    def copying(nbytes: int, pinned: bool) -> Callable[[], None]:
        def run() -> None:
            up, down = events.copy_seconds(timer, nbytes, pinned=pinned)
            copies.setdefault((pinned, "up"), []).append((nbytes, up))
            copies.setdefault((pinned, "down"), []).append((nbytes, down))

        return run

    def timing(probe: Probe) -> Callable[[], None]:
        def run() -> None:
            one, cold = time_on_card(probe, target, timer)
            series.append(one)
            warmups.append((probe.op.kind, cold))

        return run

    steps = [Step(f"link, {n} bytes, pinned={p}", copying(n, p)) for p in (False, True) for n in LINK_SIZES]
    steps += [Step(probe.name, timing(probe)) for probe in wanted if probe.code in CODES[:3]]
    perform(steps, times[0], times[1], progress)
    card = with_warmup(fit(series, None, start, start.title, start.memory), warmups)
    return card, link(copies[False, "up"], copies[True, "up"]), link(copies[False, "down"], copies[True, "down"])


def _keep(machine: Machine, named: Any) -> None:
    try:
        _store.put(machine, named)
    except OSError as error:
        problem = f"{_store.path_of(named)!r} cannot be written ({error})"
        remedy = "The calibration holds for this process; make room and calibrate again."
        warn_user(MachineFileWarning(text("calibrate", problem, remedy)))


@contextlib.contextmanager
def _bar(show: bool) -> Iterator[Callable[[str], Progress]]:
    """Return what makes a progress bar per device, or one that says nothing."""
    if not show:
        yield lambda device: lambda share, step: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[device]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as drawn:

        def one(device: str) -> Callable[[float, str], None]:
            task = drawn.add_task("", total=1.0, device=device)
            return lambda share, step: drawn.update(task, completed=share, description=step)

        yield one
