"""The one path of every public operation: collect operands, decide, make resident, run, record.

This is the page to read first. `call` takes a row and the user's arguments. It knows policy but not
`ndarray`: results become handles through `kinds` (`_wrap`), which `_array` fills in. Nothing else in xpu
chooses a device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpu._accounts import SMALL, memory, settle
from xpu._backends import HOST, Backend, accelerator, backend, machine_for, now
from xpu._backends._lost import lost, tell
from xpu._block import PARTIAL, Block, Handle, View, devices_of, home, shared
from xpu._call import Call
from xpu._capability import gap_of
from xpu._config import Settings, current
from xpu._device import CPU
from xpu._ghosts import COPYING, on_ghosts
from xpu._learn import learner
from xpu._op import Op, Shaped, Work, host_only
from xpu._placement import ACCELERATOR, Decision, Operand, Policy, decide
from xpu._resident import admit, on_residents
from xpu._running import forget_refusals, run, run_with_fallback, was_refused
from xpu._short import TOO_MUCH, on_few_bytes
from xpu._trace import Event, user_line
from xpu._transfer import ledger
from xpu._windows import remember, window_on
from xpu._wrap import as_scalar, kinds
from xpu.errors import XpuError

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine

__all__ = ["ALONE", "ask", "call", "execute", "forget_refusals", "plan", "too_large", "unborn"]

Raw = Any


# ----------------------------------------------------------------------------- the gate is closed


def call(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run one operation where it finishes first.

    Parameters
    ----------
    op : Op
        The row.
    args, kwargs
        The user's arguments: handles, raw arrays, lists, scalars.

    Returns
    -------
    object
        Handles for arrays, anything else as the library gave it.
    """
    settings = current()
    if not settings.watching:
        result = on_few_bytes(op, args, kwargs)
        if result is not TOO_MUCH:
            return result
    if settings.stays:
        result = window_on(op, args, kwargs) if op.view else on_residents(op, args, kwargs, settings.stays)
        if result is not TOO_MUCH:
            return result
    this = Call(op, args, kwargs)
    if settings.takes is not None and (made := settings.takes(this)) is not NotImplemented:
        return made
    made = _stay(this, settings) if op.view else execute(this, settings, *plan(this, settings))
    return as_scalar(made) if op.name in _OF_A_SCALAR and args and isinstance(args[0], kinds.scalar) else made


# What NumPy has as a scalar's methods: what they make of a scalar is one.
_OF_A_SCALAR = frozenset(
    {"astype", "byteswap", "field", "imag", "real", "reshape", "squeeze", "swapaxes", "transpose", "view"}
)


def execute(this: Call, settings: Settings, decision: Decision, where: Backend, work: Work) -> Any:
    """Make resident, run and record what has been decided."""
    if decision.pieces is not None:
        return _run_in_pieces(this, where, settings, decision, work)
    planned, count = where, ledger.count
    before = _Before.calling(where) if settings.recorders else None
    reason = decision.reason
    ticket = learner.begin(where.device, work) if learner.on else None
    try:
        if where is HOST:
            result = run(this, HOST, work)
        else:
            result, where, trouble = run_with_fallback(this, where, work, settings)
            reason = trouble or reason
            if settings.stays and where is planned:
                gain = decision.cpu_seconds - decision.accelerator_seconds
                admit(this.op, this.args, this.kwargs, where, settings.stays, work, gain)
    except XpuError as error:
        if before is not None:
            known = next(kind for kind in type(error).__mro__ if kind.__module__ == XpuError.__module__)
            reason = f"no result: {known.__name__}"
            _record(this, settings, decision, str(where.device), reason, 0.0, before, now(HOST), None)
        raise
    if ticket is not None:
        alone = where is planned and ledger.count == count
        learner.end(ticket, undisturbed=alone, seconds=this.seconds if where is HOST else None)
    if before is not None:
        ended = now(where)
        actual = _took(this, planned, where, before, ended)
        _record(this, settings, decision, str(where.device), reason, actual, before, ended, (result, work))
    return result


def _chunks() -> Any:
    return importlib.import_module("xpu._chunks")  # stands above this file, and is rarely needed


