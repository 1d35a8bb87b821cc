"""Timing one call: repeated, in batches, under a limit, with a clock that is not taken on trust.

A core is not always as fast as it can be: a neighbour on the same physical core (of this machine, or of
another virtual one) takes a third of its speed for seconds. So a fixed piece of arithmetic, the *pace*,
is timed around every sample: a sample that was taken while the pace was slow says less than one that
was not.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from xpu.errors import XpuError, text

__all__ = [
    "COMPUTING", "SLOW", "WAITING", "CalibrationError", "Clock", "Timed", "kept_memory", "settle_memory",
]  # fmt: skip


class CalibrationError(XpuError, RuntimeError):
    """Calibration could not be finished; the machine in force stays in force."""


_BATCH = 20e-6  # a batch this long makes the clock's own cost and resolution negligible
_SAMPLES = 3
_DOUBT = 1e-3  # seconds by which two clocks may differ before a sample is thrown away
SLOW = 1.15  # times the best pace: beyond, the core was not its own
# Powers of the pace that a call then takes longer by. Of 115 operations, timed on 8,000 elements beside a neighbour
# that came and went, half showed 0.66 to 0.92; divisions, scans and roots 0.1 to 0.4; sums of 500 kB 0.1 to 0.3.
COMPUTING, WAITING = 0.75, 0.25


def interruptions() -> int:
    """Return how often this thread has been taken off its core so far (0 where the system does not say)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


def settle_memory() -> None:
    """Bring the allocator to the state of a program that has run for a while.

    glibc asks the system for fresh pages for every array larger than a threshold, and raises the threshold
    to the largest array that was freed (``mallopt``, ``M_MMAP_THRESHOLD``: at most 32 MiB). What is timed
    before and after would not be the same call.
    """
    np.empty(31 << 20, np.uint8)


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Let the allocator keep what is freed, in threads as in the main one, where the programs run that are predicted.

    In a thread glibc has heaps of 64 MiB. Whether a result starts a new one is luck that may last for minutes; then
    every call has that heap made and given back, and pays for fresh pages (``arena.c``, ``heap_trim``): twice the
    seconds of a copy of a megabyte. A large ``M_TOP_PAD`` forbids it (``mallopt(3)``).
    """
    mallopt = _mallopt()
    if mallopt is None:  # not glibc
        yield
        return
    mallopt(_TOP_PAD, 256 << 20)
    try:
        yield
    finally:
        mallopt(_TOP_PAD, int(os.environ.get("MALLOC_TOP_PAD_", "") or 128 << 10))


_TOP_PAD = -2  # malloc.h


def _mallopt() -> Callable[[int, int], int] | None:
    import ctypes  # only here: import xpu stays cheap

    try:
        return ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # the last: Windows
        return None


class Timed(NamedTuple):
    """Seconds of a call, and those of the pace around it."""

    seconds: float
    pace: float


class _Sample(NamedTuple):
    interrupted: bool
    seconds: float
    pace: float


class Clock:
    """Two clocks that have to agree: a sample during which one of them jumped does not count.

    Parameters
    ----------
    read, check : callable, optional
        Seconds; `time.perf_counter` and `time.monotonic`.
    interrupted : callable, optional
        Count of interruptions; samples with none are preferred, so that a busy machine is
        calibrated as if it were at rest.
    best : float, optional
        The pace of this core at its best, in seconds, where it is known.
    """

    def __init__(
        self,
        read: Callable[[], float] = time.perf_counter,
        check: Callable[[], float] = time.monotonic,
        interrupted: Callable[[], int] = interruptions,
        best: float = float("inf"),
    ) -> None:
        self.read = read
        self._check = check
        self._interrupted = interrupted
        self.samples = 0
        self.refused = 0
        self.best = best
        self._data = np.linspace(0.1, 0.9, 192)
        self._room = np.empty_like(self._data)
        self._last = self.pace()

    def pace(self) -> float:
        """Return the seconds of a fixed piece of arithmetic in registers, now."""
        least = float("inf")
        for _ in range(2):  # the first brings its own data back into the cache
            start = self.read()
            np.cbrt(self._data, out=self._room)
            least = min(least, self.read() - start)
        self.best = min(self.best, least)
        return least

    def quiet(self, pace: float) -> bool:
        """Return True if the core was its own at this pace."""
        return pace <= SLOW * self.best

    def typical(self, found: Sequence[Timed], power: float = COMPUTING) -> float:
        """Return the lower quartile of the seconds that were timed at the best pace; of all, corrected, if none was.

        Others only ever add time, but the least of all may have been luck.
        """
        at_rest = [t.seconds for t in found if self.quiet(t.pace)]
        ordered = sorted(at_rest or [t.seconds * math.pow(self.best / t.pace, power) for t in found])
        return ordered[len(ordered) // 4]

    def sample(self, call: Callable[[], object], number: int) -> _Sample | None:
        """Time `number` calls in a row; None if a clock jumped."""
        repeats = range(number)
        before = self._interrupted()
        check = self._check()
        start = self.read()
        for _ in repeats:
            call()
        seconds = self.read() - start
        other = self._check() - check
        self.samples += 1
        if seconds < 0 or abs(other - seconds) > _DOUBT + 0.2 * max(seconds, other):
            self.refused += 1
            if self.refused > 10 and self.refused > self.samples / 4:
                problem = f"the clock jumped in {self.refused} of {self.samples} samples"
                raise CalibrationError(text("calibrate", problem, "Calibrate again when the machine is at rest."))
            return None
        interrupted = self._interrupted() != before
        earlier, self._last = self._last, self.pace()
        return _Sample(interrupted, seconds / number, max(earlier, self._last))

    def time(self, call: Callable[[], object], budget: float = 5e-4) -> float:
        """Return the seconds of a warm call at rest; see `measure`."""
        return self.measure(call, budget).seconds

    def measure(self, call: Callable[[], object], budget: float = 5e-4, settle: float = 0.0) -> Timed:
        """Time a warm call at rest: the least of the samples that nobody interrupted, at the best pace.

        Other programs only ever add time, so the least sample is the one nearest to the truth.

        Parameters
        ----------
        call : callable
            What to time. Its first call, cold, does not count.
        budget : float, optional
            Seconds after which three samples are enough.
        settle : float, optional
            Seconds of calls that go before: caches keep what came last only after it has come several times.
        """
        self.sample(call, 1)
        warm = self.sample(call, 1)
        if settle and warm is not None and warm.seconds < settle:
            self.sample(call, int(settle / max(warm.seconds, 1e-7)))
            warm = self.sample(call, 1)
        number = 1 if warm is None else max(1, int(_BATCH / max(warm.seconds, 1e-9)))
        found = [warm] if warm is not None and number == 1 else []
        spent, good = sum(s.seconds for s in found), 0
        while True:
            if len(found) >= 2 and spent >= 6 * budget:
                break  # a long call: little disturbs it
            if (good >= 3 and spent >= budget) or (len(found) >= 3 and spent >= 2 * budget):
                break  # a slow pace lasts for seconds: waiting for it to pass here does not pay
            if good >= _SAMPLES or len(found) >= 2 * _SAMPLES:
                break
            sample = self.sample(call, number)
            if sample is not None:
                found.append(sample)
                spent += sample.seconds * number
                good += not sample.interrupted and self.quiet(sample.pace)
        alone = [s for s in found if not s.interrupted] or found
        pace = min(s.pace for s in alone)
        return Timed(min(s.seconds for s in alone if s.pace <= SLOW * pace), pace)
