"""The definition of a convolution as code: one multiply-add of shifted arrays per kernel element.

It needs no workspace beyond one padded input and runs on any array namespace, so it is the
reference the other engines are read against, and the fastest plain one for few taps per channel.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["DirectEngine", "pad_input", "padded_bytes"]

Array = Any
Namespace = Any


def pad_input(xp: Namespace, g: ConvGeometry, x: Array) -> Array:
    """Return ``x`` (channels first) with its zeros around it; ``x`` itself where there are none."""
    if not any(before or after for before, after in g.padding):
        return x
    shape = tuple(n + b + a for n, (b, a) in zip(g.spatial, g.padding, strict=True))
    padded = xp.zeros((*x.shape[:2], *shape), dtype=x.dtype)
    inner = tuple(slice(b, b + n) for n, (b, _) in zip(g.spatial, g.padding, strict=True))
    padded[(slice(None), slice(None), *inner)] = x
    return padded


def _space(g: ConvGeometry) -> int:
    """Return the bytes of the padded input, of a product, and of the shifted input as the matrix product takes it."""
    shifted = g.batch * g.in_channels * math.prod(g.out_spatial) * g.dtype.itemsize
    return padded_bytes(g) + g.result_bytes + (shifted if g.w_shape[1] > 1 else 0)


def padded_bytes(g: ConvGeometry) -> int:
    """Return the bytes of the input with its zeros, none where it has none."""
    if not any(before or after for before, after in g.padding):
        return 0
    sizes = (n + b + a for n, (b, a) in zip(g.spatial, g.padding, strict=True))
    return g.batch * g.in_channels * math.prod(sizes) * g.dtype.itemsize


class DirectEngine:
    """Shifted multiply-adds; the sum over channels of one group is a matrix product.

    Examples
    --------
    >>> import numpy
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> DirectEngine().run(numpy, g, x, w)
    array([[[ 1., 12., 23.]]])
    """

    name = "direct"
    device: Literal["any", "cpu", "cuda"] = "any"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``: it does everything."""
        return None

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the padded input, of one product and its operand."""
        return lowered_space(_space, geometry, complex_core=True)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict three passes over the result per kernel element, or the matrix products."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            taps = math.prod(g.kernel)
            passes = taps * (3 * g.result_bytes + g.operand_bytes) / rates.bandwidth
            products = 3.0 * g.flops * itemcost(g) / rates.flops if g.w_shape[1] > 1 else 0.0
            total += passes + products + 4 * taps * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second, complex_core=True)


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    x = pad_input(xp, g, x)
    outs, groups = g.out_spatial, g.groups
    x = x.reshape((g.batch, groups, -1, *x.shape[2:]))
    w = w.reshape((groups, g.out_channels // groups, *w.shape[1:]))
    y: Any = None
    for tap in itertools.product(*(range(k) for k in g.kernel)):
        window = tuple(
            slice(t * d, t * d + s * (o - 1) + 1, s) for t, d, s, o in zip(tap, g.dilation, g.stride, outs, strict=True)
        )
        shifted = x[(slice(None), slice(None), slice(None), *window)]
        weight = w[(slice(None), slice(None), slice(None), *tap)]
        if g.w_shape[1] == 1:
            column = weight.reshape((1, groups, -1, *(1,) * g.rank))
            product = shifted * column
        else:
            flat = shifted.reshape((g.batch, groups, -1, math.prod(outs)))
            product = xp.matmul(weight[None], flat)
            del flat
        if y is None:
            y = product
        else:
            y += product
        del product, shifted  # their memory is for the next
    return y.reshape(g.y_shape)
