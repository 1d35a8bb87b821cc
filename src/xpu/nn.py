"""Convolutions, pooling and normalisation: PyTorch's names and meaning, where they finish first.

On the host a plan picks the engine (`plan_conv`); on an NVIDIA GPU it is cuDNN, and a matrix product
for what cuDNN refuses. Not run on a GPU yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu import conv
from xpu._config import current
from xpu._nn._arrays import array, dtype_of, shape_of
from xpu._nn._conv_faces import (
    conv1d,
    conv1d_input,
    conv1d_weight,
    conv2d,
    conv2d_input,
    conv2d_weight,
    conv3d,
    conv3d_input,
    conv3d_weight,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from xpu._nn._layer_faces import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    relu,
    softmax,
)
from xpu.conv import ConvPlan

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "conv1d",
    "conv1d_input",
    "conv1d_weight",
    "conv2d",
    "conv2d_input",
    "conv2d_weight",
    "conv3d",
    "conv3d_input",
    "conv3d_weight",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "plan_conv",
    "relu",
    "softmax",
]


def plan_conv(x: Any, w: Any, **options: Any) -> ConvPlan:
    """Return the plan of a convolution on the host as data: engine, workspace, predicted seconds.

    Under ``xpu.config(autotune=True)`` the engines are measured, as the call itself would do, once per shape.

    Parameters
    ----------
    x, w : array_like or tuple of int
        Operands of `conv1d`, `conv2d` or `conv3d`, or their shapes (float32 is then assumed).
    **options
        `stride`, `padding`, `dilation`, `groups`, `layout` of `conv2d`; `engines` and
        `workspace_limit` (bytes) of the plan.

    Returns
    -------
    ConvPlan
        Prints as a table.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.plan_conv((1, 64, 56, 56), (64, 64, 3, 3), padding=1).geometry.y_shape
    (1, 64, 56, 56)
    """
    limits = {name: options.pop(name) for name in ("engines", "workspace_limit") if name in options}
    shapes = [a if isinstance(a, tuple) else shape_of(array(a)) for a in (x, w)]
    kinds = [np.dtype(np.float32) if isinstance(a, tuple) else dtype_of(array(a)) for a in (x, w)]
    rank = len(shapes[1]) - 2
    batched = (1, *shapes[0]) if len(shapes[0]) == rank + 1 else shapes[0]
    planner = conv.tuned_plan if current().autotune else conv.plan_conv
    return planner(conv.conv_geometry("nn.plan_conv", rank, batched, shapes[1], *kinds, **options), **limits)
