"""Whether a call fits on the accelerator, and if not, how it is cut and whether that pays. Pure arithmetic."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from xpu._chunks import _maps, _reductions, _windows
from xpu._chunks._scheme import Scheme
from xpu._machine import Machine
from xpu._op import OPS, Op, Shaped, Work

__all__ = ["IN_FLIGHT", "Plan", "Step", "fits", "planned", "shorter"]

# Share of the accelerator's memory that one call may take, in pieces or whole.
_SHARE = 0.8
# Pieces that lie there at once: two ahead, one that computes, one that goes back.
IN_FLIGHT = 4
# More pieces than memory asks for, so that the first copy in and the last copy out, which nothing
# overlaps, are a small part; and no piece so small that its latency shows.
_PIECES = 16
_GRAIN = float(1 << 22)


class Step(NamedTuple):
    """One pass over the data: a row, its keywords, how it is cut, and the bounds of the pieces.

    Attributes
    ----------
    row : str
        Name of the row to run; empty for the call's own.
    keywords : dict
        Keywords of that row.
    scheme : Scheme
        What the pieces are.
    pieces, panels : tuple of (int, int)
        Their bounds; panels are empty where there is no second cut.
    seconds : float
        Predicted.
    """

    row: str
    keywords: Mapping[str, Any]
    scheme: Scheme
    pieces: tuple[tuple[int, int], ...]
    panels: tuple[tuple[int, int], ...]
    seconds: float


class Plan(NamedTuple):
    """How a call is cut, and what it is predicted to take.

    Attributes
    ----------
    steps : tuple of Step
        One, or for a transform of several axes one for each.
    seconds, cpu_seconds : float
        Predicted on the accelerator in pieces, copies included, and on the host.
    """

    steps: tuple[Step, ...]
    seconds: float
    cpu_seconds: float

    @property
    def total(self) -> int:
        """Number of pieces."""
        return sum(len(s.pieces) * max(1, len(s.panels)) for s in self.steps)

    @property
    def what(self) -> str:
        """What is cut, in words."""
        return f"{self.total} pieces of {', then '.join(s.scheme.what for s in self.steps)}"


def fits(op: Op, shapes: Sequence[Shaped], work: Work, machine: Machine) -> bool:
    """Return whether operands and result are within the share of the accelerator's memory."""
    assert machine.accelerator is not None
    operands = float(sum(s.nbytes for s in shapes))
    exact = op.kind in ("elementwise", "matmul", "conv", "reduction")
    return (max(work.bytes, operands) if exact else 2.0 * operands) <= _SHARE * machine.accelerator.memory


Family = Callable[[Op, tuple[Any, ...], dict[str, Any], Sequence[Shaped]], list[Scheme]]


def _family(op: Op) -> Family | None:
    for names, family in _NAMED:
        if op.name in names:
            return family
    if _maps.is_pointwise(op):
        return _maps.pointwise
    if op.kind == "conv" and op.name.startswith("nn."):
        return _windows.convolution
    return _windows.layer if op.name.startswith("nn.") else None


_NAMED: tuple[tuple[frozenset[str], Family], ...] = (
    (_reductions.REDUCTIONS, _reductions.reduction),
    (_maps.PRODUCTS, _maps.product),
    (_maps.TRANSFORMS, _maps.transform),
    (_windows.FILTERS, _windows.filtered),
    (_windows.SIGNALS, _windows.signal),
)


def planned(
    op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped], machine: Machine
) -> Plan | None:
    """Plan a call in pieces that fit: of all the ways to cut it, the one predicted to take least.

    Returns
    -------
    Plan or None
        None where the call does not fall into pieces, or one piece does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from xpu import add
    >>> from xpu._machine import shipped
    >>> whole = Shaped((2**20, 2**18), np.dtype("f4"))
    >>> planned(add.op, (0, 0), {}, [whole, whole], shipped("h200")).what
    '117 pieces of axis 0'
    """
    family = _family(op)
    if family is None or not shapes:
        return None
    cpu = machine.cpu.seconds(op.work(shapes, keywords))
    step = _best(op, "", keywords, family(op, args, keywords, shapes), shapes, machine)
    if step is not None:
        return Plan((step,), step.seconds, cpu)
    steps = []
    for name, options, given in _maps.passes(op, args, keywords, shapes) if op.kind == "fft" else ():
        row = OPS[name]
        one = _best(row, name, options, _maps.transform(row, (given,), options, [given]), [given], machine)
        if one is None:
            return None
        steps.append(one)
    return Plan(tuple(steps), sum(s.seconds for s in steps), cpu) if steps else None


