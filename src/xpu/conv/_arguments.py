"""From what a user wrote to a `ConvGeometry`: every check of a convolution's arguments, once.

All of it happens on shapes and dtypes, before anything runs.  PyTorch raises ``RuntimeError`` for
these mistakes and NumPy ``ValueError`` or ``TypeError``; the two classes here are both.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy

from xpu.conv._geometry import ConvGeometry, Kind, Layout, Pairs, Sizes

__all__ = [
    "ConvDtypeError",
    "ConvShapeError",
    "conv_geometry",
    "input_geometry",
    "per_axis",
    "transpose_geometry",
    "weight_geometry",
]

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128"})


class ConvShapeError(ValueError, RuntimeError):
    """Shapes or sizes that no convolution has (PyTorch's RuntimeError, NumPy's ValueError)."""


class ConvDtypeError(TypeError, RuntimeError):
    """Element types a convolution does not take (PyTorch's RuntimeError, NumPy's TypeError)."""


def _fail(function: str, problem: str, remedy: str) -> NoReturn:
    message = f"xpu.{function}: {problem}. {remedy}"
    raise ConvShapeError(message)


@contextlib.contextmanager
def _naming(**shapes: Sizes) -> Iterator[None]:
    """Name the operands' shapes in every error that does not speak of them already."""
    try:
        yield
    except (ConvShapeError, ConvDtypeError) as error:
        missing = [f"{name} {shape}" for name, shape in shapes.items() if str(shape) not in str(error)]
        if not missing:
            raise
        message = f"{error} The shapes are {', '.join(missing)}."
        raise type(error)(message) from None


def per_axis(function: str, name: str, value: object, rank: int, least: int) -> Sizes:
    """Turn an int or a sequence of ints into one int per spatial axis, at least ``least`` each."""
    values = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if len(values) == 1:
        values *= rank
    if len(values) != rank:
        _fail(
            function,
            f"{name}={value!r} has {len(values)} entries for {rank} spatial axes",
            f"Give an int or {rank} of them.",
        )
    try:
        sizes = tuple(operator.index(v) for v in values)
    except TypeError:
        message = f"xpu.{function}: {name}={value!r} is not made of ints. Give an int per axis."
        raise ConvDtypeError(message) from None
    if any(v < least for v in sizes):
        _fail(function, f"{name}={value!r} is below {least}", f"Give {name} of at least {least}.")
    return sizes


