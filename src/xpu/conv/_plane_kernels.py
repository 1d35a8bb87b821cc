"""Compiled filters of single planes: one input channel per group, so that there is no matrix product to make.

Several rows of outputs are made at once.  A vector of inputs is then loaded once for all the rows it reaches, where a
single row would load one vector for every multiplication and be bound by that.  A strip of rows, padded with zeros,
is copied together first and stays in the second cache; outputs go straight to where they belong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

from xpu.conv import _runs, _vectors
from xpu.conv._jit import given, helper, kernel, revision
from xpu.conv._runs import clear_run, copy_run
from xpu.conv._vectors import I64, WIDE, Vectors, pointer

__all__ = ["filter_planes", "steps"]

# Rows and vectors of a tile: accumulators, the inputs and a weight fit 16 registers, or 32 with AVX-512.
ROWS = 4
WIDTH = 5 if WIDE else 3


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _tile(typing: Any, x: Any, at: Any, pitch: Any, w: Any, ws: Any, high: Any, broad: Any,
          y: Any, to: Any, yp: Any, times: Any, rows: Any, vectors: Any, size: Any) -> Any:  # fmt: skip
    """Make ``times`` tiles, side by side, of ``rows`` x ``vectors`` outputs of a ``high`` x ``broad`` kernel.

    The kernel is ``size`` x ``size`` unless that is 0, and ``high`` at least ``rows - 1``.
    """
    count, width, known = rows.literal_value, vectors.literal_value, size.literal_value

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, x.dtype)
        xd, wd, yd = (pointer(context, b, sig.args[i], args[i]) for i in (0, 3, 7))
        _, begin, pitch, _, ws, high, broad, _, target, yp, times, _, _, _ = args
        if known:
            high, broad = I64(known), I64(known)

        def line(at: Any, i: Any, sums: list[Any], low: int, top: int) -> list[Any]:
            """Add what row ``i`` of the inputs gives to the rows ``low..top`` of the outputs."""
            start = b.add(at, b.mul(i, pitch))
            taps = [b.add(ws, b.mul(b.sub(i, I64(r)), broad)) for r in range(low, top)]

            def column(j: Any, sums: list[Any]) -> list[Any]:
                loaded = [v.load(xd, b.add(b.add(start, j), I64(c * v.lanes))) for c in range(width)]
                for r in range(low, top):
                    weight = v.spread(b.load(b.gep(wd, [b.add(taps[r - low], j)])))
                    for c in range(width):
                        k = r * width + c
                        sums[k] = v.fma(weight, loaded[c], sums[k])
                return sums

            if not known:
                return v.repeat(I64(0), broad, sums, column)
            for j in range(known):
                sums = column(I64(j), sums)
            return sums

        def tile(number: Any, _: list[Any]) -> list[Any]:
            along = b.mul(number, I64(width * v.lanes))
            at, to = b.add(begin, along), b.add(target, along)
            sums = [v.zero] * (count * width)
            for i in range(count - 1):
                sums = line(at, I64(i), sums, max(0, i - known + 1) if known else 0, i + 1)
            if known:
                for i in range(count - 1, known):
                    sums = line(at, I64(i), sums, 0, count)
            else:
                sums = v.repeat(I64(count - 1), high, sums, lambda i, sums: line(at, i, sums, 0, count))
            for r in range(1, count):
                if not known or known + r > count - 1:
                    sums = line(at, b.add(high, I64(r - 1)), sums, r, count)
            for r in range(count):
                row = b.add(to, b.mul(yp, I64(r)))
                for c in range(width):
                    v.store(sums[r * width + c], yd, b.add(row, I64(c * v.lanes)))
            return []

        v.repeat(I64(0), times, [], tile)
        return context.get_dummy_value()

    return types.void(x, at, pitch, w, ws, high, broad, y, to, yp, times, rows, vectors, size), generate


def _tile_of(rows: int, size: int) -> Any:
    def tile(x: Any, at: int, pitch: int, w: Any, ws: int, high: int, broad: int,  # compiled by numba
             y: Any, to: int, yp: int, times: int, vectors: int) -> None:  # fmt: skip
        if vectors == WIDTH:
            _tile(x, at, pitch, w, ws, high, broad, y, to, yp, times, rows, WIDTH, size)
        elif vectors == 2:
            _tile(x, at, pitch, w, ws, high, broad, y, to, yp, times, rows, 2, size)
        else:
            _tile(x, at, pitch, w, ws, high, broad, y, to, yp, times, rows, 1, size)

    return helper(tile, rows, size)


_four, _two, _one = (_tile_of(r, 0) for r in (ROWS, 2, 1))
_four3, _two3, _one3 = (_tile_of(r, 3) for r in (ROWS, 2, 1))


def _build(sources: str) -> Any:
    def planes(x: Any, w: Any, y: Any, strip: Any, where: Any, lanes: int) -> None:  # compiled by numba
        """Filter some planes, or some rows of them.

        ``where`` holds: the planes p0, p1 of x (counted over images and channels), channels, filters per channel, rows
        and columns of x, zeros above and left, rows and columns of y, rows and columns of the kernel, the rows h0, h1
        of y to make, how many of them at a time, and the strip's pitch.  A row of y has at least ``lanes`` columns.
        """
        _ = sources
        p0, p1, channels, each, high, broad, top, left, tall, wide, kh, kw, h0, h1, most, pitch = where
        low, end = max(0, left), max(left, min(left + broad, wide + kw - 1))
        for p in range(p0, p1):
            for start in range(h0, h1, most):
                stop = min(h1, start + most)
                for i in range(start, stop + kh - 1):
                    row, source = (i - start) * pitch, i - top
                    first, last = (low, end) if 0 <= source < high else (0, 0)
                    origin = (p * high + source) * broad - left
                    clear_run(strip, row, first)
                    copy_run(strip, row + first, x, origin + first, last - first)
                    clear_run(strip, row + last, pitch - last)
                for f in range(each):
                    ws = (p % channels * each + f) * kh * kw
                    out = (p * each + f) * tall
                    h = start
                    while h < stop:
                        rest = stop - h
                        rows = ROWS if rest >= ROWS and kh >= ROWS - 1 else 2 if rest >= 2 else 1
                        c = 0
                        while c < wide:
                            left_over = wide - c
                            vectors = WIDTH if left_over >= WIDTH * lanes else 2 if left_over >= 2 * lanes else 1
                            times = max(1, left_over // (vectors * lanes))
                            if left_over < lanes:
                                c = wide - lanes  # again some columns of the vector before
                            at, to = (h - start) * pitch + c, (out + h) * wide + c
                            if kh == 3 and kw == 3:
                                if rows == ROWS:
                                    _four3(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                                elif rows == 2:
                                    _two3(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                                else:
                                    _one3(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                            elif rows == ROWS:
                                _four(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                            elif rows == 2:
                                _two(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                            else:
                                _one(strip, at, pitch, w, ws, kh, kw, y, to, wide, times, vectors)
                            c += times * vectors * lanes
                        h += rows

    return kernel(planes)


filter_planes: Any = _build(revision(__file__, _runs.__file__, _vectors.__file__))


def steps() -> Iterator[Callable[[], object]]:
    """Give the calls that compile a kernel, or load it from the disk, for each element type; then end it."""
    where = numba.typeof((0,) * 16)
    for kind in (types.float32, types.float64):
        read, made = given(kind), kind[::1]
        yield functools.partial(filter_planes.compile, (read, read, made, made, where, types.int64))
    yield filter_planes.disable_compile
