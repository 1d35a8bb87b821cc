"""The resident lane: calls on arrays that lie on the forced device already.

Where a setting names the device nothing is weighed, and where every operand is there nothing moves: what is left is the
library's call. A kind of call takes the long way (`_dispatch`) once, which finds out whether the
library can do it; from then on it is known by its operands' shapes and dtypes. Whatever is out of the ordinary, or
goes wrong here, is left to the long way too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpu._backends import Backend, loaded, on_new_machine
from xpu._backends._base import NotAsNumpy
from xpu._backends._lost import lost
from xpu._block import Block, Handle, home, uses
from xpu._learn import learner
from xpu._op import Op, Work
from xpu._results import adopt
from xpu._short import TOO_MUCH
from xpu._wrap import NUMBERS, kinds, own

__all__ = ["admit", "forget", "on_residents"]

Raw = Any

_KINDS = frozenset({"copy", "elementwise", "fft", "gather", "linalg", "matmul", "reduction", "scan", "sort"})
_NAMED = NUMBERS | {type(None), str, type, np.dtype}  # what a call is known by as it is
_MOST = 4096
_known: dict[tuple[Any, ...], Work] = {}
forget = _known.clear
on_new_machine.append(forget)


class _Apart(NamedTuple):
    """A call taken apart: what it is known by, and what the library gets."""

    key: tuple[Any, ...]
    args: list[Any]
    kwargs: dict[str, Any]
    operands: list[tuple[Raw, Any]]
    written: Block | None


def on_residents(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> Any:
    """Run a call on the device that settings name, if it is of a known kind and its operands are there.

    Parameters
    ----------
    op : Op
        The row.
    args, kwargs
        The user's arguments.
    device : str
        The device that settings name.

    Returns
    -------
    object
        The result, or `TOO_MUCH`: nothing has happened then.
    """
    where = loaded(device)
    if where is None or where.device in lost:
        return TOO_MUCH
    this = _apart(op, args, kwargs, where)
    work = None if this is None else _known.get(this.key)
    if this is None or work is None:
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
    return adopt(result, where, this.operands, lambda raw: own(raw, scalar=raw.ndim == 0 and not op.keeps_0d))


def admit(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], where: Backend, work: Work) -> None:
    """Know a kind of call from now on: it has just run on `where`, where a setting put it."""
    this = _apart(op, args, kwargs, where)
    if this is not None:
        if len(_known) >= _MOST:
            forget()
        _known[this.key] = work


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


def _apart(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], where: Backend) -> _Apart | None:
    """Take a call apart; None unless its arrays lie on `where` alone and all else is numbers and names."""
    if op.view or op.kind not in _KINDS or (op.writes and op.writes[0] < len(args)):
        return None
    key: list[Any] = [op, where.device]
    raws: list[Any] = []
    operands: list[tuple[Raw, Any]] = []
    for position, value in enumerate(args):
        kind = type(value)
        if kind in kinds.both:
            raw = _there(value, where)
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
            raw = _there(out, where) if type(out) is kinds.array else None
            if raw is None:
                return None
            view = home(out)
            if view is not None and view.readonly:
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
    return _Apart(tuple(key), raws, named, operands, written)


def _there(value: Handle, where: Backend) -> Raw | None:
    """Return the raw array of a handle with a replica on `where`; None for any other, and for one that is pinned."""
    view = home(value)
    if view is None:
        raw = value._raw
        return raw if where.holds(raw) else None
    block = view.block
    with block.lock:  # nothing is evicted meanwhile
        if where.device not in block.valid or block.pin is not None:
            return None
        block.last_use = next(uses)
        return view.raw(where)
