"""Views of arrays that know their block, where a view like it was taken before.

NumPy says what a view is, and what it says depends on shape, strides, dtype and the arguments alone. So it is asked
once for each kind of view (on arrays without memory where they are on a device: `_ghosts`); from then on a window on
the block is made of what it said. Keys with arrays are left to the long way.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from xpu._block import View, home, settle, shared
from xpu._gate import gate
from xpu._op import Op
from xpu._short import TOO_MUCH
from xpu._wrap import kinds

__all__ = ["forget", "remember", "window_on"]

_MOST = 4096
# What is known by its value. A number or name of another type would be taken for an equal one: True for 1.
_NAMED = frozenset({int, str, type(None), type(Ellipsis), type})


class _Window(NamedTuple):
    """A view: its place in the view it was taken of, and how it goes through the elements."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    readonly: bool


_known: dict[tuple[Any, ...], _Window] = {}
forget = _known.clear


def window_on(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return a view of an array that has a block, or will have one, or `TOO_MUCH`: nothing has happened then.

    Parameters
    ----------
    op : Op
        A row that returns a view.
    args, kwargs
        The user's arguments, the array first; keywords are left to the long way.
    """
    handle = args[0] if args else None
    if kwargs or type(handle) is not kinds.array or not gate.accelerated:
        return TOO_MUCH
    view = home(handle)
    if view is None:
        raw = handle._raw
        if isinstance(raw, (np.ndarray, np.generic)):
            return TOO_MUCH
        key = _key(op, raw.shape, raw.strides, raw.dtype, args)
    else:
        if view.block.anchored or not view.block.valid:  # what is not born yet has no place to look through
            return TOO_MUCH
        key = _key(op, view.shape, view.strides, view.dtype, args)
    found = None if key is None else _known.get(key)
    if found is None:
        return TOO_MUCH
    view = shared(handle)
    offset, readonly = view.offset + found.offset, view.readonly or found.readonly
    made = kinds.new_array()
    settle(made, View(view.block, found.shape, found.strides, found.dtype, offset, readonly=readonly))
    return made


def remember(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    """Know a kind of view from now on: NumPy has just said what it is."""
    handle = args[0] if args else None
    if kwargs or type(handle) is not kinds.array or type(result) is not kinds.array or result is handle:
        return
    view, made = home(handle), home(result)
    if view is None or made is None or made.block is not view.block or view.readonly:
        return
    key = _key(op, view.shape, view.strides, view.dtype, args)
    if key is not None:
        if len(_known) >= _MOST:
            forget()
        _known[key] = _Window(made.shape, made.strides, made.dtype, made.offset - view.offset, made.readonly)


def _key(
    op: Op, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any], args: tuple[Any, ...]
) -> tuple[Any, ...] | None:
    """Return what a kind of view is known by; None where an argument is not a plain one."""
    key: list[Any] = [op, shape, strides, dtype]
    for argument in args[1:]:
        parts = argument if type(argument) is tuple else (argument,)
        key.append(len(parts) if parts is argument else -1)
        for part in parts:
            if type(part) is slice:
                start, stop, step = part.start, part.stop, part.step
                if not {type(start), type(stop), type(step)} <= _NAMED:
                    return None
                key += slice, start, stop, step
            elif type(part) in _NAMED or isinstance(part, np.dtype):
                key.append(part)
            else:
                return None
    return tuple(key)
