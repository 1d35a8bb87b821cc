"""What a profile's records add up to: per operation, per source line, per device and link. Pure arithmetic."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from xpu._trace import Event, Transfer

__all__ = ["Line", "Row", "Span", "Utilisation", "by_line", "by_operation", "spans", "utilisation"]

LANES = ("cpu", "gpu", "to device", "to host")


class Row(NamedTuple):
    """Calls of one operation on one device for one reason.

    Attributes
    ----------
    op, device : str
        Which, where.
    calls : int
        How many.
    predicted, actual : float
        Seconds, transfers included; `predicted` is NaN where nobody can tell (`xpu._trace.Event`).
    bytes_moved : int
        Both directions.
    reason : str
        Why there.
    """

    op: str
    device: str
    calls: int
    predicted: float
    actual: float
    bytes_moved: int
    reason: str

    @property
    def ratio(self) -> float:
        """Actual over predicted; NaN where nothing was predicted."""
        return self.actual / self.predicted if self.predicted > 0 else math.nan


def by_operation(events: Iterable[Event]) -> list[Row]:
    """Sum up events by operation, device and reason, longest first."""
    sums: dict[tuple[str, str, str], list[float]] = {}
    for e in events:
        entry = sums.setdefault((e.op, e.device, e.reason), [0, 0.0, 0.0, 0])
        entry[0] += 1
        entry[1] += e.predicted
        entry[2] += e.actual
        entry[3] += e.bytes_moved
    rows = [
        Row(op, device, int(n), predicted, actual, int(moved), reason)
        for (op, device, reason), (n, predicted, actual, moved) in sums.items()
    ]
    return sorted(rows, key=lambda row: -row.actual)


@dataclass
class Line:
    """What one line of the user's code did.

    Attributes
    ----------
    line : str
        ``file:line``.
    calls : int
        Operations that ran.
    cpu_seconds, gpu_seconds : float
        Time they took on each, transfers left out.
    transfer_seconds : float
        Time of the transfers the line caused.
    to_device, to_host : int
        Bytes moved in each direction.
    transfers : int
        How many.
    """

    line: str
    calls: int = 0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    transfer_seconds: float = 0.0
    to_device: int = 0
    to_host: int = 0
    transfers: int = 0

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.cpu_seconds + self.gpu_seconds + self.transfer_seconds


def by_line(events: Iterable[Event], transfers: Iterable[Transfer]) -> list[Line]:
    """Sum up by source line, longest first.

    Reads by Python (``float(x)``, ``print(x)``) count for the line that reads.
    """
    lines: dict[str, Line] = {}
    for e in events:
        if not e.summary:
            entry = lines.setdefault(e.line, Line(e.line))
            entry.calls += 1
            if e.device == "cpu":
                entry.cpu_seconds += e.run_seconds
            else:
                entry.gpu_seconds += e.run_seconds
    for t in transfers:
        entry = lines.setdefault(t.line, Line(t.line))
        entry.transfers += 1
        entry.transfer_seconds += t.seconds if t.seconds == t.seconds else 0.0
        if t.target == "cpu":
            entry.to_host += t.nbytes
        else:
            entry.to_device += t.nbytes
    return sorted(lines.values(), key=lambda entry: -entry.seconds)


# ----------------------------------------------------------------------------- the timeline


class Span(NamedTuple):
    """Something that kept a lane busy: the host, the GPU, or the link in one direction.

    Attributes
    ----------
    lane : str
        One of ``"cpu"``, ``"gpu"``, ``"to device"``, ``"to host"``.
    start, end : float
        Seconds on the clock of the events.
    name : str
        The operation, or how many bytes.
    line : str
        ``file:line`` of the user's code.
    """

    lane: str
    start: float
    end: float
    name: str
    line: str = ""


def spans(events: Iterable[Event], transfers: Iterable[Transfer]) -> list[Span]:
    """Return what kept each lane busy, in order of start. Views take no time and have no span."""
    return sorted(_spans(events, transfers), key=lambda s: s.start)


def _spans(events: Iterable[Event], transfers: Iterable[Transfer]) -> Iterator[Span]:
    timed = sorted((t for t in transfers if t.seconds == t.seconds), key=lambda t: t.start)
    starts = [t.start for t in timed]
    for e in events:
        if e.summary or e.run_seconds <= 0:
            continue
        begin = e.end - e.run_seconds
        if e.transfers:  # operands arrive before the run starts
            last = bisect_right(starts, e.end) - 1
            if last >= 0 and starts[last] >= e.start:
                begin = max(begin, starts[last] + timed[last].seconds)
        yield Span("cpu" if e.device == "cpu" else "gpu", min(begin, e.end), e.end, e.op, e.line)
    for t in timed:
        lane = "to host" if t.target == "cpu" else "to device"
        yield Span(lane, t.start, t.start + t.seconds, f"{t.nbytes} bytes", t.line)


Intervals = list[tuple[float, float]]


def _union(parts: Iterable[tuple[float, float]]) -> Intervals:
    """Return disjoint intervals that cover the same time."""
    made: Intervals = []
    for start, end in sorted(parts):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(made[-1][1], end))
        else:
            made.append((start, end))
    return made


def _length(parts: Intervals) -> float:
    return sum(end - start for start, end in parts)


def _common(left: Intervals, right: Intervals) -> float:
    """Return how long both go on at once."""
    total, i, j = 0.0, 0, 0
    while i < len(left) and j < len(right):
        total += max(0.0, min(left[i][1], right[j][1]) - max(left[i][0], right[j][0]))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return total


class Utilisation(NamedTuple):
    """Where the time went.

    Attributes
    ----------
    seconds : float
        Length of the profile.
    cpu, gpu : float
        Seconds in which an operation ran there.
    link : float
        Seconds in which bytes moved, in either direction.
    transfers : float
        Seconds of all transfers added up, whether something ran beside them or not.
    lost_to_transfers : float
        Seconds in which bytes moved and neither device computed.
    gpu_waiting_for_data : float
        Seconds in which the GPU computed nothing while bytes were on their way to it.
    gpu_waiting_for_host : float
        Seconds in which it computed nothing for any other reason: the host computed, Python ran, results went back.
    """

    seconds: float
    cpu: float
    gpu: float
    link: float
    transfers: float
    lost_to_transfers: float
    gpu_waiting_for_data: float
    gpu_waiting_for_host: float

    def share(self, seconds: float) -> float:
        """Return seconds as a share of the profile."""
        return seconds / self.seconds if self.seconds > 0 else 0.0


def utilisation(busy: Sequence[Span], seconds: float) -> Utilisation:
    """Add up how long each lane was busy and who waited for whom.

    Parameters
    ----------
    busy : sequence of Span
        What `spans` returned.
    seconds : float
        Length of the profile; at least what the spans cover is taken.
    """
    lanes = {lane: _union((s.start, s.end) for s in busy if s.lane == lane) for lane in LANES}
    link = _union([*lanes["to device"], *lanes["to host"]])
    computing = _union([*lanes["cpu"], *lanes["gpu"]])
    whole = max(seconds, _length(_union([*link, *computing])))
    gpu, arriving = _length(lanes["gpu"]), _length(lanes["to device"])
    waiting = arriving - _common(lanes["to device"], lanes["gpu"])
    moving = _length(link)
    return Utilisation(
        seconds=whole,
        cpu=_length(lanes["cpu"]),
        gpu=gpu,
        link=moving,
        transfers=sum(s.end - s.start for s in busy if s.lane.startswith("to ")),
        lost_to_transfers=moving - _common(link, computing),
        gpu_waiting_for_data=waiting,
        gpu_waiting_for_host=max(0.0, whole - gpu - waiting),
    )
