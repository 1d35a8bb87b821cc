"""Running a planned call in pieces through `xpu.pipeline`: bounded memory, in order, and never half done.

Results arrive in order, so whatever goes wrong there is a row up to which everything is right. Out of
memory: what is left goes on in smaller pieces. Anything else: what is left runs on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend
from xpu._block import Handle, evict, read, shared, write, writing
from xpu._call import Call
from xpu._chunks._gather import Gather, gather_for
from xpu._chunks._plan import Plan, Step, shorter
from xpu._chunks._scheme import Cut
from xpu._config import Recorder, Settings, config, instead
from xpu._dispatch import call
from xpu._op import OPS
from xpu._pipeline._feed import piped
from xpu._trace import Event
from xpu._transfer import lift
from xpu._wrap import own
from xpu.errors import DeviceLostError, FallbackError, FallbackWarning, text, warn_user

__all__ = ["run"]

Host = np.ndarray[Any, Any]
DEPTH = 2  # pieces on their way


class _Inside(Recorder):
    """Hears what happens inside: transfers go on to whoever listens, events are part of the one call."""

    def __init__(self, settings: Settings) -> None:
        self._outer = settings.recorders
        self.said: list[str] = []

    def moved(self, transfer: Any) -> None:
        """Hand a transfer on."""
        for recorder in self._outer:
            recorder.moved(transfer)

    def record(self, event: Event) -> None:
        """Keep what the pipeline says of link and GPU."""
        if event.op == "pipeline":
            self.said.append(event.reason)


def run(plan: Plan, this: Call, target: Backend, settings: Settings) -> tuple[Any, str]:
    """Run a call as planned.

    Parameters
    ----------
    plan : Plan
        How it is cut.
    this : Call
        The call; operands that are on the accelerator alone come to the host first.
    target : Backend
        The accelerator.
    settings : Settings
        In force for the call.

    Returns
    -------
    result : ndarray, or tuple of them
        On the host: it belongs to what did not fit.
    said : str
        What to add to the reason: how busy link and GPU were, or what went wrong.
    """
    given = this.without_out()
    raws = [read(o, HOST) if isinstance(o, Handle) else o for o in given.operands]
    evict(target.device)  # room for pieces: what is there is on the host too
    heard = _Inside(settings)
    with instead(heard if settings.recorders else None):
        if this.targets:
            made, trouble = _in_place(plan, given, raws, this.targets[0], target, settings)
        else:
            made, trouble = _passes(plan, given, raws, None, target, settings)
            made = tuple(_wrapped(m) for m in made) if isinstance(made, tuple) else _wrapped(made)
    return made, trouble or "; ".join(dict.fromkeys(heard.said))


def _passes(
    plan: Plan, given: Call, raws: Sequence[Host], into: Host | None, target: Backend, settings: Settings
) -> tuple[Any, str]:
    trouble = ""
    made: Any = None
    for step in plan.steps:
        one = _Pass(step, given, target, settings)
        made = one.all(raws, into)
        raws, trouble = [made], trouble or one.trouble
    return made, trouble


def _in_place(
    plan: Plan, given: Call, raws: Sequence[Host], out: Handle, target: Backend, settings: Settings
) -> tuple[Any, str]:
    """Write to ``out``: as pieces come, or only at the end where an error may come in between."""
    with writing([shared(out).block], HOST) as begin:
        into = write(out, HOST)
        raws = [raw if _same(raw, into) or not np.may_share_memory(raw, into) else raw.copy() for raw in raws]
        _checked(given, raws, into)
        if settings.on_fallback != "raise":
            begin()
            _, trouble = _passes(plan, given, raws, into, target, settings)
            return out, trouble
        made, trouble = _passes(plan, given, raws, None, target, settings)
        begin()
        into[...] = made
    return out, trouble


def _wrapped(made: Host) -> Any:
    return own(made if made.ndim else made[()], scalar=not made.ndim)


def _same(raw: Host, into: Host) -> bool:
    where = raw.__array_interface__["data"] == into.__array_interface__["data"]
    return where and raw.strides == into.strides and raw.shape == into.shape


def _checked(given: Call, raws: Sequence[Host], into: Host) -> None:
    """Let NumPy refuse a result that does not fit ``out``, before anything is written."""
    tiny = iter([np.ones((1,) * raw.ndim, raw.dtype) for raw in raws])
    args, keywords = given.replaced(lambda _: next(tiny), HOST)
    with np.errstate(all="ignore"):
        given.op.host(*args, **keywords, out=np.empty((1,) * into.ndim, into.dtype))


class _Pass:
    """One pass over the data."""

    def __init__(self, step: Step, given: Call, target: Backend, settings: Settings) -> None:
        self.trouble = ""
        self._step, self._given, self._target, self._settings = step, given, target, settings
        self._scheme = step.scheme

    def all(self, raws: Sequence[Host], into: Host | None) -> Any:
        """Run every piece; with a second cut, of every panel."""
        if self._scheme.panels is None:
            return self._pieces(raws, into)
        operand, axis, length = self._scheme.panels
        whole = into
        for low, high in self._step.panels:
            key = (slice(None),) * axis + (slice(low, high),)
            part = self._pieces([raw[key] if i == operand else raw for i, raw in enumerate(raws)], None)
            if whole is None:
                whole = np.empty((*part.shape[:-1], length), part.dtype)
            whole[..., low:high] = part
        return whole

    def _pieces(self, raws: Sequence[Host], into: Host | None) -> Any:
        raws = [raw.reshape(-1) for raw in raws] if self._scheme.flat else raws
        gather = gather_for(self._scheme, into)
        pieces: Sequence[tuple[int, int]] | None = self._step.pieces
        done = 0
        target = self._target
        failures: tuple[type[Exception], ...] = (*target.out_of_memory, *target.lost, DeviceLostError, FallbackError)
        while pieces is not None:
            failed: Exception | None = None
            try:
                for (low, high), parts in zip(pieces, self._piped(raws, pieces), strict=True):
                    gather.take(low, high, parts)
                    done = high
            except failures as error:
                failed = _without_frames(error)  # they hold memory on the device
            if failed is None:
                return gather.finish()
            evict(target.device)
            target.release()
            full = isinstance(failed.__cause__ or failed, target.out_of_memory)
            pieces = shorter(pieces, done) if full else None
            if pieces is None:
                self._give_up(failed)
        self._rest(raws, gather, done)
        return gather.finish()

    def _piped(self, raws: Sequence[Host], pieces: Sequence[tuple[int, int]]) -> Iterator[Any]:
        """Yield the results of pieces; what goes along whole is sent once."""
        pairs = list(zip(raws, self._scheme.cuts, strict=True))
        fixed = [own(lift(raw, self._target), scalar=False) if cut is None else None for raw, cut in pairs]
        source = ([*[_rows(raw, cut, *piece) for raw, cut in pairs if cut is not None], piece] for piece in pieces)
        work = self._work(fixed)

        def aloud(batch: Any) -> list[Any]:
            with config(on_fallback="raise"):  # what fails is not hidden from here
                return work(batch)

        for parts in piped(aloud, source, DEPTH, self._target, strict=True):
            yield [_on_host(part) for part in parts]

    def _rest(self, raws: Sequence[Host], gather: Gather, done: int) -> None:
        """Run what is left on the host."""
        cuts = self._scheme.cuts
        work = self._work([raw if cut is None else None for raw, cut in zip(raws, cuts, strict=True)])
        with config(device="cpu"):
            for low, high in self._step.pieces:
                if high > done:
                    start = max(low, done)
                    rows = [_rows(r, c, start, high) for r, c in zip(raws, cuts, strict=True) if c is not None]
                    gather.take(start, high, [_on_host(part) for part in work([*rows, (start, high)])])

    def _give_up(self, error: Exception) -> None:
        """Say that the accelerator failed, as settings ask."""
        name, settings = self._given.op.name, self._settings
        if settings.on_fallback == "raise":
            if isinstance(error, FallbackError):
                raise error
            problem = f"{name} failed on {self._target.device} ({type(error).__name__}: {error})"
            raise FallbackError(text(name, problem, "on_fallback='raise' forbids the CPU.")) from error
        if settings.on_fallback == "warn":
            problem = f"a piece failed on {self._target.device} ({error}); what was left ran on the CPU"
            warn_user(FallbackWarning(text(name, problem)))
        self.trouble = "a piece failed there, and what was left ran on the host"

    def _work(self, fixed: Sequence[Any]) -> Callable[[Any], list[Any]]:
        """Return the function of one piece: from its operands and bounds to its results."""
        step, scheme, given = self._step, self._scheme, self._given

        def work(batch: Any) -> list[Any]:
            *cut, (low, high) = batch
            moving = iter(cut)
            operands = iter([next(moving) if whole is None else whole for whole in fixed])
            if scheme.parts:
                x = next(operands)
                return [call(OPS[name], (x,), dict(keywords)) for name, keywords in scheme.parts]
            if step.row:
                return [call(OPS[step.row], (next(operands),), dict(step.keywords))]
            args, keywords = given.replaced(lambda _: next(operands), HOST)
            made = call(given.op, tuple(args), {**keywords, **self._adjusted(low, high)})
            if scheme.crop:
                first = next(c for c in scheme.cuts if c is not None)
                start = first.rows(low, high)[0]
                own_rows = low - (start if first.wrap else max(start, 0))
                made = made[(slice(None),) * scheme.axis + (slice(own_rows, own_rows + high - low),)]
            return [made]

        return work

    def _adjusted(self, low: int, high: int) -> dict[str, Any]:
        """Return the keyword that differs from piece to piece."""
        scheme = self._scheme
        if scheme.adjust == "input_size":
            return {"input_size": (high - low, *self._given.kwargs["input_size"][1:])}
        if scheme.adjust == "padding":
            (cut,) = (c for c in scheme.cuts if c is not None)
            start, stop = cut.rows(low, high)
            pairs = ((max(0, -start), max(0, stop - scheme.detail["length"])), *scheme.detail["padding"][1:])
            return {"padding": pairs}
        return {}


def _without_frames(error: Exception) -> Exception:
    """Return an error without the frames that it and the errors behind it came through; those may form a ring."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        found = waiting.pop()
        if found is not None and not any(found is known for known in seen):
            seen.append(found)
            found.__traceback__ = None
            waiting += [found.__cause__, found.__context__]
    return error


def _rows(raw: Host, cut: Cut, low: int, high: int) -> Host:
    """Return the rows of an operand that a piece reads."""
    start, stop = cut.rows(low, high)
    if cut.wrap and (start < 0 or stop > raw.shape[cut.axis]):
        around: Host = raw.take(np.arange(start, stop) % raw.shape[cut.axis], axis=cut.axis)
        return around
    return raw[(slice(None),) * cut.axis + (slice(max(start, 0), min(stop, raw.shape[cut.axis])),)]


def _on_host(part: Any) -> Any:
    if isinstance(part, (tuple, list)):
        return type(part)(*map(_on_host, part)) if hasattr(part, "_fields") else [_on_host(p) for p in part]
    return np.asarray(part)
