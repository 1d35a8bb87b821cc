"""`profile`: hears every decision and every transfer inside a region, and says where the time went."""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from xpu._analysis import Line, Row, Span, Utilisation, by_line, by_operation, spans, utilisation
from xpu._backends import HOST, automatic, backend, machine_for, now
from xpu._config import Recorder, listening
from xpu._device import parse
from xpu._program import Recording
from xpu._tables import Table, aligned
from xpu._trace import Event, Transfer, seconds, size

__all__ = ["profile"]

_MANY = 20_000  # steps from which hints take longer than a table should: ask for them


@dataclass
class profile(Recorder):
    """Context manager that records every decision and every transfer made inside.

    While it listens, every operation is waited for, so that its time is its own; a program takes longer
    then, and what would overlap does not (a pipeline excepted). Off, it costs nothing.

    Attributes
    ----------
    events : list of Event
        Decisions, in order.
    transfers : list of Transfer
        Transfers, in order, those that Python's reads caused (``float(x)``, `print`) included.
    bytes_moved : int
        Bytes transferred, both directions together.
    seconds : float
        Length of the region on the clock that host, devices and link share: that of the host, on which
        a pretend device's virtual time takes the place of the time spent on playing it.
    start : float or None
        When it was first entered, on that clock.

    Examples
    --------
    >>> import xpu
    >>> with xpu.profile() as p:
    ...     y = xpu.ones(3) + 1
    >>> [(e.op, e.device) for e in p.events]
    [('ones', 'cpu'), ('add', 'cpu')]
    """

    events: list[Event] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    bytes_moved: int = 0
    seconds: float = 0.0
    start: float | None = None
    _open: list[tuple[listening, float]] = field(default_factory=list, repr=False)
    _recording: Recording = field(default_factory=lambda: Recording("profile"), repr=False)

    def __enter__(self) -> profile:
        scope = listening(self)
        scope.__enter__()
        self._recording.__enter__()
        began = now(HOST)
        self.start = began if self.start is None else self.start
        self._open.append((scope, began))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scope, began = self._open.pop()
        self.seconds += max(0.0, now(HOST) - began)
        self._recording.__exit__(kind, error, traceback)
        scope.__exit__(kind, error, traceback)

    def record(self, event: Event) -> None:
        """Take one event."""
        self.events.append(event)

    def moved(self, transfer: Transfer) -> None:
        """Take one transfer, whether an operation or a read by Python caused it."""
        self.transfers.append(transfer)
        self.bytes_moved += transfer.nbytes

    # ------------------------------------------------------------------------- what it adds up to

    def rows(self) -> list[Row]:
        """Sum up the events by operation, device and reason, longest first.

        Returns
        -------
        list of Row
            (op, device, calls, predicted seconds, actual seconds, bytes moved, reason).
        """
        return by_operation(self.events)

    def by_line(self) -> list[Line]:
        """Sum up by line of the user's code, longest first: time on each device, transfers, bytes each way."""
        return by_line(self.events, self.transfers)

    def timeline(self) -> list[Span]:
        """Return what kept the host, the GPU and the link busy, and when, in order of start."""
        return spans(self.events, self.transfers)

    def utilisation(self) -> Utilisation:
        """Return how long each was busy, what transfers cost, and what the GPU waited for."""
        return utilisation(self.timeline(), self.seconds)

    def hints(self) -> list[Any]:
        """Return what would make it faster, with the predicted gain of each (`xpu._hints.Hint`), greatest first.

        The recorded operations are priced again with other devices: all on one, one array pinned, the
        minimum cut. Nothing is returned that gains less than 5%, or where there is no accelerator.
        """
        machine = self._machine()
        if machine is None or machine.accelerator is None:
            return []
        found: list[Any] = importlib.import_module("xpu._hints").hints(self._recording.program(), machine)
        return found

    def _machine(self) -> Any:
        """Return the machine of the accelerator in force, or of the one that something ran on."""
        elsewhere = (e.device for e in self.events if e.device not in ("cpu", "auto"))
        used = next(elsewhere, None)
        target = automatic.get() if used is None else backend(parse(used))
        return None if target is None else machine_for(target)

    def to_dict(self) -> dict[str, Any]:
        """Return events, transfers and sums as plain data; what is not a number is None."""
        return {
            "seconds": self.seconds,
            "bytes_moved": self.bytes_moved,
            "utilisation": self.utilisation()._asdict(),
            "lines": [asdict(line) for line in self.by_line()],
            "events": [_numbers(e._asdict()) for e in self.events],
            "transfers": [_numbers(t._asdict()) for t in self.transfers],
        }

    def to_json(self) -> str:
        """Return events, transfers and sums as JSON text."""
        import json  # only for who asks: import xpu stays cheap

        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def plot(self, path: Any = None) -> Any:
        """Draw the timeline of the host, the GPU and the link (matplotlib, loaded on this call).

        Parameters
        ----------
        path : path, optional
            Write the picture there.

        Returns
        -------
        matplotlib.figure.Figure
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return importlib.import_module("xpu._plots").timeline(self, path)

    # ------------------------------------------------------------------------- how it prints

    def tables(self) -> list[Table]:
        """Return the tables it prints as: operations, and the lines that move bytes."""
        rows = [
            [r.op, r.device, str(r.calls), seconds(r.predicted), seconds(r.actual), _ratio(r), size(r.bytes_moved)]
            + [r.reason]
            for r in self.rows()
        ]
        columns = ("op", "device", "calls", "predicted", "actual", "act/pred", "moved", "reason")
        title = f"{len(self.events)} calls, {size(self.bytes_moved)} moved, {seconds(self.seconds)}"
        made = [Table(title, columns, rows, (2, 3, 4, 5, 6))]
        moving = [line for line in self.by_line() if line.transfers]
        if moving:
            lines = [
                [m.line, str(m.transfers), size(m.to_device), size(m.to_host), seconds(m.transfer_seconds)]
                for m in moving
            ]
            header = ("line", "transfers", "to device", "to host", "time")
            made.append(Table("bytes moved by source line", header, lines, (1, 2, 3, 4)))
        return made

    def notes(self) -> list[str]:
        """Return what stands below the tables, a line each."""
        u = self.utilisation()
        lines = [f"cpu busy {u.share(u.cpu):.0%}, gpu busy {u.share(u.gpu):.0%}, link busy {u.share(u.link):.0%}"]
        if u.gpu or u.transfers:
            lines.append(
                f"lost to transfers {seconds(u.lost_to_transfers)}; the GPU waited {seconds(u.gpu_waiting_for_data)} "
                f"for data, {seconds(u.gpu_waiting_for_host)} for the host"
            )
        if len(self._recording.steps) < _MANY:
            lines += [f"hint: {hint.text}" for hint in self.hints()]
        return lines

    def __str__(self) -> str:
        lines = []
        for table in self.tables():
            lines += [table.title, *aligned(table)]
        return "\n".join([*lines, *self.notes()])


def _ratio(row: Row) -> str:
    return "-" if row.ratio != row.ratio else f"{row.ratio:.2f}"


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in row.items()}
