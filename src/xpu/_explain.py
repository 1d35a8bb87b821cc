"""Asking for a decision without running anything, and forbidding transfers in a region."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from xpu._backends import HOST, Backend, automatic
from xpu._block import Handle, devices_of, home
from xpu._call import Call
from xpu._changes import Change, Question, break_even_of, changes
from xpu._config import Settings, config, current, taking
from xpu._device import CPU
from xpu._dispatch import ALONE, Asked, ask, too_large
from xpu._op import OPS, Work
from xpu._ops._make import Function, public
from xpu._placement import ACCELERATOR, Decision, decide
from xpu._processor import Processor
from xpu._sizes import Sized
from xpu._tables import Table, aligned
from xpu._trace import seconds, size
from xpu.errors import text

__all__ = ["Account", "Cost", "Explanation", "explain", "no_transfers"]

NAN = float("nan")


class Cost(NamedTuple):
    """Predicted seconds of a call on one device; NaN where it cannot run.

    Attributes
    ----------
    launch : float
        Until the device starts: kernel launch, or dispatch inside the library.
    compute : float
        The slower of memory and arithmetic.
    transfer : float
        To bring the operands there first.
    """

    launch: float
    compute: float
    transfer: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.launch + self.compute + self.transfer


class Account(NamedTuple):
    """One operand: where it is, and how far it is from moving.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    dtype : str
        Its dtype.
    nbytes : int
        Bytes that a transfer of it moves.
    where : tuple of str
        Devices with a valid replica; empty for an array not born yet.
    pinned : str
        Where the user put it; empty if nowhere.
    lead : float
        Seconds that the accelerator is ahead for its block in hindsight, before this call.
    lead_after : float
        The same after this call.
    transfer : float
        Predicted seconds to move it to the accelerator (or, where it lies there alone, to the host): it
        moves when the lead (or its opposite) reaches this.
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    where: tuple[str, ...]
    pinned: str
    lead: float
    lead_after: float
    transfer: float