def _best(
    op: Op,
    row: str,
    keywords: Mapping[str, Any],
    schemes: Sequence[Scheme],
    shapes: Sequence[Shaped],
    machine: Machine,
) -> Step | None:
    best: Step | None = None
    for scheme in schemes:
        step = _step(op, row, keywords, scheme, shapes, machine)
        # A later axis is read in strides: it has to be clearly better.
        if step is not None and (best is None or step.seconds < 0.9 * best.seconds):
            best = step
    return best


def _step(
    op: Op, row: str, keywords: Mapping[str, Any], scheme: Scheme, shapes: Sequence[Shaped], machine: Machine
) -> Step | None:
    """Size the pieces of a scheme, and price them."""
    assert machine.accelerator is not None
    room = _SHARE * machine.accelerator.memory
    sizes = [float(s.nbytes) for s in shapes]
    panels = 1
    if scheme.panels is not None:
        operand, _, length = scheme.panels
        panels = math.ceil(sizes[operand] / (room / 3))
        if not 1 < panels <= length:
            return None
    whole = [n / panels if _is_panel(scheme, i) else n for i, n in enumerate(sizes)]
    fixed = sum(n for n, cut in zip(whole, scheme.cuts, strict=True) if cut is None)
    along = sum(n for n, cut in zip(whole, scheme.cuts, strict=True) if cut is not None)
    halo = _halo(scheme, whole, shapes)
    placed = scheme.gather == "place"
    out = scheme.out / panels if placed else 0.0
    each = halo if placed else halo + scheme.out
    room = (room - fixed) / IN_FLIGHT / (1.0 + scheme.spare) - each
    if room <= 0:
        return None
    count = max(1, math.ceil((along + out) / room), min(_PIECES, int((along + out) / _GRAIN)))
    if count > scheme.length:
        return None
    into = (along + count * halo) * panels + fixed * panels
    back = scheme.out if placed else scheme.out * count
    seconds = _seconds(op, keywords, shapes, scheme, (into, back, fixed * panels), count * panels, machine)
    second = _edges(scheme.panels[2], panels) if scheme.panels is not None else ()
    return Step(row, keywords, scheme, _edges(scheme.length, count), second, seconds)


def _is_panel(scheme: Scheme, operand: int) -> bool:
    return scheme.panels is not None and scheme.panels[0] == operand


def _halo(scheme: Scheme, sizes: Sequence[float], shapes: Sequence[Shaped]) -> float:
    """Return the bytes that every piece reads beside its own rows."""
    halo = 0.0
    for size, cut, shape in zip(sizes, scheme.cuts, shapes, strict=True):
        if cut is not None and not scheme.flat:
            halo += size / max(1, shape.shape[cut.axis]) * max(0, cut.reach - cut.step)
    return halo


def _edges(length: int, count: int) -> tuple[tuple[int, int], ...]:
    return tuple(itertools.pairwise(round(i * length / count) for i in range(count + 1)))


def _seconds(
    op: Op,
    keywords: Mapping[str, Any],
    shapes: Sequence[Shaped],
    scheme: Scheme,
    traffic: tuple[float, float, float],
    count: int,
    machine: Machine,
) -> float:
    """Predict a call in pieces: the slowest lane, and what is before it starts and after it ends."""
    assert machine.accelerator is not None
    into, back, fixed = traffic
    work = op.work(shapes, keywords)
    calls = count * max(1, len(scheme.parts))
    lanes = (
        count * machine.to_device.latency + (into - fixed) / machine.to_device.pinned_bandwidth,
        calls * machine.accelerator.launch(work) + machine.accelerator.compute(work) * max(1, len(scheme.parts)),
        count * machine.to_host.latency + back / machine.to_host.pinned_bandwidth,
    )
    return machine.to_device.seconds(fixed) + max(lanes) + (sum(lanes) - max(lanes)) / count


def shorter(pieces: Sequence[tuple[int, int]], done: int) -> tuple[tuple[int, int], ...] | None:
    """Return what is left after `done` rows in pieces of a quarter; None where they are single rows."""
    left = [(max(low, done), high) for low, high in pieces if high > done]
    if max(high - low for low, high in left) < 2:
        return None
    made: list[tuple[int, int]] = []
    for low, high in left:
        made += [(low + a, low + b) for a, b in _edges(high - low, min(4, high - low))]
    return tuple(made)
