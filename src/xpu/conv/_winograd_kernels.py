"""Compiled transforms and products of Winograd's ``F(4x4, 3x3)``, for many tiles at a time.

A tile is 6x6 of the input and 4x4 of the output.  Transformed, its 36 elements lie in 36 planes, so that each
plane's sum over the channels is a matrix product: ``M[e] = U[e] @ V[e]`` with filters, channels and tiles as axes.
Every step works on a vector of neighbouring tiles.  Source: Lavin and Gray, https://arxiv.org/abs/1509.09308.

With the points 0, +-p, +-q and infinity the transforms are polynomials in p and q (Toom and Cook's interpolation).
Here p*q = 1, as in p = sqrt(1/2), q = sqrt(2): the entries then have about the same size, which halves the rounding
of the usual 1 and 2 (Alam et al., "Winograd Convolution for Deep Neural Networks: Efficient Point Selection",
https://arxiv.org/abs/2201.10369, on why points of small and reciprocal size are better).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

from xpu.conv import _runs, _tiles, _vectors
from xpu.conv._jit import given, kernel, revision
from xpu.conv._runs import clear_run, copy_run
from xpu.conv._tiles import PANEL, packed_rows
from xpu.conv._vectors import I64, Vectors, pointer

__all__ = ["steps", "winograd_filters", "winograd_inputs", "winograd_outputs"]

TILE = 4  # outputs of a tile along an axis
REACH = 6  # its inputs
PLANES = REACH * REACH
P2, Q2 = 0.5, 2.0
P, Q = P2**0.5, Q2**0.5
# A panel of so many channels stays in the first cache while the filters pass by.
DEPTH = 256


def _input_line(v: Vectors, d: list[Any]) -> list[Any]:
    """Transform six inputs along one axis."""
    both, odd = v.constant(P2 * Q2), v.constant(-P2 - Q2)
    made = [v.fma(d[0], both, v.fma(d[2], odd, d[4]))]
    for point, other in ((P, Q2), (Q, P2)):
        sign = v.constant(-other)
        symmetric, rest = v.fma(d[2], sign, d[4]), v.fma(d[1], sign, d[3])
        made += [v.fma(rest, v.constant(s * point), symmetric) for s in (1, -1)]
    return [*made, v.fma(d[1], both, v.fma(d[3], odd, d[5]))]


def _filter_line(v: Vectors, g: list[Any]) -> list[Any]:
    """Transform three weights along one axis."""
    b = v.builder
    made = [b.fmul(g[0], v.constant(1 / (P2 * Q2)))]
    for point, square, other in ((P, P2, Q2), (Q, Q2, P2)):
        scale = 1 / (2 * square * (square - other))
        symmetric = b.fmul(v.fma(g[2], v.constant(square), g[0]), v.constant(scale))
        made += [v.fma(g[1], v.constant(s * point * scale), symmetric) for s in (1, -1)]
    return [*made, g[2]]


def _output_line(v: Vectors, m: list[Any]) -> list[Any]:
    """Transform six products along one axis into four outputs."""
    b = v.builder
    near, far = b.fadd(m[1], m[2]), b.fadd(m[3], m[4])
    left, right = b.fsub(m[1], m[2]), b.fsub(m[3], m[4])
    return [
        b.fadd(m[0], b.fadd(near, far)),
        v.fma(right, v.constant(Q), b.fmul(left, v.constant(P))),
        v.fma(far, v.constant(Q2), b.fmul(near, v.constant(P2))),
        v.fma(right, v.constant(Q * Q2), v.fma(left, v.constant(P * P2), m[5])),
    ]


@intrinsic  # type: ignore[untyped-decorator]
def _inputs(typing: Any, x: Any, at: Any, pitch: Any, planes: Any, to: Any, plane: Any) -> Any:
    """Transform a vector of tiles that lie side by side in six rows."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, x.dtype)
        source, target = (pointer(context, b, sig.args[i], args[i]) for i in (0, 3))
        lines = []
        for r in range(REACH):
            start = b.add(args[1], b.mul(args[2], I64(r)))
            d = [*v.by_fours(source, start), *v.by_fours(source, b.add(start, I64(TILE)))[:2]]
            lines.append(_input_line(v, d))
        for c in range(REACH):
            for r, value in enumerate(_input_line(v, [line[c] for line in lines])):
                v.store(value, target, b.add(args[4], b.mul(args[5], I64(r * REACH + c))))
        return context.get_dummy_value()

    return types.void(x, at, pitch, planes, to, plane), generate


