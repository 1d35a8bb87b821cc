"""A call that does not fit on the accelerator: what dispatch asks before it decides otherwise."""

from __future__ import annotations

import math

import numpy as np

from xpu._block import Handle, devices_of, home, shaped
from xpu._call import Call
from xpu._chunks._maps import is_pointwise
from xpu._chunks._plan import fits, planned
from xpu._device import CPU
from xpu._machine import Machine
from xpu._op import Shaped
from xpu._placement import ACCELERATOR, HOST, Decision, Policy

__all__ = ["decided"]

_NAN = float("nan")


def decided(this: Call, machine: Machine, policy: Policy) -> Decision | None:
    """Decide about a call that does not fit on the accelerator.

    Parameters
    ----------
    this : Call
        The call; the accelerator could run it if it fitted.
    machine : Machine
        The machine in force.
    policy : Policy
        What settings say.

    Returns
    -------
    Decision or None
        None if the call fits. ``pieces`` holds the `Plan` where it runs in pieces.
    """
    given = this.without_out()
    shapes = given.shapes()
    work = this.op.work(shapes, given.kwargs)
    if fits(this.op, shapes, work, machine):
        return None
    host = machine.cpu.seconds(work)
    back = sum(machine.to_host.seconds(n) for n in _only_there(given))  # first, wherever the call runs then
    why = _obstacle(this, given, shapes)
    plan = None if why else planned(this.op, given.args, given.kwargs, shapes, machine)
    if plan is None:
        return Decision(HOST, f"{_TOO_LARGE}, and {why or 'it cannot be cut'}", host, _NAN, (back, 0.0))
    if policy.forced == ACCELERATOR:
        return Decision(ACCELERATOR, f"{_TOO_LARGE}: {plan.what}", host, plan.seconds, (back, back), (), plan)
    if plan.seconds < host:
        reason = f"{_TOO_LARGE}; faster there in {plan.what}"
        return Decision(ACCELERATOR, reason, host, plan.seconds, (back, back), (), plan)
    reason = f"{_TOO_LARGE}; in {plan.what} slower than the host"
    return Decision(HOST, reason, host, plan.seconds, (back, back))


_TOO_LARGE = "too large for the accelerator"


def _only_there(given: Call) -> list[int]:
    """Return the sizes of operands without a replica on the host."""
    there = [(o, devices_of(o)) for o in given.operands if isinstance(o, Handle)]
    return [shaped(operand).nbytes for operand, where in there if where and CPU not in where]


def _obstacle(this: Call, given: Call, shapes: list[Shaped]) -> str:
    """Say why a call cannot run in pieces whatever it computes; empty if it can."""
    for operand in given.operands:
        if not isinstance(operand, (Handle, np.ndarray)):
            return "an operand is another library's, there"
        view = home(operand) if isinstance(operand, Handle) else None
        if view is not None and view.block.pin == CPU:
            return "an operand is pinned to the host"
    if not this.targets:
        return ""
    into = this.targets[0]
    whole = len(this.targets) == 1 and isinstance(into, Handle) and this.kwargs.get("out") is not None
    if not whole or not is_pointwise(this.op) or not isinstance(this.op.host, np.ufunc):
        return "it writes to its operands"
    view = home(into)
    shape = np.broadcast_shapes(*(s.shape for s in shapes))
    if view is not None and (view.readonly or view.shape != shape or not math.prod(shape)):
        return "it writes to its operands"
    return ""
