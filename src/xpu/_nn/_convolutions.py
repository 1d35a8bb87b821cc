"""The convolutions of `xpu.nn` as rows: checked and counted by their geometry, run by a plan."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xpu import conv
from xpu._config import current
from xpu._op import Op, Shaped, Work
from xpu._ops._make import Function
from xpu.conv._cudnn import CudnnEngine
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError
from xpu.conv._cudnn_problem import CudnnOptions

__all__ = ["backward_input", "backward_weight", "forward", "plan_for", "transposed"]

Raw = Any
RANKS = (1, 2, 3)
# Plans of cuDNN's heuristics that are measured under autotune.
CHOICES = 4


def _namespace(raw: Raw) -> Any:
    """Return the library an array belongs to."""
    return np if isinstance(raw, np.ndarray) else importlib.import_module("cupy")


def plan_for(raw: Raw) -> Callable[[conv.ConvGeometry], conv.ConvPlan]:
    """Return the planner for the device an array is on; cuDNN takes part on a GPU."""
    settings = current()
    if isinstance(raw, np.ndarray):
        return conv.tuned_plan if settings.autotune else conv.plan_conv
    mine = _cudnn(settings.tf32, settings.deterministic)
    return functools.partial(_tuned_on_gpu if settings.autotune else _plan_on_gpu, mine)


@functools.lru_cache(maxsize=4 * CHOICES)
def _cudnn(tf32: bool, deterministic: bool, choice: int = 0) -> CudnnEngine:
    """Return the engine for these settings; each stands under a name of its own, so threads may differ in them."""
    engine = CudnnEngine(CudnnOptions(tf32=tf32, deterministic=deterministic, choice=choice))
    conv.register(engine)
    return engine


def _all_but(*kept: CudnnEngine) -> frozenset[str]:
    every = {name for name, engine in tuple(conv.ENGINES.items()) if isinstance(engine, CudnnEngine)}
    return frozenset(every - {engine.name for engine in kept})


def _plan_on_gpu(mine: CudnnEngine, geometry: conv.ConvGeometry) -> conv.ConvPlan:
    """Plan with the cuDNN of these settings alone; what it refuses while planning is computed without it."""
    try:
        return conv.plan_conv(geometry, device="cuda", without=_all_but(mine))
    except (CudnnRefusedError, CudnnUnavailableError):
        return conv.plan_conv(geometry, device="cuda", without=_all_but())


def _tuned_on_gpu(mine: CudnnEngine, geometry: conv.ConvGeometry) -> conv.ConvPlan:
    """Measure the first choices of cuDNN's heuristics beside the other engines. NOT RUN ON A GPU."""
    choices: list[CudnnEngine] = []
    try:
        for choice in range(CHOICES):
            engine = _cudnn(mine.options.tf32, mine.options.deterministic, choice)
            if engine.supports(geometry) is not None:
                break
            engine.workspace(geometry)  # builds its plan, or is refused: then there are no more
            choices.append(engine)
    except (CudnnRefusedError, CudnnUnavailableError):
        pass
    return conv.tuned_plan(geometry, device="cuda", without=_all_but(*choices))


def _work(geometry: conv.ConvGeometry) -> Work:
    return Work("conv", geometry.dtype, float(geometry.bytes), float(geometry.flops))


def _batched(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1, *shape) if len(shape) == rank + 1 else shape


# ----------------------------------------------------------------------------- forward


def _forward(rank: int) -> Function:
    def run(x: Raw, w: Raw, bias: Raw = None, **options: Any) -> Raw:
        return conv.conv(_namespace(x), rank, x, w, bias, plan=plan_for(x), **options)

    def count(op: Op, operands: Sequence[Shaped], options: Mapping[str, Any]) -> Work:
        x, w = operands[:2]
        return _work(conv.conv_geometry(op.name, rank, _batched(x.shape, rank), w.shape, x.dtype, w.dtype, **options))

    return _row(f"nn.conv{rank}d", run, count, (0, 1, 2))


def _transposed(rank: int) -> Function:
    def run(x: Raw, w: Raw, bias: Raw = None, **options: Any) -> Raw:
        return conv.conv_transpose(_namespace(x), rank, x, w, bias, plan=plan_for(x), **options)

    def count(op: Op, operands: Sequence[Shaped], options: Mapping[str, Any]) -> Work:
        x, w = operands[:2]
        shape = _batched(x.shape, rank)
        return _work(conv.transpose_geometry(op.name, rank, shape, w.shape, x.dtype, w.dtype, **options)[0])

    return _row(f"nn.conv_transpose{rank}d", run, count, (0, 1, 2))


# ----------------------------------------------------------------------------- gradients


def _backward_input(rank: int) -> Function:
    def run(w: Raw, grad_output: Raw, *, input_size: tuple[int, ...], **options: Any) -> Raw:
        space = _namespace(w)
        return conv.conv_input(space, rank, input_size, w, grad_output, plan=plan_for(w), **options)

    def count(op: Op, operands: Sequence[Shaped], options: Mapping[str, Any]) -> Work:
        w, y = operands
        rest = {name: value for name, value in options.items() if name != "input_size"}
        size = options["input_size"]
        return _work(conv.input_geometry(op.name, rank, size, y.shape, w.shape, y.dtype, w.dtype, **rest))

    return _row(f"nn.conv{rank}d_input", run, count, (0, 1))


def _backward_weight(rank: int) -> Function:
    def run(x: Raw, grad_output: Raw, *, weight_size: tuple[int, ...], **options: Any) -> Raw:
        space = _namespace(x)
        return conv.conv_weight(space, rank, x, weight_size, grad_output, plan=plan_for(x), **options)

    def count(op: Op, operands: Sequence[Shaped], options: Mapping[str, Any]) -> Work:
        x, y = operands
        rest = {name: value for name, value in options.items() if name != "weight_size"}
        size = options["weight_size"]
        return _work(conv.weight_geometry(op.name, rank, x.shape, size, y.shape, x.dtype, y.dtype, **rest))

    return _row(f"nn.conv{rank}d_weight", run, count, (0, 1))


def _row(name: str, run: Callable[..., Any], count: Callable[..., Work], arrays: tuple[int, ...]) -> Function:
    run.__doc__ = f"Run `xpu.{name}` on raw arrays of one library."
    return Function(Op(name, "conv", run, "self", arrays=arrays, count=count, ulp=256, keeps_0d=True))


forward = {rank: _forward(rank) for rank in RANKS}
transposed = {rank: _transposed(rank) for rank in RANKS}
backward_input = {rank: _backward_input(rank) for rank in RANKS}
backward_weight = {rank: _backward_weight(rank) for rank in RANKS}
