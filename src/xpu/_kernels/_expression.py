"""An array expression as data: traced with stand-ins for arrays, evaluated in blocks that stay in cache.

Each step is a NumPy universal function (or ``where``) with the dtypes that NumPy's own promotion gives.
On the host the steps run with NumPy's loops over blocks of a few thousand elements, so memory is read
and written once instead of once per step, and every value is the one NumPy computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpu._op import host_only

__all__ = ["Program", "Step", "Unfusable", "traced"]

# Bytes of one array in a block: a few such arrays fit a core's second-level cache, and calls are few.
BLOCK = 1 << 17
WHERE = "where"
_RANGES = {np.dtype(c): range(np.iinfo(c).min, np.iinfo(c).max + 1) for c in "bhilqBHILQ"}


class Unfusable(TypeError):
    """The expression does something that one pass cannot do; the text says what."""


class Step(NamedTuple):
    """One operation: the ufunc's name (or ``where``), the values it takes, and its loop's dtypes."""

    name: str
    inputs: tuple[int, ...]
    loop: tuple[np.dtype[Any], ...]
    result: np.dtype[Any]


class Program(NamedTuple):
    """A traced expression. Values are numbered: the leaves first, then the steps' results.

    `leaves` has a dtype for an array, and a Python type for a number, whose dtype is weak (NEP 50).
    """

    leaves: tuple[Any, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def dtype(self, value: int) -> Any:
        """Return the dtype of a value."""
        count = len(self.leaves)
        return self.leaves[value] if value < count else self.steps[value - count].result

    def evaluate(self, operands: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
        """Evaluate on NumPy arrays and numbers; return one array per output."""
        count = len(self.leaves)
        arrays = [i for i in range(count) if isinstance(self.leaves[i], np.dtype)]
        readonly: list[Any] = [["readonly"]] * len(arrays)
        written: list[Any] = [["writeonly", "allocate"]] * len(self.outputs)
        kinds: list[Any] = [None] * len(arrays) + [self.dtype(o) for o in self.outputs]
        elements = BLOCK // max(s.result.itemsize for s in self.steps)
        functions = [None if s.name == WHERE else getattr(np, s.name) for s in self.steps]
        blocks: Any = np.nditer(
            [operands[i] for i in arrays] + [None] * len(self.outputs),
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_flags=readonly + written,
            op_dtypes=kinds,
            buffersize=elements,
        )
        values: list[Any] = [*operands, *([None] * len(self.steps))]
        scratch = _scratch(self, elements)
        with blocks:
            for block in blocks:
                for position, leaf in enumerate(arrays):
                    values[leaf] = block[position]
                self._run(functions, values, scratch, dict(zip(self.outputs, block[len(arrays) :], strict=True)))
            return list(blocks.operands[len(arrays) :])

    def _run(self, functions: Sequence[Any], values: list[Any], scratch: list[Any], outputs: dict[int, Any]) -> None:
        size = len(next(iter(outputs.values())))
        count = len(self.leaves)
        for function, (position, step) in zip(functions, enumerate(self.steps, count), strict=True):
            out = outputs.get(position)
            if out is None:
                out = scratch[position - count][:size]
            taken = [values[i] for i in step.inputs]
            if function is None:
                out[...] = np.where(*taken)  # a masked copy takes five times as long
            else:
                function(*taken, out=out)
            values[position] = out


def _scratch(program: Program, block: int) -> list[Any]:
    """Return a buffer per step; a buffer is used again once the value in it has been used last."""
    count = len(program.leaves)
    last = {i: at for at, step in enumerate(program.steps) for i in step.inputs}
    free: dict[np.dtype[Any], list[Any]] = {}
    made: list[Any] = []
    for at, step in enumerate(program.steps):
        idle = free.get(step.result, [])
        made.append(idle.pop() if idle else np.empty(block, step.result))
        for i in set(step.inputs):
            if i >= count and last[i] == at:
                free.setdefault(program.dtype(i), []).append(made[i - count])
    return made


class _Trace:
    """What a traced function has done so far."""

    def __init__(self) -> None:
        self.operands: list[Any] = []
        self.leaves: list[Any] = []
        self.steps: list[Step] = []

    def leaf(self, operand: Any) -> Stand:
        """Return the stand-in of an array or number."""
        for i, known in enumerate(self.operands):
            if known is operand and isinstance(self.leaves[i], np.dtype):
                return Stand(self, ("leaf", i), self.leaves[i])
        if isinstance(operand, (bool, int, float, complex)) and not isinstance(operand, np.generic):
            kind: Any = type(operand)
        elif hasattr(operand, "dtype") and hasattr(operand, "shape"):
            kind = np.dtype(operand.dtype)
            if kind.kind not in "biufc" or host_only(kind):
                message = f"dtype {kind} is not fused"
                raise Unfusable(message)
        else:
            message = f"it takes a {type(operand).__name__}"
            raise Unfusable(message)
        self.operands.append(operand)
        self.leaves.append(np.dtype(bool) if kind is bool else kind)
        return Stand(self, ("leaf", len(self.leaves) - 1), self.leaves[-1])

    def stand(self, value: Any) -> Stand:
        return value if isinstance(value, Stand) else self.leaf(value)

    def add(self, name: str, taken: Sequence[Stand], loop: tuple[Any, ...], result: Any) -> Stand:
        self.steps.append(Step(name, tuple(t.at for t in taken), loop, result))  # type: ignore[misc]
        return Stand(self, ("step", len(self.steps) - 1), result)


class Stand(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands in for an array while a function is traced."""

    __array_priority__ = 2000.0
    __slots__ = ("at", "dtype", "trace")

    def __init__(self, trace: _Trace, at: tuple[str, int], dtype: Any) -> None:
        self.trace = trace
        self.at = at
        self.dtype = dtype

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or keywords or ufunc.nout != 1 or ufunc.signature is not None:
            message = f"it calls {ufunc.__name__}.{method} with {', '.join(keywords) or 'several results'}"
            raise Unfusable(message)
        if getattr(np, ufunc.__name__, None) is not ufunc:
            message = f"it calls {ufunc.__name__}, which is not NumPy's"
            raise Unfusable(message)
        taken = [self.trace.stand(i) for i in inputs]
        loop = ufunc.resolve_dtypes((*(t.dtype for t in taken), None))
        return self.trace.add(ufunc.__name__, taken, loop[:-1], loop[-1])

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if func is np.where and len(args) == 3 and not keywords:
            taken = [self.trace.stand(a) for a in args]
            weak = [t.dtype(0) if isinstance(t.dtype, type) else t.dtype for t in taken[1:]]
            result = np.result_type(*weak)
            return self.trace.add(WHERE, taken, (np.dtype(bool), result, result), result)
        if func is np.clip and len(args) == 3 and not keywords and all(a is not None for a in args):
            for bound in args[1:]:
                if type(bound) is int and args[0].dtype in _RANGES and bound not in _RANGES[args[0].dtype]:
                    message = f"it clips {args[0].dtype} at {bound}"  # which NumPy allows, and in ``maximum`` alone not
                    raise Unfusable(message)
            return np.minimum(np.maximum(args[0], args[1]), args[2])
        message = f"it calls {func.__name__}"
        raise Unfusable(message)

    def __getattr__(self, name: str) -> Any:
        message = f"it uses .{name}"
        raise AttributeError(message) if name.startswith("__") else Unfusable(message)

    def _refuse(self, *_: Any) -> Any:
        message = "it looks at values, elements or the length"
        raise Unfusable(message)

    __bool__ = __float__ = __int__ = __complex__ = __index__ = __len__ = __iter__ = __getitem__ = _refuse
    __array__ = _refuse
    __hash__ = object.__hash__