@intrinsic  # type: ignore[untyped-decorator]
def _filters(typing: Any, w: Any, at: Any, pitch: Any, last: Any, planes: Any, to: Any, plane: Any) -> Any:
    """Transform one channel of a vector of filters, ``pitch`` elements apart; the last one stands in for those over."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, w.dtype)
        source, target = (pointer(context, b, sig.args[i], args[i]) for i in (0, 4))
        starts = []
        for lane in range(v.lanes):
            row = b.select(b.icmp_signed("<", I64(lane), args[3]), I64(lane), args[3])
            starts.append(b.add(args[1], b.mul(args[2], row)))
        g = [v.gathered(source, [b.add(start, I64(tap)) for start in starts]) for tap in range(9)]
        lines = [_filter_line(v, g[3 * r : 3 * r + 3]) for r in range(3)]
        for c in range(REACH):
            for r, value in enumerate(_filter_line(v, [line[c] for line in lines])):
                v.store(value, target, b.add(args[5], b.mul(args[6], I64(r * REACH + c))))
        return context.get_dummy_value()

    return types.void(w, at, pitch, last, planes, to, plane), generate


@intrinsic  # type: ignore[untyped-decorator]
def _outputs(typing: Any, planes: Any, at: Any, plane: Any, y: Any, to: Any, pitch: Any, count: Any) -> Any:
    """Transform a vector of tiles back, into four rows; return NaN if one of the first ``count`` is not finite."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, y.dtype)
        source, target = (pointer(context, b, sig.args[i], args[i]) for i in (0, 3))

        def product(r: int, c: int) -> Any:
            return v.load(source, b.add(args[1], b.mul(args[2], I64(r * REACH + c))))

        columns = [_output_line(v, [product(r, c) for r in range(REACH)]) for c in range(REACH)]
        check = v.zero
        for r in range(TILE):
            line = _output_line(v, [column[r] for column in columns])
            v.store_by_fours(line, target, b.add(args[4], b.mul(args[5], I64(r))))
            for value in line:
                check = v.fma(value, v.zero, check)
        return v.total(v.first(args[6], check))

    return y.dtype(planes, at, plane, y, to, pitch, count), generate


def _build_filters(sources: str) -> Any:
    def filters(w: Any, w0: int, channels: int, k0: int, k1: int,  # compiled by numba
                f0: int, f1: int, u: Any, first: int, plane: int, lanes: int) -> None:  # fmt: skip
        """Transform some channels of filters, into blocks of ``lanes`` filters side by side.

        ``u`` begins with the filter ``first`` and the channel ``k0``; ``f0 - first`` is a multiple of ``lanes``.
        """
        _ = sources
        for f in range(f0, f1, lanes):
            to = (f - first) * (k1 - k0)
            for c in range(k0, k1):
                at = w0 + (f * channels + c) * 9
                _filters(w, at, channels * 9, f1 - 1 - f, u, to + (c - k0) * lanes, plane)

    return kernel(filters)


