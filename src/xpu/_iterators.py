"""NumPy's iterators over xpu arrays: the elements are the host's, and what is written through them is the array's.

An operand that the flags let be written stays on the host from then on; one that is only read does not move for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpu._block import Handle, anchor
from xpu._taken import taken

__all__ = ["nditer", "nested_iters"]

_WRITES = frozenset({"readwrite", "writeonly"})


def _operands(op: Any, op_flags: Any) -> Any:
    """Return the host's arrays of the operands."""
    several = isinstance(op, (list, tuple))
    items = list(op) if several else [op]
    flags = _per_operand(op_flags, len(items))
    raws = [
        (anchor(x) if _WRITES.intersection(f) else taken(x)) if isinstance(x, Handle) else x
        for x, f in zip(items, flags, strict=True)
    ]
    return raws if several else raws[0]


def _per_operand(op_flags: Any, count: int) -> list[Sequence[str]]:
    """One list of flags counts for every operand; a list of lists is one each."""
    if not op_flags:
        return [()] * count
    return [op_flags] * count if isinstance(op_flags[0], str) else list(op_flags)


class _Iterators(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, np.nditer)


class nditer(metaclass=_Iterators):
    """``numpy.nditer`` over xpu arrays: calling it returns NumPy's iterator.

    Examples
    --------
    >>> import xpu
    >>> a = xpu.arange(3)
    >>> with xpu.nditer(a, op_flags=["readwrite"]) as it:
    ...     for v in it:
    ...         v[...] = 2 * v
    >>> a.tolist()
    [0, 2, 4]
    """

    def __new__(cls, op: Any, flags: Any = None, op_flags: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Return NumPy's iterator over the host's memory."""
        return np.nditer(_operands(op, op_flags), flags, op_flags, *args, **kwargs)


def nested_iters(op: Any, axes: Any, flags: Any = None, op_flags: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Return NumPy's nested iterators, as `numpy.nested_iters`."""
    return np.nested_iters(_operands(op, op_flags), axes, flags, op_flags, *args, **kwargs)