def _run_in_pieces(this: Call, where: Backend, settings: Settings, decision: Decision, work: Work) -> Any:
    """Run a call whose operands do not fit on the accelerator in pieces."""
    before = _Before.calling(where) if settings.recorders else None
    result, said = _chunks().run(decision.pieces, this, where, settings)
    if before is not None:
        reason = f"{decision.reason}; {said}" if said else decision.reason
        actual = where.seconds() - before.device
        _record(this, settings, decision, str(where.device), reason, actual, before, now(where), (result, work))
    return result


class Asked(NamedTuple):
    """What a decision about one call starts from."""

    target: Backend | None
    machine: Machine
    shapes: list[Shaped]
    work: Work
    operands: list[Operand]
    policy: Policy
    blocks: list[Block | None]


def ask(this: Call, settings: Settings) -> Asked:
    """Gather what a decision depends on; nothing is moved, and no account changes."""
    target = accelerator(settings) or _where_operands_live(this, settings)
    shapes = this.shapes()
    work = this.op.work(shapes, this.kwargs)
    machine = machine_for(target)
    if target is None:
        return Asked(
            None, machine, shapes, work, [], Policy(gap=settings.why if settings.device == "cpu" else ALONE), []
        )
    forced = {"auto": None, "cpu": "cpu"}.get(settings.device, ACCELERATOR)
    operands, blocks = _operands(this, shapes, target, accounts=forced is None)
    warmup = learner.price(work) if learner.on else 0.0
    gap = "" if forced == "cpu" else _gap(this, shapes, target)
    this.kind = memory.kind(work, blocks) if forced is None else None
    ahead = 0.0 if this.kind is None else this.kind.ahead
    return Asked(target, machine, shapes, work, operands, Policy(forced, gap, warmup, settings.why, ahead), blocks)


ALONE = "no accelerator"


def plan(this: Call, settings: Settings) -> tuple[Decision, Backend, Work]:
    """Decide where a call runs, and keep its operands' accounts; nothing is moved."""
    target, machine, _, work, operands, policy, blocks = ask(this, settings)
    if target is None:
        alone = Decision("cpu", policy.gap, machine.cpu.seconds(work), float("nan"), (0.0, 0.0))
        return alone, HOST, work
    large = too_large(this, machine, work, policy)
    if large is not None:
        return large, (target if large.device == ACCELERATOR else HOST), work
    decision = decide(work, operands, machine, policy)
    if policy.warmup and decision.device != ACCELERATOR:
        learner.missed(work, decision.cpu_seconds - decision.accelerator_seconds)
    if policy.forced is None:
        for block, lead in zip(blocks, decision.leads, strict=False):
            if block is not None:
                settle(block, lead)
    return decision, (target if decision.device == ACCELERATOR else HOST), work


def too_large(this: Call, machine: Machine, work: Work, policy: Policy) -> Decision | None:
    """Decide about a call that does not fit on the accelerator; None for any other."""
    there = machine.accelerator
    if there is None or policy.gap or policy.forced == "cpu" or 4 * work.bytes <= there.memory:
        return None
    found: Decision | None = _chunks().decided(this, machine, policy)
    return found


def _where_operands_live(this: Call, settings: Settings) -> Backend | None:
    """Return the accelerator of an operand, where settings name none."""
    for operand in this.operands:
        where = devices_of(operand) if isinstance(operand, Handle) else set()
        view = home(operand) if isinstance(operand, Handle) else None
        pin = view.block.pin if view is not None else None
        for device in {pin} if pin is not None else where:
            if device != CPU:
                return backend(device)
    return None


def _operands(
    this: Call, shapes: list[Shaped], target: Backend, *, accounts: bool
) -> tuple[list[Operand], list[Block | None]]:
    """Describe the operands to placement, and say which block each moves; a block moves but once for a call."""
    written = {id(t) for t in this.targets}
    operands: list[Operand] = []
    blocks: list[Block | None] = []
    for operand, shape in zip(this.operands, shapes, strict=True):
        nbytes = shape.nbytes
        block = None
        if not isinstance(operand, Handle):
            on_host = isinstance(operand, np.ndarray)
            found = Operand(nbytes, on_host, not on_host)
        else:
            moves = accounts or not target.holds(operand._raw)
            view = shared(operand) if moves and nbytes >= SMALL and not host_only(shape.dtype) else home(operand)
            where = devices_of(operand)
            if view is None:
                found = Operand(nbytes, CPU in where, target.device in where)
            else:
                block = view.block
                pin = None if block.pin is None else ("cpu" if block.pin == CPU else ACCELERATOR)
                if block in blocks:
                    nbytes, block = 0, None
                elif id(operand) in written or (nbytes >= PARTIAL * view.block.nbytes and not view.block.anchored):
                    nbytes = view.block.nbytes
                else:
                    block = None  # a small view moves alone, and its block stays where it is
                lead = 0.0 if block is None else block.lead
                found = Operand(nbytes, CPU in where, target.device in where, lead, pin)
        operands.append(found)
        blocks.append(block)
    return operands, blocks


