"""A convolution as a product of spectra: for kernels so large that no direct method pays.

Only for few channels: the spectra of all of them are the workspace.  The transforms run in the
input's own precision (scipy.fft on the CPU, where numpy.fft is twice as slow for float32) and on
as many threads as are in force.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy

from xpu.conv import _threads
from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries

__all__ = ["FftEngine", "fast_length", "fft_module"]

Array = Any
Namespace = Any

# A real transform runs at about this share of a matrix product's rate.
EFFICIENCY = 0.06


def fast_length(size: int) -> int:
    """Return the least product of 2, 3 and 5 that is not below ``size``.

    Examples
    --------
    >>> [fast_length(n) for n in (1, 7, 1086, 4097)]
    [1, 8, 1125, 4320]
    """
    best = 1 << max(0, size - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            power = three << max(0, -(-size // three) - 1).bit_length()
            best = min(best, power)
            three *= 3
        five *= 5
    return best


def fft_module(xp: Namespace) -> tuple[Any, dict[str, int]]:
    """Return the transforms of a namespace and the keywords that set their threads."""
    if xp is numpy:
        import scipy.fft

        return scipy.fft, {"workers": _threads.count()}
    return xp.fft, {}


class FftEngine:
    """Products of spectra over the whole padded extent.

    Examples
    --------
    >>> import numpy
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> FftEngine().run(numpy, g, x, w).round(12)
    array([[[ 1., 12., 23.]]])
    """

    name = "fft"
    device: Literal["any", "cpu", "cuda"] = "any"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or why the spectra would be out of proportion."""
        for g in lowered_geometries(geometry, complex_core=True):
            if any(n == 0 for n in g.spatial):
                return "the input has an empty axis"
        return None

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the three sets of spectra."""
        return max(
            (_spectra(p) * _lines(p) for p in lowered_geometries(geometry, complex_core=True)),
            default=0,
        )

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict ``2.5 n log2 n`` operations per transform and the products between them."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            points = math.prod(_lengths(g))
            one = 2.5 * points * math.log2(max(2, points)) * (2 if g.dtype.kind == "c" else 1)
            products = 4.0 * points * g.batch * g.out_channels * g.w_shape[1]
            work = (one * _lines(g) / EFFICIENCY + 4 * products) * itemcost(g) / rates.flops
            total += work + 2.0 * _spectra(g) * _lines(g) / rates.bandwidth + 20 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second, complex_core=True)


def _lengths(g: ConvGeometry) -> tuple[int, ...]:
    return tuple(fast_length(n + r - 1) for n, r in zip(g.spatial, g.span, strict=True))


def _spectra(g: ConvGeometry) -> int:
    size = math.prod(_lengths(g)) * g.dtype.itemsize
    return size if g.dtype.kind == "c" else size + size // max(1, _lengths(g)[-1] // 2)


def _lines(g: ConvGeometry) -> int:
    return g.batch * (g.in_channels + g.out_channels) + g.out_channels * g.w_shape[1]


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    fft, keywords = fft_module(xp)
    lengths, axes = _lengths(g), tuple(range(-g.rank, 0))
    real = g.dtype.kind != "c"
    ahead = fft.rfftn if real else fft.fftn
    back = fft.irfftn if real else fft.ifftn
    if any(d != 1 for d in g.dilation):
        spread = xp.zeros((*w.shape[:2], *g.span), dtype=w.dtype)
        spread[(slice(None), slice(None), *(slice(None, None, d) for d in g.dilation))] = w
        w = spread
    w = w[(slice(None), slice(None), *(slice(None, None, -1),) * g.rank)]
    wide = ahead(x, lengths, axes=axes, **keywords)
    tall = ahead(w, lengths, axes=axes, **keywords)
    groups = g.groups
    wide = wide.reshape((g.batch, groups, g.in_channels // groups, *wide.shape[2:]))
    tall = tall.reshape((groups, g.out_channels // groups, *tall.shape[1:]))
    made = wide[:, :, None, 0] * tall[None, :, :, 0]
    for channel in range(1, g.w_shape[1]):
        made += wide[:, :, None, channel] * tall[None, :, :, channel]
    full = back(made.reshape((g.batch, -1, *made.shape[3:])), lengths, axes=axes, **keywords)
    # full[i] is the sum over x[i - r + 1 + t] w[t]; output o starts at x[o*s - before].
    y = xp.zeros(g.y_shape, dtype=g.dtype)
    take: list[slice] = [slice(None), slice(None)]
    put: list[slice] = [slice(None), slice(None)]
    for n, r, s, o, (before, _) in zip(g.spatial, g.span, g.stride, g.out_spatial, g.padding, strict=True):
        offset = r - 1 - before
        low = max(0, -(offset // s)) if offset < 0 else 0
        high = max(low, min(o, (n + r - 2 - offset) // s + 1))
        put.append(slice(low, high))
        take.append(slice(offset + low * s, max(0, offset + (high - 1) * s + 1), s))
    if all(p.stop > p.start for p in put[2:]):
        y[tuple(put)] = full[tuple(take)]
    return y
