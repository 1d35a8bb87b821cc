"""The compiled heart of the CPU engine: a tile of outputs kept in registers while the sum runs.

Imports numba, so `xpu.conv._compiled` imports this file in the background and never at start.  Every
convolution is brought to one flat form, ``y[r, p] = sum over k of w[r, k] * x[offset[k] + p]``, where
``p`` runs over output positions.  A tile is some rows ``r`` by some vectors of consecutive ``p``.

With many rows both operands are packed, as in Goto and van de Geijn 2008, https://doi.org/10.1145/1356052.1356053,
and Van Zee and van de Geijn 2015, https://doi.org/10.1145/2764454: a block of the weights, `lanes` rows side by
side, to stay in the second cache; a panel of ``x``, up to `PANEL` vectors wide, to stay in the first.  With few rows
a copy would cost more than it saves, and the tile reads both where they lie.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy
from numba.core import types
from numba.extending import intrinsic

from xpu.conv import _vectors
from xpu.conv._jit import given, helper, kernel, revision
from xpu.conv._vectors import I64, VECTOR_BYTES, WIDE, Vectors, pointer

__all__ = ["PANEL", "VECTOR_BYTES", "packed_rows", "run_tiles", "steps"]

# Accumulators fit the registers: 8x3 and 4x6 of 32 with AVX-512, 4x3 and 2x6 of 16 without.
ROWS = 8 if WIDE else 4
FEW = 4 if WIDE else 2
PANEL = 3
# From so many rows on packing costs less than what it saves.
PACK_ROWS = 16


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _tile(typing: Any, x: Any, xs: Any, off: Any, k0: Any, k1: Any, w: Any, ws: Any, wp: Any,
          y: Any, ys: Any, yp: Any, anew: Any, rows: Any, vectors: Any) -> Any:  # fmt: skip
    """Add ``k0..k1`` of the sum to ``rows`` x ``vectors`` outputs, or start them ``anew``."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        xd, od, wd, yd = (pointer(context, b, sig.args[i], args[i]) for i in (0, 2, 5, 8))
        base = b.gep(xd, [args[1]])
        lines = [b.gep(wd, [b.add(args[6], b.mul(args[7], I64(r)))]) for r in range(rows.literal_value)]
        sums = _Sums(Vectors(context, b, x.dtype), rows.literal_value, vectors.literal_value)
        sums.write(
            (args[3], args[4]),
            (yd, args[9], args[10], args[11]),
            lambda k: b.gep(base, [b.load(b.gep(od, [k]))]),
            lambda r, k: b.gep(lines[r], [k]),
        )
        return context.get_dummy_value()

    return types.void(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, anew, rows, vectors), generate


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _packed_tiles(typing: Any, x: Any, xs: Any, xp: Any, depth: Any, w: Any, ws: Any, wb: Any,
                  y: Any, ys: Any, yp: Any, anew: Any, times: Any, rows: Any, vectors: Any) -> Any:  # fmt: skip
    """Do the same with packed operands for ``times`` tiles, one below the other.

    In x ``xp`` elements lie from one k to the next; in w ``lanes`` rows lie side by side, and ``wb`` elements
    from such a block to the next.
    """

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        xd, wd, yd = (pointer(context, b, sig.args[i], args[i]) for i in (0, 4, 7))
        v = Vectors(context, b, x.dtype)
        base = b.gep(xd, [args[1]])

        def tile(number: Any, _: list[Any]) -> list[Any]:
            row = b.mul(number, I64(rows.literal_value))
            block, inner = b.udiv(row, I64(v.lanes)), b.urem(row, I64(v.lanes))
            weights = b.gep(wd, [b.add(args[5], b.add(b.mul(block, args[6]), inner))])
            _Sums(v, rows.literal_value, vectors.literal_value).write(
                (I64(0), args[3]),
                (yd, b.add(args[8], b.mul(row, args[9])), args[9], args[10]),
                lambda k: b.gep(base, [b.mul(k, args[2])]),
                lambda r, k: b.gep(weights, [b.add(b.mul(k, I64(v.lanes)), I64(r))]),
            )
            return []

        v.repeat(I64(0), args[11], [], tile)
        return context.get_dummy_value()

    return types.void(x, xs, xp, depth, w, ws, wb, y, ys, yp, anew, times, rows, vectors), generate


