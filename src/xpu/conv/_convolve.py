"""The convolutions on raw arrays, as the public faces call them: check, plan, run, add the bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpu.conv._arguments import (
    ConvShapeError,
    conv_geometry,
    input_geometry,
    transpose_geometry,
    weight_geometry,
)
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.conv._plan import ConvPlan, execute, plan_conv

__all__ = ["conv", "conv_input", "conv_transpose", "conv_weight"]

Array = Any
Namespace = Any
Planner = Callable[[ConvGeometry], ConvPlan]


def conv(
    xp: Namespace,
    rank: int,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    plan: Planner = plan_conv,
    **options: Any,
) -> Array:
    """Convolve as ``torch.nn.functional.conv1d``, ``conv2d``, ``conv3d`` do.

    Parameters
    ----------
    xp : namespace
        numpy or cupy.
    rank : int
        Number of spatial axes, 1 to 3.
    x : array
        ``(batch, channels, *spatial)``, or without the batch axis; channels last for ``"NHWC"``.
    w : array
        ``(out_channels, channels // groups, *kernel)``, of the same dtype.
    bias : array, optional
        ``(out_channels,)``, of the same dtype.
    plan : callable, optional
        From a geometry to a plan.
    **options
        ``stride``, ``padding``, ``dilation``, ``groups``, ``layout``, as of
        `xpu.conv.conv_geometry`.

    Returns
    -------
    array
        ``(batch, out_channels, *out)`` in the layout of ``x``.

    Raises
    ------
    ConvShapeError, ConvDtypeError
        Before anything runs.

    Examples
    --------
    >>> import numpy
    >>> conv(numpy, 1, numpy.ones((1, 1, 4)), numpy.ones((1, 1, 3)), padding=1)
    array([[[2., 3., 3., 2.]]])
    """
    function = f"nn.conv{rank}d"
    single = x.ndim == rank + 1
    if single:
        x = x[None]
    geometry = conv_geometry(function, rank, x.shape, w.shape, x.dtype, w.dtype, **options)
    _check_bias(function, bias, geometry.out_channels, geometry)
    y = execute(plan(geometry), xp, x, w, bias)
    return y[0] if single else y


def conv_transpose(
    xp: Namespace,
    rank: int,
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    plan: Planner = plan_conv,
    **options: Any,
) -> Array:
    """Convolve transposed, as ``torch.nn.functional.conv_transpose*d`` do.

    Parameters
    ----------
    xp, rank, x, bias, plan
        As of `conv`.
    w : array
        ``(channels, out_channels // groups, *kernel)``.
    **options
        Those of `conv` and ``output_padding``.

    Returns
    -------
    array
        ``(batch, out_channels, *out)`` in the layout of ``x``.

    Examples
    --------
    >>> import numpy
    >>> conv_transpose(numpy, 1, numpy.ones((1, 1, 2)), numpy.ones((1, 1, 2)), stride=2)
    array([[[1., 1., 1., 1.]]])
    """
    function = f"nn.conv_transpose{rank}d"
    single = x.ndim == rank + 1
    if single:
        x = x[None]
    geometry, more = transpose_geometry(function, rank, x.shape, w.shape, x.dtype, w.dtype, **options)
    _check_bias(function, bias, geometry.in_channels, geometry)
    if any(more):
        longer = xp.zeros(geometry.y_shape, dtype=x.dtype)
        longer[tuple(slice(0, n) for n in x.shape)] = x
        x = longer
    y = execute(plan(geometry), xp, x, w, bias)
    return y[0] if single else y


def conv_input(
    xp: Namespace,
    rank: int,
    input_size: Sizes,
    w: Array,
    grad_output: Array,
    *,
    plan: Planner = plan_conv,
    **options: Any,
) -> Array:
    """Compute the gradient with respect to the input, as ``torch.nn.grad.conv2d_input`` does.

    Examples
    --------
    >>> import numpy
    >>> conv_input(numpy, 1, (1, 1, 3), numpy.ones((1, 1, 2)), numpy.ones((1, 1, 2)))
    array([[[1., 2., 1.]]])
    """
    geometry = input_geometry(
        f"nn.conv{rank}d_input",
        rank,
        tuple(input_size),
        grad_output.shape,
        w.shape,
        grad_output.dtype,
        w.dtype,
        **options,
    )
    return execute(plan(geometry), xp, grad_output, w)


def conv_weight(
    xp: Namespace,
    rank: int,
    x: Array,
    weight_size: Sizes,
    grad_output: Array,
    *,
    plan: Planner = plan_conv,
    **options: Any,
) -> Array:
    """Compute the gradient with respect to the weight, as ``torch.nn.grad.conv2d_weight`` does.

    Examples
    --------
    >>> import numpy
    >>> conv_weight(numpy, 1, numpy.arange(3.0)[None, None], (1, 1, 2), numpy.ones((1, 1, 2)))
    array([[[1., 3.]]])
    """
    geometry = weight_geometry(
        f"nn.conv{rank}d_weight",
        rank,
        x.shape,
        tuple(weight_size),
        grad_output.shape,
        x.dtype,
        grad_output.dtype,
        **options,
    )
    return execute(plan(geometry), xp, x, grad_output)


def _check_bias(function: str, bias: Array | None, channels: int, g: ConvGeometry) -> None:
    if bias is not None and (bias.shape != (channels,) or bias.dtype != g.dtype):
        message = (
            f"xpu.{function}: bias has shape {bias.shape} and dtype {bias.dtype}, the result has "
            f"{channels} channels of {g.dtype}. Give one bias per output channel, of that dtype."
        )
        raise ConvShapeError(message)
