"""What ran where, and why: events, the profile that collects them, and its table."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from xpu._config import Recorder, listening

__all__ = ["Event", "profile", "user_line"]

_PACKAGE = os.path.dirname(__file__)


@dataclass(frozen=True, slots=True)
class Event:
    """One decision.

    Attributes
    ----------
    op : str
        Public name of the operation (``"read"`` where Python asked for a value).
    device : str
        Where it ran.
    reason : str
        Why there.
    predicted, actual : float
        Seconds, transfers included. The pretend device's actual time is that of its virtual clock.
    bytes_moved : int
        Bytes transferred for this call, both directions together.
    transfers : int
        Number of transfers.
    shapes : tuple
        Shapes of the operands.
    line : str
        ``file:line`` of the user's code.
    """

    op: str
    device: str
    reason: str
    predicted: float
    actual: float
    bytes_moved: int
    transfers: int
    shapes: tuple[tuple[int, ...], ...] = ()
    line: str = ""


def user_line() -> str:
    """Return ``file:line`` of the first caller outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


@dataclass
class profile(Recorder):
    """Context manager that records every decision made inside.

    Attributes
    ----------
    events : list of Event
        In order.
    bytes_moved : int
        Bytes transferred, both directions together, reads by Python (``float(x)``, `print`) included.

    Examples
    --------
    >>> import xpu
    >>> with xpu.profile() as p:
    ...     y = xpu.ones(3) + 1
    >>> [(e.op, e.device) for e in p.events]
    [('ones', 'cpu'), ('add', 'cpu')]
    """

    events: list[Event] = field(default_factory=list)
    bytes_moved: int = 0
    _stack: list[listening] = field(default_factory=list, repr=False)

    def __enter__(self) -> profile:
        scope = listening(self)
        scope.__enter__()
        self._stack.append(scope)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.pop().__exit__(kind, error, traceback)

    def record(self, event: Event) -> None:
        """Take one event."""
        self.events.append(event)

    def moved(self, nbytes: int) -> None:
        """Take one transfer, whether an operation or a read by Python caused it."""
        self.bytes_moved += nbytes

    def to_dict(self) -> dict[str, Any]:
        """Return events and totals as plain data."""
        return {"bytes_moved": self.bytes_moved, "events": [asdict(e) for e in self.events]}

    def to_json(self) -> str:
        """Return events and totals as JSON text."""
        import json  # only for who asks: import xpu stays cheap

        return json.dumps(self.to_dict(), indent=1)

    def rows(self) -> list[tuple[str, str, int, float, float, int, str]]:
        """Sum up the events by operation, device and reason, longest first.

        Returns
        -------
        list of tuple
            (op, device, calls, predicted seconds, actual seconds, bytes moved, reason).
        """
        sums: dict[tuple[str, str, str], list[float]] = {}
        for e in self.events:
            entry = sums.setdefault((e.op, e.device, e.reason), [0, 0.0, 0.0, 0])
            entry[0] += 1
            entry[1] += e.predicted if e.predicted == e.predicted else 0.0
            entry[2] += e.actual
            entry[3] += e.bytes_moved
        rows = [
            (op, device, int(n), predicted, actual, int(moved), reason)
            for (op, device, reason), (n, predicted, actual, moved) in sums.items()
        ]
        return sorted(rows, key=lambda row: -row[4])

    def __str__(self) -> str:
        lines = [f"{'op':18} {'device':10} {'calls':>6} {'predicted':>11} {'actual':>11} {'moved':>10}  reason"]
        for op, device, calls, predicted, actual, moved, reason in self.rows():
            lines.append(
                f"{op:18} {device:10} {calls:6d} {seconds(predicted):>11} {seconds(actual):>11} "
                f"{size(moved):>10}  {reason}"
            )
        total = sum(e.actual for e in self.events)
        lines.append(f"{len(self.events)} calls, {seconds(total)}, {size(self.bytes_moved)} moved")
        return "\n".join(lines)


def seconds(value: float) -> str:
    """Format seconds with a fitting unit."""
    if value != value:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def size(nbytes: float) -> str:
    """Format a number of bytes with a fitting unit."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= scale:
            return f"{nbytes / scale:.3g} {unit}"
    return f"{nbytes:.0f} B"
