"""Running one call on one device, and what happens when that goes wrong.

Nothing half-done is left behind: operands are made resident before anything is written, a write that fails gives the
replicas back that were valid before, and what a failed call may have spoilt is not called valid. A GPU that runs out of
memory drops clean replicas, least recently used first; a lost device is not asked again; any other failure
runs on the CPU once, aloud, and that kind of call is remembered. If the CPU raises too, its exception is the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from xpu._accounts import SMALL, Kind, born
from xpu._backends import HOST, Backend, backend_of
from xpu._backends._base import NotAsNumpy
from xpu._backends._lost import lose, tell
from xpu._block import Block, Handle, devices_of, evict, home, read, shaped, shared, write, writing
from xpu._call import Call
from xpu._config import Settings
from xpu._op import Shaped, Work, host_only
from xpu._results import adopt
from xpu._transfer import FailedTransfer, lift, lower
from xpu._wrap import kinds, own
from xpu.errors import (
    CheckError,
    DeviceLostError,
    FallbackError,
    FallbackWarning,
    TransferError,
    text,
    warn_user,
)

__all__ = ["forget_refusals", "open_accounts", "run", "run_with_fallback", "was_refused"]

Raw = Any


def run(this: Call, where: Backend, work: Work) -> Any:
    """Make operands resident, run, hand back handles."""
    targets = {id(t) for t in this.targets if isinstance(t, Handle) and not isinstance(t, kinds.scalar)}
    raws: list[tuple[Raw, Any]] = []
    # What is only read comes first: no lock is held while another block moves.
    resident = {id(o): _resident(o, where) for o in this.operands if id(o) not in targets} if targets else {}

    def fetch(operand: Any) -> Raw:
        raw = resident.get(id(operand))
        if raw is None:
            raw = write(operand, where) if id(operand) in targets else _resident(operand, where)
        raws.append((raw, operand))
        return raw

    function = where.function(this.op)
    assert function is not None
    if targets:
        sorts = this.op.kind == "sort"
        blocks = [shared(t).block for t in this.targets if id(t) in targets and (sorts or _in_a_block(t, where))]
        with writing(blocks, where) as begin:
            args, kwargs = this.replaced(fetch, where)
            spare = _spare(this, blocks, where)
            begin()
            try:
                result = _timed(this, where, function, args, kwargs, work)
            except (*where.out_of_memory, *where.failures):
                for block, root in spare:
                    block.roots[where.device] = root
                raise
    else:
        args, kwargs = this.replaced(fetch, where)
        result = _timed(this, where, function, args, kwargs, work)

    made: list[Any] = []

    def fresh(raw: Raw) -> Any:
        made.append(own(raw, scalar=raw.ndim == 0 and where is not HOST and not this.op.keeps_0d))
        return made[-1]

    adopted = adopt(result, where, raws, fresh)
    if made:
        open_accounts(made, this.handles, this.kind, where)
    return adopted


def _timed(
    this: Call, where: Backend, function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any], work: Work
) -> Any:
    """Run the function itself and note what the host's clock says: neither our own work nor a transfer is in it."""
    began = HOST.seconds()
    result = where.run(function, tuple(args), kwargs, work)
    this.seconds = HOST.seconds() - began
    return result


def _in_a_block(target: Handle, where: Backend) -> bool:
    """Return True if what is written has a block, or gets one because it has to move."""
    return home(target) is not None or (backend_of(target._raw) or HOST) is not where


def _resident(operand: Any, where: Backend) -> Raw:
    if isinstance(operand, Handle):
        raw = read(operand, where)
        return np.asarray(raw)[()] if where is HOST and isinstance(operand, kinds.scalar) else raw
    return operand if backend_of(operand) is where else lift(_on_host(operand), where)


def _on_host(raw: Raw) -> Raw:
    source = backend_of(raw)
    return raw if source is None else lower(raw, source)


def _spare(this: Call, blocks: list[Block], where: Backend) -> list[tuple[Block, Raw]]:
    """Copy what an in-place sort works on where no other replica is left.

    GPU libraries sort in several kernels, so one that fails leaves a mixture; every other row writes with one kernel,
    which has not begun when it fails. The copy costs little beside the sort.
    """
    if where is HOST or this.op.kind != "sort":
        return []
    alone = [b for b in blocks if b.valid == {where.device}]
    return [(b, where.root(where.compact(b.roots[where.device]))) for b in alone]


def open_accounts(made: list[Any], operands: Iterable[Any], kind: Kind | None, where: Backend) -> None:
    """Hand the operands' accounts and pin on to fresh results, so that a chain of fresh arrays adds up."""
    parents = [v.block for v in (getattr(o, "_home", None) for o in operands) if v is not None and v.block.nbytes]
    pins = {block.pin for block in parents} - {None}
    pin = where.device if pins == {where.device} else None
    if kind is None and pin is None:
        return
    fresh = []
    for handle in made:
        raw = handle._raw
        if isinstance(raw, np.ndarray) and (host_only(raw.dtype) or (raw.nbytes < SMALL and pin is None)):
            continue
        if not isinstance(raw, np.generic) and raw.nbytes:
            fresh.append(shared(handle).block)
            fresh[-1].pin = pin
    if kind is not None:
        born(kind, fresh, parents)


# ----------------------------------------------------------------------------- when it goes wrong

_FAILED = "the call failed on the accelerator"
_FULL = "the accelerator is out of memory"
_CUT = "a transfer to the accelerator failed"

