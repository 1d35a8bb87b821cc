"""`fuse`: an array expression in one pass over memory, on every device."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xpu._block import Handle, shaped
from xpu._config import Settings, _context, current
from xpu._dispatch import call
from xpu._gate import gate
from xpu._kernels import _fused_cuda
from xpu._kernels._expression import Program, Unfusable, traced
from xpu._op import OPS, Op, Shaped, Work
from xpu._wrap import host_call

__all__ = ["fuse"]

# Arrays of fewer bytes are quicker operation by operation, on the host: their temporaries stay in cache
# (benchmarks/kernels.py; on two cores of a server the two meet between 4 and 8 MB).
_FEW = 6_000_000
_KEPT = 64  # programs remembered per function


class fuse:
    """Run a function of arrays in one pass over memory.

    The function is run once on stand-ins to see what it does, at every call (microseconds per
    operation), so it may have loops, closures and numbers of any value. What one pass cannot do
    (reductions, indexing, in-place operators, looking at values) runs operation by operation, and
    `reason` says why.

    Parameters
    ----------
    function : callable
        Of arrays and numbers, made of universal functions, operators, ``where`` and ``clip``.

    Attributes
    ----------
    reason : str
        Why the last call was not fused; empty if it was.

    Raises
    ------
    TypeError
        If `function` is not callable.

    Notes
    -----
    On the host every value is the one that NumPy computes without it: the same loops run on blocks
    that stay in cache. On a GPU the expression becomes one kernel.

    Examples
    --------
    >>> import xpu
    >>> @xpu.fuse
    ... def hypotenuse(x, y):
    ...     return xpu.sqrt(x * x + y * y)
    >>> hypotenuse(xpu.array([3.0, 5.0]), xpu.array([4.0, 12.0]))
    array([ 5., 13.])
    """

    def __init__(self, function: Any) -> None:
        if not callable(function):
            message = f"xpu.fuse: the function must be callable, got {type(function).__name__}."
            raise TypeError(message)
        functools.update_wrapper(self, function)
        self.function = function
        self.reason = ""
        self._rows: dict[Program, Op] = {}

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        try:
            program, operands, several = self._traced(args, kwargs)
        except Unfusable as found:
            self.reason = str(found)
            return self.function(*args, **kwargs)
        self.reason = ""
        op = self._row(program)
        made = host_call(op.host, tuple(operands), {}) if gate.open else call(op, tuple(operands), {})
        return tuple(made) if several else made

    def _traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Program, list[Any], bool]:
        given = _in_order(self.function, args, kwargs)
        nbytes = max((shaped(a).nbytes if isinstance(a, Handle) else getattr(a, "nbytes", 0) for a in given), default=0)
        if nbytes < _FEW and (gate.open or current().device == "cpu"):
            message = f"arrays of {nbytes} bytes stay in cache by themselves"
            raise Unfusable(message)
        # Stand-ins have no device, and what is traced has not happened: nothing may record or check it.
        quiet = _context.set(Settings({**current().values(), "device": "cpu", "check": "off"}))
        try:
            program, operands, several = traced(self.function, given)
        finally:
            _context.reset(quiet)
        return program, operands, several and _all_of_one_shape(program, operands)

    def _row(self, program: Program) -> Op:
        """Return the row of a program: it is placed like any operation, by its bytes and operations."""
        if program not in self._rows:
            if len(self._rows) >= _KEPT:
                self._rows.pop(next(iter(self._rows)))
            weight = sum(OPS[s.name].weight if s.name in OPS else 1.0 for s in program.steps)
            name = f"fuse({getattr(self.function, '__name__', 'function')})"
            arrays = tuple(range(len(program.leaves)))
            host = functools.partial(_apply, program)
            self._rows[program] = Op(name, "elementwise", host, "self", arrays=arrays, weight=weight, count=_count)
        return self._rows[program]


def _in_order(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    if not kwargs:
        return args
    bound = inspect.signature(f).bind(*args, **kwargs)
    if bound.kwargs:
        message = f"it takes {', '.join(bound.kwargs)} by keyword only"
        raise Unfusable(message)
    return bound.args


def _all_of_one_shape(program: Program, operands: Sequence[Any]) -> bool:
    """Refuse outputs of different shapes: one pass has one shape."""
    shapes = [np.shape(o) if not isinstance(o, Handle) else shaped(o).shape for o in operands]
    reach: list[set[int]] = [{i} for i in range(len(program.leaves))]
    for step in program.steps:
        reach.append(set().union(*(reach[i] for i in step.inputs)))
    found = {np.broadcast_shapes(*(shapes[i] for i in reach[o])) for o in program.outputs}
    if len(found) > 1:
        message = f"its results have different shapes: {', '.join(map(str, sorted(found)))}"
        raise Unfusable(message)
    return True


def _count(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """One pass reads every operand and writes the result, whatever the number of steps."""
    dtype = max((o.dtype for o in operands), key=lambda d: d.itemsize)
    elements = max(o.size for o in operands)
    return Work("elementwise", dtype, sum(o.nbytes for o in operands) + elements * dtype.itemsize, elements * op.weight)


def _apply(program: Program, *raws: Any) -> Any:
    """Evaluate on raw arrays of one library."""
    plain = (np.ndarray, np.generic, bool, int, float, complex)
    if all(isinstance(r, plain) for r in raws):
        made = program.evaluate(raws)
        made = [m if m.ndim else m[()] for m in made]
    else:
        made = _fused_cuda.run(program, raws)
    return made[0] if len(made) == 1 else tuple(made)