def _gap(this: Call, shapes: list[Shaped], target: Backend) -> str:
    """Say why the accelerator cannot run this call; empty where it can."""
    if target.device in lost:
        return tell(target.device)
    gap = gap_of(this, shapes)
    if not gap and target.function(this.op) is None:
        return f"the GPU library has no {this.op.name}"
    if not gap and was_refused(this, shapes):
        return "this kind of call failed on the accelerator before"
    return gap


# ----------------------------------------------------------------------------- views


def _stay(this: Call, settings: Settings) -> Any:
    """Run a view operation: no device is asked, the result lies where its operand lies."""
    operand = next((h for h in this.handles), None)
    where = devices_of(operand) if operand is not None else {CPU}
    work = Work("host", np.dtype(np.float64), 0.0, 0.0)
    before = _Before.calling(HOST) if settings.recorders else None
    if CPU in where or operand is None:
        result = run(this, HOST, work)
        device = CPU
    else:
        device = next(iter(where), CPU)
        result = on_ghosts(this)
        if result is NotImplemented:
            return call(COPYING[this.op], this.args, this.kwargs)
    remember(this.op, this.args, this.kwargs, result)
    if before is not None:
        decision = Decision("cpu", "a view: nothing runs", 0.0, 0.0, (0.0, 0.0))
        ended = now(HOST)
        actual = this.seconds if device == CPU else 0.0  # not a device clock's time
        _record(this, settings, decision, str(device), decision.reason, actual, before, ended, None)
    return result


# ----------------------------------------------------------------------------- births and records


def unborn(op: Op, args: tuple[Any, ...], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Return an array that is made on the device that first uses it."""
    block = Block(Shaped(shape, dtype).nbytes)
    work = op.work([Shaped(shape, dtype)], {})

    def birth(where: Backend) -> Raw:
        function = where.function(op)
        assert function is not None
        return where.run(function, args, {}, work)

    block.birth = birth
    handle = kinds.new_array()
    view = View(block, shape, _c_strides(shape, dtype), dtype, 0)
    view.derived = False
    handle._raw, handle._home = None, view
    for recorder in current().recorders:
        recorder.postponed(handle, work)
    return handle


def _c_strides(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    strides, step = [], dtype.itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


class _Before(NamedTuple):
    """Clocks and counters before a call."""

    start: float
    device: float
    nbytes: int
    transfers: int
    seconds: float

    @classmethod
    def calling(cls, where: Backend) -> _Before:
        """Read them."""
        return cls(now(where), where.seconds(), ledger.nbytes, ledger.count, ledger.seconds)


def _took(this: Call, planned: Backend, where: Backend, before: _Before, ended: float) -> float:
    """Return the seconds of a call and its transfers, on the clock of where it ran; failed attempts count."""
    if where is not planned:
        return ended - before.start
    return this.seconds + (ledger.seconds - before.seconds) if where is HOST else where.seconds() - before.device


def _record(
    this: Call,
    settings: Settings,
    decision: Decision,
    device: str,
    reason: str,
    actual: float,
    before: _Before,
    ended: float,
    ran: tuple[Any, Work] | None,
) -> None:
    event = Event(
        this.op.name,
        device,
        reason,
        decision.seconds if this.op.kind != "host" else float("nan"),
        actual,
        ledger.nbytes - before.nbytes,
        ledger.count - before.transfers,
        tuple(s.shape for s in this.shapes()),
        user_line(),
        before.start,
        ended,
        ledger.seconds - before.seconds,
        decision.cpu_seconds,
        decision.accelerator_seconds,
    )
    for recorder in settings.recorders:
        recorder.record(event)
        if ran is not None:
            recorder.ran(event, this, *ran)
