"""The documented functions of the convolutions: PyTorch's names, order of arguments and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpu._nn import _convolutions as convolutions
from xpu._nn._arrays import Layout, Padding, Size, array, arrays
from xpu._nn._rows import placed

__all__ = [
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
]


@placed(convolutions.forward[1])
def conv1d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv1d(xpu.ones((1, 1, 4)), xpu.ones((1, 1, 3)), padding=1).tolist()
    [[[2.0, 3.0, 3.0, 2.0]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    return convolutions.forward[1](*arrays(x, w, bias), **options)


@placed(convolutions.transposed[1])
def conv_transpose1d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv_transpose2d`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv_transpose1d(xpu.ones((1, 1, 2)), xpu.ones((1, 1, 2)), stride=2).tolist()
    [[[1.0, 1.0, 1.0, 1.0]]]
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups}
    return convolutions.transposed[1](*arrays(x, w, bias), **options, dilation=dilation, layout=layout)


@placed(convolutions.backward_input[1])
def conv1d_input(
    input_size: Sequence[int],
    weight: Any,
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d_input`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv1d_input((1, 1, 3), xpu.ones((1, 1, 2)), xpu.ones((1, 1, 2))).tolist()
    [[[1.0, 2.0, 1.0]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in input_size)
    return convolutions.backward_input[1](array(weight), array(grad_output), input_size=size, **options)


@placed(convolutions.backward_weight[1])
def conv1d_weight(
    input: Any,
    weight_size: Sequence[int],
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d_weight`, with 1 spatial axis.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv1d_weight(xpu.ones((1, 1, 3)), (1, 1, 2), xpu.ones((1, 1, 2))).tolist()
    [[[2.0, 2.0]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in weight_size)
    return convolutions.backward_weight[1](array(input), array(grad_output), weight_size=size, **options)


@placed(convolutions.forward[2])
def conv2d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """Convolve, as ``torch.nn.functional.conv2d``: a correlation, the kernel is not flipped.

    Parameters
    ----------
    x : array_like
        ``(batch, channels, height, width)``, or without the batch axis; channels last for
        ``layout="NHWC"``. float16, bfloat16, float32, float64, complex64 or complex128.
    w : array_like
        ``(out_channels, channels // groups, height, width)``, of `x`'s dtype.
    bias : array_like, optional
        ``(out_channels,)``, of `x`'s dtype.
    stride, dilation : int or sequence of int, optional
        Per spatial axis.
    padding : int, sequence of int, sequence of pairs, "same" or "valid", optional
        Zeros before and after each spatial axis.
    groups : int, optional
        Groups of channels that are convolved apart; as many as channels for a depthwise convolution.
    layout : {"NCHW", "NHWC"}, optional
        Where the channels of `x` and the result are.

    Returns
    -------
    ndarray
        ``(batch, out_channels, height, width)`` in `x`'s layout and dtype.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not fit and dtypes that PyTorch refuses, before anything runs.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv2d(xpu.ones((1, 1, 3, 3)), xpu.ones((1, 1, 2, 2))).tolist()
    [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    return convolutions.forward[2](*arrays(x, w, bias), **options)


@placed(convolutions.transposed[2])
def conv_transpose2d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    layout: Layout = "NCHW",
) -> Any:
    """Convolve transposed, as ``torch.nn.functional.conv_transpose2d``: the gradient of `conv2d`.

    Parameters
    ----------
    x : array_like
        ``(batch, channels, height, width)``, or without the batch axis.
    w : array_like
        ``(channels, out_channels // groups, height, width)``.
    bias : array_like, optional
        ``(out_channels,)``.
    stride, padding, dilation, groups, layout
        Of the convolution whose gradient this is.
    output_padding : int or sequence of int, optional
        Elements added behind each spatial axis of the result, to tell apart input sizes that a
        strided convolution maps to one.

    Returns
    -------
    ndarray
        ``(batch, out_channels, height, width)``.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv_transpose2d(xpu.ones((1, 1, 1, 1)), xpu.ones((1, 1, 2, 2)), stride=2).shape
    (1, 1, 2, 2)
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups}
    return convolutions.transposed[2](*arrays(x, w, bias), **options, dilation=dilation, layout=layout)


@placed(convolutions.backward_input[2])
def conv2d_input(
    input_size: Sequence[int],
    weight: Any,
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """Return the gradient of `conv2d` with respect to its input, as ``torch.nn.grad.conv2d_input``.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input.
    weight : array_like
        The kernel.
    grad_output : array_like
        Gradient with respect to the result, of its shape.
    stride, padding, dilation, groups, layout
        As in `conv2d`.

    Returns
    -------
    ndarray
        Of shape `input_size`.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv2d_input((1, 1, 2, 2), xpu.ones((1, 1, 2, 2)), xpu.ones((1, 1, 1, 1))).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in input_size)
    return convolutions.backward_input[2](array(weight), array(grad_output), input_size=size, **options)


