"""A convolution as matrix products: the input's windows are laid out as columns, block by block.

The classical method (Chellapilla, Puri and Simard 2006), which puts the work into the BLAS of
whatever array namespace it runs on.  Columns are made for a block of output rows at a time, so the
workspace stays below a bound instead of growing with the kernel.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from xpu.conv._direct import pad_input, padded_bytes
from xpu.conv._engine import Rates, allowance, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["GemmEngine", "gemm_forward"]

Array = Any
Namespace = Any

# Columns of about this many bytes still come from cache into the matrix product.
BLOCK_BYTES = 1 << 20


class GemmEngine:
    """Windows as columns, then one matrix product per block of output rows.

    Examples
    --------
    >>> import numpy
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> GemmEngine().run(numpy, g, x, w)
    array([[[ 1., 12., 23.]]])
    """

    name = "gemm"
    device: Literal["any", "cpu", "cuda"] = "any"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``: it does everything."""
        return None

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of one padded image and of one block of columns and its product."""
        return lowered_space(_space, geometry, complex_core=True)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the products at the BLAS's rate and the columns at a strided copy's."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            depth = math.prod(g.w_shape[1:])
            columns = g.batch * g.groups * depth * math.prod(g.out_spatial) * g.dtype.itemsize
            per_group = g.out_channels // g.groups
            fill = 1.0 + 8.0 / per_group + 8.0 / depth
            blocks = g.batch * -(-g.out_spatial[0] // _block_rows(g))
            total += fill * g.flops * itemcost(g) / rates.flops
            # The weight is read again for every block.
            read = blocks * math.prod(g.w_shape) * g.dtype.itemsize
            total += (2.5 * columns + read) / rates.bandwidth + blocks * (6 + g.groups / 8) * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(gemm_forward, xp, geometry, first, second, complex_core=True)


def _space(g: ConvGeometry) -> int:
    columns, product = _row_bytes(g)
    return padded_bytes(g.with_(batch=1)) + (columns + product) * _block_rows(g)


def _row_bytes(g: ConvGeometry) -> tuple[int, int]:
    """Return the bytes of the columns, and of the product, of one row of outputs."""
    line = math.prod(g.out_spatial[1:]) * g.dtype.itemsize
    return g.in_channels * math.prod(g.kernel) * line, g.out_channels * line


def _block_rows(g: ConvGeometry) -> int:
    """Return the rows of a block: as many as come from cache, and as the workspace allows."""
    columns, product = _row_bytes(g)
    left = allowance(g) - padded_bytes(g.with_(batch=1))
    return max(1, min(g.out_spatial[0], BLOCK_BYTES // max(1, columns), left // max(1, columns + product)))


def gemm_forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    axes = tuple(range(1, 1 + g.rank))
    steps = tuple(slice(None, None, s) for s in g.stride)
    taps = tuple(slice(None, None, d) for d in g.dilation)
    one = g.with_(batch=1)
    groups, per_in, per_out = g.groups, g.in_channels // g.groups, g.out_channels // g.groups
    weight = w.reshape((groups, per_out, -1))
    # Axes (channel, out..., tap...) become (channel, tap..., out...).
    order = (0, *range(1 + g.rank, 1 + 2 * g.rank), *range(1, 1 + g.rank))
    y = xp.empty((g.batch, groups, per_out, *g.out_spatial), dtype=x.dtype)
    rows = _block_rows(g)
    for n in range(g.batch):
        windows = xp.lib.stride_tricks.sliding_window_view(pad_input(xp, one, x[n : n + 1])[0], g.span, axis=axes)
        windows = windows[(slice(None), *steps, *taps)]
        block = columns = product = None
        for start in range(0, g.out_spatial[0], rows):
            del block, columns, product  # their memory is for the next
            block = windows[:, start : start + rows].transpose(order)
            pixels = math.prod(block.shape[1 + g.rank :])
            columns = block.reshape((groups, per_in * math.prod(g.kernel), pixels))
            product = xp.matmul(weight, columns)
            shape = (groups, per_out, *block.shape[1 + g.rank :])
            y[n, :, :, start : start + rows] = product.reshape(shape)
        del block, columns, product, windows
    return y.reshape(g.y_shape)