# Errors that NumPy raises for bad input too: the CPU decides whether the input was bad.
_USERS_FAULT = (TypeError, ValueError, IndexError, AttributeError, ArithmeticError)

_refused: set[tuple[str, tuple[str, ...], tuple[str, ...]]] = set()


def forget_refusals() -> None:
    """Let kinds of calls that failed on the accelerator be tried there again."""
    _refused.clear()


def was_refused(this: Call, shapes: Iterable[Shaped]) -> bool:
    """Return True if this kind of call failed on the accelerator before."""
    return bool(_refused) and _signature(this, shapes) in _refused


def _signature(this: Call, shapes: Iterable[Shaped]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return this.op.name, tuple(s.dtype.str for s in shapes), tuple(sorted(this.kwargs))


def run_with_fallback(this: Call, where: Backend, work: Work, settings: Settings) -> tuple[Any, Backend, str]:
    """Run on the accelerator; out of memory and library errors end on the CPU, once, aloud.

    Returns the result, where it was made, and why not where it was meant to be.
    """
    expected = _expected(this, work) if settings.check == "both" else None
    failed: Exception | None = None
    difference = ""
    try:
        result = _run_in_scarce_memory(this, where, work)
    except NotAsNumpy as found:
        difference = f"the GPU's answer would differ from NumPy's: {found}"
    except where.lost as error:
        return _after_loss(this, where, work, error), HOST, f"{where.device} was lost"
    except (*where.out_of_memory, *where.failures) as error:
        if isinstance(error, (TransferError, DeviceLostError)) and not isinstance(error, FailedTransfer):
            raise  # not the library's failure: a setting forbids it, or nothing is left to compute with
        failed = error
    # What follows is outside the handlers: a mistake of the user's must not trail ours.
    if difference:
        return run(this, HOST, work), HOST, difference
    if failed is not None:
        if settings.on_fallback == "raise" and not isinstance(failed, _USERS_FAULT):
            raise FallbackError(_told(this, where, failed)) from failed
        return _on_cpu_instead(this, where, work, settings, failed), HOST, _reason(failed, where)
    if expected is not None:
        _compare(this, result, expected)
    return result, where, ""


def _run_in_scarce_memory(this: Call, where: Backend, work: Work) -> Any:
    """Run; short of memory, let what this call does not need go, then all that is valid elsewhere too."""
    blocks = [view.block for h in this.handles if (view := home(h)) is not None]
    attempts: tuple[Callable[[], object], ...] = (
        lambda: evict(where.device, _needed(this, work), blocks),
        lambda: evict(where.device),
    )
    for let_go in attempts:
        try:
            return run(this, where, work)
        except where.out_of_memory:
            pass
        let_go()
        where.release()  # pieces that are free but too small to be used go back, too
    return run(this, where, work)


def _needed(this: Call, work: Work) -> float:
    """Return the bytes a call can want at once: its operands, a result, and as much for the library."""
    return 2.0 * max(work.bytes, float(sum(shape.nbytes for shape in this.shapes())))


def _reason(error: Exception, where: Backend) -> str:
    if isinstance(error, where.out_of_memory):
        return _FULL
    return _CUT if isinstance(error, FailedTransfer) else _FAILED


def _told(this: Call, where: Backend, error: Exception) -> str:
    problem = f"{this.op.name} failed on {where.device} ({type(error).__name__}: {error})"
    return text(this.op.name, problem, "on_fallback='raise' forbids the CPU.")


def _on_cpu_instead(this: Call, where: Backend, work: Work, settings: Settings, error: Exception) -> Any:
    result = run(this, HOST, work)  # what this raises is the user's
    if settings.on_fallback == "raise":
        raise FallbackError(_told(this, where, error)) from error
    if not isinstance(error, (*where.out_of_memory, FailedTransfer)):
        _refused.add(_signature(this, this.shapes()))
    if settings.on_fallback == "warn":
        problem = f"the call failed on {where.device} ({type(error).__name__}: {error}) and ran on the CPU"
        warn_user(FallbackWarning(text(this.op.name, problem)))
    return result


def _after_loss(this: Call, where: Backend, work: Work, error: Exception) -> Any:
    lose(where.device, str(error))
    only_there = [str(shaped(h)) for h in this.handles if devices_of(h) == {where.device}]
    if only_there:
        problem = f"{where.device} was lost ({error}) and held the only copy of {', '.join(only_there)}"
        raise DeviceLostError(text(this.op.name, problem, "Restart the process.")) from error
    for handle in this.handles:
        view = home(handle)
        if view is not None:
            with view.block.lock:
                view.block.forget(where.device)
    tell(where.device)
    return run(this, HOST, work)


# ----------------------------------------------------------------------------- check="both"


def _expected(this: Call, work: Work) -> Any:
    """Run the call on copies, on the host."""

    def fetch(operand: Any) -> Any:
        raw = read(operand, HOST) if isinstance(operand, Handle) else _on_host(operand)
        return raw.copy()

    args, kwargs = this.replaced(fetch, HOST)
    return this.op.host(*args, **kwargs)


_ARBITRARY = ("empty", "empty_like")  # whatever was in the memory


def _compare(this: Call, result: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        for r, e in zip(result, expected, strict=True):
            _compare(this, r, e)
        return
    if not isinstance(result, Handle) or not isinstance(expected, (np.ndarray, np.generic)):
        return
    got = np.asarray(read(result, HOST))
    same = got.shape == expected.shape and got.dtype == expected.dtype
    if same and this.op.name in _ARBITRARY:
        return
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
