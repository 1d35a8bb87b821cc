"""The one path of every public operation: collect operands, decide, make resident, run, record.

This is the page to read first. `call` takes a row and the user's arguments. It knows policy but not
`ndarray`: results become handles through `kinds` (`_wrap`), which `_array` fills in. Nothing else in xpu
chooses a device.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from xpu._backends import HOST, Backend, accelerator, backend, backend_of, machine_for
from xpu._backends._same import NotAsNumpy
from xpu._block import (
    Block,
    Handle,
    View,
    devices_of,
    evict,
    home,
    ledger,
    lift,
    lower,
    read,
    shaped,
    shared,
    write,
)
from xpu._call import Call
from xpu._capability import gap_of
from xpu._config import Settings, current
from xpu._device import CPU
from xpu._ghosts import COPYING, on_ghosts
from xpu._learn import learner
from xpu._machine import Machine
from xpu._op import Op, Shaped, Work, host_only
from xpu._placement import ACCELERATOR, Decision, Operand, Policy, decide
from xpu._results import adopt
from xpu._short import TOO_MUCH, on_few_bytes
from xpu._trace import Event, user_line
from xpu._wrap import kinds, own
from xpu.errors import CheckError, DeviceLostError, FallbackError, FallbackWarning, text, warn_user

__all__ = ["ALONE", "IN_ONE_PIECE", "ask", "call", "forget_refusals", "plan", "unborn"]

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
    this = Call(op, args, kwargs)
    if settings.takes is not None and (made := settings.takes(this)) is not NotImplemented:
        return made
    if op.view:
        return _stay(this, settings)
    decision, where, work = plan(this, settings)
    if work.bytes > IN_ONE_PIECE and (made := _in_pieces(this, settings)) is not NotImplemented:
        return made
    planned, moved, count = where, ledger.nbytes, ledger.count
    start, host_start = (where.seconds(), HOST.seconds()) if settings.recorders else (0.0, 0.0)
    reason = decision.reason
    ticket = learner.begin(where.device, work) if learner.on else None
    if where is HOST:
        result = _run(this, HOST, work)
    else:
        result, where, trouble = _run_with_fallback(this, where, work, settings)
        reason = trouble or reason
    if ticket is not None:
        learner.end(ticket, undisturbed=where is planned and ledger.count == count)
    if settings.recorders:
        actual = where.seconds() - (start if where is planned else host_start)
        _record(this, settings, decision, str(where.device), reason, actual, (moved, count), (result, work))
    return result


# No accelerator has less memory than a call of this many bytes takes.
IN_ONE_PIECE = 1 << 24


def _in_pieces(this: Call, settings: Settings) -> Any:
    """Run a call whose operands do not fit on the accelerator in pieces, where that pays."""
    target = accelerator(settings)
    memory = None if target is None else machine_for(target).accelerator
    if target is None or memory is None or this.targets:
        return NotImplemented
    if 2 * sum(shape.nbytes for shape in this.shapes()) <= memory.memory:
        return NotImplemented
    chunks = importlib.import_module("xpu._chunks")  # stands above this file, and is rarely needed
    return chunks.in_pieces(this.op, this.args, this.kwargs, target)


class Asked(NamedTuple):
    """What a decision about one call starts from."""

    target: Backend | None
    machine: Machine
    shapes: list[Shaped]
    work: Work
    operands: list[Operand]
    policy: Policy


def ask(this: Call, settings: Settings) -> Asked:
    """Gather what a decision depends on; nothing is moved, and no account changes."""
    target = accelerator(settings) or _where_operands_live(this, settings)
    shapes = this.shapes()
    work = this.op.work(shapes, this.kwargs)
    machine = machine_for(target)
    if target is None:
        return Asked(None, machine, shapes, work, [], Policy(gap=settings.why if settings.device == "cpu" else ALONE))
    forced = {"auto": None, "cpu": "cpu"}.get(settings.device, ACCELERATOR)
    operands = [_operand(o, s, target) for o, s in zip(this.operands, shapes, strict=True)]
    warmup = learner.price(work) if learner.on else 0.0
    gap = "" if forced == "cpu" else _gap(this, shapes, target)
    return Asked(target, machine, shapes, work, operands, Policy(forced, gap, warmup, settings.why))


ALONE = "no accelerator"


def plan(this: Call, settings: Settings) -> tuple[Decision, Backend, Work]:
    """Decide where a call runs, and keep its operands' accounts; nothing is moved."""
    target, machine, _, work, operands, policy = ask(this, settings)
    if target is None:
        alone = Decision("cpu", policy.gap, machine.cpu.seconds(work), float("nan"), (0.0, 0.0))
        return alone, HOST, work
    decision = decide(work, operands, machine, policy)
    if policy.warmup and decision.device != ACCELERATOR:
        learner.missed(work, decision.cpu_seconds - decision.accelerator_seconds)
    if policy.forced is None:
        for operand, lead in zip(this.operands, decision.leads, strict=False):
            view = home(operand) if isinstance(operand, Handle) else None
            if view is not None:
                view.block.lead = lead
    return decision, (target if decision.device == ACCELERATOR else HOST), work


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


