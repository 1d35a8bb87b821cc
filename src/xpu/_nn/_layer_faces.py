"""The documented functions of pooling, activation and normalisation."""

from __future__ import annotations

import math
from typing import Any

from xpu._nn import _rows as rows
from xpu._nn._arrays import Layout, Size, array, numbers, shape_of
from xpu._nn._rows import placed
from xpu._ops import elementwise
from xpu.errors import text

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "relu",
    "softmax",
]


@placed(rows.largest_pool[1])
def max_pool1d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    layout: Layout = "NCHW",
) -> Any:
    """As `max_pool2d`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.max_pool1d(xpu.arange(4.0).reshape(1, 1, 4), 2).tolist()
    [[[1.0, 3.0]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    more = {"name": "nn.max_pool1d", "rank": 1, "ceil_mode": ceil_mode, "layout": layout}
    return rows.largest_pool[1](numbers("max_pool1d", x, "c"), **options, **more)


@placed(rows.average_pool[1])
def avg_pool1d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: Layout = "NCHW",
) -> Any:
    """As `avg_pool2d`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.avg_pool1d(xpu.arange(4.0).reshape(1, 1, 4), 2).tolist()
    [[[0.5, 2.5]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    more = {"name": "nn.avg_pool1d", "rank": 1, "count_include_pad": count_include_pad, "layout": layout}
    return rows.average_pool[1](numbers("avg_pool1d", x, "biuc"), **options, **more, divisor_override=divisor_override)


@placed(rows.largest_pool[2])
def max_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    layout: Layout = "NCHW",
) -> Any:
    """Return the largest element of every window, as ``torch.nn.functional.max_pool2d``.

    Parameters
    ----------
    x : array_like
        ``(batch, channels, height, width)``, or without the batch axis.
    kernel_size, stride, padding, dilation : int or sequence of int, optional
        Per spatial axis; `stride` is `kernel_size` if omitted.
    ceil_mode : bool, optional
        Keep windows that reach over the end.
    layout : {"NCHW", "NHWC"}, optional
        Where the channels are.

    Returns
    -------
    ndarray
        Of `x`'s dtype.

    Raises
    ------
    ValueError
        If a window does not fit, or padding exceeds half a window.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.max_pool2d(xpu.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    more = {"name": "nn.max_pool2d", "rank": 2, "ceil_mode": ceil_mode, "layout": layout}
    return rows.largest_pool[2](numbers("max_pool2d", x, "c"), **options, **more)


@placed(rows.average_pool[2])
def avg_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: Layout = "NCHW",
) -> Any:
    """Return the mean of every window, as ``torch.nn.functional.avg_pool2d``.

    Parameters
    ----------
    x : array_like
        ``(batch, channels, height, width)``, or without the batch axis.
    kernel_size, stride, padding : int or sequence of int, optional
        Per spatial axis; `stride` is `kernel_size` if omitted.
    ceil_mode : bool, optional
        Keep windows that reach over the end.
    count_include_pad : bool, optional
        Divide by the window's size, padding included.
    divisor_override : int, optional
        Divide by this instead.
    layout : {"NCHW", "NHWC"}, optional
        Where the channels are.

    Returns
    -------
    ndarray
        Of `x`'s dtype.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.avg_pool2d(xpu.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    more = {"name": "nn.avg_pool2d", "rank": 2, "count_include_pad": count_include_pad, "layout": layout}
    return rows.average_pool[2](numbers("avg_pool2d", x, "biuc"), **options, **more, divisor_override=divisor_override)


@placed(rows.largest_pool[3])
def max_pool3d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    layout: Layout = "NCHW",
) -> Any:
    """As `max_pool2d`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.max_pool3d(xpu.ones((1, 1, 2, 2, 2)), 2).tolist()
    [[[[[1.0]]]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    more = {"name": "nn.max_pool3d", "rank": 3, "ceil_mode": ceil_mode, "layout": layout}
    return rows.largest_pool[3](numbers("max_pool3d", x, "c"), **options, **more)


@placed(rows.average_pool[3])
def avg_pool3d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: Layout = "NCHW",
) -> Any:
    """As `avg_pool2d`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.avg_pool3d(xpu.ones((1, 1, 2, 2, 2)), 2).tolist()
    [[[[[1.0]]]]]
    """
    options = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    more = {"name": "nn.avg_pool3d", "rank": 3, "count_include_pad": count_include_pad, "layout": layout}
    return rows.average_pool[3](numbers("avg_pool3d", x, "biuc"), **options, **more, divisor_override=divisor_override)


def relu(x: Any) -> Any:
    """Return ``maximum(x, 0)``, as ``torch.nn.functional.relu``.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.relu(xpu.asarray([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return elementwise.maximum(numbers("relu", x, "c"), 0)


@placed(rows.softmax)
def softmax(x: Any, axis: int = -1) -> Any:
    """Return exponentials that sum to one along an axis, as ``torch.nn.functional.softmax``.

    Parameters
    ----------
    x : array_like
        Floating.
    axis : int, optional
        Axis along which they sum to one.

    Returns
    -------
    ndarray
        Of `x`'s shape and dtype.

    Raises
    ------
    TypeError
        For dtypes without fractions.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.softmax(xpu.zeros(4)).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return rows.softmax(numbers("softmax", x, "biuc"), axis=axis)


@placed(rows.normalise)
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    layout: Layout = "NCHW",
) -> Any:
    """Normalise every channel, as ``torch.nn.functional.batch_norm``.

    Parameters
    ----------
    x : array_like
        ``(batch, channels, *spatial)``; channels last for ``layout="NHWC"``.
    running_mean, running_var : ndarray or None
        ``(channels,)``. With `training` they are moved, in place, towards the batch's own by
        `momentum` (the variance by its unbiased estimate), and may be None.
    weight, bias : array_like, optional
        ``(channels,)``: scale and shift.
    training : bool, optional
        Normalise by the batch's own mean and variance.
    momentum, eps : float, optional
        As in PyTorch.
    layout : {"NCHW", "NHWC"}, optional
        Where the channels are.

    Returns
    -------
    ndarray
        Of `x`'s shape and dtype.

    Raises
    ------
    ValueError
        If there is no mean to normalise by, or a shape does not fit.

    Examples
    --------
    >>> import xpu
    >>> float(xpu.nn.batch_norm(xpu.ones((2, 3, 4)), xpu.ones(3), xpu.ones(3)).sum()) == 0
    True
    """
    given = numbers("batch_norm", x, "biuc")
    shape = shape_of(given)
    channels = shape[-1 if layout == "NHWC" else 1] if len(shape) > 1 else 0
    parts = [array(v) for v in (running_mean, running_var, weight, bias)]
    for name, part in zip(("running_mean", "running_var", "weight", "bias"), parts, strict=True):
        if part is not None and shape_of(part) != (channels,):
            problem = f"{name} has shape {shape_of(part)}, x of shape {shape} ({layout}) has {channels} channels"
            raise ValueError(text("nn.batch_norm", problem, "Give one value per channel."))
    if training:
        if channels and math.prod(shape) == channels:
            problem = f"x of shape {shape} has one value per channel, whose variance is 0, and training is True"
            raise ValueError(text("nn.batch_norm", problem, "Give more values, or training=False."))
        return rows.normalise_training(given, *parts, momentum=momentum, eps=eps, layout=layout)
    if parts[0] is None or parts[1] is None:
        problem = "running_mean or running_var is None and training is False"
        raise ValueError(text("nn.batch_norm", problem, "Give both, or training=True."))
    return rows.normalise(given, *parts, eps=eps, layout=layout)
