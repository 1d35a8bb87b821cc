"""Calibration: this machine measured in about ten seconds, and saved for every later process."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from xpu import _hardware, _store
from xpu._backends import Backend, automatic, forget_machines
from xpu._calibrate._card import LINK_SIZES, link, time_on_card, with_warmup
from xpu._calibrate._fit import Series, doubtful, fit, quieter, steadied
from xpu._calibrate._host import Loops, Memory, looks_far, time_probe
from xpu._calibrate._probes import CODES, COMMON, Probe, probes
from xpu._calibrate._steps import Progress, Step, perform
from xpu._calibrate._timing import CalibrationError, Clock, kept_memory, settle_memory
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
        raise ValueError(text("calibrate", problem, "About ten seconds are enough."))
    target = automatic.get() if automatic.possible and not automatic.profile else None
    found = _hardware.card_of(str(target.device)) if target is not None else None
    show = sys.stderr.isatty() if progress is None else progress
    with _bar(show) as bar:
        machine = measure(target, found, seconds, limit, bar)
    named = _hardware.identity(found)
    if save:
        _keep(machine, named)
    forget_machines(machine)
    if export is not None:  # last: what was measured is kept even if this fails
        _store.write(machine, export)
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
    cpu, pace = _host(start.cpu, wanted, seconds, limit, progress("host"))
    card, up, down = start.accelerator, start.to_device, start.to_host
    if target is not None and card is not None:
        card, up, down = _card(card, wanted, target, (seconds, limit), progress(card.title))
    day = time.strftime("%Y-%m-%d", time.gmtime())
    sources = (f"xpu calibrate, {day}, NumPy {np.__version__}",)
    return Machine("calibrated", start.title, cpu, card, up, down, sources, "", {"pace": pace})


_MEMORY_EVERY, _LOOPS_EVERY = 250, 80  # probes: neighbours use the same caches, and several looks tell
_LIGHT = frozenset({"elementwise", "reduction", "copy"})  # cost classes that caches decide


def _host(
    start: Processor, wanted: list[Probe], seconds: float, limit: float, progress: Progress
) -> tuple[Processor, float]:
    """Return the host as measured, and the pace of its core."""
    settle_memory()
    clock = Clock()
    memory, loops = Memory(clock), Loops(clock)
    series: dict[tuple[str, str], Series] = {}

    def timing(probe: Probe, look: str) -> Callable[[], None]:
        def run() -> None:
            key = (probe.loop, probe.code)
            known = series.get(key)
            if look == "disturbed" and known is not None and not _disturbed(known, clock, memory):
                return
            found = time_probe(probe, clock, far=look == "far")
            series[key] = found if known is None else quieter(known, found)

        return run

    def round_(look: str, some: list[Probe]) -> list[Step]:
        steps = []
        for i, probe in enumerate(some):
            if i % _MEMORY_EVERY == _LOOPS_EVERY:
                steps.append(Step("main memory", memory.run))
            if i % _LOOPS_EVERY == 0:
                steps.append(Step("inner loops", loops.run))
            steps.append(Step(probe.name, timing(probe, look)))
        return steps

    # Time that is left over goes into a second look at common dtypes, for caches are shared and addresses a matter of
    # luck; then into the others, which common ones predict as well, into far looks, and into everything again.
    common = [p for p in wanted if p.code in COMMON or p.op.name == "astype"]
    rare = [p for p in wanted if p not in common]
    far = [probe for probe in wanted if looks_far(probe)]
    light, heavy = ([p for p in common if (p.op.kind in _LIGHT) is here] for here in (True, False))
    plan = (
        *(("first", common), ("again", light), ("disturbed", common), ("again", heavy)),
        *(("first", rare), ("disturbed", wanted), ("far", far), ("again", wanted)),
    )
    with kept_memory():
        perform([step for look, some in plan for step in round_(look, some)], seconds, limit, progress)
    steady = [steadied(one, clock.best) for one in series.values()]
    found = fit(steady, memory.streams(), start, start.title, start.memory)
    return replace(found, loops=loops.curves()), clock.best


def _disturbed(series: Series, clock: Clock, memory: Memory) -> bool:
    slow = not all(clock.quiet(s.pace) for s in series.samples)
    return slow or doubtful(series, memory.streams())


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
    steps += [Step(probe.name, timing(probe)) for probe in wanted if probe.code in CODES[:3] and not probe.variant]
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
