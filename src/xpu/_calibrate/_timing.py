"""Timing one call: repeated, in batches, under a limit, with a clock that is not taken on trust."""

from __future__ import annotations

import time
from collections.abc import Callable

from xpu.errors import XpuError, text

__all__ = ["CalibrationError", "Clock"]


class CalibrationError(XpuError, RuntimeError):
    """Calibration could not be finished; the machine in force stays in force."""


_BATCH = 30e-6  # a batch this long makes the clock's own cost and resolution negligible
_SAMPLES = 7
_DOUBT = 1e-3  # seconds by which two clocks may differ before a sample is thrown away


def interruptions() -> int:
    """Return how often this thread has been taken off its core so far (0 where the system does not say)."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nivcsw


class Clock:
    """Two clocks that have to agree: a sample during which one of them jumped does not count.

    Parameters
    ----------
    read, check : callable, optional
        Seconds; `time.perf_counter` and `time.monotonic`.
    interrupted : callable, optional
        Count of interruptions; samples with none are preferred, so that a busy machine is
        calibrated as if it were at rest.
    """

    def __init__(
        self,
        read: Callable[[], float] = time.perf_counter,
        check: Callable[[], float] = time.monotonic,
        interrupted: Callable[[], int] = interruptions,
    ) -> None:
        self.read = read
        self._check = check
        self._interrupted = interrupted
        self.samples = 0
        self.refused = 0

    def sample(self, call: Callable[[], object], number: int) -> tuple[int, float] | None:
        """Return interruptions and the seconds of one of `number` calls; None if a clock jumped."""
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
        return self._interrupted() - before, seconds / number

    def time(self, call: Callable[[], object], budget: float = 1e-3) -> float:
        """Return the seconds of a warm call at rest: the least of the samples that nobody interrupted.

        Other programs only ever add time, so the least sample is the one nearest to the truth.

        Parameters
        ----------
        call : callable
            What to time. Its first call, cold, does not count.
        budget : float, optional
            Seconds after which three samples are enough.
        """
        self.sample(call, 1)
        warm = self.sample(call, 1)
        number = 1 if warm is None else max(1, int(_BATCH / max(warm[1], 1e-9)))
        found = [warm] if warm is not None and number == 1 else []
        spent = 0.0
        while len(found) < _SAMPLES and (len(found) < 3 or spent < budget):
            sample = self.sample(call, number)
            if sample is not None:
                found.append(sample)
                spent += sample[1] * number
        quiet = [seconds for switches, seconds in found if not switches]
        return min(quiet or [seconds for _, seconds in found])
