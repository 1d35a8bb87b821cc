"""A fused expression as one CUDA kernel, each step the code that its ufunc on the device runs.

NOT RUN ON A GPU; the source is compiled for sm_90 in tests. Where CuPy has no such loop the steps run
one by one.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xpu._kernels._expression import WHERE, Program, Step

__all__ = ["Source", "kernel_source", "run"]

_C = {
    "?": "bool",
    "b": "signed char",
    "h": "short",
    "i": "int",
    "l": "long long",
    "q": "long long",
    "B": "unsigned char",
    "H": "unsigned short",
    "I": "unsigned int",
    "L": "unsigned long long",
    "Q": "unsigned long long",
    "e": "float16",
    "f": "float",
    "d": "double",
    "F": "complex<float>",
    "D": "complex<double>",
}
_WEAK = {int: np.dtype(np.int64), float: np.dtype(np.float64), complex: np.dtype(np.complex128)}


class Source(NamedTuple):
    """What `cupy.ElementwiseKernel` takes."""

    inputs: tuple[np.dtype[Any], ...]
    outputs: tuple[np.dtype[Any], ...]
    body: str
    preamble: str


def kernel_source(program: Program) -> Source | None:
    """Write the kernel; None where CuPy has no loop for a step.

    Parameters
    ----------
    program : Program
        The expression.

    Returns
    -------
    Source or None
        Inputs are named ``x0``, ``x1``, ..., outputs ``y0``, ...
    """
    cupy: Any = importlib.import_module("cupy")
    ours: dict[str, Any] = {}
    for module in ("_cupy_division", "_cupy_complex"):  # they import CuPy, too
        ours |= importlib.import_module(f"xpu._backends.{module}").UFUNCS
    count = len(program.leaves)
    inputs = tuple(_WEAK[leaf] if isinstance(leaf, type) else leaf for leaf in program.leaves)
    functions: list[str] = []
    lines: list[str] = []
    preambles: list[str] = []
    for at, step in enumerate(program.steps, count):
        names = [f"x{i}" if i < count else f"t{i}" for i in step.inputs]
        cast = [f"static_cast<{_C[d.char]}>({n})" for n, d in zip(names, step.loop, strict=True)]
        result = _C[step.result.char]
        if step.name == WHERE:
            lines.append(f"{result} t{at} = {cast[0]} ? {cast[1]} : {cast[2]};")
            continue
        own = ours.get(step.name)
        ufunc: Any = own if _loop(own, step) is not None else getattr(cupy, step.name, None)
        loop = _loop(ufunc, step)
        if loop is None:
            return None
        shared_code = str(ufunc._preamble or "")
        if shared_code not in preambles:
            preambles.append(shared_code)
        functions.append(_function(at, step, loop))
        lines.append(f"{result} t{at}; step{at}({', '.join(cast)}, t{at});")
    lines += [f"y{n} = t{o};" for n, o in enumerate(program.outputs)]
    outputs = tuple(program.dtype(o) for o in program.outputs)
    if "float16" in "".join([*functions, *lines]):
        preambles.insert(0, "#include <cupy/float16.cuh>")
    return Source(inputs, outputs, "\n".join(lines), "\n".join([*preambles, *functions]))


def _loop(ufunc: Any, step: Step) -> Any:
    """Return the loop of CuPy's ufunc over exactly these dtypes."""
    for loop in getattr(getattr(ufunc, "_ops", None), "ops", ()):
        same = tuple(loop.in_types) == step.loop and tuple(loop.out_types) == (step.result,)
        if same and isinstance(loop.routine, str):
            return loop
    return None


def _function(at: int, step: Step, loop: Any) -> str:
    parameters = [f"const {_C[d.char]} in{i}" for i, d in enumerate(step.loop)]
    types = [f"typedef {_C[d.char]} in{i}_type;" for i, d in enumerate(step.loop)]
    types.append(f"typedef {_C[step.result.char]} out0_type;")
    head = f"__device__ inline void step{at}({', '.join(parameters)}, {_C[step.result.char]}& out0)"
    return f"{head} {{ {' '.join(types)}\n{loop.routine};\n}}"


_kernels: dict[Program, Any] = {}


def run(program: Program, operands: Sequence[Any]) -> list[Any]:
    """Run a program on CuPy arrays and numbers."""
    cupy: Any = importlib.import_module("cupy")
    if program not in _kernels:
        source = kernel_source(program)
        _kernels[program] = None if source is None else _kernel(cupy, source)
    if _kernels[program] is None:
        return _step_by_step(cupy, program, operands)
    made = _kernels[program](*operands)
    return [made] if len(program.outputs) == 1 else list(made)


def _kernel(cupy: Any, source: Source) -> Any:
    return cupy.ElementwiseKernel(
        ", ".join(f"{d.name} x{i}" for i, d in enumerate(source.inputs)),
        ", ".join(f"{d.name} y{i}" for i, d in enumerate(source.outputs)),
        source.body,
        "xpu_fused",
        preamble=source.preamble,
    )


def _step_by_step(cupy: Any, program: Program, operands: Sequence[Any]) -> list[Any]:
    values = list(operands)
    for step in program.steps:
        values.append(getattr(cupy, step.name)(*(values[i] for i in step.inputs)))
    return [values[o] for o in program.outputs]
