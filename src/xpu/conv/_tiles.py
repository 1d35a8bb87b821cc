"""The compiled heart of the CPU engine: a tile of outputs kept in registers while the sum runs.

Imports numba, so `xpu.conv._compiled` imports this file in the background and never at start.  Every
convolution is brought to one flat form, ``y[r, p] = sum over k of w[r, k] * x[offset[k] + p]``, where
``p`` runs over output positions.  A tile is some rows ``r`` by some vectors of consecutive ``p``; its
accumulators are LLVM vectors, because loops over a local array would leave them in memory.  The
blocking is that of Goto and van de Geijn 2008, https://doi.org/10.1145/1356052.1356053.
"""

from __future__ import annotations

import importlib
from typing import Any

import numba
from numba.core import types
from numba.extending import intrinsic

__all__ = ["VECTOR_BYTES", "run_tiles", "warm"]

# llvmlite ships no types and comes with numba.
ir: Any = importlib.import_module("llvmlite.ir")
_FEATURES = importlib.import_module("llvmlite.binding").get_host_cpu_features()
_WIDE = bool(_FEATURES.get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32 if _FEATURES.get("avx2") else 16
# Accumulators fit the registers: 8x3 and 4x6 of 32 with AVX-512, 4x3 and 2x6 of 16 without.
ROWS = 8 if _WIDE else 4
FEW = 4 if _WIDE else 2


def _pointer(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.make_array(kind)(context, builder, value).data


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _tile(typing: Any, x: Any, xs: Any, off: Any, k0: Any, k1: Any, w: Any, ws: Any, wp: Any,
          y: Any, ys: Any, yp: Any, rows: Any, vectors: Any) -> Any:  # fmt: skip
    """Add ``k0..k1`` of the sum to ``rows`` x ``vectors`` outputs (starting anew at ``k0 == 0``)."""
    signature = types.void(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, rows, vectors)
    shape = rows.literal_value, vectors.literal_value

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        scalar = context.get_value_type(x.dtype)
        arrays = [_pointer(context, builder, sig.args[i], args[i]) for i in (0, 2, 5, 8)]
        _emit(builder, scalar, x.dtype.bitwidth // 8, shape, arrays, args)
        return context.get_dummy_value()

    return signature, generate


def _emit(b: Any, scalar: Any, size: int, shape: tuple[int, int], arrays: list[Any], args: Any) -> None:
    """Write the loop over ``k``: load the vectors of x, then one fused multiply-add per row and vector."""
    xd, od, wd, yd = arrays
    _, xs, _, k0, k1, _, ws, wp, _, ys, yp, _, _ = args
    rows, count = shape
    lanes = VECTOR_BYTES // size
    vector = ir.VectorType(scalar, lanes)
    i64, i32 = ir.IntType(64), ir.IntType(32)

    name = f"llvm.fma.v{lanes}f{8 * size}"
    fma = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(vector, (vector,) * 3), name)

    def vector_at(base: Any, index: Any) -> Any:
        return b.bitcast(b.gep(base, [index]), vector.as_pointer())

    def spread(value: Any) -> Any:
        one = b.insert_element(ir.Constant(vector, ir.Undefined), value, i32(0))
        return b.shuffle_vector(
            one, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(i32, lanes), [0] * lanes)
        )

    places = [
        [vector_at(yd, b.add(ys, b.add(b.mul(yp, i64(r)), i64(v * lanes)))) for v in range(count)] for r in range(rows)
    ]
    anew = b.icmp_signed("==", k0, i64(0))
    zero = ir.Constant(vector, [0.0] * lanes)
    start = [[b.select(anew, zero, b.load(p, align=size)) for p in line] for line in places]
    weights = [b.gep(wd, [b.add(ws, b.mul(wp, i64(r)))]) for r in range(rows)]
    base = b.gep(xd, [xs])
    entry = b.block
    loop, done = b.append_basic_block("sum"), b.append_basic_block("sum.done")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(i64)
    k.add_incoming(k0, entry)
    sums = [[b.phi(vector) for _ in line] for line in start]
    offset = b.load(b.gep(od, [k]))
    loaded = [b.load(vector_at(base, b.add(offset, i64(v * lanes))), align=size) for v in range(count)]
    nexts = []
    for r in range(rows):
        weight = spread(b.load(b.gep(weights[r], [k])))
        nexts.append([b.call(fma, [weight, loaded[v], sums[r][v]]) for v in range(count)])
    step = b.add(k, i64(1))
    k.add_incoming(step, loop)
    for r in range(rows):
        for v in range(count):
            sums[r][v].add_incoming(start[r][v], entry)
            sums[r][v].add_incoming(nexts[r][v], loop)
    b.cbranch(b.icmp_signed("<", step, k1), loop, done)
    b.position_at_end(done)
    for r in range(rows):
        for v in range(count):
            b.store(nexts[r][v], places[r][v], align=size)


def _column(rows: int) -> Any:
    """Return a compiled function that makes tiles of ``rows`` rows and one to six vectors."""

    def column(
        x: Any, xs: int, off: Any, k0: int, k1: int, w: Any, ws: int, wp: int, y: Any, ys: int, yp: int, vectors: int
    ) -> None:
        if vectors == 3:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, rows, 3)
        elif vectors == 2:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, rows, 2)
        elif vectors == 1:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, rows, 1)
        else:
            _tile(x, xs, off, k0, k1, w, ws, wp, y, ys, yp, rows, 6 if rows <= FEW else 1)

    return numba.njit(column, nogil=True, error_model="numpy")


_8, _4, _2, _1 = (_column(r) for r in (8, 4, 2, 1))


def _run_tiles(x: Any, off: Any, w: Any, y: Any, where: Any, lanes: int) -> None:
    """Make ``y`` for some (image, group) pairs, rows and positions.

    ``where`` holds i0, i1 (pairs), groups, x's pitch per pair, rows per group r0, r1, rows, the
    sum's length, its block, y's pitch per row, and the positions p0, p1 (in whole vectors).
    """
    i0, i1, groups, xpitch, r0, r1, rows, length, block, yp, p0, p1 = where
    for i in range(i0, i1):
        group = i % groups
        for k0 in range(0, length, block):
            k1 = min(length, k0 + block)
            p = p0
            while p < p1:
                left = (p1 - p) // lanes
                vectors = 6 if rows <= FEW and left >= 6 else min(left, 3)
                r = r0
                while r < r1:
                    xs, ys = i * xpitch + p, (i * rows + r) * yp + p
                    ws = (group * rows + r) * length
                    if r1 - r >= 8 and ROWS == 8:
                        _8(x, xs, off, k0, k1, w, ws, length, y, ys, yp, vectors)
                        r += 8
                    elif r1 - r >= 4 and (vectors < 6 or FEW >= 4):
                        _4(x, xs, off, k0, k1, w, ws, length, y, ys, yp, vectors)
                        r += 4
                    elif r1 - r >= 2:
                        _2(x, xs, off, k0, k1, w, ws, length, y, ys, yp, vectors)
                        r += 2
                    else:
                        _1(x, xs, off, k0, k1, w, ws, length, y, ys, yp, vectors)
                        r += 1
                p += vectors * lanes


run_tiles: Any = numba.njit(_run_tiles, nogil=True, cache=True, error_model="numpy")


def warm() -> None:
    """Compile for both element types, or load them from the disk."""
    where = numba.typeof((0,) * 12)
    for kind in (types.float32, types.float64):
        one = kind[::1]
        run_tiles.compile((one, types.int64[::1], one, one, where, types.int64))
