"""Views of arrays that are not on the host: NumPy works out shape and strides on arrays without memory.

So a view means exactly what it means in NumPy, moves nothing and launches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends import HOST
from xpu._block import Handle, View, host_view, settle, shared
from xpu._call import Call
from xpu._op import Op
from xpu._taken import taken
from xpu._wrap import kinds

__all__ = ["COPYING", "on_ghosts"]


class _Copying(dict[Op, Op]):
    """The same row without the promise of a view, for a reshape that has to copy."""

    def __missing__(self, op: Op) -> Op:
        fields = {name: getattr(op, name) for name in Op.__slots__}
        self[op] = Op(**{**fields, "view": False, "kind": "copy"})
        return self[op]


COPYING = _Copying()


def on_ghosts(this: Call) -> Any:
    """Let NumPy compute shapes and strides on arrays without memory, and rebuild the views."""
    ghosts: list[tuple[np.ndarray[Any, Any], Handle]] = []
    named = this.op.names[0] if this.op.names else ""
    first = this.args[0] if this.args else this.kwargs.get(named, this.operands[0])

    def fetch(operand: Any) -> Any:
        if not isinstance(operand, Handle):
            return operand
        again = any(known is operand for _, known in ghosts)
        if (operand is not first or again) and this.op.name not in _SEVERAL:
            return taken(operand)  # lengths or axes: their values count
        view = shared(operand)
        ghost = np.lib.stride_tricks.as_strided(np.empty(1, view.dtype), view.shape, view.strides)
        ghosts.append((ghost, operand))
        return ghost

    args, kwargs = this.replaced(fetch, HOST)
    if this.op.name in _MAY_COPY and not _MAY_COPY[this.op.name](*args, **kwargs):
        return NotImplemented
    result = this.op.host(*args, **kwargs)
    return NotImplemented if _reads(result) else _materialise(result, ghosts)


def _reads(result: Any) -> bool:
    """Return True for elements: a ghost has none to read."""
    if isinstance(result, (tuple, list)):
        return any(map(_reads, result))
    return isinstance(result, np.generic)


def _materialise(result: Any, ghosts: list[tuple[np.ndarray[Any, Any], Handle]]) -> Any:
    if isinstance(result, np.ndarray):
        for ghost, operand in ghosts:
            if result is ghost:
                return operand
            if HOST.shares(result, ghost):
                view = shared(operand)
                offset = view.offset + HOST.offset(ghost, result)
                handle = kinds.new_array()
                readonly = view.readonly or not result.flags.writeable
                settle(handle, View(view.block, result.shape, result.strides, result.dtype, offset, readonly=readonly))
                return handle
        handle = kinds.new_array()  # a view of a NumPy operand beside the ghosts
        settle(handle, host_view(result, anchored=True))
        return handle
    if isinstance(result, (tuple, list)):
        return type(result)([_materialise(r, ghosts) for r in result])
    return result


_SEVERAL = frozenset({"atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "meshgrid"})  # of arrays


Ghost = np.ndarray[Any, Any]
_TELLS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # reshape(copy=False) came with it


def _reshaped(a: Ghost, shape: Any, order: str) -> Ghost:
    """Return the view that a reshape is; ValueError where it is none (or the shape does not fit)."""
    if _TELLS:
        return np.reshape(a, shape, order, copy=False)  # type: ignore[call-overload, no-any-return]
    if order in "Ff" or (order in "Aa" and a.flags.fnc):
        return _reshaped(a.T, tuple(np.atleast_1d(shape))[::-1], "C").T
    seen = a.view()
    try:
        seen.shape = shape
    except AttributeError as error:
        raise ValueError(str(error)) from None
    return seen


def _reshapes_without_copy(a: Ghost, *args: Any, **kwargs: Any) -> bool:
    """Ask NumPy; a shape that it refuses is refused by the call itself."""
    if kwargs.get("copy") is True:
        return False
    shape = args[0] if args else kwargs.get("shape", kwargs.get("newshape", a.shape))
    try:
        _reshaped(a, shape, kwargs.get("order", args[1] if len(args) > 1 else "C"))
    except ValueError:
        return False
    return True


def _ravels_without_copy(a: Ghost, order: str = "C") -> bool:
    """As NumPy: a view only of elements that lie one after the other, in the order that is asked for."""
    if order in "Kk":
        a = a.transpose(np.argsort([-abs(step) for step in a.strides], kind="stable"))
    return a.flags.c_contiguous if order in "CcKk" else a.flags.f_contiguous or (order in "Aa" and a.flags.c_contiguous)


_MAY_COPY: dict[str, Callable[..., bool]] = {
    "reshape": _reshapes_without_copy,
    "ravel": _ravels_without_copy,
    "imag": lambda a: a.dtype.kind == "c",
    "meshgrid": lambda *a, **k: False,
    "diag": lambda a, k=0: a.ndim == 2,
    "flip": lambda a, axis=None: a.ndim > 0,  # else its element, as a scalar
    "unstack": lambda a, axis=0: a.ndim > 1,  # else elements, which have to be read
    "asarray": lambda a, dtype=None, order=None, **k: (
        (dtype is None or np.dtype(dtype) == a.dtype) and order in (None, "K", "A") and k.get("copy") is not True
    ),
}
