"""Calls that look at neighbours: convolutions by batch or tile, pooling by batch, filters with a halo.

A piece takes along as many rows of its neighbours as the kernel reaches, and what its result says of
those rows is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpu._chunks._scheme import Cut, Scheme, bound
from xpu._op import Op, Shaped
from xpu.conv._arguments import conv_geometry

__all__ = ["FILTERS", "SIGNALS", "convolution", "filtered", "layer", "signal"]


# ----------------------------------------------------------------------------- xpu.nn


def convolution(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut the batch, or the first spatial axis in tiles."""
    rank = _rank(op)
    if op.name.endswith("_weight"):
        size = math.prod(keywords["weight_size"]) * shapes[0].dtype.itemsize
        return [Scheme("the batch", shapes[0].shape[0], (Cut(0), Cut(0)), size, gather="add", spare=_SPARE)]
    out = op.work(shapes, keywords).bytes - sum(s.nbytes for s in shapes)
    if op.name.endswith("_input"):
        cuts: tuple[Cut | None, ...] = (None, Cut(0))
        return [Scheme("the batch", shapes[1].shape[0], cuts, out, adjust="input_size", spare=_SPARE)]
    if len(shapes[0].shape) != rank + 2:
        return []
    made = [Scheme("the batch", shapes[0].shape[0], (Cut(0), *[None] * (len(shapes) - 1)), out, spare=_SPARE)]
    if "transpose" not in op.name:
        made.append(_tiles(op, rank, keywords, shapes, out))
    return made


_SPARE = 1.0  # workspace of an algorithm, as a share of operands and result


def _rank(op: Op) -> int:
    """Return the number of spatial axes that a row's name says: 2 for ``nn.conv2d_input``."""
    return next(rank for rank in (1, 2, 3) if f"{rank}d" in op.name)


def _tiles(op: Op, rank: int, keywords: dict[str, Any], shapes: Sequence[Shaped], out: float) -> Scheme:
    x, w = shapes[:2]
    geometry = conv_geometry(op.name, rank, x.shape, w.shape, x.dtype, w.dtype, **keywords)
    first = 1 if geometry.layout == "NHWC" else 2
    cut = Cut(first, geometry.stride[0], geometry.padding[0][0], geometry.dilation[0] * (geometry.kernel[0] - 1) + 1)
    return Scheme(
        f"axis {first} in tiles",
        geometry.y_shape[first],
        (cut, *[None] * (len(shapes) - 1)),
        out,
        axis=first,
        adjust="padding",
        spare=_SPARE,
        detail={"padding": geometry.padding, "length": x.shape[first]},
    )


def layer(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut the batch of a pooling, a softmax or a normalisation by given statistics."""
    shape = shapes[0].shape
    axis = 0
    if op.name == "nn.softmax":
        axis = 0 if keywords.get("axis", -1) % len(shape) else 1
    elif op.name.startswith(("nn.max_pool", "nn.avg_pool")) and len(shape) != _rank(op) + 2:
        return []
    if op.writes or axis >= len(shape) or shape[axis] < 2:
        return []
    return [Scheme("the batch", shape[axis], (Cut(axis), *[None] * (len(shapes) - 1)), shapes[0].nbytes, axis=axis)]


# ----------------------------------------------------------------------------- xpu.ndimage

_MODES = frozenset({"reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap", "grid-constant"})
FILTERS = frozenset(
    {
        "ndimage.convolve",
        "ndimage.convolve1d",
        "ndimage.correlate",
        "ndimage.correlate1d",
        "ndimage.gaussian_filter",
        "ndimage.gaussian_filter1d",
        "ndimage.gaussian_gradient_magnitude",
        "ndimage.gaussian_laplace",
        "ndimage.grey_dilation",
        "ndimage.grey_erosion",
        "ndimage.laplace",
        "ndimage.maximum_filter",
        "ndimage.maximum_filter1d",
        "ndimage.median_filter",
        "ndimage.minimum_filter",
        "ndimage.minimum_filter1d",
        "ndimage.percentile_filter",
        "ndimage.prewitt",
        "ndimage.rank_filter",
        "ndimage.sobel",
        "ndimage.uniform_filter",
        "ndimage.uniform_filter1d",
    }
)


def filtered(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut the first axis, with a halo of the kernel's length."""
    given = bound(op, args, keywords)
    shape = shapes[0].shape
    if given is None or not shape or {"output", "axes", "radius", "footprint", "structure"} & set(given):
        return []
    mode = given.get("mode", "reflect")
    reach = _reach(op.name, given, shapes)
    if mode not in _MODES or reach is None or reach >= shape[0]:
        return []
    cut = Cut(0, 1, reach, 2 * reach + 1, wrap="wrap" in mode)
    cuts = (cut, *[None] * (len(shapes) - 1))
    return [Scheme("axis 0 with a halo", shape[0], cuts, shapes[0].nbytes, crop=reach > 0, spare=1.0)]


def _reach(name: str, given: Mapping[str, Any], shapes: Sequence[Shaped]) -> int | None:
    """Return how many rows of the first axis away a result looks; None where that is not known."""
    ndim = len(shapes[0].shape)
    if name.endswith(("1d", "sobel", "prewitt")):
        axis = given.get("axis", -1)
        if not isinstance(axis, (int, np.integer)):
            return None
        along = axis % ndim == 0
        # The gradients also smooth across, by three rows.
        if name.endswith(("sobel", "prewitt")):
            return 2
        if not along:
            return 0
    if "convolve" in name or "correlate" in name:
        return shapes[1].shape[0] if len(shapes) == 2 and shapes[1].shape else None
    if name.endswith("laplace") and "gaussian" not in name:
        return 2
    if "gaussian" in name:
        sigma, truncate = _first(given.get("sigma"), ndim), given.get("truncate", 4.0)
        # The gradients go through `gaussian_filter` with its default.
        return None if sigma is None else int(max(truncate, 4.0) * sigma + 0.5) + 1
    size = _first(given.get("size"), ndim)
    return None if size is None else int(size)


def _first(value: Any, ndim: int) -> float | None:
    """Return the first axis's share of a number or of one number per axis."""
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    return float(value[0]) if isinstance(value, (tuple, list)) and len(value) == ndim else None


# ----------------------------------------------------------------------------- xpu.signal

SIGNALS = frozenset(
    {
        "signal.convolve",
        "signal.correlate",
        "signal.fftconvolve",
        "signal.oaconvolve",
        "signal.convolve2d",
        "signal.correlate2d",
        "convolve",
    }
)


def signal(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut the first axis of the longer operand; the kernel goes along whole."""
    given = bound(op, args, keywords)
    if given is None or "axes" in given or len(shapes) != 2:
        return []
    (a, b), mode = (s.shape for s in shapes), given.get("mode", "full")
    boundary = given.get("boundary", "fill")
    if len(a) != len(b) or not a or any(n < k for n, k in zip(a, b, strict=True)) or boundary != "fill":
        return []
    if given.get("fillvalue", 0) != 0 or mode not in ("full", "same", "valid"):
        return []
    n, k = a[0], b[0]
    reach, length = {"full": ((k - 1, k), n + k - 1), "same": ((k, 2 * k + 1), n), "valid": ((0, k), n - k + 1)}[mode]
    if k >= n:
        return []
    size = max(s.dtype.itemsize for s in shapes)
    others = [m + j - 1 if mode == "full" else m for m, j in zip(a[1:], b[1:], strict=True)]
    out = length * math.prod(others) * size
    return [Scheme("axis 0 with a halo", length, (Cut(0, 1, *reach), None), out, crop=mode != "valid", spare=2.0)]