@dataclass(frozen=True)
class Explanation:
    """One decision, taken apart; prints as a table.

    Attributes
    ----------
    op, device, reason : str
        What would run, where, why.
    cpu, accelerator : Cost
        Predicted seconds on each.
    warmup : float
        Seconds on top that the first call of this kind on the accelerator has still to earn.
    bytes_to_move : int
        Bytes that the choice would move.
    elements : int
        Elements of the largest operand.
    break_even : int or None
        Elements of the largest operand from which the accelerator wins although operands have to
        move there, proportions kept; None if it never does within its memory.
    break_even_resident : int or None
        The same for operands that are there already.
    operands : tuple of Account
        Where each is, and its account.
    changes : tuple of Change
        What would turn the decision, each found by deciding again.
    accelerator_title : str
        Its name, or ``"none"``.
    pieces : int
        How many parts a call that does not fit on the accelerator at once is cut into. Their copies
        and compute overlap, so that `accelerator.compute` is all of it then.
    """

    op: str
    device: str
    reason: str
    cpu: Cost
    accelerator: Cost
    warmup: float
    bytes_to_move: int
    elements: int
    break_even: int | None
    break_even_resident: int | None
    operands: tuple[Account, ...]
    changes: tuple[Change, ...]
    accelerator_title: str
    pieces: int = 1

    @property
    def seconds(self) -> float:
        """Predicted seconds of the choice, transfers included."""
        return (self.cpu if self.device == "cpu" else self.accelerator).total

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data that JSON can hold: what is not a number is None."""
        made: dict[str, Any] = {}
        for name, value in asdict(self).items():
            made[name] = value
        made["cpu"] = _numbers({**self.cpu._asdict(), "total": self.cpu.total})
        made["accelerator"] = _numbers({**self.accelerator._asdict(), "total": self.accelerator.total})
        made["operands"] = [{**o._asdict(), "shape": list(o.shape), "where": list(o.where)} for o in self.operands]
        made["changes"] = [_numbers(c._asdict()) for c in self.changes]
        return made

    def tables(self) -> list[Table]:
        """Return the tables that an explanation prints as."""
        title = f"{self.op} runs on {self.device}: {self.reason}"
        rows = [
            [name, seconds(c.launch), seconds(c.compute), seconds(c.transfer), seconds(c.total)]
            for name, c in (("cpu", self.cpu), (self.accelerator_title, self.accelerator))
            if name != "none"
        ]
        made = [Table(title, ("predicted", "launch", "compute", "transfer", "total"), rows, (1, 2, 3, 4))]
        if self.operands:
            columns = ("operand", "bytes", "where", "pinned", "GPU ahead by", "after this call", "transfer")
            accounts = [
                [
                    f"{o.dtype} {o.shape}",
                    size(o.nbytes),
                    ", ".join(o.where) or "not born yet",
                    o.pinned or "-",
                    _signed(o.lead),
                    _signed(o.lead_after),
                    seconds(o.transfer),
                ]
                for o in self.operands
            ]
            title = "accounts: an operand moves when what it would have gained reaches its transfer"
            made.append(Table(title, columns, accounts, (1, 4, 5, 6)))
        return made

    def notes(self) -> list[str]:
        """Return what stands below the tables, a line each."""
        here, there = _elements(self.break_even), _elements(self.break_even_resident)
        lines = [f"moves {size(self.bytes_to_move)}"]
        if self.accelerator_title != "none":
            now = f"this call: {self.elements:,} elements"
            lines.append(f"break-even size: {here} on the host, {there} on the GPU ({now})")
        elif self.reason == ALONE:
            lines.append("XPU_PRETEND=h200 shows the decision beside a card that is not here")
        if self.warmup:
            lines.append(f"its first call there takes {seconds(self.warmup)} more, to compile or to plan")
        if self.changes:
            lines.append("what would change it: " + "; ".join(c.text for c in self.changes))
        return lines

    def __str__(self) -> str:
        lines = []
        for table in self.tables():
            lines += [table.title, *("  " + line for line in aligned(table))]
        return "\n".join([*lines, *("  " + note for note in self.notes())])


def _signed(value: float) -> str:
    return seconds(value) if value >= 0 else f"-{seconds(-value)}"


def _elements(n: int | None) -> str:
    return "never" if n is None else "any size" if n <= 1 else f"from {n:,} elements"


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in row.items()}


class _Found(Exception):  # it carries an answer, not an error
    """Ends a call at the point where it would be placed."""

    def __init__(self, call: Call) -> None:
        super().__init__(call.op.name)
        self.call = call


def explain(function: Any, /, *args: Any, **kwargs: Any) -> Explanation:
    """Say where a call would run and why, without running it.

    Parameters
    ----------
    function : callable
        A function of this package or the NumPy function of the same name: ``xpu.add``, ``xpu.add.reduce``,
        ``xpu.nn.conv2d``, ``numpy.sin``; a method of an array, ``x.sum``; an operator, ``operator.add``;
        what `fuse`, `vectorize` or `offload` made.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Explanation
        Prints as a table; ``to_dict()`` gives plain data.

    Raises
    ------
    TypeError
        If `function` is none that xpu places: a function of your own has several operations, and what the
        later ones take is known only when the earlier ones have run. `profile` shows a run of it.

    Notes
    -----
    Nothing runs, nothing moves, and no account changes. Every entry of `Explanation.changes` was found by
    deciding again with that one thing changed.

    Examples
    --------
    >>> import xpu
    >>> xpu.explain(xpu.add, xpu.ones(3), 1).device
    'cpu'
    """
    own = getattr(function, "explain", None)
    if own is not None and _ours(function):
        made: Explanation = own(*args, **kwargs)
        return made
    settings = current()
    this = _call(function, args, kwargs)
    if this.op.view:
        return _of_view(this)
    asked = ask(this, settings)
    if asked.target is None and automatic.get() is not None:  # device="cpu": what it gives up is worth showing
        asked = _with_accelerator(this, settings)
    made = _explanation(this, asked)
    large = too_large(this, asked.machine, asked.work, asked.policy)
    return made if large is None else _in_pieces(asked, made, large)


# ----------------------------------------------------------------------------- from a function to its call


def _ours(function: Any) -> bool:
    of = inspect.unwrap(function) if callable(function) else function
    names = (getattr(of, "__module__", None) or "", type(function).__module__)
    return any(name.partition(".")[0] == "xpu" for name in names)


def _call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return the placed operation that a call comes down to."""
    if type(function) is Function:
        return Call(function.op, args, kwargs)
    row = next((op for op in OPS.values() if op.host is function), None)
    if row is not None:
        return Call(row, args, kwargs)
    method_of = getattr(function, "__self__", None)
    numpys = getattr(method_of, "__name__", "") if isinstance(method_of, np.ufunc) else ""
    if numpys in OPS:  # numpy.add.reduce
        return _stopped(getattr(public(numpys), function.__name__), args, kwargs)
    operator = getattr(function, "__module__", None) == "_operator"
    if not operator and not _ours(function) and not isinstance(method_of, (Handle, Function)):
        raise _stranger(function)
    return _stopped(function, args, kwargs)


