"""The compiled CPU engine: any convolution as flat sums over shifted vectors, register by register.

The input is padded and split into the phases of its stride once; after that a kernel element is a
constant shift of one flat axis, whatever the rank, so no windows are ever laid out as columns.
Needs numba.  The kernels are compiled, or read from numba's cache on the disk, in the background (`_background`):
until they are there the engine refuses, and the plan takes another one.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, Literal

import numpy

from xpu.conv import _background, _threads
from xpu.conv._caches import caches
from xpu.conv._engine import Rates, allowance, itemcost
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._scratch import scratch
from xpu.conv._space import lowered_space

__all__ = ["WORTH", "CompiledEngine", "elements", "tiles_forward"]

Array = Any
Namespace = Any

# Fewer multiply-adds than this never make a process load numba.
WORTH = 1_000_000
# Images are done together as long as their flat forms fit, or are no more than the weights are twice: those are
# packed once for all of them.
CHUNK = 1 << 20
# Bytes of a copy that another thread is called for.
WORTH_COPY = 1 << 20


class CompiledEngine:
    """Tiles of outputs in registers; float32 and float64, every kind, rank, stride and dilation.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> CompiledEngine().run(numpy, g, x, w) if _background.wait() else numpy.array([[[1., 12., 23.]]])
    array([[[ 1., 12., 23.]]])
    """

    name = "compiled"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or that the kernels are not there (yet)."""
        if geometry.macs >= WORTH:
            _background.begin()
        return _background.why_not("_tiles")

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the padded input, where outputs do not lie in whole vectors of those, and of packing."""
        return lowered_space(_space, geometry)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the sums over all positions that are made, the operands and the result, and the copies of them."""
        total = 0.0
        for g in lowered_geometries(geometry):
            flat, rows = _flat(g), g.out_channels // g.groups
            apart = _starts(g, _background.module("_tiles").VECTOR_BYTES // g.dtype.itemsize) is None
            positions = flat.length + 8 if apart else math.prod(g.out_spatial)
            made = 2.0 * g.batch * g.out_channels * positions * math.prod(g.w_shape[1:])
            total += made * itemcost(g) * (1.0 if rows >= 4 else 1.8) / rates.flops
            copied = 0 if flat.plain and not apart else g.in_channels * flat.pitch
            copied += g.out_channels * flat.length if apart else 0
            moved = g.bytes + 2.0 * g.batch * copied * g.dtype.itemsize
            total += moved / rates.bandwidth + 10 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(tiles_forward, xp, geometry, first, second)


def _space(g: ConvGeometry) -> int:
    """Return the bytes of the images in work, and of what each thread packs (see `_tiles`)."""
    images, packed = _images_space(g), 0
    if g.out_channels // g.groups >= _background.module("_tiles").PACK_ROWS:
        packed = _packed(g, *_blocks(g))
    return images + _threads_for(g) * packed


def _images_space(g: ConvGeometry) -> int:
    """Return the bytes of the flat forms of as many images as are in work, and of the offsets."""
    flat, size, threads = _flat(g), g.dtype.itemsize, _threads_for(g)
    lanes: int = _background.module("_tiles").VECTOR_BYTES // size
    starts = _starts(g, lanes)
    count, _, apart = _shares(g, flat, threads)
    items = 0 if flat.plain and starts is not None else g.in_channels * flat.pitch
    items += g.out_channels * (flat.length + lanes) if starts is None else 0
    lines = 0 if starts is None else len(starts)
    images = min(g.batch, count * (threads if apart else 1))
    return (images * items + 2 * lanes) * size + 8 * (math.prod(g.w_shape[1:]) + lines)


def _threads_for(g: ConvGeometry) -> int:
    return _threads.count() if g.macs > WORTH else 1


def _shares(g: ConvGeometry, flat: _Flat, threads: int) -> tuple[int, list[slice], bool]:
    """Return how many images are done at a time, which, and whether every thread has its own."""
    image = (g.in_channels * flat.pitch + g.out_channels * flat.length) * g.dtype.itemsize
    weights = math.prod(g.w_shape) * g.dtype.itemsize
    count = max(1, min(-(-g.batch // threads), max(CHUNK, 2 * weights) // image))
    parts = [slice(n, min(g.batch, n + count)) for n in range(0, g.batch, count)]
    return count, parts, len(parts) % threads == 0 or len(parts) >= 4 * threads


@functools.lru_cache(maxsize=4096)
def _blocks_within(g: ConvGeometry, threads: int) -> tuple[int, int]:
    """Return the terms of the sum in a block, and the rows that a thread packs at a time.

    A panel takes about half of the first cache, a packed block of the weights a quarter of the second, or what the
    workspace allows.
    """
    room = (allowance(g) - _images_space(g)) // threads
    tiles, size, depth = _background.module("_tiles"), g.dtype.itemsize, math.prod(g.w_shape[1:])
    lanes = tiles.VECTOR_BYTES // size
    most = caches().first // 2 // (tiles.PANEL * tiles.VECTOR_BYTES)
    block = -(-depth // -(-depth // max(1, most)))
    tall = min(caches().second // 4, room - _packed(g, block, 0)) // (block * size) // lanes * lanes
    return block, max(lanes, tall)


def _blocks(g: ConvGeometry) -> tuple[int, int]:
    return _blocks_within(g, _threads_for(g))


def _packed(g: ConvGeometry, block: int, tall: int) -> int:
    """Return the bytes of a thread's panel and packed rows."""
    tiles, size = _background.module("_tiles"), g.dtype.itemsize
    lanes: int = tiles.VECTOR_BYTES // size
    panel: int = tiles.PANEL * lanes
    return (min(tall, g.out_channels // g.groups) + lanes + panel) * block * size


class _Flat:
    """Where things lie once all spatial axes are one: phases of the stride, pitches, offsets."""

    __slots__ = ("length", "phases", "pitch", "plain", "sizes", "steps", "used")

    def __init__(self, g: ConvGeometry) -> None:
        axes = list(zip(g.kernel, g.dilation, g.stride, strict=True))
        # Per axis, the residues of the stride that some kernel element falls on.
        self.used: list[list[int]] = [sorted({t * d % s for t in range(k)}) for k, d, s in axes]
        self.sizes: Sizes = tuple(o + (k - 1) * d // s for o, (k, d, s) in zip(g.out_spatial, axes, strict=True))
        self.steps: Sizes = tuple(math.prod(self.sizes[i + 1 :]) for i in range(g.rank))
        self.phases = math.prod(len(u) for u in self.used)
        self.pitch = self.phases * math.prod(self.sizes)
        self.length = sum((o - 1) * step for o, step in zip(g.out_spatial, self.steps, strict=True)) + 1
        self.plain = g.pointwise

    def offsets(self, g: ConvGeometry) -> Array:
        """Return the shift of every kernel element of every channel of a group."""
        shifts = []
        for tap in itertools.product(*(range(k) for k in g.kernel)):
            phase, shift = 0, 0
            for t, d, s, used, step in zip(tap, g.dilation, g.stride, self.used, self.steps, strict=True):
                phase = phase * len(used) + used.index(t * d % s)
                shift += (t * d // s) * step
            shifts.append(phase * math.prod(self.sizes) + shift)
        channels = numpy.arange(g.w_shape[1], dtype=numpy.int64)[:, None] * self.pitch
        return (channels + numpy.array(shifts, dtype=numpy.int64)).ravel()

    def starts(self, g: ConvGeometry, lanes: int) -> Array | None:
        """Return where the lines of outputs begin, ``None`` where they are no whole vectors, or too few of them."""
        if self.plain and math.prod(g.out_spatial) % lanes == 0:
            return numpy.zeros(1, dtype=numpy.int64)
        if g.out_spatial[-1] % lanes or g.out_spatial[-1] < 3 * lanes:
            return None
        total = numpy.zeros(1, dtype=numpy.int64)
        for out, step in zip(g.out_spatial[:-1], self.steps[:-1], strict=True):
            total = (total[:, None] + numpy.arange(out, dtype=numpy.int64) * step).ravel()
        return total


@functools.lru_cache(maxsize=1024)
def _flat(g: ConvGeometry) -> _Flat:
    return _Flat(g)


@functools.lru_cache(maxsize=1024)
def _offsets(g: ConvGeometry) -> Array:
    return _flat(g).offsets(g)


@functools.lru_cache(maxsize=1024)
def _starts(g: ConvGeometry, lanes: int) -> Array | None:
    return _flat(g).starts(g, lanes)


def _flatten(g: ConvGeometry, flat: _Flat, x: Array, slack: int, threads: int) -> Array:
    """Return ``x`` with its zeros, split by phase, as one flat array with room behind it."""
    lines = g.batch * g.in_channels
    buffer = scratch(lines * flat.pitch + slack, "flat", g.dtype)
    buffer[lines * flat.pitch :] = 0
    shape = (g.batch, g.in_channels, flat.phases, *flat.sizes)
    split: Any = buffer[: lines * flat.pitch].reshape(shape)
    zeros = any(before or after for before, after in g.padding) or flat.phases > 1
    moves = []
    for index, residues in enumerate(itertools.product(*flat.used)):
        put: list[slice] = []
        take: list[slice] = []
        for r, n, s, m, (before, _) in zip(residues, g.spatial, g.stride, flat.sizes, g.padding, strict=True):
            # Element j of this phase is x[j * s + r - before].
            low = max(0, -((r - before) // s))
            high = max(low, min(m, (n - 1 - r + before) // s + 1))
            put.append(slice(low, high))
            take.append(slice(low * s + r - before, max(0, (high - 1) * s + r - before + 1), s))
        if all(p.stop > p.start for p in put):
            moves.append(((index, *put), tuple(take)))

    def some(part: int, parts: int) -> None:
        mine = slice(part * g.in_channels // parts, (part + 1) * g.in_channels // parts)
        if zeros:
            split[:, mine] = 0
        for put, take in moves:
            split[(slice(None), mine, *put)] = x[(slice(None), mine, *take)]

    _threads.run_all(some, min(threads, g.in_channels) if split.nbytes >= WORTH_COPY else 1)
    return buffer


def elements(operand: Array) -> Array:
    """Return an operand's elements as kernels take them: one after the other and aligned, copied only if need be."""
    flat = numpy.ascontiguousarray(operand).reshape(-1)
    return flat if flat.flags.aligned else flat.copy()


def tiles_forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    """Do a few images at a time, so that their flat forms stay in the cache."""
    flat, offsets = _flat(g), _offsets(g)
    w = elements(w)
    y = numpy.empty(g.y_shape, dtype=g.dtype)
    threads = _threads_for(g)
    _, parts, apart = _shares(g, flat, threads)

    def some(first: int, step: int) -> None:
        for part in parts[first::step]:
            images = g if part.stop - part.start == g.batch else g.with_(batch=part.stop - part.start)
            _images(images, flat, offsets, x[part], w, y[part], 1 if apart else threads)

    _threads.run_all(some, threads if apart else 1)
    return y


def _images(g: ConvGeometry, flat: _Flat, offsets: Array, x: Array, w: Array, y: Array, threads: int) -> None:
    lanes = _background.module("_tiles").VECTOR_BYTES // g.dtype.itemsize
    length = -(-flat.length // lanes) * lanes
    starts = _starts(g, lanes)
    if flat.plain and math.prod(g.out_spatial) == length:
        source = elements(x)
    else:
        source = _flatten(g, flat, x, lanes + length - flat.length, threads)
    if starts is not None:
        line = math.prod(g.out_spatial) // len(starts)
        _spread(g, source, offsets, w, y.reshape(-1), (flat.pitch * g.w_shape[1], starts, line, lanes), threads)
        return
    made = scratch(g.batch * g.out_channels * length, "made", g.dtype)
    whole_line = (flat.pitch * g.w_shape[1], numpy.zeros(1, dtype=numpy.int64), length, lanes)
    _spread(g, source, offsets, w, made, whole_line, threads)
    lines = made.reshape((g.batch, g.out_channels, length))
    strides = (*lines.strides[:2], *(step * g.dtype.itemsize for step in flat.steps))
    whole = numpy.lib.stride_tricks.as_strided(lines, g.y_shape, strides)

    def some(part: int, parts: int) -> None:
        mine = slice(part * g.out_channels // parts, (part + 1) * g.out_channels // parts)
        y[:, mine] = whole[:, mine]

    _threads.run_all(some, min(threads, g.out_channels) if y.nbytes >= WORTH_COPY else 1)


def _spread(
    g: ConvGeometry, x: Array, off: Array, w: Array, y: Array, sizes: tuple[int, Array, int, int], threads: int
) -> None:
    """Divide the work among the threads: by image and group, by lines or positions, or by rows."""
    pitch, starts, line, lanes = sizes
    tiles = _background.module("_tiles")
    pairs, rows, depth = g.batch * g.groups, g.out_channels // g.groups, len(off)
    block, tall = _blocks(g)
    vectors = line // lanes

    def work(part: int, parts: int) -> None:
        def share(total: int) -> tuple[int, int]:
            return part * total // parts, (part + 1) * total // parts

        i, r, s, p = (0, pairs), (0, rows), (0, len(starts)), (0, vectors)
        if pairs % parts == 0 or pairs >= 4 * parts:
            i = share(pairs)
        elif len(starts) >= 4 * parts:
            s = share(len(starts))
        elif vectors < 12 * parts and rows >= 16 * parts:
            low, high = share(rows // 8)
            r = low * 8, rows if part == parts - 1 else high * 8
        else:
            p = share(vectors)
        where = (*i, g.groups, pitch, *r, rows, depth, block, tall, len(starts) * line, line)
        if i[1] > i[0]:
            tiles.run_tiles(x, off, starts, w, y, (*where, *s, p[0] * lanes, p[1] * lanes), lanes)

    _threads.run_all(work, threads)
