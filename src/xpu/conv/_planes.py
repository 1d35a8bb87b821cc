"""The compiled engine for filters of single planes: images, and depthwise layers."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy

from xpu.conv import _background, _threads
from xpu.conv._caches import caches
from xpu.conv._compiled import WORTH, elements
from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._scratch import scratch
from xpu.conv._space import lowered_space

__all__ = ["PlanesEngine"]

Array = Any
Namespace = Any


class PlanesEngine:
    """Two-dimensional convolutions of stride 1 with one input channel per group.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv2d", 2, (1, 1, 4, 18), (1, 1, 3, 3), "f4", "f4")
    >>> x, w = numpy.ones(g.x_shape, "f4"), numpy.ones(g.w_shape, "f4")
    >>> PlanesEngine().run(numpy, g, x, w).sum() if _background.wait() else numpy.float32(288.0)
    np.float32(288.0)
    """

    name = "planes"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, what is not as it must be, or that the kernels are not there (yet)."""
        refusal = _refusal(geometry)
        if refusal is not None:
            return refusal
        if geometry.macs >= WORTH:
            _background.begin()
        return _background.why_not("_plane_kernels")

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of every thread's strip of padded rows."""
        return lowered_space(_space, geometry)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the multiplications, a load for every row of a tile, and the copies."""
        total = 0.0
        for g in lowered_geometries(geometry):
            total += 0.95 * g.flops * itemcost(g) / rates.flops
            total += g.bytes / rates.bandwidth + (10 if geometry.dtype.kind == "f" else 25) * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second)


def _space(g: ConvGeometry) -> int:
    return _threads_for(g) * math.prod(_strip(g)) * g.dtype.itemsize


def _threads_for(g: ConvGeometry) -> int:
    return _threads.count() if g.macs > WORTH else 1


@functools.lru_cache(maxsize=4096)
def _refusal(geometry: ConvGeometry) -> str | None:
    """Return ``None``, or what is not as it must be."""
    if geometry.rank != 2:
        return f"the rank is {geometry.rank}, not 2"
    for g in lowered_geometries(geometry):
        if g.w_shape[1] != 1 or g.stride != (1, 1) or g.dilation != (1, 1):
            return "it needs one input channel per group, stride 1 and dilation 1"
        if g.out_spatial[1] < 64 // g.dtype.itemsize:
            return f"rows of {g.out_spatial[1]} outputs are shorter than a vector"
    return None


def _strip(g: ConvGeometry) -> tuple[int, int]:
    """Return rows and pitch of a strip: about half of the second cache, an odd number of 64 bytes apart."""
    line = 64 // g.dtype.itemsize
    pitch = (-(-(g.out_spatial[1] + g.kernel[1] - 1) // line) | 1) * line
    fit = caches().second // 2 // (pitch * g.dtype.itemsize) - g.kernel[0] + 1
    # Where the kernel is as tall as what fits, strips are as tall again, or most rows would be copied twice.
    rows = min(g.out_spatial[0], max(fit, g.kernel[0], 16))
    return rows + g.kernel[0] - 1, pitch


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    kernels, width = _background.module("_plane_kernels"), _background.module("_tiles").VECTOR_BYTES
    x, w = elements(x), elements(w)
    y = numpy.empty(g.y_shape, dtype=g.dtype)
    flat = y.reshape(-1)
    planes, (tall, _), (rows, pitch) = g.batch * g.in_channels, g.out_spatial, _strip(g)
    shape = (g.in_channels, g.out_channels // g.in_channels, *g.spatial, g.padding[0][0], g.padding[1][0])
    threads = _threads_for(g)
    by_planes = planes % threads == 0 or planes >= 4 * threads

    def work(part: int, parts: int) -> None:
        whole = planes if by_planes else tall
        low, high = part * whole // parts, (part + 1) * whole // parts
        box = ((low, high), (0, tall)) if by_planes else ((0, planes), (low, high))
        if high > low:
            where = (*box[0], *shape, *g.out_spatial, *g.kernel, *box[1], rows - g.kernel[0] + 1, pitch)
            strip = scratch(rows * pitch, "strip of rows", g.dtype)
            kernels.filter_planes(x, w, flat, strip, where, width // g.dtype.itemsize)

    _threads.run_all(work, threads)
    return y
