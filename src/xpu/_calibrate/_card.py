"""Timing a GPU: every probe with operands that are there, and the link in both directions.

Not run on a GPU yet; its arithmetic is tested with a timer that answers from known constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from xpu._backends import Backend
from xpu._calibrate._fit import Sample, Series
from xpu._calibrate._host import operands, written
from xpu._calibrate._probes import Probe
from xpu._op import Shaped
from xpu._processor import Link, Processor
from xpu._transfer import lift

__all__ = ["LINK_SIZES", "Timer", "link", "time_on_card", "with_warmup"]

LINK_SIZES = (4096, 1 << 20, 1 << 23, 1 << 26)
_SIZES = (1, 32768, 524288, 4194304)
_SIDES = (1, 64, 512, 2048)


class Timer(Protocol):
    """What times calls on a GPU: `xpu._backends._events.Events`."""

    def time(self, call: Callable[[], object], number: int = 10, rounds: int = 3) -> tuple[float, float]:
        """Return the seconds of a cold call on top of a warm one, and of a warm one."""


def time_on_card(probe: Probe, where: Backend, timer: Timer) -> tuple[Series, float]:
    """Time one probe on a GPU; return its series and what its first call cost on top."""
    function = where.function(probe.op)
    samples: list[Sample] = []
    warmup = 0.0
    for size in _SIZES if max(probe.sizes) > 4096 else _SIDES:
        if function is None:
            break
        host = probe.make(size)
        arrays = operands(host)
        work = probe.op.work([Shaped(a.shape, a.dtype) for a in arrays], {})
        there = tuple(_lifted(a, where) for a in host)
        try:
            result = where.run(function, there, {}, work)
            cold, warm = timer.time(lambda a=there, w=work: where.run(function, a, {}, w))  # type: ignore[misc]
        except (*where.failures, *where.out_of_memory):  # not on this card: the class's rates stand for it
            break
        warmup = max(warmup, cold)
        read = sum(a.nbytes for a in arrays)
        samples.append(Sample(size, work.ops, work.bytes, read, written(result), warm))
    return Series(probe.op.name, probe.op.kind, probe.code, samples), warmup


def _lifted(argument: Any, where: Backend) -> Any:
    if isinstance(argument, np.ndarray):
        return lift(argument, where)
    if isinstance(argument, (list, tuple)):
        return type(argument)(_lifted(a, where) for a in argument)
    return argument


def with_warmup(card: Processor, warmups: Sequence[tuple[str, float]]) -> Processor:
    """Return the card with the warm-up of each cost class: the median of what its first calls cost on top."""
    classes = dict(card.classes)
    for kind, rates in card.classes.items():
        seen = sorted(seconds for k, seconds in warmups if k == kind)
        if seen:
            classes[kind] = replace(rates, warmup=seen[len(seen) // 2])
    return replace(card, classes=classes)


def link(pageable: Sequence[tuple[int, float]], pinned: Sequence[tuple[int, float]]) -> Link:
    """Return one direction of the link from (bytes, seconds) of copies, ascending in bytes.

    Examples
    --------
    >>> copies = [(4096, 1e-5 + 4096 / 1e10), (1 << 26, 1e-5 + (1 << 26) / 1e10)]
    >>> round(link(copies, copies).bandwidth / 1e9, 3)
    10.0
    """
    bandwidths = []
    for copies in (pageable, pinned):
        (b0, t0), (b1, t1) = copies[0], copies[-1]
        bandwidths.append((b1 - b0) / max(t1 - t0, 1e-12))
    small, seconds = pageable[0]
    return Link(max(0.0, seconds - small / bandwidths[0]), bandwidths[0], max(bandwidths))