# Below this many bytes no account is kept: no chain of calls on so little pays a launch.
_SMALL = 4096


def _operand(operand: Any, shape: Shaped, target: Backend) -> Operand:
    """Describe an operand to placement."""
    if not isinstance(operand, Handle):
        on_host = isinstance(operand, np.ndarray)
        return Operand(shape.nbytes, on_host, not on_host)
    view = shared(operand) if shape.nbytes >= _SMALL and not host_only(shape.dtype) else home(operand)
    where = devices_of(operand)
    if view is None:
        return Operand(shape.nbytes, CPU in where, target.device in where)
    pin = None if view.block.pin is None else ("cpu" if view.block.pin == CPU else ACCELERATOR)
    return Operand(shape.nbytes, CPU in where, target.device in where, view.block.lead, pin)


_refused: set[tuple[str, tuple[str, ...], tuple[str, ...]]] = set()


def forget_refusals() -> None:
    """Let kinds of calls that failed on the accelerator be tried there again."""
    _refused.clear()


def _signature(this: Call, shapes: Iterable[Shaped]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return this.op.name, tuple(s.dtype.str for s in shapes), tuple(sorted(this.kwargs))


def _gap(this: Call, shapes: list[Shaped], target: Backend) -> str:
    """Say why the accelerator cannot run this call; empty where it can."""
    gap = gap_of(this, shapes)
    if not gap and target.function(this.op) is None:
        return f"the GPU library has no {this.op.name}"
    if not gap and _refused and _signature(this, shapes) in _refused:
        return "this kind of call failed on the accelerator before"
    return gap


# ----------------------------------------------------------------------------- running


def _run(this: Call, where: Backend, work: Work) -> Any:
    """Make operands resident, run, hand back handles."""
    targets = {id(t) for t in this.targets}
    raws: list[tuple[Raw, Any]] = []

    def fetch(operand: Any) -> Raw:
        if not isinstance(operand, Handle):
            raw = operand if backend_of(operand) is where else lift(_on_host(operand), where)
        elif id(operand) in targets and not isinstance(operand, kinds.scalar):
            raw = write(operand, where)
        else:
            raw = read(operand, where)
        raws.append((raw, operand))
        return raw

    args, kwargs = this.replaced(fetch, where)
    function = where.function(this.op)
    assert function is not None
    result = where.run(function, tuple(args), kwargs, work)
    for written in this.targets:
        view = home(written) if isinstance(written, Handle) else None
        if view is not None:
            view.block.written(where.device)

    def fresh(raw: Raw) -> Any:
        scalar = raw.ndim == 0 and where is not HOST and not this.op.keeps_0d
        return _inherit(own(raw, scalar=scalar), this, where)

    return adopt(result, where, raws, fresh)


def _on_host(raw: Raw) -> Raw:
    source = backend_of(raw)
    return raw if source is None else lower(raw, source)


def _inherit(handle: Any, this: Call, where: Backend) -> Any:
    """Hand the operands' account and pin on to a result, so that a chain of fresh arrays adds up."""
    lead = size = 0.0
    pins = set()
    for operand in this.handles:
        view = getattr(operand, "_home", None)
        if view is not None and view.block.nbytes:
            lead += view.block.lead
            size += view.block.nbytes
            if view.block.pin is not None:
                pins.add(view.block.pin)
    if (lead and handle._raw.nbytes >= _SMALL) or (len(pins) == 1 and pins == {where.device}):
        if isinstance(handle._raw, np.ndarray) and host_only(handle._raw.dtype):
            return handle
        block = shared(handle).block
        block.lead = lead * block.nbytes / size if size else 0.0
        block.pin = where.device if pins == {where.device} else None
    return handle


def _run_with_fallback(this: Call, where: Backend, work: Work, settings: Settings) -> tuple[Any, Backend, str]:
    """Run on the accelerator; out of memory and library errors end on the CPU, once, aloud.

    Returns the result, where it was made, and why not where it was meant to be.
    """
    expected = _expected(this, work) if settings.check == "both" else None
    failed: Exception | None = None
    difference = ""
    try:
        try:
            result = _run(this, where, work)
        except where.out_of_memory:
            evict(where.device)
            where.release()
            result = _run(this, where, work)
    except NotAsNumpy as found:
        difference = f"the GPU's answer would differ from NumPy's: {found}"
    except where.lost as error:
        return _after_loss(this, where, work, error), HOST, _FAILED
    except (*where.out_of_memory, *where.failures) as error:
        failed = error
    # What follows is outside the handlers: a mistake of the user's must not trail ours.
    if difference:
        return _run(this, HOST, work), HOST, difference
    if failed is not None:
        if settings.on_fallback == "raise" and not isinstance(failed, _USERS_FAULT):
            problem = f"{this.op.name} failed on {where.device} ({type(failed).__name__}: {failed})"
            remedy = "on_fallback='raise' forbids the CPU."
            raise FallbackError(text(this.op.name, problem, remedy)) from failed
        return _on_cpu_instead(this, where, work, settings, failed), HOST, _FAILED
    if expected is not None:
        _compare(this, result, expected)
    return result, where, ""


_FAILED = "the call failed on the accelerator"


# Errors that NumPy raises for bad input too: the CPU decides whether the input was bad.
_USERS_FAULT = (TypeError, ValueError, IndexError, AttributeError, ArithmeticError)


def _on_cpu_instead(this: Call, where: Backend, work: Work, settings: Settings, error: Exception) -> Any:
    result = _run(this, HOST, work)  # what this raises is the user's
    if settings.on_fallback == "raise":
        problem = f"{this.op.name} failed on {where.device} ({type(error).__name__}: {error})"
        raise FallbackError(text(this.op.name, problem, "on_fallback='raise' forbids the CPU.")) from error
    if not isinstance(error, where.out_of_memory):
        _refused.add(_signature(this, this.shapes()))
    if settings.on_fallback == "warn":
        problem = f"the call failed on {where.device} ({type(error).__name__}: {error}) and ran on the CPU"
        warn_user(FallbackWarning(text(this.op.name, problem)))
    return result


def _after_loss(this: Call, where: Backend, work: Work, error: Exception) -> Any:
    only_there = [str(shaped(h)) for h in this.handles if devices_of(h) == {where.device}]
    if only_there:
        problem = f"{where.device} was lost ({error}) and held the only copy of {', '.join(only_there)}"
        raise DeviceLostError(text(this.op.name, problem, "Restart the process.")) from error
    for handle in this.handles:
        view = home(handle)
        if view is not None:
            view.block.valid.discard(where.device)
            view.block.roots.pop(where.device, None)
    return _run(this, HOST, work)


# ----------------------------------------------------------------------------- check="both"


def _expected(this: Call, work: Work) -> Any:
    """Run the call on copies, on the host."""

    def fetch(operand: Any) -> Any:
        raw = read(operand, HOST) if isinstance(operand, Handle) else _on_host(operand)
        return raw.copy()

    args, kwargs = this.replaced(fetch, HOST)
    return this.op.host(*args, **kwargs)


def _compare(this: Call, result: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        for r, e in zip(result, expected, strict=True):
            _compare(this, r, e)
        return
    if not isinstance(result, Handle) or not isinstance(expected, (np.ndarray, np.generic)):
        return
    got = np.asarray(read(result, HOST))
    same = got.shape == expected.shape and got.dtype == expected.dtype
    if same and got.dtype.kind in "fc":
        rtol = 64 * float(np.finfo(got.dtype).eps) * max(1, this.op.ulp)
        scale = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
        same = bool(np.allclose(got, expected, rtol=rtol, atol=rtol * scale, equal_nan=True))
    elif same and got.dtype.kind in "biu":
        same = bool(np.array_equal(got, expected))
    if not same:
        here = f"{expected.dtype}{expected.shape} {expected!r}"
        problem = f"devices disagree: {got.dtype}{got.shape} {got!r} there, {here} on the host"
        raise CheckError(text(this.op.name, problem, "Found by check='both'."))


# ----------------------------------------------------------------------------- views


def _stay(this: Call, settings: Settings) -> Any:
    """Run a view operation: no device is asked, the result lies where its operand lies."""
    operand = next((h for h in this.handles), None)
    where = devices_of(operand) if operand is not None else {CPU}
    work = Work("host", np.dtype(np.float64), 0.0, 0.0)
    start, moved, count = time.perf_counter(), ledger.nbytes, ledger.count
    if CPU in where or operand is None:
        result = _run(this, HOST, work)
        device = CPU
    else:
        device = next(iter(where), CPU)
        result = on_ghosts(this)
        if result is NotImplemented:
            return call(COPYING[this.op], this.args, this.kwargs)
    if settings.recorders:
        decision = Decision("cpu", "a view: nothing runs", 0.0, 0.0, (0.0, 0.0))
        actual = time.perf_counter() - start if device == CPU else 0.0  # not a device clock's time
        _record(this, settings, decision, str(device), decision.reason, actual, (moved, count), None)
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
    handle = kinds.array()
    handle._raw, handle._home = None, View(block, shape, _c_strides(shape, dtype), dtype, 0)
    for recorder in current().recorders:
        recorder.postponed(handle, work)
    return handle


def _c_strides(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, ...]:
    strides, step = [], dtype.itemsize
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def _record(
    this: Call,
    settings: Settings,
    decision: Decision,
    device: str,
    reason: str,
    actual: float,
    before: tuple[int, int],
    ran: tuple[Any, Work] | None,
) -> None:
    event = Event(
        this.op.name,
        device,
        reason,
        decision.seconds,
        actual,
        ledger.nbytes - before[0],
        ledger.count - before[1],
        tuple(s.shape for s in this.shapes()),
        user_line(),
    )
    for recorder in settings.recorders:
        recorder.record(event)
        if ran is not None:
            recorder.ran(event, this, *ran)
