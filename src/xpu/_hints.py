"""What a hint would gain: a recorded program priced again with other devices, never a rule of thumb.

Every number is the machine's prediction for the recorded operations, reads and transfers, with the placement
that the run had and with the one that the hint would bring. Loaded when somebody asks (it takes SciPy).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xpu._machine import Machine
from xpu._placement import ACCELERATOR, HOST
from xpu._program import HostRead, Program, Step
from xpu._program._cut import minimum_cut, price
from xpu._program._moves import moves
from xpu._trace import seconds, size

__all__ = ["Hint", "hints"]

_WORTH = 0.05  # of the predicted time: less is within the model's error
_OFTEN = 3  # transfers of one array from which it counts as going back and forth
_MOST = 5  # arrays looked at


class Hint(NamedTuple):
    """One thing to change.

    Attributes
    ----------
    kind : str
        ``"offload"``, ``"cpu"``, ``"plan"`` or ``"pin"``.
    text : str
        What to write.
    seconds : float
        Predicted gain.
    """

    kind: str
    text: str
    seconds: float


def hints(program: Program, machine: Machine) -> list[Hint]:
    """Return what would make a recorded program faster, the greatest gain first.

    Parameters
    ----------
    program : Program
        As it ran.
    machine : Machine
        Rates and links.

    Returns
    -------
    list of Hint
        Only what gains at least 5% of the predicted time; a simpler hint comes before one that gains hardly more.
    """
    if machine.accelerator is None or not program.steps:
        return []
    # A hint may go against the settings and pins of the run: they are what it would change.
    free = (s._replace(forced="") if isinstance(s, Step) else s for s in program.steps)
    program = program._replace(steps=tuple(free))
    ran = tuple(s.device if isinstance(s, Step) else HOST for s in program.steps)
    now = price(program, machine, ran)
    worth = _WORTH * now
    found: list[Hint] = []

    def offer(kind: str, what: str, devices: Sequence[str], least: float) -> float:
        gain = now - price(program, machine, devices)
        if gain >= least and gain > 0:
            found.append(Hint(kind, f"{what}: {seconds(gain)} less of {seconds(now)} predicted", gain))
        return gain

    on_gpu, on_cpu = _all(program, ACCELERATOR), _all(program, HOST)
    there = offer("offload", "the whole on the GPU (@xpu.offload, config(device='cuda'))", on_gpu, worth)
    here = offer("cpu", "the whole on the CPU (config(device='cpu'))", on_cpu, worth)
    simple = max(there, here, 0.0)
    for number, nbytes in _back_and_forth(program, ran):
        line, pinned = _first_line(program, number), {}
        for device in (HOST, ACCELERATOR):
            devices = _pinned(program, ran, number, device)
            pinned[device] = (now - price(program, machine, devices), devices)
        device = max(pinned, key=lambda d: pinned[d][0])
        name = "cpu" if device == HOST else "cuda"
        what = f"the array of {size(nbytes)} that {line} uses first, pinned by to_device({name!r})"
        offer("pin", what, pinned[device][1], max(worth, simple + worth))
    best = minimum_cut(program, machine)
    offer("plan", "each operation where the whole is fastest (xpu.plan)", best.devices, simple + worth)
    return sorted(found, key=lambda h: -h.seconds)


def _only(step: Step | HostRead) -> str:
    """Return the only device a step can be on, or nothing."""
    if isinstance(step, HostRead) or step.gap:
        return HOST
    return ""


def _all(program: Program, device: str) -> tuple[str, ...]:
    return tuple(_only(step) or device for step in program.steps)


def _pinned(program: Program, ran: Sequence[str], number: int, device: str) -> tuple[str, ...]:
    """Return the placement with one array's operations on one device."""
    return tuple(
        (_only(step) or device) if any(m.storage == number for m in moves(program, step)) else where
        for step, where in zip(program.steps, ran, strict=True)
    )


def _back_and_forth(program: Program, ran: Sequence[str]) -> list[tuple[int, int]]:
    """Return the arrays that went from device to device most, and their sizes."""
    valid = [{HOST, ACCELERATOR} if s.start == "both" else {s.start} for s in program.storages]
    moved = [0] * len(valid)
    times = [0] * len(valid)
    for step, device in zip(program.steps, ran, strict=True):
        for move in moves(program, step):
            if device not in valid[move.storage]:
                moved[move.storage] += move.nbytes
                times[move.storage] += 1
                if move.kept:
                    valid[move.storage].add(device)
        if isinstance(step, Step):
            for number in (*step.writes, *step.results):
                valid[number] = {device}
    often = [n for n, count in enumerate(times) if count >= _OFTEN]
    often.sort(key=lambda n: -moved[n])
    return [(n, program.storages[n].nbytes) for n in often[:_MOST]]


def _first_line(program: Program, number: int) -> str:
    for step in program.steps:
        used = any(m.storage == number for m in moves(program, step))
        if used or (isinstance(step, Step) and number in (*step.writes, *step.results)):
            return step.line
    return ""