def _padding(function: str, padding: object, reach: Sizes, stride: Sizes) -> Pairs:
    """Resolve ``"same"``, ``"valid"``, an int, ints, or pairs."""
    rank = len(reach)
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * rank
        if padding != "same":
            _fail(function, f"padding={padding!r} is unknown", "Valid: 'same', 'valid', ints, pairs.")
        if any(s != 1 for s in stride):
            _fail(
                function,
                f"padding='same' with stride={stride}",
                "PyTorch defines 'same' for stride 1 only; give the padding as numbers.",
            )
        return tuple(((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach)
    if isinstance(padding, Sequence) and any(isinstance(p, Sequence) for p in padding):
        if len(padding) == 1:
            padding = tuple(padding) * rank
        if len(padding) != rank or any(
            not isinstance(p, Sequence) or isinstance(p, str) or len(p) != 2 for p in padding
        ):
            _fail(
                function,
                f"padding={padding!r} does not fit {rank} spatial axes",
                "Give one (before, after) pair per axis.",
            )
        pairs = [per_axis(function, "padding", tuple(p), 2, 0) for p in padding]
        return tuple((p[0], p[1]) for p in pairs)
    return tuple((p, p) for p in per_axis(function, "padding", padding, rank, 0))


def _dtype(function: str, first: Any, second: Any, names: tuple[str, str]) -> numpy.dtype[Any]:
    one, two = numpy.dtype(first), numpy.dtype(second)
    if one != two:
        message = (
            f"xpu.{function}: {names[0]} is {one} and {names[1]} is {two}. "
            f"Convert one of them first, for example with astype({one})."
        )
        raise ConvDtypeError(message)
    if one.name not in FLOATS:
        message = (
            f"xpu.{function}: {names[0]} and {names[1]} are {one}. Convolutions take "
            f"{', '.join(sorted(FLOATS))}; xpu.signal takes every dtype SciPy takes."
        )
        raise ConvDtypeError(message)
    native: numpy.dtype[Any] = one.newbyteorder("=")
    return native


def _rank(function: str, name: str, shape: Sizes, rank: int) -> None:
    if len(shape) != rank + 2:
        wanted = "(batch, channels and spatial axes)" if name != "w" else "(out, in, kernel axes)"
        _fail(
            function,
            f"{name} of shape {shape} has {len(shape)} axes",
            f"Give {rank + 2} axes {wanted}.",
        )


def _split(shape: Sizes, layout: Layout) -> tuple[int, int, Sizes]:
    """Return (batch, channels, spatial sizes)."""
    if layout == "NCHW":
        return shape[0], shape[1], shape[2:]
    return shape[0], shape[-1], shape[1:-1]


def _layout(function: str, layout: str) -> Layout:
    if layout == "NCHW":
        return "NCHW"
    if layout == "NHWC":
        return "NHWC"
    _fail(function, f"layout={layout!r} is unknown", "Valid: 'NCHW' and 'NHWC', for any rank.")


def _resolve(
    function: str,
    kind: Kind,
    x_shape: Sizes,
    w_shape: Sizes,
    dtype: numpy.dtype[Any],
    options: dict[str, Any],
) -> ConvGeometry:
    """Check a forward convolution's shapes; the other kinds come here with theirs derived."""
    rank = len(w_shape) - 2
    layout = _layout(function, options["layout"])
    batch, channels, spatial = _split(x_shape, layout)
    groups = per_axis(function, "groups", options["groups"], 1, 1)[0]
    out_channels, per_group, kernel = w_shape[0], w_shape[1], w_shape[2:]
    if channels % groups or channels // groups != per_group:
        _fail(
            function,
            f"x of shape {x_shape} ({layout}) has {channels} channels, w of shape {w_shape} takes "
            f"{per_group} in each of groups={groups}",
            "Channels of x must be w.shape[1] * groups.",
        )
    if out_channels % groups:
        _fail(
            function,
            f"w of shape {w_shape} makes {out_channels} channels in groups={groups}",
            "w.shape[0] must be a multiple of groups.",
        )
    if any(k < 1 for k in kernel):
        _fail(
            function,
            f"w of shape {w_shape} has an empty kernel",
            "Give kernel sizes of at least 1.",
        )
    stride = per_axis(function, "stride", options["stride"], rank, 1)
    dilation = per_axis(function, "dilation", options["dilation"], rank, 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    padding = _padding(function, options["padding"], reach, stride)
    for axis, (n, pads, r) in enumerate(zip(spatial, padding, reach, strict=True)):
        if n + sum(pads) < r:
            _fail(
                function,
                f"the kernel of w {w_shape} reaches over {r} elements of spatial axis {axis}, "
                f"x of shape {x_shape} has {n} there, with padding {pads} {n + sum(pads)}",
                "Pad more, dilate less, or take a smaller kernel.",
            )
    return ConvGeometry(
        kind,
        batch,
        groups,
        channels,
        out_channels,
        spatial,
        kernel,
        stride,
        dilation,
        padding,
        layout,
        dtype,
    )


def conv_geometry(
    function: str,
    rank: int,
    x_shape: Sizes,
    w_shape: Sizes,
    x_dtype: Any,
    w_dtype: Any,
    *,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
    layout: str = "NCHW",
) -> ConvGeometry:
    """Check the arguments of ``conv1d``, ``conv2d`` or ``conv3d``.

    Parameters
    ----------
    function : str
        Public name for the messages, such as ``"nn.conv2d"``.
    rank : int
        Number of spatial axes, 1 to 3.
    x_shape, w_shape : tuple of int
        ``(batch, channels, *spatial)`` (or channels last) and ``(out, in // groups, *kernel)``.
    x_dtype, w_dtype : dtype-like
        Must be the same real or complex floating type.
    stride, dilation, groups : int or sequence of int
        As in PyTorch.
    padding : int, sequence of int, sequence of (int, int), "same" or "valid"
        Zeros before and after each spatial axis.
    layout : {"NCHW", "NHWC"}
        Where the channels are.

    Returns
    -------
    ConvGeometry
        Of kind ``"forward"``.

    Raises
    ------
    ConvShapeError
        For shapes and sizes that do not fit.
    ConvDtypeError
        For integer, mixed or unknown element types.

    Examples
    --------
    >>> conv_geometry("nn.conv1d", 1, (1, 2, 9), (4, 2, 3), "f4", "f4", padding="same").y_shape
    (1, 4, 9)
    """
    with _naming(x=x_shape, w=w_shape):
        _rank(function, "x", x_shape, rank)
        _rank(function, "w", w_shape, rank)
        dtype = _dtype(function, x_dtype, w_dtype, ("x", "w"))
        options = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "layout": layout,
        }
        return _resolve(function, "forward", x_shape, w_shape, dtype, options)


def input_geometry(
    function: str,
    rank: int,
    x_shape: Sizes,
    y_shape: Sizes,
    w_shape: Sizes,
    y_dtype: Any,
    w_dtype: Any,
    *,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
    layout: str = "NCHW",
) -> ConvGeometry:
    """Check the arguments of the gradient with respect to the input, of shape ``x_shape``.

    Examples
    --------
    >>> input_geometry("nn.conv1d_input", 1, (1, 2, 9), (1, 4, 7), (4, 2, 3), "f4", "f4").kind
    'input'
    """
    with _naming(input_size=x_shape, grad_output=y_shape, w=w_shape):
        for name, shape in (("input_size", x_shape), ("grad_output", y_shape), ("w", w_shape)):
            _rank(function, name, shape, rank)
        dtype = _dtype(function, y_dtype, w_dtype, ("grad_output", "w"))
        options = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "layout": layout,
        }
        return _matched(function, _resolve(function, "input", x_shape, w_shape, dtype, options), y_shape)


def weight_geometry(
    function: str,
    rank: int,
    x_shape: Sizes,
    w_shape: Sizes,
    y_shape: Sizes,
    x_dtype: Any,
    y_dtype: Any,
    *,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: object = 1,
    layout: str = "NCHW",
) -> ConvGeometry:
    """Check the arguments of the gradient with respect to the weight, of shape ``w_shape``.

    Examples
    --------
    >>> weight_geometry("nn.conv1d_weight", 1, (1, 2, 9), (4, 2, 3), (1, 4, 7), "f4", "f4").kind
    'weight'
    """
    with _naming(x=x_shape, weight_size=w_shape, grad_output=y_shape):
        for name, shape in (("x", x_shape), ("weight_size", w_shape), ("grad_output", y_shape)):
            _rank(function, name, shape, rank)
        dtype = _dtype(function, x_dtype, y_dtype, ("x", "grad_output"))
        options = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "layout": layout,
        }
        return _matched(function, _resolve(function, "weight", x_shape, w_shape, dtype, options), y_shape)


