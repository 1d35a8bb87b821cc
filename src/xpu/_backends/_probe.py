"""A time limit on the first question to a GPU: a driver that hangs must not hang the program.

Nothing can interrupt a call that hangs inside a driver, so it is left to a daemon thread, which does not keep
the process from ending.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from xpu.errors import ConfigError, DeviceError, text

__all__ = ["NoAnswerError", "within_limit"]

_LIMIT = 30.0  # seconds; making a CUDA context takes up to ten where the driver loads its kernels


class NoAnswerError(DeviceError):
    """A device that did not answer in time."""


def _limit() -> float:
    given = os.environ.get("XPU_PROBE_SECONDS", "")
    try:
        limit = float(given or _LIMIT)
    except ValueError:
        limit = -1.0
    if not limit > 0:
        raise ConfigError(text("config (XPU_PROBE_SECONDS)", f"{given!r} is not a number of seconds", "Try 30."))
    return limit


class _Probe(threading.Thread):
    """Asks, and keeps the answer or the error."""

    def __init__(self, ask: Callable[[], Any], errors: tuple[type[Exception], ...]) -> None:
        super().__init__(name="xpu-probe", daemon=True)
        self._ask = ask
        self._errors = errors
        self.answer: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answer = self._ask()
        except self._errors as error:
            self.error = error


def within_limit(what: str, ask: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Any:
    """Return ``ask()``, or raise if it takes longer than ``XPU_PROBE_SECONDS`` (30).

    Parameters
    ----------
    what : str
        What is asked, for the message.
    ask : callable
        Runs in a thread of its own.
    errors : tuple of type
        What `ask` may raise; it is raised here.

    Raises
    ------
    NoAnswerError
        If there is no answer in time.
    ConfigError
        If ``XPU_PROBE_SECONDS`` is no number of seconds.
    """
    limit = _limit()
    probe = _Probe(ask, errors)
    probe.start()
    probe.join(limit)
    if probe.is_alive():
        remedy = "The CPU computes instead; run `xpu doctor`, or set XPU_PROBE_SECONDS if the driver is only slow."
        raise NoAnswerError(text("devices", f"{what} did not answer within {limit:g} s", remedy))
    if probe.error is not None:
        raise probe.error
    return probe.answer
