"""Winograd's minimal filtering for 3x3 kernels of stride 1: fewer multiplications, by matrices.

``F(4x4, 3x3)`` makes 16 outputs from 36 products instead of 144.  Source: Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308, with the points
0, +-1, +-2, infinity.  The transforms cost rounding, about ten times that of a direct sum.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy

from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["AT", "BT", "TILE", "G", "WinogradEngine", "winograd_refusal"]

Array = Any
Namespace = Any

TILE = 4
BT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
G = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
AT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


@functools.lru_cache(maxsize=4096)
def winograd_refusal(geometry: ConvGeometry) -> str | None:
    """Return ``None``, or why these are not 3x3 convolutions of stride 1 in two dimensions."""
    parts = lowered_geometries(geometry)
    if geometry.rank != 2:
        return f"the rank is {geometry.rank}, not 2"
    for g in parts:
        if g.kernel != (3, 3) or g.stride != (1, 1) or g.dilation != (1, 1):
            return f"it needs kernel 3x3, stride 1 and dilation 1, not {g.kernel}, {g.stride}, {g.dilation}"
        if min(g.out_spatial) < TILE or 0 in g.spatial:
            return f"the output {g.out_spatial} is smaller than one tile of {TILE}x{TILE}"
    if geometry.dtype.name in ("float16", "complex64", "complex128"):
        return f"its rounding is too coarse for {geometry.dtype.name}"
    return None


class WinogradEngine:
    """The readable ``F(4x4, 3x3)`` on any array namespace.

    Examples
    --------
    >>> import numpy
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv2d", 2, (1, 1, 6, 6), (1, 1, 3, 3), "f8", "f8")
    >>> y = WinogradEngine().run(numpy, g, numpy.ones(g.x_shape), numpy.ones(g.w_shape))
    >>> y.round(12).sum(), y.shape
    (np.float64(144.0), (1, 1, 4, 4))
    """

    name = "winograd"
    device: Literal["any", "cpu", "cuda"] = "any"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or the first thing that is not 3x3 with stride 1."""
        return winograd_refusal(geometry)

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the transformed input, weight and output, twice over."""
        return lowered_space(_space, geometry)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict a quarter of the products and some passes over the transforms."""
        total = 0.0
        for g in lowered_geometries(geometry):
            total += 0.25 * 1.5 * g.flops * itemcost(g) / rates.flops
            total += 4.0 * _space(g) / rates.bandwidth + 100 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second)


def _space(g: ConvGeometry) -> int:
    tiles = g.batch * -(-g.out_spatial[0] // TILE) * -(-g.out_spatial[1] // TILE)
    channels = g.in_channels + g.out_channels
    items = 36 * (tiles * channels + g.out_channels * g.w_shape[1])
    return 2 * items * g.dtype.itemsize


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    bt, gm, at = (xp.asarray(numpy.array(m, dtype=g.dtype)) for m in (BT, G, AT))
    groups, rows, columns = g.groups, *(-(-o // TILE) for o in g.out_spatial)
    (top, _), (left, _) = g.padding
    # One row of tiles reaches over TILE * rows + 2 input rows.
    wide = xp.zeros((*x.shape[:2], TILE * rows + 2, TILE * columns + 2), dtype=g.dtype)
    high, broad = (min(n, m - p) for n, m, p in zip(g.spatial, wide.shape[2:], (top, left), strict=True))
    wide[:, :, top : top + high, left : left + broad] = x[:, :, :high, :broad]
    tiles = xp.lib.stride_tricks.sliding_window_view(wide, (6, 6), axis=(2, 3))
    tiles = tiles[:, :, ::TILE, ::TILE].reshape((g.batch, groups, -1, rows * columns, 6, 6))
    v = xp.einsum("ai,ngctij,bj->abgcnt", bt, tiles, bt, optimize=True)
    u = xp.einsum("ai,ocij,bj->aboc", gm, w, gm, optimize=True)
    u = u.reshape((6, 6, groups, g.out_channels // groups, g.w_shape[1]))
    m = xp.matmul(u, v.reshape((6, 6, groups, g.w_shape[1], g.batch * rows * columns)))
    y = xp.einsum("ia,abgot,jb->gotij", at, m, at, optimize=True)
    y = y.reshape((g.out_channels, g.batch, rows, columns, TILE, TILE))
    y = y.transpose((1, 0, 2, 4, 3, 5)).reshape((g.batch, -1, TILE * rows, TILE * columns))
    return xp.ascontiguousarray(y[:, :, : g.out_spatial[0], : g.out_spatial[1]])
