"""What an accelerator's library cannot do of a call, read off the row and the operands.

Pure but for one look at whether an operand's memory may leave the host; dispatch asks before every call,
a recording asks for an accelerator that need not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpu._block import home
from xpu._call import Call
from xpu._op import Shaped, host_only
from xpu._wrap import kinds

__all__ = ["gap_of"]


def gap_of(this: Call, shapes: Sequence[Shaped]) -> str:
    """Say why no accelerator can run this call; empty where one can.

    Parameters
    ----------
    this : Call
        The call.
    shapes : sequence of Shaped
        Its operands' shapes and dtypes.

    Returns
    -------
    str
        One clause for the user, or nothing.
    """
    op = this.op
    if op.gpu is None:
        return f"the GPU library has no {op.name}"
    if this.foreign:
        return f"the GPU library takes no {this.foreign}"
    for name in op.gaps:
        if name in this.kwargs and not _is_default(name, this.kwargs[name]):
            return f"the GPU library's {op.name} has no {name}="
    for shape in shapes:
        if host_only(shape.dtype):
            return f"dtype {shape.dtype} exists on the host only"
    if _names_host_dtype(this):
        return "the result's dtype exists on the host only"
    for written in this.targets:
        if isinstance(written, np.ndarray):
            return "it writes to a NumPy array"
        if isinstance(written, kinds.scalar):
            return "a scalar cannot be written"
        view = home(written)
        if view is not None and view.block.anchored:
            return "it writes to memory that cannot leave the host"
    return ""


def _is_default(name: str, value: Any) -> bool:
    return value is None or (value is True and name == "where") or value is np._NoValue


def _names_host_dtype(this: Call) -> bool:
    """Return True if the call asks for a result of a dtype that only the host has."""
    words = str if this.op.name in ("astype", "view") else type  # elsewhere a string may be anything
    named: list[Any] = [a for a in this.args if isinstance(a, (np.dtype, type, words))]
    named.append(this.kwargs.get("dtype"))
    for dtype in named:
        if isinstance(dtype, (np.dtype, type, str)):
            try:
                if host_only(np.dtype(dtype)):
                    return True
            except TypeError:  # a string that names something else, such as einsum's subscripts
                continue
    return False
