"""From samples to constants: curves per operation, streams of memory, rates per cost class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from xpu._processor import Curve, Processor, Rates, width

__all__ = ["Sample", "Series", "Streams", "fit", "quieter"]


class Sample(NamedTuple):
    """One timed call: size, operations and bytes as the op table counts them, bytes really moved, seconds."""

    size: int
    ops: float
    bytes: float
    read: int
    written: int
    seconds: float


class Series(NamedTuple):
    """All samples of one row and dtype, ascending in size."""

    op: str
    kind: str
    code: str
    samples: Sequence[Sample]


class Streams(NamedTuple):
    """Seconds to read and to write so many bytes from and to main memory, by one call after another."""

    read: Curve
    written: Curve

    def seconds(self, read: float, written: float) -> float:
        """Predict a call that only moves memory."""
        return (self.read.at(read) if read else 0.0) + (self.written.at(written) if written else 0.0)


def quieter(first: Series, second: Series) -> Series:
    """Return the lesser of two times at each size: what disturbed one round was gone in the other.

    Examples
    --------
    >>> a = Series("add", "elementwise", "f8", [Sample(1, 1.0, 24.0, 16, 8, 3e-6)])
    >>> quieter(a, a._replace(samples=[a.samples[0]._replace(seconds=2e-6)])).samples[0].seconds
    2e-06
    """
    by_size = {s.size: s for s in first.samples}
    for sample in second.samples:
        known = by_size.get(sample.size)
        if known is None or sample.seconds < known.seconds:
            by_size[sample.size] = sample
    return first._replace(samples=[by_size[size] for size in sorted(by_size)])


# Time grows with the elements alone: the curve may be carried on to sizes that were not timed.
_LINEAR = frozenset({"elementwise", "reduction", "scan", "copy", "gather", "sort"})
_CARRY_ON = 4


def settled(seconds: Sequence[float]) -> list[float]:
    """Return times that never fall with size: noise only ever adds, so the later, smaller one is right.

    Examples
    --------
    >>> settled([2.0, 1.0, 3.0])
    [1.0, 1.0, 3.0]
    """
    out = list(seconds)
    for i in range(len(out) - 2, -1, -1):
        out[i] = min(out[i], out[i + 1])
    return out


def knots(series: Series, streams: Streams | None) -> list[tuple[float, float]]:
    """Return the knots of a series' curve, carried on past its last sample by the streams of memory."""
    times = settled([s.seconds for s in series.samples])
    found = [(s.ops, t) for s, t in zip(series.samples, times, strict=True)]
    if streams is not None and series.kind in _LINEAR and len(found) > 1:
        last, before = series.samples[-1], found[-2]
        ops, seconds = found[-1]
        slope = (seconds - before[1]) / (ops - before[0])
        for factor in (_CARRY_ON, _CARRY_ON**2, _CARRY_ON**3):
            moved = streams.seconds(last.read * factor, last.written * factor)
            found.append((ops * factor, max(seconds + slope * ops * (factor - 1), moved)))
    return [k for i, k in enumerate(found) if i == 0 or k[0] > found[i - 1][0]]


def fit(series: Iterable[Series], streams: Streams | None, start: Processor, title: str, memory: int) -> Processor:
    """Return the processor that the samples describe.

    Parameters
    ----------
    series : iterable of Series
        What was timed.
    streams : Streams or None
        Main memory, where it was timed.
    start : Processor
        Where the rates of cost classes come from that were not timed.
    title, memory
        Name and bytes of the device.
    """
    curves: dict[str, dict[str, Curve]] = {}
    by_kind: dict[str, list[Series]] = {}
    for one in series:
        if one.samples:
            curves.setdefault(one.op, {})[one.code] = Curve(knots(one, streams))
            by_kind.setdefault(one.kind, []).append(one)
    classes = dict(start.classes)
    for kind, members in by_kind.items():
        classes[kind] = rates(members, start.classes[kind])
    floors = {"matmul": _floor(by_kind["matmul"])} if "matmul" in by_kind else {}
    return Processor(title, memory, classes, curves, {k: c for k, c in floors.items() if c is not None})


def rates(members: Sequence[Series], start: Rates) -> Rates:
    """Return the rates of a cost class: the medians of its operations."""
    latency = float(np.median([min(s.seconds for s in m.samples) for m in members]))
    bandwidths: list[float] = []
    speeds: dict[str, list[float]] = {"f2": [], "f4": [], "f8": []}
    for member in members:
        times = settled([s.seconds for s in member.samples])
        last, extra = member.samples[-1], times[-1] - times[0]
        if len(times) > 1 and extra > times[0]:  # large enough to say more than the latency
            bandwidths.append(last.bytes / extra)
            speeds[width(np.dtype(member.code))].append(last.ops / extra)
    rate = {w: float(np.median(v)) if v else start.rate[w] for w, v in speeds.items()}
    bandwidth = float(np.median(bandwidths)) if bandwidths else start.bandwidth
    return Rates(latency, bandwidth, rate, start.warmup)


def _floor(members: Sequence[Series]) -> Curve | None:
    """Return bytes -> seconds of the product that reads every byte once: a matrix times a vector."""
    for member in members:
        if (member.op, member.code) == ("matvec", "f8"):
            times = settled([s.seconds for s in member.samples])
            pairs = [(s.bytes, t) for s, t in zip(member.samples, times, strict=True)]
            return Curve(pairs)
    return None
