"""One flag: whether an operator may call NumPy at once, without asking where its operands are.

Open means that no array can be anywhere but on the host and nothing watches: no accelerator is in
force, none ever was in this process, and no setting, profile or check is on. Then ``a + b`` is one
Python call around NumPy's. The files that know (settings, backends) close the gate; the files with
hot paths follow it. Once an accelerator was in force the gate stays closed, because arrays made
before may have moved; while nothing watches then, it is ajar: a few bytes that are seen to lie on the
host alone need not be placed (`_short`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Gate", "gate"]


class Gate:
    """The flag, what closes it, and who wants to know."""

    __slots__ = ("_followers", "_lock", "_watchers", "accelerated", "ajar", "open")

    def __init__(self) -> None:
        self.open = True
        self._watchers = 0
        self.accelerated = False
        self.ajar = False
        self._followers: list[Callable[[bool], None]] = []
        self._lock = threading.RLock()  # re-entrant: settings die, and call in, at any allocation

    def accelerate(self) -> None:
        """An accelerator is in force from now on: close for good."""
        with self._lock:
            self.accelerated = True
            self._refresh()

    def watch(self, change: int) -> None:
        """Add (+1) or drop (-1) a setting that every operation must ask about."""
        with self._lock:
            self._watchers += change
            self._refresh()

    def follow(self, follower: Callable[[bool], None]) -> None:
        """Call `follower` with the state now and at every change."""
        self._followers.append(follower)
        follower(self.open)

    def _refresh(self) -> None:
        self.ajar = self.accelerated and not self._watchers
        state = not self._watchers and not self.accelerated
        if state != self.open:
            self.open = state
            for follower in self._followers:
                follower(state)


gate = Gate()