@placed(convolutions.backward_weight[2])
def conv2d_weight(
    input: Any,
    weight_size: Sequence[int],
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """Return the gradient of `conv2d` with respect to its kernel, as ``torch.nn.grad.conv2d_weight``.

    Parameters
    ----------
    input : array_like
        The input.
    weight_size : sequence of int
        Shape of the kernel.
    grad_output : array_like
        Gradient with respect to the result, of its shape.
    stride, padding, dilation, groups, layout
        As in `conv2d`.

    Returns
    -------
    ndarray
        Of shape `weight_size`.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv2d_weight(xpu.ones((1, 1, 2, 2)), (1, 1, 2, 2), xpu.ones((1, 1, 1, 1))).tolist()
    [[[[1.0, 1.0], [1.0, 1.0]]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in weight_size)
    return convolutions.backward_weight[2](array(input), array(grad_output), weight_size=size, **options)


@placed(convolutions.forward[3])
def conv3d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv3d(xpu.ones((1, 1, 2, 2, 2)), xpu.ones((1, 1, 2, 2, 2))).tolist()
    [[[[[8.0]]]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    return convolutions.forward[3](*arrays(x, w, bias), **options)


@placed(convolutions.transposed[3])
def conv_transpose3d(
    x: Any,
    w: Any,
    bias: Any = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv_transpose2d`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv_transpose3d(xpu.ones((1, 1, 1, 1, 1)), xpu.ones((1, 2, 2, 2, 2))).shape
    (1, 2, 2, 2, 2)
    """
    options = {"stride": stride, "padding": padding, "output_padding": output_padding, "groups": groups}
    return convolutions.transposed[3](*arrays(x, w, bias), **options, dilation=dilation, layout=layout)


@placed(convolutions.backward_input[3])
def conv3d_input(
    input_size: Sequence[int],
    weight: Any,
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d_input`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv3d_input((1, 1, 2, 2, 2), xpu.ones((1, 1, 1, 1, 1)), xpu.ones((1, 1, 2, 2, 2))).shape
    (1, 1, 2, 2, 2)
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in input_size)
    return convolutions.backward_input[3](array(weight), array(grad_output), input_size=size, **options)


@placed(convolutions.backward_weight[3])
def conv3d_weight(
    input: Any,
    weight_size: Sequence[int],
    grad_output: Any,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    layout: Layout = "NCHW",
) -> Any:
    """As `conv2d_weight`, with 3 spatial axes.

    Examples
    --------
    >>> import xpu
    >>> xpu.nn.conv3d_weight(xpu.ones((1, 1, 2, 2, 2)), (1, 1, 1, 1, 1), xpu.ones((1, 1, 2, 2, 2))).tolist()
    [[[[[8.0]]]]]
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "layout": layout}
    size = tuple(int(n) for n in weight_size)
    return convolutions.backward_weight[3](array(input), array(grad_output), weight_size=size, **options)
