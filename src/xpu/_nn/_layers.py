"""Pooling, softmax and normalisation on raw arrays of any library.

A window's maximum or sum is taken axis by axis: k1 + k2 passes in place of k1 * k2.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpu.conv._arguments import ConvShapeError, per_axis
from xpu.errors import text

__all__ = ["average_pool", "largest_pool", "normalise", "normalise_training", "softmax"]

Raw = Any


def _namespace(raw: Raw) -> Any:
    return np if isinstance(raw, np.ndarray) else importlib.import_module("cupy")


# ----------------------------------------------------------------------------- pooling


class _Window:
    """The windows along one axis: where each starts, and how much of it is not padding."""

    def __init__(self, length: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> None:
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        span = dilation * (kernel - 1) + 1
        reach = length + 2 * padding - span
        self.count = (-(-reach // stride) if ceil_mode else reach // stride) + 1
        # PyTorch's rule: a window that starts in the padding behind the array is left out.
        if ceil_mode and (self.count - 1) * stride >= length + padding:
            self.count -= 1
        self.behind = max(0, (self.count - 1) * stride + span - length - padding)
        starts = np.arange(self.count) * stride
        self.padded = np.minimum(starts + kernel, length + 2 * padding) - starts
        inside = np.minimum(starts + kernel, length + padding) - np.maximum(starts, padding)
        self.inside = np.maximum(inside, 0)


def _windows(
    name: str, rank: int, shape: tuple[int, ...], first: int, sizes: Sequence[Any], ceil_mode: bool
) -> list[_Window]:
    kernel, stride, padding, dilation = sizes
    kernels = per_axis(name, "kernel_size", kernel, rank, 1)
    strides = kernels if stride is None else per_axis(name, "stride", stride, rank, 1)
    pads = per_axis(name, "padding", padding, rank, 0)
    spreads = per_axis(name, "dilation", dilation, rank, 1)
    made = []
    for axis, (k, s, p, d) in enumerate(zip(kernels, strides, pads, spreads, strict=True)):
        length = shape[first + axis]
        if 2 * p > k:
            problem = f"padding={pads} is more than half of kernel_size={kernels}"
            raise ConvShapeError(text(name, problem, "Pad less or take a larger kernel."))
        made.append(_Window(length, k, s, p, d, ceil_mode))
        # With ceil_mode a window may reach behind the padding, as PyTorch's does.
        if made[-1].count < 1:
            problem = f"kernel_size={kernels} (dilation {spreads}) is larger than x of shape {shape} padded by {pads}"
            raise ConvShapeError(text(name, problem, "Pad more or take a smaller kernel."))
    return made


def _first_axis(name: str, rank: int, shape: tuple[int, ...], layout: str) -> int:
    if layout not in ("NCHW", "NHWC"):
        raise ValueError(text(name, f"layout={layout!r}", "Valid: 'NCHW', 'NHWC'."))
    if len(shape) not in (rank + 1, rank + 2):
        problem = f"x has shape {shape}, that is {len(shape)} axes"
        raise ConvShapeError(text(name, problem, f"Give {rank + 2}: batch, channels and {rank} of space."))
    return len(shape) - rank - (layout == "NHWC")


def _pooled(space: Any, x: Raw, axis: int, window: _Window, fill: Any, combine: Any) -> Raw:
    """Combine the elements of every window along one axis."""
    if window.padding or window.behind:
        around = [(0, 0)] * x.ndim
        around[axis] = (window.padding, window.behind)
        x = space.pad(x, around, constant_values=fill)
    made = None
    for step in range(window.kernel):
        start = step * window.dilation
        key = [slice(None)] * x.ndim
        key[axis] = slice(start, start + (window.count - 1) * window.stride + 1, window.stride)
        part = x[tuple(key)]
        made = part.copy() if made is None else combine(made, part, out=made)
    return made


def largest_pool(
    x: Raw,
    *,
    name: str,
    rank: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    layout: str = "NCHW",
) -> Raw:
    """Return the largest element of every window."""
    space = _namespace(x)
    first = _first_axis(name, rank, x.shape, layout)
    fill = -math.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    windows = _windows(name, rank, x.shape, first, (kernel_size, stride, padding, dilation), ceil_mode)
    for axis, window in enumerate(windows):
        x = _pooled(space, x, first + axis, window, fill, space.maximum)
    return x


def average_pool(
    x: Raw,
    *,
    name: str,
    rank: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: str = "NCHW",
) -> Raw:
    """Return the mean of every window."""
    if divisor_override is not None and divisor_override < 1:
        raise ValueError(text(name, f"divisor_override={divisor_override}", "Give a positive number or None."))
    space, dtype = _namespace(x), x.dtype
    first = _first_axis(name, rank, x.shape, layout)
    windows = _windows(name, rank, x.shape, first, (kernel_size, stride, padding, 1), ceil_mode)
    x = x.astype(np.float32) if dtype.itemsize == 2 else x
    for axis, window in enumerate(windows):
        x = _pooled(space, x, first + axis, window, 0, space.add)
        if divisor_override is None:
            counts = window.padded if count_include_pad else window.inside
            shape = [1] * x.ndim
            shape[first + axis] = window.count
            x /= space.asarray(counts.astype(x.dtype)).reshape(shape)
    if divisor_override is not None:
        x /= divisor_override
    return x.astype(dtype, copy=False)


# ----------------------------------------------------------------------------- softmax and normalisation


def softmax(x: Raw, *, axis: Any = -1) -> Raw:
    """Return exponentials that sum to one along an axis; the largest element is taken out first."""
    space = _namespace(x)
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    if not x.size:
        return x.copy()
    with np.errstate(invalid="ignore"):  # of two infinities, whose exponentials are NaN, as PyTorch says
        made = wide - wide.max(axis=axis, keepdims=True)
        space.exp(made, out=made)
        made /= made.sum(axis=axis, keepdims=True)
    return made.astype(x.dtype, copy=False)


def _along_channels(values: Raw, ndim: int, layout: str) -> Raw:
    return values.reshape(-1) if layout == "NHWC" else values.reshape((-1, *(1,) * (ndim - 2)))


def normalise(
    x: Raw, mean: Raw, var: Raw, weight: Raw = None, bias: Raw = None, *, eps: float = 1e-5, layout: str = "NCHW"
) -> Raw:
    """Return ``(x - mean) / sqrt(var + eps) * weight + bias`` per channel."""
    space = _namespace(x)
    kind = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
    scale = 1.0 / space.sqrt(var.astype(kind) + kind.type(eps))
    scale = scale if weight is None else scale * weight.astype(kind)
    shift = -mean.astype(kind) * scale
    shift = shift if bias is None else shift + bias.astype(kind)
    made = x * _along_channels(scale.astype(kind), x.ndim, layout)
    made += _along_channels(shift.astype(kind), x.ndim, layout)
    return made.astype(x.dtype, copy=False)


def normalise_training(
    x: Raw,
    running_mean: Raw,
    running_var: Raw,
    weight: Raw = None,
    bias: Raw = None,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    layout: str = "NCHW",
) -> Raw:
    """Normalise by the batch's own mean and variance, and move the running ones towards them."""
    if not x.size:
        return x.copy()  # as in PyTorch the running ones stay
    axes = tuple(range(x.ndim - 1)) if layout == "NHWC" else (0, *range(2, x.ndim))
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    mean, var = wide.mean(axis=axes), wide.var(axis=axes)
    count = x.size // max(mean.size, 1)
    if running_mean is not None:
        running_mean += (momentum * (mean - running_mean)).astype(running_mean.dtype)
    if running_var is not None:
        unbiased = var * (count / max(count - 1, 1))
        running_var += (momentum * (unbiased - running_var)).astype(running_var.dtype)
    return normalise(x, mean, var, weight, bias, eps=eps, layout=layout)
