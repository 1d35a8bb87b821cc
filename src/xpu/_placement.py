"""Where one call runs: pure arithmetic over sizes, residency, a machine and a policy.

No array, no library and no device is touched here, so every decision can be computed, printed and
tested anywhere.

The cost of a device is the predicted run time there plus the transfers of the operands that have no
valid replica there. One call is often not worth a transfer while a chain of them is, so every Block
carries a *lead*: how much better, in seconds, the accelerator would have been for it so far, in
hindsight, clamped to one transfer either way. This is the work-function algorithm for a metrical
task system of two states (Borodin, Linial and Saks, J. ACM 39, 1992: 2n - 1 = 3 times the offline
optimum for n = 2 states, and no deterministic rule does better). A Block moves when its lead
reaches its transfer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from xpu._config import FORCED
from xpu._op import Work

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine

__all__ = ["Decision", "Operand", "Policy", "decide", "weigh"]

HOST, ACCELERATOR = "cpu", "accelerator"


class Operand(NamedTuple):
    """What placement may know of one operand.

    Attributes
    ----------
    nbytes : int
        Bytes a transfer of it would move; 0 where another operand's transfer brings them along.
    on_host, on_accelerator : bool
        Whether a valid replica is there. Both are False for an array not born yet.
    lead : float
        Seconds that the accelerator is ahead for this Block in hindsight.
    pinned : str or None
        ``"cpu"`` or ``"accelerator"`` where the user put it there.
    """

    nbytes: int
    on_host: bool
    on_accelerator: bool
    lead: float = 0.0
    pinned: str | None = None


class Policy(NamedTuple):
    """What settings and capability say before any arithmetic.

    Attributes
    ----------
    forced : str or None
        ``"cpu"`` or ``"accelerator"`` from ``config(device=...)`` or the environment.
    gap : str
        Why the accelerator cannot run this call; empty where it can.
    warmup : float
        Seconds that the first call of this kind on the accelerator has still to earn (compiling,
        building a plan); 0 once it is warm.
    ahead : float
        Seconds that the accelerator was ahead for the last result of a call of this kind (`xpu._accounts`); negative
        where the host was.
    why : str
        The reason to give where `forced` decides.
    """

    forced: str | None = None
    gap: str = ""
    warmup: float = 0.0
    why: str = FORCED
    ahead: float = 0.0


class Decision(NamedTuple):
    """The answer: plain data that can be printed, compared and stored.

    Attributes
    ----------
    device : str
        ``"cpu"`` or ``"accelerator"``.
    reason : str
        One clause for the user.
    cpu_seconds, accelerator_seconds : float
        Predicted run time on each, without transfers (NaN where it cannot run).
    transfer_seconds : tuple of float
        Predicted transfers before a run on the host and on the accelerator.
    leads : tuple of float
        The operands' leads after this call.
    pieces : object
        How the call is cut where it does not fit on the accelerator (`xpu._chunks.Plan`); else None.
    """

    device: str
    reason: str
    cpu_seconds: float
    accelerator_seconds: float
    transfer_seconds: tuple[float, float]
    leads: tuple[float, ...] = ()
    pieces: Any = None

    @property
    def seconds(self) -> float:
        """Predicted seconds of the choice, transfers included."""
        if self.device == HOST:
            return self.cpu_seconds + self.transfer_seconds[0]
        return self.accelerator_seconds + self.transfer_seconds[1]


NAN = float("nan")


def decide(work: Work, operands: Sequence[Operand], machine: Machine, policy: Policy) -> Decision:
    """Choose the device for one call.

    Parameters
    ----------
    work : Work
        What the call does.
    operands : sequence of Operand
        Where its operands are.
    machine : Machine
        The rates and links in force.
    policy : Policy
        What is settled before any arithmetic.

    Returns
    -------
    Decision
        Device, reason, predicted seconds, and the leads to store.

    Examples
    --------
    >>> import numpy as np
    >>> from xpu._machine import shipped
    >>> work = Work("elementwise", np.dtype("f8"), 24e9, 1e9)
    >>> there = Operand(8_000_000_000, on_host=False, on_accelerator=True)
    >>> decide(work, [there, there], shipped("h200"), Policy()).device
    'accelerator'
    """
    accelerator = machine.accelerator
    cpu_seconds = machine.cpu.seconds(work)
    if accelerator is None:
        return Decision(HOST, "no accelerator", cpu_seconds, NAN, (0.0, 0.0))
    if policy.gap:
        down = up = 0.0
        to_device_seconds, to_host_seconds = machine.to_device.seconds, machine.to_host.seconds
        for nbytes, on_host, on_accelerator, _, _ in operands:
            if on_accelerator and not on_host:
                down += to_host_seconds(nbytes)
            elif on_host and not on_accelerator:
                up += to_device_seconds(nbytes)
        return Decision(HOST, policy.gap, cpu_seconds, NAN, (down, up), _after_gap(operands, machine))
    return weigh(cpu_seconds, accelerator.seconds(work), operands, machine, policy)


def weigh(
    cpu_seconds: float, accelerator_seconds: float, operands: Sequence[Operand], machine: Machine, policy: Policy
) -> Decision:
    """Choose the device for something that takes so long on each, once its operands are there.

    Parameters
    ----------
    cpu_seconds, accelerator_seconds : float
        Run times.
    operands, machine, policy
        As for `decide`; no gap.

    Returns
    -------
    Decision
        As from `decide`.
    """
    to_device, to_host = machine.to_device, machine.to_host
    up_latency, up_rate = to_device.latency, to_device.bandwidth
    down_latency, down_rate = to_host.latency, to_host.bandwidth
    forced, _, warmup, _, ahead = policy
    # Operands on one side alone: their transfers, what of those the accounts have paid, and their bytes.
    up = down = up_paid = down_paid = 0.0
    up_bytes = down_bytes = 0
    pinned = False
    leads: list[float] = []
    sided = []  # index, bytes, whether on the host, lead, transfer either way
    for nbytes, on_host, on_accelerator, lead, pin in operands:
        if pin is not None:
            pinned = True
        if on_host is not on_accelerator and nbytes:  # neither on both nor not born yet
            upward, downward = up_latency + nbytes / up_rate, down_latency + nbytes / down_rate
            sided.append((len(leads), nbytes, on_host, lead, upward, downward))
            if on_host:
                up += upward
                up_paid += lead
                up_bytes += nbytes
            else:
                down += downward
                down_paid -= lead
                down_bytes += nbytes
        leads.append(lead)
    if pinned or forced is not None:
        settled = _settled(operands, policy)
        if settled is not None:
            return Decision(*settled, cpu_seconds, accelerator_seconds, (down, up), tuple(leads))
    # What the call would gain by having the operands of one side on the other is shared out among them by bytes.
    # The transfers of the other side's operands are part of what the call costs as things are. Where operands hold a
    # call on the accelerator whose last result was needed on the host, they answer for what that result lost.
    gain = cpu_seconds - accelerator_seconds
    lost = ahead if ahead < 0.0 < gain and not up else 0.0
    up_share = (gain + down) / up_bytes if up_bytes else 0.0
    down_share = (gain + lost - up) / down_bytes if down_bytes else 0.0
    up_earned = down_earned = up_left = down_left = 0.0
    room = False  # in some account
    for i, nbytes, on_host, lead, upward, downward in sided:
        lead += (up_share if on_host else down_share) * nbytes
        # Clamped to one transfer either way: more would let an old lead outweigh a new phase.
        leads[i] = fits = upward if lead > upward else -downward if lead < -downward else lead
        if on_host:
            up_earned += fits
        else:
            down_earned -= fits
        if fits == lead:
            room = True
        elif on_host:
            up_left += lead - fits
        else:
            down_left += lead - fits
    if room and up_left:
        up_earned += _spill(operands, leads, up_left, machine, on_host=True)
    if room and down_left:
        down_earned -= _spill(operands, leads, down_left, machine, on_host=False)
    # What a move still has to earn: its transfer less what the accounts have paid. With operands on both sides this
    # call's transfers are compared as they are, so only earlier calls count.
    owed = (down - down_paid, up - up_paid) if down and up else (down - down_earned, up - up_earned)
    price = accelerator_seconds + warmup
    device, reason = _choose(cpu_seconds, price, (down, up), owed)
    if ahead:
        here, there = cpu_seconds + max(0.0, ahead), price + max(0.0, -ahead)
        other, _ = _choose(here, there, (down, up), owed)
        if other != device:
            device, reason = other, _WANTED[other]
    return Decision(device, reason, cpu_seconds, accelerator_seconds, (down, up), tuple(leads))


def _spill(operands: Sequence[Operand], leads: list[float], left: float, machine: Machine, *, on_host: bool) -> float:
    """Credit what did not fit into one account to the other operands of its side; return how much fitted there."""
    spilt = 0.0
    for i, o in enumerate(operands):
        if left and o.nbytes and o.on_host is on_host and o.on_accelerator is not on_host:
            most, least = machine.to_device.seconds(o.nbytes), -machine.to_host.seconds(o.nbytes)
            lead = min(most, max(least, leads[i] + left))
            left -= lead - leads[i]
            spilt += lead - leads[i]
            leads[i] = lead
    return spilt


def _after_gap(operands: Sequence[Operand], machine: Machine) -> tuple[float, ...]:
    """Return the leads after a call that only the host can run: on the accelerator each would have had to come down."""
    down = [machine.to_host.seconds(o.nbytes) for o in operands]
    return tuple(max(o.lead - d, -d) for o, d in zip(operands, down, strict=True))


def _settled(operands: Sequence[Operand], policy: Policy) -> tuple[str, str] | None:
    """Device and reason where a setting or a pin decides."""
    if policy.forced is not None:
        return policy.forced, policy.why
    pins = {o.pinned for o in operands if o.pinned is not None}
    if len(pins) == 1:
        return pins.pop(), "an operand is pinned there"
    return None


def _choose(
    cpu_seconds: float,
    accelerator_seconds: float,
    transfers: tuple[float, float],
    owed: tuple[float, float],
) -> tuple[str, str]:
    down, up = transfers
    to_host, to_device = owed
    if not down and not up:
        if accelerator_seconds < cpu_seconds:
            return ACCELERATOR, _AT_ACCELERATOR
        return HOST, _AT_HOME
    if down and up:
        if accelerator_seconds + to_device < cpu_seconds + to_host:
            return (
                ACCELERATOR,
                "its operands are on both sides; less to wait for on the accelerator",
            )
        return HOST, "its operands are on both sides; less to wait for on the host"
    if up:  # everything is on the host
        if accelerator_seconds + up < cpu_seconds:
            return ACCELERATOR, "faster there, the transfer included"
        if to_device <= _ROUNDING * up and accelerator_seconds < cpu_seconds:
            return ACCELERATOR, "its account has paid for the transfer"
        if cpu_seconds <= accelerator_seconds:
            return HOST, _AT_HOME
        return HOST, "its operands are on the host, and the transfer does not pay yet"
    if cpu_seconds + down < accelerator_seconds:
        return HOST, "faster on the host, the transfer included"
    if to_host <= _ROUNDING * down and cpu_seconds < accelerator_seconds:
        return HOST, "its account has paid for the transfer"
    if accelerator_seconds <= cpu_seconds:
        return ACCELERATOR, _AT_ACCELERATOR
    return ACCELERATOR, "its operands are on the accelerator, and the transfer does not pay yet"


_AT_HOME = "faster on the host, and its operands are there"
_AT_ACCELERATOR = "faster there, and its operands are there"

_WANTED = {
    HOST: "the last result of such a call was needed on the host",
    ACCELERATOR: "the last result of such a call was needed on the accelerator",
}

_ROUNDING = 1e-9  # a lead that reached its clamp may miss it by the last bits of a sum
