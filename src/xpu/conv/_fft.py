"""A convolution as a product of spectra: for kernels so large that no direct method pays.

Only for few channels: the spectra of all of them are the workspace.  The transforms run in the
input's own precision (scipy.fft on the CPU, where numpy.fft is twice as slow for float32) and on
as many threads as are in force.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy

from xpu.conv import _threads
from xpu.conv._caches import caches
from xpu.conv._engine import Rates, itemcost
from xpu.conv._gemm import gemm_forward
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["FftEngine", "fast_length", "fft_module"]

Array = Any
Namespace = Any

# A transform runs at about this share of a matrix product's rate; half as many elements of 8 bytes fit a vector.
EFFICIENCY = {4: 0.17, 8: 0.13}
# What a pass over a line takes when the line is in the memory, against one in the second cache.
FAR = 4.0
# Bytes of spectra that pass over the memory for every axis.
MANY = 1 << 24


def fast_length(size: int, primes: tuple[int, ...] = (2, 3, 5)) -> int:
    """Return the least product of small primes that is not below ``size``.

    Examples
    --------
    >>> [fast_length(n) for n in (1, 7, 1086, 4097)]
    [1, 8, 1125, 4320]
    >>> fast_length(1055, (2, 3, 5, 7, 11))
    1056
    """
    length = max(1, size)
    while True:
        rest = length
        for prime in primes:
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


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
        """Return the bytes of the spectra: of the input and the weight, and of the result where channels are added."""
        return lowered_space(_space, geometry, complex_core=True)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict ``2.5 n log2 n`` operations per transform, more along axes beyond the cache, and the products."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            points = math.prod(_lengths(g))
            one = 2.5 * points * sum(_steps(n, g.dtype.itemsize) for n in _lengths(g))
            one *= 2 if g.dtype.kind == "c" else 1
            products = 4.0 * points * g.batch * g.out_channels * g.w_shape[1]
            work = (one * _lines(g) / EFFICIENCY[_real_bytes(g)] + 4 * products) * itemcost(g) / rates.flops
            spectra = _spectra(g) * _lines(g)
            # Many planes leave the caches between the transforms along one axis and the next.
            total += work + (2.0 if spectra < MANY else 6.0) * spectra / rates.bandwidth + 45 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second, complex_core=True)


def _real_bytes(g: ConvGeometry) -> int:
    return g.dtype.itemsize // (2 if g.dtype.kind == "c" else 1)


def _steps(length: int, itemsize: int) -> float:
    """Return the passes of a transform along one axis; each goes to the memory where a line fills half the cache."""
    return math.log2(max(2, length)) * (FAR if 2 * length * itemsize > caches().second else 1.0)


@functools.lru_cache(maxsize=1024)
def _wanted(g: ConvGeometry) -> list[tuple[int, int, int]]:
    """Return per axis the first and last element of the full convolution that are outputs, and the first output.

    full[i] is the sum over x[i - r + 1 + t] w[t]; output o is full[r - 1 - before + o * s], or 0 outside.
    """
    found = []
    for n, r, s, o, (before, _) in zip(g.spatial, g.span, g.stride, g.out_spatial, g.padding, strict=True):
        offset = r - 1 - before
        low = max(0, -(offset // s)) if offset < 0 else 0
        high = max(low, min(o, (n + r - 2 - offset) // s + 1))
        found.append((offset + low * s, offset + (high - 1) * s, low))
    return found


@functools.lru_cache(maxsize=1024)
def _lengths(g: ConvGeometry) -> tuple[int, ...]:
    """Return the lengths of the transforms: what wraps around may reach only elements that are no outputs."""
    lengths = []
    for axis, (n, r, (first, last, _)) in enumerate(zip(g.spatial, g.span, _wanted(g), strict=True)):
        least = max(n, r, n + r - 1 - first, last + 1)
        # Complex transforms have fast steps for 7 and 11 too.
        complex_ = g.dtype.kind == "c" or axis < g.rank - 1
        lengths.append(fast_length(least, (2, 3, 5, 7, 11) if complex_ else (2, 3, 5)))
    return tuple(lengths)


def _spectra(g: ConvGeometry) -> int:
    size = math.prod(_lengths(g)) * g.dtype.itemsize
    return size if g.dtype.kind == "c" else size + size // max(1, _lengths(g)[-1] // 2)


def _space(g: ConvGeometry) -> int:
    x, w, y = g.batch * g.in_channels, g.out_channels * g.w_shape[1], g.batch * g.out_channels
    spread = math.prod(g.w_shape[:2]) * math.prod(g.span) * g.dtype.itemsize if any(d != 1 for d in g.dilation) else 0
    # While they are made a transform along one axis is padded into the next; the product takes the input's place,
    # or is another set, with one of products to add where there are more channels.
    made = 0 if _in_place(g) else y * (2 if g.w_shape[1] > 1 else 1)
    return spread + _spectra(g) * max(2 * x, x + (1 if g.rank == 1 else 2) * w, x + w + made, 2 * y)


@functools.lru_cache(maxsize=1024)
def _in_place(g: ConvGeometry) -> bool:
    """Return whether the input's spectra can become the result's."""
    return g.w_shape[1] == 1 and g.out_channels == g.groups


def _lines(g: ConvGeometry) -> int:
    return g.batch * (g.in_channels + g.out_channels) + g.out_channels * g.w_shape[1]


def _ahead(fft: Any, keywords: dict[str, Any], a: Array, lengths: tuple[int, ...]) -> Array:
    """Transform the last axes, the last one first: rows of zeros are never transformed along it."""
    own: dict[str, Any] = {"overwrite_x": True} if keywords else {}
    a = (fft.fft if a.dtype.kind == "c" else fft.rfft)(a, lengths[-1], axis=-1, **keywords)
    for axis in range(2, len(lengths) + 1):
        a = fft.fft(a, lengths[-axis], axis=-axis, **keywords, **own)
    return a


def _back(fft: Any, keywords: dict[str, Any], a: Array, g: ConvGeometry) -> tuple[Array, tuple[slice, ...]]:
    """Transform back, and drop along every axis what no output needs before the next is transformed.

    Returns the outputs, and where they belong in the result.
    """
    own: dict[str, Any] = {"overwrite_x": True} if keywords else {}
    put = []
    for axis, (length, (first, last, low)) in enumerate(zip(_lengths(g), _wanted(g), strict=True)):
        along = axis - g.rank
        back = fft.irfft if along == -1 and g.dtype.kind != "c" else fft.ifft
        a = back(a, length, axis=along, **keywords, **own)
        step = g.stride[axis]
        a = a[(..., slice(first, max(first, last + 1), step), *(slice(None),) * (-along - 1))]
        put.append(slice(low, low + a.shape[along]))
    return a, tuple(put)


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    plain = w
    if any(last < first for first, last, _ in _wanted(g)):
        return xp.zeros(g.y_shape, dtype=g.dtype)
    if any(d != 1 for d in g.dilation):
        spread = xp.zeros((*w.shape[:2], *g.span), dtype=w.dtype)
        spread[(slice(None), slice(None), *(slice(None, None, d) for d in g.dilation))] = w
        w = spread
    fft, keywords = fft_module(xp)
    wide = _ahead(fft, keywords, x, _lengths(g))
    tall = _ahead(fft, keywords, w[(slice(None), slice(None), *(slice(None, None, -1),) * g.rank)], _lengths(g))
    groups = g.groups
    wide = wide.reshape((g.batch, groups, g.in_channels // groups, *wide.shape[2:]))
    tall = tall.reshape((groups, g.out_channels // groups, *tall.shape[1:]))
    with numpy.errstate(invalid="ignore"):  # infinities, which are dealt with below
        if _in_place(g):
            made = wide[:, :, None, 0]
            made *= tall[None, :, :, 0]
        else:
            made = wide[:, :, None, 0] * tall[None, :, :, 0]
        for channel in range(1, g.w_shape[1]):
            made += wide[:, :, None, channel] * tall[None, :, :, channel]
    del wide, tall  # the memory is needed
    made = made.reshape((g.batch, -1, *made.shape[3:]))
    outputs, put = _back(fft, keywords, made, g)
    y = (xp.empty if outputs.shape == g.y_shape else xp.zeros)(g.y_shape, dtype=g.dtype)
    y[(slice(None), slice(None), *put)] = outputs
    # An infinity or a NaN is in every output then: made again, it is only where it belongs.
    if xp is numpy and not numpy.isfinite(outputs[(..., *(slice(0, 1),) * g.rank)]).all():
        return gemm_forward(xp, g, x, plain)
    return y
