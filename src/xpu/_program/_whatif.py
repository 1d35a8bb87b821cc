"""What a GPU that is not here would bring to a program: its recorded trace, replayed on a named machine."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from xpu._machine import Machine, load, profile_names, shipped
from xpu._placement import ACCELERATOR, HOST
from xpu._program._cut import minimum_cut
from xpu._program._data import HostRead, Program, Step
from xpu._program._policies import Always, Xpu
from xpu._program._replay import replay
from xpu._tables import Table
from xpu._trace import seconds, size
from xpu.errors import MachineFileError, text

__all__ = ["Report", "machine_named", "scaled", "whatif"]

# How operations grow when every storage grows by some factor: as n cubed where bytes grow as n squared.
_GROWTH = {"matmul": 1.5, "linalg": 1.5}
_FACTORS = tuple(2.0**power for power in range(-8, 13))
_WORTH = 1.05  # what counts as a gain
_TIMED = 20e-6  # calls below this are mostly overhead: their times say nothing about a model


class Deciding(NamedTuple):
    """What one operation contributes: seconds on the host alone and with the GPU, over all its calls."""

    op: str
    calls: int
    on_gpu: int
    host_seconds: float
    seconds: float
    reason: str


@dataclass(frozen=True)
class Report:
    """The answer.

    Attributes
    ----------
    program, machine : str
        What ran, and what it was replayed on.
    host_seconds : float
        Predicted seconds of all operations on the host alone.
    seconds : float
        The same under xpu with the GPU, transfers included.
    best_seconds : float
        The same under the best placement in hindsight.
    other_seconds : float
        Measured here: Python between the operations, which no GPU shortens (recording included).
    bytes_moved, transfers : int
        Under xpu with the GPU.
    deciding : tuple of Deciding
        Operations, the largest difference first.
    pays_from : float or None
        The factor on this run's data from which the GPU pays; None if it does not up to 4096 times.
    doubts : tuple of str
        How sure this is.
    """

    program: str
    machine: str
    host_seconds: float
    seconds: float
    best_seconds: float
    other_seconds: float
    bytes_moved: int
    transfers: int
    deciding: tuple[Deciding, ...]
    pays_from: float | None
    doubts: tuple[str, ...]

    @property
    def speedup(self) -> float:
        """Predicted speed-up of the operations."""
        return self.host_seconds / self.seconds if self.seconds else 1.0

    @property
    def program_speedup(self) -> float:
        """Predicted speed-up of the whole program, Python included."""
        before, after = self.host_seconds + self.other_seconds, self.seconds + self.other_seconds
        return before / after if after else 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        data = {**self.__dict__, "deciding": [d._asdict() for d in self.deciding], "doubts": list(self.doubts)}
        return {**data, "speedup": self.speedup, "program_speedup": self.program_speedup}

    def tables(self) -> list[Table]:
        """Return the report as tables."""
        rows = [
            ["operations on the host alone", seconds(self.host_seconds), "1.00x"],
            ["with the GPU, as xpu would place them", seconds(self.seconds), f"{self.speedup:.2f}x"],
            ["with the GPU, best placement in hindsight", seconds(self.best_seconds), _ratio(self)],
            ["whole program, Python between included", seconds(self.seconds + self.other_seconds), _whole(self)],
        ]
        ops = [
            [d.op, str(d.calls), str(d.on_gpu), seconds(d.host_seconds), seconds(d.seconds), d.reason]
            for d in self.deciding[:10]
        ]
        return [
            Table(f"{self.program} on {self.machine}", ["predicted", "seconds", "speed-up"], rows, (1, 2)),
            Table(
                "the operations that decide",
                ["op", "calls", "on GPU", "host alone", "with GPU", "what holds it on the host"],
                ops,
                (1, 2, 3, 4),
            ),
        ]

    def notes(self) -> list[str]:
        """Return what tables cannot say, a line each."""
        moved = f"moves {size(self.bytes_moved)} in {self.transfers} transfers"
        if self.pays_from is None:
            pays = "the GPU does not pay, not with 4096 times this run's data"
        elif self.pays_from <= 1:
            pays = f"the GPU pays from {self.pays_from:g} times this run's data on"
        else:
            pays = f"the GPU does not pay for this run's data; it does from {self.pays_from:g} times as much on"
        return [moved, pays, "how sure this is:", *(f"  {doubt}" for doubt in self.doubts)]


def _ratio(report: Report) -> str:
    return f"{report.host_seconds / report.best_seconds:.2f}x" if report.best_seconds else "1.00x"


def _whole(report: Report) -> str:
    return f"{report.program_speedup:.2f}x"


def machine_named(name: str) -> Machine:
    """Return the machine to replay on.

    Parameters
    ----------
    name : str
        A shipped profile, or a file that ``xpu calibrate --export`` wrote.

    Raises
    ------
    MachineFileError
        If there is none of that name (the message lists those there are), it cannot be read, or it has no
        accelerator.
    """
    if name.endswith(".json") or os.sep in name:
        try:
            found = load(name)
        except OSError as error:
            problem = f"the machine file {name!r} cannot be read ({error.strerror})"
            raise MachineFileError(text("whatif", problem, "Name one that `xpu calibrate --export` wrote.")) from None
    else:
        found = shipped(name)
    if found.accelerator is None:
        usable = [n for n in profile_names() if shipped(n).accelerator is not None]
        problem = f"the machine {name!r} has no GPU"
        raise MachineFileError(text("whatif", problem, f"Profiles with one: {', '.join(usable)}."))
    return found


def whatif(program: Program, machine: Machine, here: Machine, *, own_cpu: bool) -> Report:
    """Say what a GPU would bring to a recorded program.

    Parameters
    ----------
    program : Program
        Recorded on this machine's host.
    machine : Machine
        With the GPU.
    here : Machine
        This machine: its rates are checked against the times of the recording.
    own_cpu : bool
        Whether `machine` was measured as a whole; otherwise the GPU is thought of as put into this machine.

    Returns
    -------
    Report
        Predictions, and how sure they are.
    """
    if not own_cpu:
        machine = replace(machine, cpu=here.cpu)
    alone, ours = replay(program, machine, Always(HOST)), replay(program, machine, Xpu())
    best = min(minimum_cut(program, machine).seconds, ours.seconds)
    timed = sum(s.seconds for s in program.steps if isinstance(s, Step))
    return Report(
        program=program.name,
        machine=machine.title or machine.name,
        host_seconds=alone.seconds,
        seconds=ours.seconds,
        best_seconds=best,
        other_seconds=max(0.0, program.seconds - timed),
        bytes_moved=ours.bytes_moved,
        transfers=ours.transfers,
        deciding=tuple(_deciding(program, alone.step_seconds, ours.step_seconds, ours.devices)),
        pays_from=_pays_from(program, machine),
        doubts=tuple(_doubts(program, machine, here, timed)),
    )


def _deciding(
    program: Program, alone: Sequence[float], ours: Sequence[float], devices: Sequence[str]
) -> list[Deciding]:
    found: dict[str, Deciding] = {}
    for step, before, after, device in zip(program.steps, alone, ours, devices, strict=True):
        op, reason = ("(read by Python)", "") if isinstance(step, HostRead) else (step.work.op, step.gap)
        old = found.get(op, Deciding(op, 0, 0, 0.0, 0.0, ""))
        there = old.on_gpu + (device == ACCELERATOR)
        found[op] = Deciding(
            op, old.calls + 1, there, old.host_seconds + before, old.seconds + after, old.reason or reason
        )
    return sorted(found.values(), key=lambda d: -abs(d.host_seconds - d.seconds) - bool(d.reason) * d.host_seconds)


def scaled(program: Program, factor: float) -> Program:
    """Return the program with `factor` times its data: bytes grow alike, operations as their kind does.

    Parameters
    ----------
    program : Program
        What ran.
    factor : float
        On the bytes of every storage.

    Returns
    -------
    Program
        An estimate: a run with more data may take other branches.
    """

    def grown(step: Step | HostRead) -> Step | HostRead:
        if isinstance(step, HostRead):
            return step._replace(use=step.use._replace(nbytes=_bytes(step.use.nbytes, factor)))
        power = factor ** _GROWTH.get(step.work.kind, 1.0)
        work = step.work._replace(bytes=step.work.bytes * factor, ops=step.work.ops * power)
        return step._replace(work=work, uses=tuple(u._replace(nbytes=_bytes(u.nbytes, factor)) for u in step.uses))

    storages = tuple(s._replace(nbytes=_bytes(s.nbytes, factor)) for s in program.storages)
    return program._replace(storages=storages, steps=tuple(map(grown, program.steps)))


def _bytes(nbytes: int, factor: float) -> int:
    """Scale an array; a scalar stays one."""
    return nbytes if nbytes <= 16 else max(1, round(nbytes * factor))


def _pays_from(program: Program, machine: Machine) -> float | None:
    found: float | None = None
    for factor in _FACTORS:
        grown = scaled(program, factor)
        alone, ours = replay(grown, machine, Always(HOST)), replay(grown, machine, Xpu())
        if alone.seconds < _WORTH * ours.seconds:
            found = None
        elif found is None:
            found = factor
    return found


def _advice(here: Machine) -> str:
    if here.cpu.curves:
        return ": the machine was busy, now or when it was calibrated; run both again when it is at rest"
    return ": run `xpu calibrate` first"


def _doubts(program: Program, machine: Machine, here: Machine, timed: float) -> Iterator[str]:
    if machine.note:
        yield f"the GPU's rates: {machine.note[0].lower()}{machine.note[1:]}"
    elif not machine.sources:
        yield "the GPU's rates: nobody says where they are from"
    if program.seconds:
        yield f"{timed / program.seconds:.0%} of the recorded {seconds(program.seconds)} were spent in operations"
    steps = [s for s in program.steps if isinstance(s, Step) and s.seconds >= _TIMED and s.device == HOST]
    ratios = [s.seconds / here.cpu.seconds(s.work) for s in steps if here.cpu.seconds(s.work) > 0]
    if len(ratios) >= 5:
        near = sum(1 / 1.3 <= r <= 1.3 for r in ratios) / len(ratios)
        middle = statistics.median(ratios)
        yield (
            f"on this CPU, in this run, operations above 20 us took {middle:.2f} times what is predicted (median of "
            f"{len(ratios):,}; {near:.0%} within 30 %)" + ("" if near >= 0.5 else _advice(here))
        )
    else:
        yield "too few operations above 20 us to compare predicted with measured times"
    yield "steps are thought to run one after another: what a GPU overlaps with the host comes on top"
