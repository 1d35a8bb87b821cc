"""Learning from observed times: a few calls are timed, and the model is corrected by what they took.

A correction is a factor per operation, dtype and size (to a factor of eight), kept beside the rates of
the machine in force. Calls are sampled so rarely that the timing itself stays below one percent of the
program. The first call of a kind is cold (compiling, building a plan): nothing is learned from it but
its price, which placement charges apart. A frozen machine (``XPU_MACHINE``) learns nothing.
"""

from __future__ import annotations

import importlib
import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from xpu._device import CPU, Device
from xpu._op import Work, bucket

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine
    from xpu._processor import Processor

__all__ = ["Learner", "learner"]

_SHARE = 0.002  # of the program's time may go into timing; the rest of the one percent promised goes into asking
_WEIGHT = 0.25  # of a new observation, in the logarithm: one disturbed call cannot turn a decision
_FARTHEST = math.log(2.0)  # how far one observation may pull
_LIMIT = math.log(64.0)  # how far corrections may go in all
_STRANGE = math.log(8.0)  # farther off than this is not believed until it has been seen three times
_RAREST = 4096  # calls between two samples at most


class Lap(Protocol):
    """A measurement under way on a device's own clock."""

    def stop(self) -> None:
        """Mark the end of the work."""

    def seconds(self) -> float | None:
        """Return the seconds; None while the device has not got there."""


class _HostLap:
    """A measurement on the host's clock."""

    __slots__ = ("_clock", "_seconds", "_start")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds: float | None = None
        self._start = clock()

    def stop(self) -> None:
        self._seconds = self._clock() - self._start

    def seconds(self) -> float | None:
        return self._seconds


class Ticket(NamedTuple):
    """A call that is being timed."""

    lap: Lap
    on_host: bool
    cold: bool
    work: Work


class Learner:
    """Decides which calls are timed and turns their times into corrections.

    Parameters
    ----------
    clock : callable, optional
        Seconds on the host.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.on = False
        self.samples = 0
        self._clock = clock
        self._machine: Machine | None = None
        self._warm: set[tuple[bool, str, str]] = set()
        self._owed: dict[tuple[str, str], float] = {}
        self._strange: dict[tuple[bool, tuple[str, str, int]], int] = {}
        self._pending: deque[tuple[Ticket, float, float | None]] = deque(maxlen=64)
        self._countdown = self._interval = 1
        self._last = clock()
        self._spent = 0.0

    def start(self, machine: Machine) -> None:
        """Correct this machine from now on."""
        self._machine = machine
        self.on = True

    def stop(self) -> None:
        """Learn nothing any more; what was learned stays."""
        self.on = False

    def begin(self, device: Device, work: Work) -> Ticket | None:
        """Start timing a call, or return None: this one is not sampled."""
        on_host = device == CPU
        if on_host:  # nothing is owed there: the first call that is timed counts as the cold one
            self._countdown -= 1
            if self._countdown > 0:
                return None
        key = (on_host, work.op, work.dtype.char)
        cold = key not in self._warm
        if not cold and not on_host:
            self._countdown -= 1
            if self._countdown > 0:
                return None
        began = self._clock()
        self._warm.add(key)
        lap: Lap = _events().lap() if device.kind == "cuda" else _HostLap(self._clock)
        self._spent += self._clock() - began
        return Ticket(lap, on_host, cold, work)

    def end(self, ticket: Ticket, *, undisturbed: bool, seconds: float | None = None) -> None:
        """Finish timing a call; it counts only if nothing was moved and it ran where it was meant to.

        `seconds` are those of the function alone, where they are known: the lap has our own work in it.
        """
        began = self._clock()
        ticket.lap.stop()
        if undisturbed:
            self._pending.append((ticket, self._predicted(ticket), seconds))
        self._harvest()
        self._pace(began)

    def _processor(self, on_host: bool) -> Processor | None:
        machine = self._machine
        return None if machine is None else machine.cpu if on_host else machine.accelerator

    def _predicted(self, ticket: Ticket) -> float:
        processor = self._processor(ticket.on_host)
        return math.nan if processor is None else processor.seconds(ticket.work)

    def _harvest(self) -> None:
        """Learn from the calls whose times have come in; a GPU is never waited for."""
        while self._pending:
            ticket, predicted, seconds = self._pending[0]
            if seconds is None and (seconds := ticket.lap.seconds()) is None:
                return
            self._pending.popleft()
            if predicted > 0 and seconds > 0:
                self.observe(ticket, predicted, seconds)

    def observe(self, ticket: Ticket, predicted: float, seconds: float) -> None:
        """Learn from one time: a cold call's price, a warm call's correction."""
        work = ticket.work
        if ticket.cold:
            if not ticket.on_host:
                self._owed[work.op, work.dtype.char] = 0.0
            return
        processor = self._processor(ticket.on_host)
        if processor is None:
            return
        key = bucket(work)
        error = math.log(seconds / predicted)
        if abs(error) > _STRANGE:
            seen = self._strange[ticket.on_host, key] = self._strange.get((ticket.on_host, key), 0) + 1
            if seen < 3:
                return
        else:
            self._strange.pop((ticket.on_host, key), None)
        step = _WEIGHT * max(-_FARTHEST, min(_FARTHEST, error))
        learned = math.log(processor.corrections.get(key, 1.0)) + step
        processor.corrections[key] = math.exp(max(-_LIMIT, min(_LIMIT, learned)))
        self.samples += 1

    def _pace(self, began: float) -> None:
        """Choose how many calls to let pass, so that timing takes a fifth of a percent of the program."""
        now = self._clock()
        self._spent += now - began
        calls = max(1, self._interval)
        per_call = max(1e-9, (now - self._last) / calls)
        self._interval = min(_RAREST, max(1, math.ceil(self._spent / (_SHARE * per_call))))
        self._countdown = self._interval
        self._last, self._spent = now, 0.0

    # ------------------------------------------------------------------------- the price of a cold call

    def price(self, work: Work) -> float:
        """Return what the first call of this kind on the accelerator has still to earn, in seconds."""
        key = (work.op, work.dtype.char)
        owed = self._owed.get(key)
        if owed is None:
            card = self._processor(on_host=False)
            owed = 0.0 if card is None or (False, *key) in self._warm else card.classes[work.kind].warmup
            self._owed[key] = owed
        return owed

    def missed(self, work: Work, gain: float) -> None:
        """Count what a call on the host would have gained on a warm accelerator: it earns the warm-up."""
        key = (work.op, work.dtype.char)
        if gain > 0 and self._owed.get(key):
            self._owed[key] = max(0.0, self._owed[key] - gain)


def _events() -> Any:
    return importlib.import_module("xpu._backends._events")


learner = Learner()
