"""What ran where and why, and what moved: the records that a profile collects, and how numbers are written."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

__all__ = ["Event", "Transfer", "seconds", "size", "user_line"]

_PACKAGE = os.path.dirname(__file__)


class Event(NamedTuple):
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
        Seconds, transfers included. The pretend device's actual time is that of its virtual clock. `predicted` is
        NaN for what only the host does and no model describes: random draws, callbacks, files.
    bytes_moved : int
        Bytes transferred for this call, both directions together.
    transfers : int
        Number of transfers.
    shapes : tuple
        Shapes of the operands.
    line : str
        ``file:line`` of the user's code.
    start, end : float
        Seconds on the clock that host, devices and link share (see `xpu.profile`).
    transfer_seconds : float
        What of `actual` was transfers.
    cpu_seconds, accelerator_seconds : float
        Predicted run time on each device, without transfers; NaN where it cannot run.
    summary : bool
        It sums up other events (a pipeline), and its time is theirs.
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
    start: float = 0.0
    end: float = 0.0
    transfer_seconds: float = 0.0
    cpu_seconds: float = float("nan")
    accelerator_seconds: float = float("nan")
    summary: bool = False

    @property
    def run_seconds(self) -> float:
        """Seconds of the run itself, without transfers."""
        return max(0.0, self.actual - self.transfer_seconds)


class Transfer(NamedTuple):
    """One transfer.

    Attributes
    ----------
    start : float
        Seconds on the clock of the events.
    seconds : float
        How long it took; NaN where it was only queued (a pipeline on a GPU).
    nbytes : int
        Bytes moved.
    source, target : str
        Devices.
    line : str
        ``file:line`` of the user's code that caused it.
    """

    start: float
    seconds: float
    nbytes: int
    source: str
    target: str
    line: str = ""


def user_line() -> str:
    """Return ``file:line`` of the first caller outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


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
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= scale:
            return f"{nbytes / scale:.3g} {unit}"
    return f"{nbytes:.0f} B"
