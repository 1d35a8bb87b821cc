"""`x.base` gives the very array that the user made, where it still is: ``v.base is x``.

A view knows its memory, not who else holds it, and keeping that up for every view would cost every view. So the
collector is asked, which takes milliseconds in a large program, and only when `base` is; the last answer is kept.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from xpu._block import Block, Handle, View
from xpu._wrap import kinds

__all__ = ["holder", "holder_of_block"]


def _nobody() -> None:
    """Stands for a weak reference to nothing."""


_last: list[Any] = [_nobody]


def _remembered(handle: Handle) -> Handle:
    _last[0] = weakref.ref(handle)
    return handle


def holder(raw: Any) -> Any:
    """Return an array that holds this NumPy array, if there is one."""
    last = _last[0]()
    if last is not None and last._raw is raw:
        return last
    found = (h for h in gc.get_referrers(raw) if type(h) is kinds.array and h._raw is raw)
    first = next(found, None)
    return None if first is None else _remembered(first)


def holder_of_block(block: Block) -> Any:
    """Return the array that a block was made of, if it is still there."""
    last = _last[0]()
    if last is not None and _shows_all(getattr(last, "_home", None), block):
        return last
    views = [v for v in gc.get_referrers(block) if _shows_all(v, block)]
    found = (h for v in views for h in gc.get_referrers(v) if type(h) is kinds.array and h._home is v)
    first = next(found, None)
    return None if first is None else _remembered(first)


def _shows_all(view: Any, block: Block) -> bool:
    return type(view) is View and view.block is block and not view.derived and view.nbytes == block.nbytes