def _stopped(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Call `function` up to its first placed operation."""
    views: list[Call] = []

    def stop(this: Call) -> Any:
        if this.op.view:  # runs nothing; an operation on it may follow
            views.append(this)
            return NotImplemented
        raise _Found(this)

    try:
        with taking(stop):
            function(*args, **kwargs)
    except _Found as found:
        return found.call
    if views:
        return views[0]
    raise _stranger(function)


def _stranger(function: Any) -> TypeError:
    found = getattr(function, "__name__", function)
    remedy = "Pass one of xpu's, for example xpu.add; for one of your own, look at a run of it with xpu.profile()."
    return TypeError(text("explain", f"{found!r} is not a function that xpu places", remedy))


# ----------------------------------------------------------------------------- from a call to its explanation


def _with_accelerator(this: Call, settings: Settings) -> Asked:
    """Ask as if the accelerator were in force, with what the settings decide as a policy."""
    with config(device="auto"):
        asked = ask(this, current())
    forced = asked.policy._replace(forced="cpu", why=settings.why) if settings.device == "cpu" else asked.policy
    return asked._replace(policy=forced)


def _of_view(this: Call) -> Explanation:
    operand = next((h for h in this.handles), None)
    where = devices_of(operand) if operand is not None else {CPU}
    device = str(CPU if CPU in where or not where else next(iter(where)))
    nothing = Cost(0.0, 0.0, 0.0)
    count = max((s.size for s in this.shapes()), default=0)
    reason = "a view: nothing runs"
    return Explanation(this.op.name, device, reason, nothing, nothing, 0.0, 0, count, None, None, (), (), "none")


def _explanation(this: Call, asked: Asked) -> Explanation:
    machine, policy = asked.machine, asked.policy
    if asked.target is None:
        decision = Decision("cpu", policy.gap, machine.cpu.seconds(asked.work), NAN, (0.0, 0.0))
    else:
        decision = decide(asked.work, asked.operands, machine, policy)
    where = asked.target if decision.device == ACCELERATOR and asked.target is not None else HOST
    question = Question(
        this.op,
        tuple(asked.shapes),
        this.kwargs,
        tuple(asked.operands),
        machine,
        policy,
    )
    present = asked.target is not None
    down, up = decision.transfer_seconds
    moves = zip(this.operands, asked.operands, strict=present)
    return Explanation(
        op=this.op.name,
        device=str(where.device),
        reason=decision.reason,
        cpu=_cost(machine.cpu, asked.work, decision.cpu_seconds, down),
        accelerator=_cost(machine.accelerator, asked.work, decision.accelerator_seconds, up),
        warmup=policy.warmup,
        bytes_to_move=sum(0 if _resident(o, where) else a.nbytes for o, a in moves),
        elements=max((s.size for s in asked.shapes), default=0),
        break_even=_size(break_even_of(question, resident=False)) if present else None,
        break_even_resident=_size(break_even_of(question, resident=True)) if present else None,
        operands=tuple(_accounts(this, asked, decision)) if present else (),
        changes=tuple(changes(question, decision)) if present else (),
        accelerator_title=machine.accelerator.title if present and machine.accelerator is not None else "none",
    )


def _in_pieces(asked: Asked, whole: Explanation, large: Decision) -> Explanation:
    """Explain a call that does not fit on the accelerator at once."""
    there = Cost(0.0, large.accelerator_seconds, 0.0)
    if large.pieces is None:
        return replace(whole, device="cpu", reason=large.reason, accelerator=there, changes=())
    device, pieces = str(asked.target and asked.target.device), large.pieces.total
    return replace(whole, device=device, reason=large.reason, accelerator=there, pieces=pieces, changes=())


def _size(found: Sized | None) -> int | None:
    return None if found is None else found.elements


def _cost(processor: Processor | None, work: Work, run: float, transfer: float) -> Cost:
    if processor is None or run != run:
        return Cost(NAN, NAN, NAN)
    if work.kind == "host":
        return Cost(NAN, NAN, transfer)
    launch = min(processor.launch(work), run)
    return Cost(launch, run - launch, transfer)


def _accounts(this: Call, asked: Asked, decision: Decision) -> Iterator[Account]:
    machine = asked.machine
    leads = decision.leads or tuple(o.lead for o in asked.operands)
    for value, shape, operand, after in zip(this.operands, asked.shapes, asked.operands, leads, strict=True):
        view = home(value) if isinstance(value, Handle) else None
        away = operand.on_accelerator and not operand.on_host
        link = machine.to_host if away else machine.to_device
        yield Account(
            shape=tuple(shape.shape),
            dtype=str(shape.dtype),
            nbytes=operand.nbytes,
            where=_where(value),
            pinned="" if view is None or view.block.pin is None else str(view.block.pin),
            lead=operand.lead,
            lead_after=after,
            transfer=link.seconds(operand.nbytes),
        )


def _where(operand: Any) -> tuple[str, ...]:
    if isinstance(operand, Handle):
        return tuple(sorted(map(str, devices_of(operand))))
    return ("cpu",) if isinstance(operand, np.ndarray) else ("cuda",)


def _resident(operand: Any, where: Backend) -> bool:
    if isinstance(operand, Handle):
        there = devices_of(operand)
        return not there or where.device in there
    return isinstance(operand, np.ndarray) and where is HOST


@contextmanager
def no_transfers() -> Iterator[None]:
    """Return a region in which a transfer raises `TransferError` before any byte moves.

    Examples
    --------
    >>> import xpu
    >>> with xpu.no_transfers():
    ...     print(xpu.ones(3).sum())
    3.0
    """
    with config(on_transfer="raise"):
        yield
