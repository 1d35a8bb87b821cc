"""What is known of one function at one signature: predicted times, observed ones, and what trying has cost.

Pure arithmetic, so that every choice can be tested without a device and a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from xpu._placement import ACCELERATOR, HOST

__all__ = ["Choice"]

_WEIGHT = 0.25  # of a new observation
_PRICE = 0.05  # of the function's time so far may have gone into trying the other device
_PLAUSIBLE = 2.0  # farther off than this factor the model is not expected to be: not worth a trial


@dataclass
class Choice:
    """Times of whole calls on the host and on the accelerator, without the transfers of arguments.

    Attributes
    ----------
    predicted : dict
        Seconds per device, from the recorded operations and the machine's rates.
    observed : dict
        Seconds per device, a running mean of warm calls.
    calls : dict
        Calls per device.
    spent : float
        Seconds in all calls.
    price : float
        Seconds that calls on the device that was not the better one have cost more than the better one takes,
        first calls on a device included.
    """

    predicted: dict[str, float]
    observed: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: {HOST: 0, ACCELERATOR: 0})
    spent: float = 0.0
    price: float = 0.0

    def seconds(self, device: str) -> float:
        """Return what a call there is expected to take."""
        return self.observed.get(device, self.predicted[device])

    def worth_trying(self, device: str) -> bool:
        """Return True if a call on `device`, which is not the expected best, costs little and may teach much.

        It has not been observed there; the model, trusted to a factor of two, does not rule out that it is
        the better one; and all trials so far and this one (a cold call and a warm one) cost at most 5%
        of the time spent.
        """
        other = ACCELERATOR if device == HOST else HOST
        if device in self.observed or other not in self.observed or not math.isfinite(self.predicted[device]):
            return False
        if self.predicted[device] > _PLAUSIBLE * self.observed[other]:
            return False
        extra = 2 * max(0.0, self.predicted[device] - self.observed[other])
        return self.price + extra <= _PRICE * self.spent

    def saw(self, device: str, seconds: float) -> None:
        """Learn from one call; the first on the accelerator is cold (compiling, planning) and only costs.

        Parameters
        ----------
        device : str
            Where.
        seconds : float
            How long it took, without the transfers of arguments.
        """
        cold = device == ACCELERATOR and not self.calls[device]
        self.calls[device] += 1
        self.spent += seconds
        other = ACCELERATOR if device == HOST else HOST
        if other in self.observed:
            self.price += max(0.0, seconds - self.observed[other]) if cold or device not in self.observed else 0.0
        if cold:
            return
        before = self.observed.get(device)
        self.observed[device] = seconds if before is None else before + _WEIGHT * (seconds - before)