class _Sums:
    """The loop over ``k``: load the vectors of x, then one fused multiply-add per row and vector."""

    def __init__(self, v: Vectors, rows: int, count: int) -> None:
        self.v, self.rows, self.count = v, rows, count

    def write(self, span: Any, result: Any, x_at: Any, w_at: Any) -> None:
        """Write it; ``x_at(k)`` and ``w_at(row, k)`` give addresses, ``result`` is (y, start, pitch, whether anew)."""
        v, b = self.v, self.v.builder
        y, start, pitch, anew = result
        columns = [I64(c * v.lanes) for c in range(self.count)]
        lines = [b.gep(y, [b.add(start, b.mul(pitch, I64(r)))]) for r in range(self.rows)]
        fresh = b.icmp_signed("!=", anew, I64(0))
        before = [b.select(fresh, v.zero, v.load(line, c)) for line in lines for c in columns]
        entry = b.block
        loop, done = b.append_basic_block("sum"), b.append_basic_block("sum.done")
        b.branch(loop)
        b.position_at_end(loop)
        k = b.phi(I64)
        k.add_incoming(span[0], entry)
        sums = [b.phi(v.kind) for _ in before]
        here = x_at(k)
        loaded = [v.load(here, c) for c in columns]
        after = []
        for r in range(self.rows):
            weight = v.spread(b.load(w_at(r, k)))
            after += [v.fma(weight, x, sums[r * self.count + c]) for c, x in enumerate(loaded)]
        step = b.add(k, I64(1))
        k.add_incoming(step, loop)
        for total, first, last in zip(sums, before, after, strict=True):
            total.add_incoming(first, entry)
            total.add_incoming(last, loop)
        b.cbranch(b.icmp_signed("<", step, span[1]), loop, done)
        b.position_at_end(done)
        for i, last in enumerate(after):
            v.store(last, lines[i // self.count], columns[i % self.count])


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _pack_panel(typing: Any, x: Any, xs: Any, off: Any, k0: Any, k1: Any, panel: Any, count: Any) -> Any:
    """Copy ``count`` vectors of x for every ``k`` into lines of `PANEL` vectors."""
    signature = types.void(x, xs, off, k0, k1, panel, count)

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, x.dtype)
        xd, od, pd = (pointer(context, b, sig.args[i], args[i]) for i in (0, 2, 5))
        base, entry = b.gep(xd, [args[1]]), b.block
        loop, done = b.append_basic_block("pack"), b.append_basic_block("pack.done")
        b.branch(loop)
        b.position_at_end(loop)
        k = b.phi(I64)
        k.add_incoming(args[3], entry)
        source = b.gep(base, [b.load(b.gep(od, [k]))])
        target = b.gep(pd, [b.mul(b.sub(k, args[3]), I64(PANEL * v.lanes))])
        for c in range(count.literal_value):
            v.store(v.load(source, I64(c * v.lanes)), target, I64(c * v.lanes))
        step = b.add(k, I64(1))
        k.add_incoming(step, loop)
        b.cbranch(b.icmp_signed("<", step, args[4]), loop, done)
        b.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def _pack_rows(typing: Any, w: Any, ws: Any, wp: Any, rows: Any, depth: Any, block: Any) -> Any:
    """Lay ``lanes`` rows of ``depth`` elements at a time side by side; the last row stands in for those over."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        v = Vectors(context, b, w.dtype)
        wd, bd = (pointer(context, b, sig.args[i], args[i]) for i in (0, 5))
        _, ws, wp, rows, depth, _ = args
        lanes, last = I64(v.lanes), b.sub(rows, I64(1))

        def some(number: Any, _: list[Any]) -> list[Any]:
            first = b.mul(number, lanes)
            lines = []
            for lane in range(v.lanes):
                row = b.add(first, I64(lane))
                row = b.select(b.icmp_signed("<", row, last), row, last)
                lines.append(b.add(ws, b.mul(row, wp)))
            target = b.gep(bd, [b.mul(first, depth)])

            def element(k: Any, _: list[Any]) -> list[Any]:
                v.store(v.gathered(wd, [b.add(line, k) for line in lines]), target, b.mul(k, lanes))
                return []

            v.repeat(I64(0), depth, [], element)
            return []

        v.repeat(I64(0), b.udiv(b.add(rows, I64(v.lanes - 1)), lanes), [], some)
        return context.get_dummy_value()

    return types.void(w, ws, wp, rows, depth, block), generate


def _column(rows: int) -> Any:
    """Return a compiled function that makes tiles of ``rows`` rows and one to three vectors, or six of few rows."""
    most = 6 if rows <= FEW else 3

    def column(x: Any, xs: int, off: Any, k0: int, k1: int, w: Any, ws: int, wp: int,  # compiled by numba
               y: Any, ys: int, yp: int, anew: int, vectors: int) -> None:  # fmt: skip
        if vectors == 3:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, anew, rows, 3)
        elif vectors == 2:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, anew, rows, 2)
        elif vectors == 1:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, anew, rows, 1)
        else:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, anew, rows, most)

    return helper(column, rows)


def _packed_column(rows: int) -> Any:
    def column(x: Any, xs: int, xp: int, depth: int, w: Any, ws: int, wb: int,  # compiled by numba
               y: Any, ys: int, yp: int, anew: int, times: int, vectors: int) -> None:  # fmt: skip
        if vectors == 3:
            _packed_tiles(x, xs, xp, depth, w, ws, wb, y, ys, yp, anew, times, rows, 3)
        elif vectors == 2:
            _packed_tiles(x, xs, xp, depth, w, ws, wb, y, ys, yp, anew, times, rows, 2)
        else:
            _packed_tiles(x, xs, xp, depth, w, ws, wb, y, ys, yp, anew, times, rows, 1)

    return helper(column, rows)


_8, _4, _2, _1 = (_column(r) for r in (8, 4, 2, 1))
# With vectors of two elements a block of weights has two rows.
_TALL = min(ROWS, VECTOR_BYTES // 8)
_packed_tall, _packed_one = _packed_column(_TALL), _packed_column(1)


def _rows(x: Any, xs: int, off: Any, k0: int, k1: int, w: Any, ws: int, wp: int,  # compiled by numba
          y: Any, ys: int, yp: int, anew: int, rows: int, vectors: int) -> None:  # fmt: skip
    """Make ``rows`` rows of some vectors, the tallest tiles first; weights and outputs have their pitches."""
    r = 0
    while r < rows:
        at, to = ws + r * wp, ys + r * yp
        if rows - r >= 8 and ROWS == 8:
            _8(x, xs, off, k0, k1, w, at, wp, y, to, yp, anew, vectors)
            r += 8
        elif rows - r >= 4 and (vectors < 6 or FEW >= 4):
            _4(x, xs, off, k0, k1, w, at, wp, y, to, yp, anew, vectors)
            r += 4
        elif rows - r >= 2:
            _2(x, xs, off, k0, k1, w, at, wp, y, to, yp, anew, vectors)
            r += 2
        else:
            _1(x, xs, off, k0, k1, w, at, wp, y, to, yp, anew, vectors)
            r += 1


def _packed_rows(x: Any, xs: int, xp: int, depth: int, w: Any, ws: int, wb: int,  # compiled by numba
                 y: Any, ys: int, yp: int, anew: int, rows: int, vectors: int, lanes: int) -> None:  # fmt: skip
    """Make ``rows`` rows of some vectors from packed operands (see `_packed_tiles`)."""
    times = rows // _TALL
    _packed_tall(x, xs, xp, depth, w, ws, wb, y, ys, yp, anew, times, vectors)
    for r in range(times * _TALL, rows):
        at = ws + r // lanes * wb + r % lanes
        _packed_one(x, xs, xp, depth, w, at, wb, y, ys + r * yp, yp, anew, 1, vectors)


rows_apart: Any = helper(_rows)
packed_rows: Any = helper(_packed_rows)


def _run_tiles(sources: str) -> Any:
    def run(x: Any, off: Any, starts: Any, w: Any, y: Any, where: Any, lanes: int) -> None:  # compiled by numba
        """Make ``y`` for some (image, group) pairs, rows and positions.

        The positions lie in lines: ``starts`` holds where each begins in x; in y they follow each other.  ``where``
        holds i0, i1 (pairs), groups, x's pitch per pair, rows per group r0, r1, rows, the sum's length, its block, the
        rows packed at a time, y's pitch per row, a line's length, the lines s0, s1, and the positions p0, p1 of each
        (in whole vectors).
        """
        _ = sources
        i0, i1, groups, xpitch, r0, r1, rows, length, block, tall, yp, size, s0, s1, p0, p1 = where
        if r1 - r0 < PACK_ROWS:
            for i in range(i0, i1):
                ws = (i % groups * rows + r0) * length
                for k0 in range(0, length, block):
                    anew = 1 if k0 == 0 else 0
                    for s in range(s0, s1):
                        xs, ys = i * xpitch + starts[s], (i * rows + r0) * yp + s * size
                        p = p0
                        while p < p1:
                            left = (p1 - p) // lanes
                            vectors = 6 if rows <= FEW and left >= 6 else 2 if left == 4 else min(left, PANEL)
                            rows_apart(x, xs + p, off, k0, min(length, k0 + block), w, ws, length,
                                       y, ys + p, yp, anew, r1 - r0, vectors)  # fmt: skip
                            p += vectors * lanes
            return
        panel = numpy.empty(block * PANEL * lanes, x.dtype)
        packed = numpy.empty((min(tall, r1 - r0) + lanes) * block, x.dtype)
        for group in range(groups):
            first = i0 + (group - i0) % groups
            for low in range(r0, r1, tall):
                high = min(r1, low + tall)
                for k0 in range(0, length, block):
                    depth = min(length, k0 + block) - k0
                    anew = 1 if k0 == 0 else 0
                    if first < i1:
                        _pack_rows(w, (group * rows + low) * length + k0, length, high - low, depth, packed)
                    for i in range(first, i1, groups):
                        for s in range(s0, s1):
                            p = p0
                            while p < p1:
                                left = (p1 - p) // lanes
                                vectors = 2 if left == 4 else min(left, PANEL)
                                xs = i * xpitch + starts[s] + p
                                if vectors == 3:
                                    _pack_panel(x, xs, off, k0, k0 + depth, panel, 3)
                                elif vectors == 2:
                                    _pack_panel(x, xs, off, k0, k0 + depth, panel, 2)
                                else:
                                    _pack_panel(x, xs, off, k0, k0 + depth, panel, 1)
                                to = (i * rows + low) * yp + s * size + p
                                packed_rows(panel, 0, PANEL * lanes, depth, packed, 0, depth * lanes,
                                            y, to, yp, anew, high - low, vectors, lanes)  # fmt: skip
                                p += vectors * lanes

    return kernel(run)


run_tiles: Any = _run_tiles(revision(__file__, _vectors.__file__))


def steps() -> Iterator[Callable[[], object]]:
    """Give the calls that compile a kernel, or load it from the disk, for each element type; then end it."""
    where, whole = numba.typeof((0,) * 16), types.int64
    for kind in (types.float32, types.float64):
        read, indices = given(kind), given(whole)
        yield functools.partial(run_tiles.compile, (read, indices, indices, read, kind[::1], where, whole))
    yield run_tiles.disable_compile