def traced(f: Callable[..., Any], args: Sequence[Any]) -> tuple[Program, list[Any], bool]:
    """Trace a function of arrays and numbers.

    Parameters
    ----------
    f : callable
        The function.
    args : sequence
        Arrays (anything with shape and dtype) and numbers.

    Returns
    -------
    tuple of Program, list and bool
        The program, the operands of its leaves, and whether `f` returns a tuple.

    Raises
    ------
    Unfusable
        If one pass cannot do what `f` does.
    """
    trace = _Trace()
    # Numbers stay numbers: what a function does with them alone is Python's, and their dtype stays weak.
    returned = f(*[a if type(a) in (bool, int, float, complex) else trace.leaf(a) for a in args])
    several = isinstance(returned, tuple)
    outputs = returned if several else (returned,)
    if not all(isinstance(o, Stand) and o.at[0] == "step" for o in outputs):
        message = "it returns something else than results of its operations"
        raise Unfusable(message)
    if len({o.at for o in outputs}) < len(outputs):
        message = "it returns a result twice"
        raise Unfusable(message)
    program, operands = _pruned(trace, [o.at[1] for o in outputs])
    if not any(getattr(o, "ndim", 0) for o in operands):
        message = "it is given no array of one axis or more"
        raise Unfusable(message)
    return program, operands, several


def _pruned(trace: _Trace, outputs: list[int]) -> tuple[Program, list[Any]]:
    """Drop what no output needs, and number values."""
    needed, stack = set(), [("step", o) for o in outputs]
    while stack:
        at = stack.pop()
        if at not in needed:
            needed.add(at)
            stack += trace.steps[at[1]].inputs if at[0] == "step" else ()  # type: ignore[arg-type]
    order = [("leaf", i) for i in range(len(trace.leaves))] + [("step", i) for i in range(len(trace.steps))]
    number = {at: n for n, at in enumerate(at for at in order if at in needed)}
    leaves = [i for i in range(len(trace.leaves)) if ("leaf", i) in needed]
    steps = tuple(
        step._replace(inputs=tuple(number[at] for at in step.inputs))  # type: ignore[index]
        for i, step in enumerate(trace.steps)
        if ("step", i) in needed
    )
    kinds = tuple(trace.leaves[i] for i in leaves)
    return Program(kinds, steps, tuple(number["step", o] for o in outputs)), [trace.operands[i] for i in leaves]
