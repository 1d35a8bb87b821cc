"""Convolution: plan, then execute.  The public faces are `xpu.nn`, `xpu.signal`, `xpu.ndimage`.

Over raw arrays (numpy's or cupy's; ``xp`` is the namespace) the whole of it is

``conv(xp, rank, x, w, bias=None, *, stride=1, padding=0, dilation=1, groups=1, layout="NCHW")``
    The forward convolution of ``nn.conv{rank}d``; ``x`` may lack the batch axis, as in PyTorch.
``conv_input(xp, rank, input_size, w, grad_output, **same options)``
    The gradient with respect to ``x``.
``conv_weight(xp, rank, x, weight_size, grad_output, **same options)``
    The gradient with respect to ``w``.
``conv_transpose(xp, rank, x, w, bias=None, *, output_padding=0, **same options)``
    The transposed convolution of ``nn.conv_transpose{rank}d``.

Each checks its arguments (``ConvShapeError`` is a ValueError and a RuntimeError, ``ConvDtypeError``
a TypeError and a RuntimeError, both with the shapes in the text), plans, and runs.  One level
below, for placement and for whoever wants to see the plan first:

``conv_geometry, input_geometry, weight_geometry, transpose_geometry``
    From arguments to a `ConvGeometry`: pure shapes, with ``flops``, ``bytes``, ``result_shape``.
``plan_conv(geometry, *, device="cpu", engines=None, workspace_limit=None) -> ConvPlan``
    Cached.  ``print(plan)`` shows the engine, its workspace and predicted seconds of every engine.
``tuned_plan(geometry, **the same) -> ConvPlan``
    The same with times that were measured here, once per shape, and are kept on disk.
``execute(plan, xp, first, second, bias=None)``
    Run it; the operands are ``(x, w)`` forward, ``(y, w)`` for the input's gradient, ``(x, y)`` for
    the weight's.
``plan_one(shape, kernel, padding, dtype, lines=1)``
    The plan of arrays by one kernel, as signals and images are.
``register(engine)``
    Add an engine (cuDNN does); the protocol is `xpu.conv._engine.Engine`.
``threads(n)``
    A ``with`` block that limits the CPU threads of the convolutions inside it.
"""

from xpu.conv._arguments import (
    ConvDtypeError,
    ConvShapeError,
    conv_geometry,
    input_geometry,
    transpose_geometry,
    weight_geometry,
)
from xpu.conv._autotune import tuned_plan
from xpu.conv._compiled import WORTH
from xpu.conv._convolve import conv, conv_input, conv_transpose, conv_weight
from xpu.conv._engine import Engine, Rates
from xpu.conv._geometry import ConvGeometry
from xpu.conv._plan import ENGINES, ConvPlan, execute, plan_conv, register
from xpu.conv._single import TYPES, plan_one
from xpu.conv._threads import limit as threads

__all__ = [
    "ENGINES",
    "TYPES",
    "WORTH",
    "ConvDtypeError",
    "ConvGeometry",
    "ConvPlan",
    "ConvShapeError",
    "Engine",
    "Rates",
    "conv",
    "conv_geometry",
    "conv_input",
    "conv_transpose",
    "conv_weight",
    "execute",
    "input_geometry",
    "plan_conv",
    "plan_one",
    "register",
    "threads",
    "transpose_geometry",
    "tuned_plan",
    "weight_geometry",
]