def _matched(function: str, geometry: ConvGeometry, y_shape: Sizes) -> ConvGeometry:
    if geometry.y_shape != tuple(y_shape):
        _fail(
            function,
            f"grad_output has shape {tuple(y_shape)}, the convolution of x {geometry.x_shape} with "
            f"w {geometry.w_shape} gives {geometry.y_shape}",
            "Check input_size or weight_size, stride, padding and dilation.",
        )
    return geometry


def transpose_geometry(
    function: str,
    rank: int,
    x_shape: Sizes,
    w_shape: Sizes,
    x_dtype: Any,
    w_dtype: Any,
    *,
    stride: object = 1,
    padding: object = 0,
    output_padding: object = 0,
    groups: object = 1,
    dilation: object = 1,
    layout: str = "NCHW",
) -> tuple[ConvGeometry, Sizes]:
    """Check the arguments of ``conv_transpose*d``: the input gradient of a convolution.

    ``x`` plays the part of that convolution's output, ``w`` is ``(in, out // groups, *kernel)``.

    Returns
    -------
    ConvGeometry
        Of kind ``"input"``; its ``x_shape`` is the shape of the result.
    tuple of int
        Zeros to append to each spatial axis of ``x`` first: nonzero only where ``output_padding``
        is not below the stride, which PyTorch allows up to the dilation.

    Examples
    --------
    >>> g, extra = transpose_geometry("nn.conv_transpose1d", 1, (1, 4, 5), (4, 2, 3), "f4", "f4",
    ...                               stride=2, padding=1, output_padding=1)
    >>> g.x_shape, g.y_shape, extra
    ((1, 2, 10), (1, 4, 5), (0,))
    """
    with _naming(x=x_shape, w=w_shape):
        _rank(function, "x", x_shape, rank)
        _rank(function, "w", w_shape, rank)
        dtype = _dtype(function, x_dtype, w_dtype, ("x", "w"))
        layout = _layout(function, layout)
        batch, channels, spatial = _split(x_shape, layout)
        steps = per_axis(function, "stride", stride, rank, 1)
        spread = per_axis(function, "dilation", dilation, rank, 1)
        extra = per_axis(function, "output_padding", output_padding, rank, 0)
        count = per_axis(function, "groups", groups, 1, 1)[0]
        if channels != w_shape[0] or channels % count:
            _fail(
                function,
                f"x of shape {x_shape} ({layout}) has {channels} channels, w of shape {w_shape} takes "
                f"{w_shape[0]}, groups={count}",
                "Channels of x must be w.shape[0], a multiple of groups.",
            )
        if isinstance(padding, str):
            _fail(function, f"padding={padding!r}", "A transposed convolution takes numbers only.")
        reach = tuple(d * (k - 1) + 1 for k, d in zip(w_shape[2:], spread, strict=True))
        pads = _padding(function, padding, reach, steps)
        for more, s, d in zip(extra, steps, spread, strict=True):
            if more >= max(s, d):
                _fail(
                    function,
                    f"output_padding={extra} with stride={steps}, dilation={spread}",
                    "It must be below the stride or the dilation.",
                )
        sizes = tuple(
            (n - 1) * s - sum(p) + r + more for n, s, p, r, more in zip(spatial, steps, pads, reach, extra, strict=True)
        )
        if any(n < 1 for n in sizes) and 0 not in spatial:
            _fail(
                function,
                f"x of shape {x_shape} with w {w_shape}, stride={steps}, padding={pads} gives spatial sizes {sizes}",
                "Pad less.",
            )
        out_channels = w_shape[1] * count
        full = (batch, out_channels, *sizes) if layout == "NCHW" else (batch, *sizes, out_channels)
        options = {
            "stride": steps,
            "padding": pads,
            "dilation": spread,
            "groups": count,
            "layout": layout,
        }
        geometry = _resolve(function, "input", full, w_shape, dtype, options)
        left = tuple(o - n for o, n in zip(geometry.out_spatial, spatial, strict=True))
        return geometry, left
