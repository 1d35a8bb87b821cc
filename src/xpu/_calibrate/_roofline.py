"""The shape of a curve between and beyond its samples: arithmetic or memory, whichever takes longer.

A call on data that outgrow a cache does not get slower along a straight line. How memory is read and
written at each size is timed once, closely, for all operations (`Streams`); an operation's own samples
say how many seconds an element takes and how many times that traffic its memory takes, temporaries
included (the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009). What the samples show
beyond these three numbers is kept as a factor, from sample to sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from xpu._curve import Curve

__all__ = ["Point", "Roofline", "Streams", "fitted", "shaped"]

_TIMES = (0.5, 2.0)  # the traffic of one pass, over that of the streams
_PASSES = 6.0  # so many times that for what goes through memory more than once, or at random
_MOSTLY = 0.75
_DOUBT = 0.2  # the samples have to speak this clearly for traffic other than the streams'
_BETWEEN = 8  # knots per piece between two samples
_BEYOND = 6  # doublings past the last one
_STRAIGHT = 0.01  # a knot this near to the line between its neighbours says nothing


class Point(NamedTuple):
    """One sample: operations, bytes read and written, seconds."""

    ops: float
    read: float
    written: float
    seconds: float


class Streams(NamedTuple):
    """Seconds that so many bytes take, latency apart: only read, and half read, half written as a fresh result."""

    read: Curve
    written: Curve

    def seconds(self, read: float, written: float) -> float:
        """Predict the memory traffic of one call after another of the same kind."""
        total = read + written
        if total <= 0:
            return 0.0
        share = min(1.0, 2.0 * written / total)
        weight = (read + 2.0 * written) / (1.5 * total)  # what is written is fetched first
        return share * weight * self.written.at(total) + (1.0 - share) * self.read.at(total)


class Roofline(NamedTuple):
    """Latency, seconds an operation, times the traffic that streams predict, and bytes held at once over counted."""

    latency: float
    rate: float
    times: float
    reach: float = 1.0

    def seconds(self, ops: float, read: float, written: float, streams: Streams) -> float:
        """Predict one call."""
        memory = self.times * streams.seconds(self.reach * read, self.reach * written)
        return self.latency + max(self.rate * ops, memory)

    def by_temporaries(self, last: Point, streams: Streams) -> Roofline:
        """Return what it is if most of what looks like arithmetic is traffic of temporaries, still in a cache.

        Samples in a cache cannot tell the two apart; what NumPy writes in Python as a row of vector loops is slowed
        by memory later on as each of them is. Arithmetic that takes longer than any such traffic stays arithmetic.
        """
        traffic = streams.seconds(self.reach * last.read, self.reach * last.written)
        times = self.rate * last.ops / traffic if traffic else 0.0
        return self._replace(times=max(self.times, _MOSTLY * times)) if times <= _TIMES[1] * _PASSES else self


def fitted(points: Sequence[Point], streams: Streams, reach: float = 1.0, passes: bool = False) -> Roofline:
    """Return the roofline nearest to the points in the logarithm: the least sum of absolute errors.

    Every candidate goes through points, so a disturbed one does not pull the others along.

    Parameters
    ----------
    points : sequence of Point
        Ascending; the first says the latency.
    streams : Streams
        Of this machine's memory.
    reach : float, optional
        Bytes held at once, temporaries included, over those of operands and results.
    passes : bool, optional
        Whether memory may be gone through more than once, or at random.
    """
    latency = points[0].seconds
    rest = [p for p in points[1:] if p.seconds > 1.05 * latency]
    rates = [0.0, *((p.seconds - latency) / p.ops for p in rest)]
    most = _TIMES[1] * (_PASSES if passes else 1.0)
    traffic = [streams.seconds(reach * p.read, reach * p.written) for p in rest]
    factors = [(p.seconds - latency) / t for p, t in zip(rest, traffic, strict=True) if t > 0]
    best, least = Roofline(latency, 0.0, 1.0, reach), math.inf
    for times in [1.0, *(f for f in factors if _TIMES[0] <= f <= most)]:
        doubt = _DOUBT * abs(math.log(times))
        for rate in rates:
            error = doubt
            for p, t in zip(rest, traffic, strict=True):
                error += abs(math.log((latency + max(rate * p.ops, times * t)) / p.seconds))
            if error < least:
                best, least = Roofline(latency, rate, times, reach), error
    return best


def shaped(points: Sequence[Point], streams: Streams, model: Roofline) -> list[tuple[float, float]]:
    """Return the knots of a curve through the points, bent between and beyond them as the roofline is."""
    factors = [p.seconds / model.seconds(p.ops, p.read, p.written, streams) for p in points]
    found = [(points[0].ops, points[0].seconds)]
    for i in range(len(points) - 1):
        for step in range(1, _BETWEEN + 1):
            found.append(_between(points[i : i + 2], factors[i : i + 2], step / _BETWEEN, model, streams))
    last = points[-1]
    for doubling in range(1, _BEYOND + 1):
        grown = 2.0**doubling
        seconds = model.seconds(last.ops * grown, last.read * grown, last.written * grown, streams)
        found.append((last.ops * grown, seconds * factors[-1]))
    return plain(found)


def _between(
    points: Sequence[Point], factors: Sequence[float], share: float, model: Roofline, streams: Streams
) -> tuple[float, float]:
    (a, b), (f, g) = points, factors
    ops = a.ops ** (1.0 - share) * b.ops**share if a.ops > 0 else share * b.ops
    part = (ops - a.ops) / (b.ops - a.ops)
    read, written = a.read + part * (b.read - a.read), a.written + part * (b.written - a.written)
    return ops, model.seconds(ops, read, written, streams) * f ** (1.0 - share) * g**share


def plain(knots: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the knots that a line between their neighbours does not make up for, at times that never fall.

    Examples
    --------
    >>> plain([(1.0, 1.0), (2.0, 2.001), (3.0, 3.0), (4.0, 9.0)])
    [(1.0, 1.0), (3.0, 3.0), (4.0, 9.0)]
    """
    rising: list[tuple[float, float]] = []
    for work, seconds in knots:
        if not rising or work > rising[-1][0]:
            rising.append((work, max(seconds, rising[-1][1]) if rising else seconds))
    kept = rising[:1]
    start = 0
    for end in range(2, len(rising)):
        (w0, s0), (w1, s1) = rising[start], rising[end]
        for work, seconds in rising[start + 1 : end]:
            if abs(s0 + (s1 - s0) * (work - w0) / (w1 - w0) - seconds) > _STRAIGHT * seconds:
                kept.append(rising[end - 1])
                start = end - 1
                break
    return kept + rising[-1:] if len(rising) > 1 else kept
