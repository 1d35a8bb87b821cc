"""Doing steps one after another, each under a time limit, with progress.

A native call cannot be interrupted, so the steps run in a thread of their own; a step that does not
end is left behind there, and calibration ends with an error that names it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from xpu._calibrate._timing import CalibrationError
from xpu.errors import text

__all__ = ["Progress", "Step", "perform"]


class Step(NamedTuple):
    """One thing to do, and its name for messages."""

    name: str
    run: Callable[[], None]


Progress = Callable[[float, str], None]


def perform(
    steps: Sequence[Step],
    seconds: float,
    limit: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Do the steps in order until they are done or the time is up; return how many were done.

    Parameters
    ----------
    steps : sequence of Step
        The most important first.
    seconds : float
        Time for all of them; a step under way is finished.
    limit : float
        Time for one of them.
    progress : callable
        Told the share done and the step's name.
    clock : callable, optional
        Seconds.

    Raises
    ------
    CalibrationError
        If a step takes longer than its limit.
    """
    import queue  # only here: import xpu stays cheap

    told: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()
    start = clock()
    stop = threading.Event()

    def work() -> None:
        done = 0
        try:
            for step in steps:
                if stop.is_set() or clock() - start >= seconds:
                    break
                step.run()
                done += 1
                told.put((done, None))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, OSError, MemoryError) as error:
            told.put((done, error))
        else:
            told.put((-1, None))

    worker = threading.Thread(target=work, name="xpu-calibrate", daemon=True)
    worker.start()
    done = 0
    try:
        while True:
            try:
                count, error = told.get(timeout=limit)
            except queue.Empty:
                hung = steps[min(done, len(steps) - 1)].name
                problem = f"step {hung!r} did not end within {limit:g} s"
                raise CalibrationError(text("calibrate", problem, "The machine in force stays in force.")) from None
            if error is not None:
                raise error
            if count < 0:
                return done
            done = count
            progress(max(done / len(steps), min(1.0, (clock() - start) / seconds)), steps[done - 1].name)
    finally:
        stop.set()
