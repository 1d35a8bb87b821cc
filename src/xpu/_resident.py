"""The resident lane: calls on arrays that lie on the device already, where they are bound to run there.

Where every operand has a replica on the device nothing moves, and two things settle where a call runs: a setting that
names the device, or that the device is the faster one. A kind of call takes the long way (`_dispatch`) once, which
finds out whether the library can do it and what it takes; from then on it is known by its operands' shapes and dtypes,
and what is left is the library's call and the operands' accounts. Whatever is out of the ordinary, or goes wrong here,
is left to the long way too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpu._accounts import SMALL, Kind, memory, settle
from xpu._backends import Backend, automatic, loaded, machine_for, on_new_machine
from xpu._backends._base import NotAsNumpy
from xpu._backends._lost import lost
from xpu._block import PARTIAL, Block, Handle, View, home, uses
from xpu._device import CPU
from xpu._learn import learner
from xpu._op import Op, Work
from xpu._results import adopt
from xpu._running import open_accounts
from xpu._short import TOO_MUCH
from xpu._wrap import NUMBERS, kinds, own

__all__ = ["admit", "forget", "on_residents"]

Raw = Any

_KINDS = frozenset({"copy", "elementwise", "fft", "gather", "linalg", "matmul", "reduction", "scan", "sort"})
_NAMED = NUMBERS | {type(None), str, type, np.dtype}  # what a call is known by as it is
_MOST = 4096


class _Known(NamedTuple):
    """What the long way found out: the work, by how many seconds the device is faster, and what was learned till then.

    Without a gain, a setting decided.
    """

    work: Work
    gain: float | None
    samples: int


_known: dict[tuple[Any, ...], _Known] = {}
forget = _known.clear
on_new_machine.append(forget)


class _Apart(NamedTuple):
    """A call taken apart: what it is known by, what the library gets, and whose accounts it concerns."""

    key: tuple[Any, ...]
    args: list[Any]
    kwargs: dict[str, Any]
    operands: list[tuple[Raw, Any]]
    blocks: list[Block | None]
    written: Block | None


def on_residents(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Any:
    """Run a call on the device if it is of a known kind and its operands are there.

    Parameters
    ----------
    op : Op
        The row.
    args, kwargs
        The user's arguments.
    device : str
        What the settings say: a device other than the host, or ``"auto"``.

    Returns
    -------
    object
        The result, or `TOO_MUCH`: nothing has happened then.
    """
    where = automatic.found if device == "auto" else loaded(device)
    if where is None or where.device in lost:
        return TOO_MUCH
    this = _apart(op, args, kwargs, where, device)
    known = None if this is None else _known.get(this.key)
    if this is None or known is None or (known.gain is not None and known.samples != learner.samples):
        return TOO_MUCH
    work, kind = known.work, None
    if known.gain is not None:
        kind = memory.kind(work, this.blocks)
        if kind.ahead < 0.0:  # the last result of such a call was wanted on the host
            return TOO_MUCH
    ticket = learner.begin(where.device, work) if learner.on else None
    wrong: tuple[type[Exception], ...] = (NotAsNumpy, *where.out_of_memory, *where.lost, *where.failures)
    try:
        result = _run(op, this, where, work)
    except wrong:
        _known.pop(this.key, None)
        return TOO_MUCH
    if result is TOO_MUCH:
        return TOO_MUCH
    if ticket is not None:
        learner.end(ticket, undisturbed=True)
    return _adopted(op, this, result, where, known.gain, kind)


def admit(
    op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], where: Backend, device: str, work: Work, gain: float
) -> None:
    """Know a kind of call from now on: it has just run on `where`, which was faster by so many seconds."""
    if device == "auto" and not gain > 0.0:
        return
    this = _apart(op, args, kwargs, where, device)
    if this is not None:
        if len(_known) >= _MOST:
            forget()
        _known[this.key] = _Known(work, gain if device == "auto" else None, learner.samples)


def _run(op: Op, this: _Apart, where: Backend, work: Work) -> Any:
    function = where.function(op)
    if function is None:
        return TOO_MUCH
    block = this.written
    if block is None:
        return where.run(function, tuple(this.args), this.kwargs, work)
    with block.lock:  # no other thread takes a replica of what is being written
        if block.valid != {where.device}:  # another replica would be stale
            return TOO_MUCH
        return where.run(function, tuple(this.args), this.kwargs, work)


def _adopted(op: Op, this: _Apart, result: Any, where: Backend, gain: float | None, kind: Kind | None) -> Any:
    """Wrap what the library returned; where nothing but the gain decided, accounts go on as in `_placement`."""
    made: list[Any] = []

    def fresh(raw: Raw) -> Any:
        made.append(own(raw, scalar=raw.ndim == 0 and not op.keeps_0d))
        return made[-1]

    adopted = adopt(result, where, this.operands, fresh)
    if gain is not None:
        earners = [block for block in this.blocks if block is not None and CPU not in block.valid]
        share = gain / max(1, sum(block.nbytes for block in earners))
        link = machine_for(where).to_device
        for block in earners:  # never more than one transfer
            settle(block, min(block.lead + share * block.nbytes, link.seconds(block.nbytes)))
        if made:
            open_accounts(made, [operand for _, operand in this.operands], kind, where)
    return adopted


def _apart(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], where: Backend, device: str) -> _Apart | None:
    """Take a call apart; None unless its arrays lie on `where` and all else is numbers and names."""
    if op.view or op.kind not in _KINDS or (op.writes and op.writes[0] < len(args)):
        return None
    key: list[Any] = [op, where.device, device]
    raws: list[Any] = []
    operands: list[tuple[Raw, Any]] = []
    views: list[View | None] = []
    for position, value in enumerate(args):
        kind = type(value)
        if kind in kinds.both:
            raw = _there(value, where, views)
            if raw is None:
                return None
            key += raw.shape, raw.dtype
            operands.append((raw, value))
            raws.append(raw)
            continue
        if kind in NUMBERS and position in op.arrays:
            key.append(kind)
        elif kind in _NAMED or (kind is tuple and all(type(n) is int for n in value)):
            key += kind, value
        else:
            return None
        raws.append(value)
    if not operands:
        return None
    named, written = kwargs, None
    if kwargs:
        out = kwargs.get("out")
        if out is not None:
            raw = _there(out, where, views) if type(out) is kinds.array else None
            view = views[-1]
            if raw is None or (view is not None and view.readonly):
                return None
            written = None if view is None else view.block
            operands.append((raw, out))
            named = {**kwargs, "out": raw}
            key += "out", raw.shape, raw.dtype
        for name, value in kwargs.items():
            kind = type(value)
            if kind in _NAMED or (kind is tuple and all(type(n) is int for n in value)):
                key += name, kind, value
            elif name != "out":
                return None
    blocks = [] if device != "auto" else _blocks(operands, views)
    return None if blocks is None else _Apart(tuple(key), raws, named, operands, blocks, written)


def _there(value: Handle, where: Backend, views: list[View | None]) -> Raw | None:
    """Return the raw array of a handle with a replica on `where`; None for any other, and for one that is pinned."""
    view = home(value)
    views.append(view)
    if view is None:
        raw = value._raw
        return raw if where.holds(raw) else None
    block = view.block
    with block.lock:  # nothing is evicted meanwhile
        if where.device not in block.valid or block.pin is not None:
            return None
        block.last_use = next(uses)
        return view.raw(where)


def _blocks(operands: list[tuple[Raw, Any]], views: list[View | None]) -> list[Block | None] | None:
    """Return the block whose account each operand concerns, as dispatch counts them; None if one has none yet."""
    blocks: list[Block | None] = []
    for (raw, _), view in zip(operands, views, strict=True):
        if view is None:
            if raw.nbytes >= SMALL:
                return None
            blocks.append(None)
        else:
            block = view.block
            whole = raw.nbytes >= PARTIAL * block.nbytes and not block.anchored
            blocks.append(block if whole and block not in blocks else None)
    return blocks