def _build_inputs(sources: str) -> Any:
    def inputs(x: Any, v: Any, strip: Any, where: Any, lanes: int) -> None:  # compiled by numba
        """Transform some channels of some lines of tiles.

        ``where`` holds: the element of x where this group begins, x's pitch per image, the channels k0, k1, rows and
        columns of an image of x, zeros above and left, the lines of tiles of an image, v's elements per plane and
        per channel, the lines l0, l1 (counted over all images) and the tiles c0, c1 of each line.
        """
        _ = sources
        x0, xi, k0, k1, high, broad, top, left, down, plane, pitch, l0, l1, c0, c1 = where
        across, bp = c1 - c0, strip.shape[0] // REACH
        begin = c0 * TILE - left
        low, end = max(0, -begin), min(across * TILE + 2, broad - begin)
        for c in range(k0, k1):
            for line in range(l0, l1):
                n, t = line // down, line % down
                for r in range(REACH):
                    # The line's six rows with their zeros, as wide as whole vectors of tiles.
                    i, row = t * TILE - top + r, r * bp
                    first, last = (low, max(low, end)) if 0 <= i < high else (0, 0)
                    origin = x0 + n * xi + (c * high + i) * broad + begin
                    clear_run(strip, row, first)
                    copy_run(strip, row + first, x, origin + first, last - first)
                    clear_run(strip, row + last, bp - last)
                to = c * pitch + (line - l0) * across
                for a in range(0, across, lanes):
                    _inputs(strip, a * TILE, bp, v, to + a, plane)

    return kernel(inputs)


def _build_outputs(sources: str) -> Any:
    def outputs(v: Any, u: Any, m: Any, y: Any, strip: Any, where: Any, lanes: int) -> bool:  # compiled by numba
        """Multiply, and after the last channel transform the products back; return whether all outputs are finite.

        ``where`` holds: channels, those in u k0, k1, the filters f0, f1 of those in u (f0 begins a block), the elements
        per plane of u, v and m, their pitch per channel and filter, the element of y where u's filters begin, y's pitch
        per image, rows and columns of an image of y, the lines of tiles of an image, and l0, l1, c0, c1 as in
        `winograd_inputs`.
        """
        _ = sources
        channels, k0, k1, f0, f1, up, vp, mp, pitch, y0, yi, tall, wide, down, l0, l1, c0, c1 = where
        across, bp = c1 - c0, strip.shape[0] // REACH
        count = (l1 - l0) * across
        for e in range(PLANES):
            for k in range(k0, k1, DEPTH):
                depth = min(k1, k + DEPTH) - k
                anew = 1 if k == 0 else 0
                p = 0
                while p < count:
                    rest = -(-(count - p) // lanes)
                    vectors = 2 if rest == 4 else min(rest, PANEL)
                    packed_rows(v, e * vp + k * pitch + p, pitch, depth, u,
                                e * up + f0 * (k1 - k0) + (k - k0) * lanes, (k1 - k0) * lanes,
                                m, e * mp + p, pitch, anew, f1 - f0, vectors, lanes)  # fmt: skip
                    p += vectors * lanes
        check = 0.0
        if k1 < channels:
            return True
        for f in range(f0, f1):
            for line in range(l0, l1):
                n, t = line // down, line % down
                at = (f - f0) * pitch + (line - l0) * across
                for a in range(0, across, lanes):
                    check += _outputs(m, at + a, mp, strip, a * TILE, bp, across - a)
                length = min(across * TILE, wide - c0 * TILE)
                for r in range(min(TILE, tall - t * TILE)):
                    to = y0 + n * yi + (f * tall + t * TILE + r) * wide + c0 * TILE
                    copy_run(y, to, strip, r * bp, length)
        return check == 0

    return kernel(outputs)


_SOURCES = revision(__file__, _tiles.__file__, _runs.__file__, _vectors.__file__)
winograd_filters: Any = _build_filters(_SOURCES)
winograd_inputs: Any = _build_inputs(_SOURCES)
winograd_outputs: Any = _build_outputs(_SOURCES)


def steps() -> Iterator[Callable[[], object]]:
    """Give the calls that compile a kernel, or load it from the disk, for each element type; then end it."""
    whole = types.int64
    for kind in (types.float32, types.float64):
        read, made = given(kind), kind[::1]
        filters = (read, whole, whole, whole, whole, whole, whole, made, whole, whole, whole)
        products = (made, made, made, made, made, numba.typeof((0,) * 18), whole)
        yield functools.partial(winograd_filters.compile, filters)
        yield functools.partial(winograd_inputs.compile, (read, made, made, numba.typeof((0,) * 15), whole))
        yield functools.partial(winograd_outputs.compile, products)
    for one in (winograd_filters, winograd_inputs, winograd_outputs):
        yield one.disable_compile
