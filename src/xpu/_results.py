"""From raw results to handles, keeping NumPy's sharing of memory and identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend
from xpu._block import Handle, View, host_view, settle, shared
from xpu._gate import gate
from xpu._wrap import kinds, own, wrap

__all__ = ["adopt"]

Raw = Any
Operands = Sequence[tuple[Raw, Any]]


def adopt(result: Any, where: Backend, operands: Operands, fresh: Callable[[Raw], Any]) -> Any:
    """Turn what a library returned into handles.

    Parameters
    ----------
    result : object
        A raw array, a scalar, a tuple or list of them, or anything else.
    where : Backend
        Where the call ran.
    operands : sequence of (raw array, what the user gave)
        What the call was given: a result may be one of them, or lie in one's memory.
    fresh : callable
        Wraps a raw array that shares memory with no operand.

    Returns
    -------
    object
        Handles for arrays; NumPy's subclasses of `ndarray` and anything else as they are.
    """
    raw_type: Any = where.raw_type
    if type(result) is raw_type or (where is not HOST and isinstance(result, raw_type)):
        for raw, operand in operands:
            if raw is result:
                return operand if isinstance(operand, Handle) else _foreign(result, where)
        base = getattr(result, "base", True)
        if where is HOST:
            for raw, operand in operands if base is not None else ():
                if isinstance(raw, np.ndarray) and HOST.shares(result, raw):
                    return _window(result, operand, where, fresh)
        elif result.nbytes:
            for raw, operand in operands:
                if where.shares(result, raw):
                    return _window(result, operand, where, fresh)
        return fresh(result)
    if isinstance(result, np.generic):
        return own(result, scalar=True)
    if isinstance(result, (tuple, list)):
        items = [adopt(r, where, operands, fresh) for r in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


def _foreign(raw: Raw, where: Backend) -> Any:
    if where is not HOST:
        return own(raw, scalar=False)
    handle = kinds.new_array()
    settle(handle, host_view(raw, anchored=True))
    return handle


def _window(result: Raw, operand: Any, where: Backend, fresh: Callable[[Raw], Any]) -> Any:
    """Wrap a result that lies in an operand's memory, or in a copy of it made for this call alone."""
    if not isinstance(operand, Handle):
        return _foreign(result, where)
    if not gate.accelerated:
        return wrap(result)
    block = shared(operand).block
    root = block.roots.get(where.device)
    if root is None or not where.shares(result, root):
        return fresh(result)
    handle = kinds.new_array()
    settle(handle, View.of(block, result, where))
    return handle
