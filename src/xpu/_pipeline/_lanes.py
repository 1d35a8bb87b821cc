"""Lanes: copies in, compute and copies out, each in order, beside one another.

On a GPU a lane is a stream and a mark is an event. On the pretend device a lane is a line of virtual
time and a mark a moment on it, so that overlap can be computed and tested anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from xpu._backends import Backend
from xpu._backends._pretend import PretendBackend

__all__ = ["LANES", "Lanes", "lanes_for"]

LANES = ("up", "compute", "down")
T = TypeVar("T")


class Lanes(Protocol):
    """Work queued side by side."""

    def run(self, lane: str, after: Any, work: Callable[[], T]) -> tuple[T, Any]:
        """Queue `work` on a lane, after a mark; return its result and the mark of its end."""

    def here(self) -> Any:
        """Return a mark of what the caller has queued so far, on its own stream."""

    def finish(self, mark: Any) -> None:
        """Wait for a mark."""

    def busy(self) -> dict[str, float]:
        """Return the seconds each lane has worked so far."""

    def close(self) -> None:
        """Wait for everything, and give buffers back."""


class VirtualLanes:
    """Lanes of the pretend device: each has its own time, and its clock is that of whoever waits.

    Copies run at the link's rate for page-locked memory, because they go through staging buffers.
    """

    def __init__(self, target: PretendBackend) -> None:
        self._target = target
        self._ends = dict.fromkeys(LANES, target.clock)
        self._busy = dict.fromkeys(LANES, 0.0)

    def run(self, lane: str, after: Any, work: Callable[[], T]) -> tuple[T, Any]:
        """Run `work` now; in virtual time it starts once its lane is free and `after` is past."""
        target = self._target
        now = target.clock
        start = max(self._ends[lane], now, 0.0 if after is None else after)
        target.clock = start
        target.pinned = lane != "compute"
        target.freeze()
        try:
            result = work()
            end = target.clock
        finally:
            target.thaw()
            target.clock, target.pinned = now, False
        self._ends[lane] = end
        self._busy[lane] += end - start
        return result, end

    def here(self) -> Any:
        """Return the caller's time."""
        return self._target.clock

    def finish(self, mark: Any) -> None:
        """Move the clock to a mark that is still ahead."""
        self._target.clock = max(self._target.clock, mark)

    def busy(self) -> dict[str, float]:
        """Return the virtual seconds each lane has worked."""
        return dict(self._busy)

    def close(self) -> None:
        """Wait for every lane."""
        for end in self._ends.values():
            self.finish(end)


def lanes_for(target: Backend) -> Lanes:
    """Return the lanes of an accelerator."""
    if isinstance(target, PretendBackend):
        return VirtualLanes(target)
    made: Lanes = target.lanes()  # type: ignore[attr-defined]
    return made
