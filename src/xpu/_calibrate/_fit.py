"""From samples to constants: curves per operation, streams of memory, rates per cost class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from xpu._calibrate._roofline import Point, Roofline, Streams, fitted, shaped
from xpu._calibrate._timing import COMPUTING, SLOW, WAITING
from xpu._curve import Curve
from xpu._processor import Processor, Rates, width

__all__ = ["Sample", "Series", "Streams", "doubtful", "fit", "quieter", "steadied"]


class Sample(NamedTuple):
    """One timed call: size, operations and bytes as the op table counts them, bytes really moved, seconds, pace."""

    size: int
    ops: float
    bytes: float
    read: int
    written: int
    seconds: float
    pace: float = 0.0


class Series(NamedTuple):
    """All samples of one row and dtype, ascending in size; `held`: bytes at once, temporaries too, over counted."""

    op: str
    kind: str
    code: str
    samples: Sequence[Sample]
    held: float = 1.0


def quieter(first: Series, second: Series) -> Series:
    """Return the better of two times at each size: at the better pace, else their mean.

    Examples
    --------
    >>> a = Series("add", "elementwise", "f8", [Sample(1, 1.0, 24.0, 16, 8, 3e-6)])
    >>> quieter(a, a._replace(samples=[a.samples[0]._replace(seconds=12e-6)])).samples[0].seconds  # was disturbed
    3e-06
    """
    by_size = {s.size: s for s in first.samples}
    for sample in second.samples:
        known = by_size.get(sample.size)
        by_size[sample.size] = sample if known is None else _better(known, sample)
    return first._replace(samples=[by_size[size] for size in sorted(by_size)])


def steadied(series: Series, best: float) -> Series:
    """Return a series in which what was timed at a slow pace to the end is brought nearer to the best one.

    A busy neighbour on the same core slows most of arithmetic, and the interpreter, nearly as much as the pace; what
    waits for the divider, for the operation before or for memory beyond the core's own caches, hardly.

    Examples
    --------
    >>> slow = Series("sin", "elementwise", "f8", [Sample(1, 20.0, 16.0, 8, 8, 8e-6, 16e-6)])
    >>> round(steadied(slow, 1e-6).samples[0].seconds, 9)
    1e-06
    """
    waits = (series.kind == "scan" and not series.op.startswith("nan")) or series.op in _WAIT
    waits = waits and series.code != "f2"  # which is converted in software

    def at_rest(sample: Sample) -> Sample:
        if sample.pace <= SLOW * best:
            return sample
        power = WAITING if waits or _by_memory(sample) else COMPUTING
        return sample._replace(seconds=sample.seconds * (best / sample.pace) ** power, pace=best)

    return series._replace(samples=[at_rest(s) for s in series.samples])


_WAIT = frozenset(
    {"reciprocal", "remainder", "fmod", "floor_divide", "divmod", "degrees", "rad2deg", "radians", "deg2rad", "sqrt"}
    | {"gcd", "lcm", "interp"}
)
_OWN_CACHES, _QUICK = 600_000, 1.5e10  # bytes; bytes a second from which on a call waits for memory


def _by_memory(sample: Sample) -> bool:
    moved = sample.read + sample.written
    return moved > _OWN_CACHES and moved > _QUICK * sample.seconds


def _better(one: Sample, other: Sample) -> Sample:
    slow, quick = (one, other) if one.pace > other.pace else (other, one)
    if slow.pace > SLOW * quick.pace:
        return quick
    least, most = sorted((one.seconds, other.seconds))
    return quick._replace(seconds=least if most > _DISTURBED * least else math.sqrt(least * most))


# Time grows with the elements alone: the curve may be carried on to sizes that were not timed.
_AT_RANDOM = frozenset({"take", "take_along_axis", "put", "searchsorted", "interp"})  # through memory
_TEMPORARIES = 1.1  # bytes held at once over those counted: from there on there are temporaries
_LINEAR = frozenset({"elementwise", "reduction", "scan", "copy", "gather", "sort"})
# Their time depends on the luck of their pivots.
_SELECTIONS = frozenset({"partition", "argpartition", "median", "nanmedian", "percentile", "nanpercentile", "quantile"})


_DISTURBED = 1.3  # times another time of the same, or of more: no longer the machine's own spread


def settled(seconds: Sequence[float]) -> list[float]:
    """Return times that never fall with size: those out of order are replaced by their mean, in the logarithm.

    The least-squares fit by a rising sequence (pool adjacent violators; Barlow et al., 1972). A time far
    above that of a larger size was disturbed, for noise only adds: it takes the larger size's.

    Examples
    --------
    >>> [round(t, 3) for t in settled([1.21, 1.0, 3.0])], settled([4.0, 1.0, 3.0])
    ([1.1, 1.1, 3.0], [1.0, 1.0, 3.0])
    """
    seconds = list(seconds)
    for i in range(len(seconds) - 2, -1, -1):
        if seconds[i] > _DISTURBED * seconds[i + 1]:
            seconds[i] = seconds[i + 1]
    pools: list[tuple[float, int]] = []  # mean of logarithms, members
    for value in seconds:
        mean, count = math.log(value), 1
        while pools and pools[-1][0] > mean:
            before, members = pools.pop()
            mean = (before * members + mean * count) / (members + count)
            count += members
        pools.append((mean, count))
    out: list[float] = []
    for mean, count in pools:
        alone = seconds[len(out)]
        out += [alone] if count == 1 else [math.exp(mean)] * count
    return out


def averaged(ops: Sequence[float], seconds: Sequence[float]) -> list[float]:
    """Return times whose rates are the averages of their neighbours'.

    How long a selection takes depends on the luck of its pivots, for these data at this size; the mean over
    sizes says more about other data.

    Examples
    --------
    >>> [float(f"{t:.3g}") for t in averaged([1.0, 1e3, 1e4, 1e5], [0.0, 1e-5, 4e-4, 1e-3])]
    [0.0, 2e-05, 0.000159, 0.002]
    """
    out = list(seconds)
    rates = [(t - seconds[0]) / n for t, n in zip(seconds, ops, strict=True)]
    for i in range(1, len(out)):
        near = [r for r in rates[max(1, i - 1) : i + 2] if r > 0]
        if near:
            out[i] = seconds[0] + ops[i] * math.exp(sum(math.log(r) for r in near) / len(near))
    return out


def knots(series: Series, streams: Streams | None) -> list[tuple[float, float]]:
    """Return the knots of a series' curve, carried on past its last sample by the streams of memory."""
    times = settled([s.seconds for s in series.samples])
    if series.op in _SELECTIONS:
        times = settled(averaged([s.ops for s in series.samples], times))
    found = [(s.ops, t) for s, t in zip(series.samples, times, strict=True)]
    if series.kind == "linalg" and len(found) > 2 and found[-1][0] > 2.0 * found[-2][0]:
        # A factorisation gains speed with size: its time goes on as a power of the work, not as a line.
        (fewer, less), (ops, seconds) = found[-2:]
        power = min(1.0, max(0.5, math.log(seconds / less) / math.log(ops / fewer)))
        found += [(ops * factor, seconds * factor**power) for factor in (2.0, 4.0, 8.0)]
    if streams is not None and series.kind in _LINEAR and len(found) > 1:
        points = _points(series, times)
        return shaped(points, streams, _model(series, points, streams))
    rising = [k for i, k in enumerate(found) if i == 0 or k[0] > found[i - 1][0]]
    if series.kind == "fft" and len(rising) > 1:
        # It only gets slower with size: beyond the last sample a piece is never quicker than all before it were.
        (ops, seconds), (_, least) = rising[-1], rising[0]
        last = (seconds - rising[-2][1]) / (ops - rising[-2][0])
        rising.append((2.0 * ops, seconds + max(last * ops, seconds - least)))
    return rising


def _points(series: Series, times: Sequence[float]) -> list[Point]:
    return [Point(s.ops, s.read, s.written, t) for s, t in zip(series.samples, times, strict=True)]


def _model(series: Series, points: Sequence[Point], streams: Streams) -> Roofline:
    found = fitted(points, streams, series.held, series.op in _AT_RANDOM)
    return found.by_temporaries(points[-1], streams) if series.held > _TEMPORARIES else found


def doubtful(series: Series, streams: Streams | None) -> bool:
    """Return True if a sample is far from the line of the others: worth a second look."""
    if streams is None or series.kind not in _LINEAR or len(series.samples) < 2:
        return False
    points = _points(series, [s.seconds for s in series.samples])
    model = _model(series, points, streams)
    errors = (p.seconds / model.seconds(p.ops, p.read, p.written, streams) for p in points[1:])
    return any(not 1 / _DISTURBED < e < _DISTURBED for e in errors)


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
