"""Winograd's ``F(4x4, 3x3)`` on the CPU with compiled kernels: how its work is cut, and its cost.

Either the filters are transformed first, for all threads, and every thread takes blocks of tiles whose planes stay in
its second cache: it transforms them, multiplies and transforms back.  Or, where there are fewer tiles than filters,
the tiles are transformed first and every thread takes filters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy

from xpu.conv import _background, _threads
from xpu.conv._caches import caches
from xpu.conv._compiled import WORTH, elements, tiles_forward
from xpu.conv._engine import Rates, allowance, itemcost
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._scratch import scratch
from xpu.conv._space import lowered_space
from xpu.conv._winograd import TILE, winograd_refusal

__all__ = ["CompiledWinogradEngine"]

Array = Any
Namespace = Any

PLANES = 36
# Filters whose transforms stay in the cache while all tiles pass by; with fewer, shared tiles are read too often.
MOST_FILTERS = 64
# Transforms for which another thread is called.
WORTH_THREADS = 2048
# Tiles of a block at least: two panels of eight lanes.
LEAST_TILES = 48
# Channels of the filters transformed at a time at least.
LEAST_DEPTH = 32
# A transform of a tile or a filter takes as long as this many operations of a product.
TRANSFORM = 1500.0


class CompiledWinogradEngine:
    """3x3 kernels of stride 1 with a quarter of the multiplications.

    For standard normal numbers the error is up to 3.5 times that of a plain sum (the tests hold it to a bound):
    that): for standard normal numbers and 256 channels, 3e-6 of the largest result in float32.  An infinity or
    a NaN would spread over its tile, so a result that is not finite is made again by the plain kernels.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv2d", 2, (1, 1, 6, 6), (1, 1, 3, 3), "f8", "f8")
    >>> x, w = numpy.ones(g.x_shape), numpy.ones(g.w_shape)
    >>> CompiledWinogradEngine().run(numpy, g, x, w).sum().round(9) if _background.wait() else 144.0
    np.float64(144.0)
    """

    name = "compiled-winograd"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, the first thing that is not 3x3 with stride 1, or that the kernels are not there (yet)."""
        refusal = winograd_refusal(geometry)
        if refusal is not None:
            return refusal
        if geometry.macs >= WORTH:
            _background.begin()
        return _background.why_not("_winograd_kernels")

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the transformed filters and of every thread's planes."""
        return lowered_space(_space, geometry)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict a quarter of the products, and the transforms of tiles and filters."""
        total, width = 0.0, _background.module("_tiles").VECTOR_BYTES
        for g in lowered_geometries(geometry):
            lanes = width // g.dtype.itemsize
            (down, across), depth = _tiles_of(g), g.w_shape[1]
            tiles, whole = g.batch * down * across, g.batch * down * -(-across // lanes) * lanes
            products = 2.0 * PLANES * g.out_channels * depth * (-(-tiles // lanes) * lanes)
            transforms = (g.in_channels + g.out_channels) * whole + g.out_channels * depth
            total += (1.2 * products + TRANSFORM * transforms) * itemcost(g) / rates.flops
            total += (g.operand_bytes + 2 * g.result_bytes) / rates.bandwidth + 10 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second)


def _space(g: ConvGeometry) -> int:
    cut = _cut(g, _background.module("_tiles").VECTOR_BYTES // g.dtype.itemsize)
    return cut.items(g, _threads_for(g)) * g.dtype.itemsize


@dataclass(frozen=True, slots=True)
class _Cut:
    """How the work is divided.

    Parameters
    ----------
    shared : {"filters", "inputs"}
        What is transformed once and read by all threads.  Filters: the threads take blocks of tiles.  Inputs, where
        there are fewer tiles than filters: the threads take filters.
    filters : int
        Filters at a time, whole vectors of them; of one thread where the inputs are shared.
    lines, across : int
        Lines of tiles of a block, and tiles of each line.
    lanes : int
        Elements of a vector.
    deep : int
        Channels of the filters that are transformed at a time; all of them unless the inputs are shared.
    tight : bool
        Whether channels lie close together, for want of memory.
    """

    shared: Literal["filters", "inputs"]
    filters: int
    lines: int
    across: int
    lanes: int
    deep: int
    tight: bool = False

    @property
    def pitch(self) -> int:
        """Elements of one channel of a block; an odd number of vectors, so that channels spread over the cache.

        The last line of a channel may reach into the next one, by less than a vector: that is made afterwards.
        """
        vectors = -(-self.lines * self.across // self.lanes)
        return (vectors if self.tight else (vectors + 1) | 1) * self.lanes

    def planes(self, depth: int) -> tuple[int, int, int]:
        """Return the elements from plane to plane: of the filters, of the inputs, of the products."""
        sizes = self.filters * self.deep, depth * self.pitch, self.filters * self.pitch
        u, v, m = (-(-size // 32) * 32 + 16 if self.tight else _apart(size) for size in sizes)
        return u, v, m

    def items(self, g: ConvGeometry, threads: int) -> int:
        """Return the elements of all scratch memory."""
        u, v, m = self.planes(g.w_shape[1])
        planes = PLANES * (u + threads * (v + m) if self.shared == "filters" else v + threads * (u + m))
        return planes + threads * (self.strip + 4 * self.lanes)

    @property
    def strip(self) -> int:
        """Elements of a strip of rows."""
        return 6 * TILE * (-(-self.across // self.lanes) * self.lanes + 1)


def _apart(items: int) -> int:
    """Round up so that the 36 planes begin 64 bytes apart modulo 4096: in different sets of the first cache."""
    return -(-items // 1024) * 1024 + 16


def _tiles_of(g: ConvGeometry) -> tuple[int, int]:
    """Return the lines of tiles of an image and the tiles of a line."""
    return -(-g.out_spatial[0] // TILE), -(-g.out_spatial[1] // TILE)


def _threads_for(g: ConvGeometry) -> int:
    return _threads.count() if g.macs > WORTH else 1


def _cut(g: ConvGeometry, lanes: int) -> _Cut:
    """Choose blocks whose planes fit the second cache twice over, and filters so that the workspace is kept."""
    down, across = _tiles_of(g)
    rows, depth, total, threads = g.out_channels // g.groups, g.w_shape[1], g.batch * down, _threads_for(g)
    limit = allowance(g) // g.dtype.itemsize
    all_filters = -(-rows // lanes) * lanes
    if total * across <= rows:
        each = -(-rows // threads // lanes) * lanes
        cut = _Cut("inputs", max(lanes, min(each, MOST_FILTERS // lanes * lanes)), total, across, lanes, depth)
        while cut.items(g, threads) > limit:
            if not cut.tight:
                cut = replace(cut, tight=True)
            elif cut.filters > lanes:
                cut = replace(cut, filters=-(-cut.filters // 2 // lanes) * lanes)
            elif cut.deep > LEAST_DEPTH:
                cut = replace(cut, deep=-(-cut.deep // 2))
            else:
                break
        return cut
    fit = 2 * caches().second // (PLANES * (depth + rows) * g.dtype.itemsize)
    wanted = max(LEAST_TILES, fit)
    if across > 2 * wanted:
        each = -(-across // -(-across // wanted))
        cut = _Cut("filters", all_filters, 1, -(-each // lanes) * lanes, lanes, depth)
    else:
        blocks = -(-total // max(1, wanted // across))
        if total >= threads:
            blocks = -(-blocks // threads) * threads
        cut = _Cut("filters", all_filters, -(-total // blocks), across, lanes, depth)
    while cut.filters > lanes and cut.items(g, threads) > limit:
        if cut.filters > MOST_FILTERS or cut.lines == 1:
            cut = replace(cut, filters=-(-cut.filters // 2 // lanes) * lanes)
        else:
            cut = replace(cut, lines=-(-cut.lines // 2))
    return cut


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    width = _background.module("_tiles").VECTOR_BYTES
    y = numpy.empty(g.y_shape, dtype=g.dtype)
    operands = elements(x), elements(w), y.reshape(-1)
    cut = _cut(g, width // g.dtype.itemsize)
    run = _share_filters if cut.shared == "filters" else _share_inputs
    finite = [run(_Group(g, cut, group, *operands)) for group in range(g.groups)]
    return y if all(finite) else tiles_forward(xp, g, x, w)


class _Group:
    """One group's convolution: its arrays, and calls of the kernels with their many numbers."""

    def __init__(self, g: ConvGeometry, cut: _Cut, group: int, x: Array, w: Array, y: Array) -> None:
        self.g, self.cut, self.group, self.x, self.w, self.y = g, cut, group, x, w, y
        self.kernels = _background.module("_winograd_kernels")
        self.rows, self.depth = g.out_channels // g.groups, g.w_shape[1]
        self.up, self.vp, self.mp = cut.planes(self.depth)
        self.down, across = _tiles_of(g)
        self.boxes = [
            (l0, min(g.batch * self.down, l0 + cut.lines), c0, min(across, c0 + cut.across))
            for l0 in range(0, g.batch * self.down, cut.lines)
            for c0 in range(0, across, cut.across)
        ]

    def memory(self, use: str) -> Array:
        """Return this thread's memory for the planes of "filters", "inputs", "products", or for a "strip" of rows."""
        lanes = self.cut.lanes
        items = {"filters": self.up, "inputs": self.vp, "products": self.mp}
        items = {name: PLANES * plane for name, plane in items.items()} | {"strip": self.cut.strip}
        return scratch(items[use] + lanes, f"winograd {use}", self.g.dtype)

    def filters(self, u: Array, first: int, low: int, high: int, channels: tuple[int, int]) -> None:
        """Transform some channels of the filters ``low..high`` of those that begin with ``first`` in ``u``."""
        begin = (self.group * self.rows + first) * self.depth * 9
        self.kernels.winograd_filters(self.w, begin, self.depth, *channels, low, high, u, 0, self.up, self.cut.lanes)

    def inputs(self, v: Array, box: tuple[int, ...], low: int, high: int) -> None:
        """Transform the channels ``low..high`` of a block of tiles."""
        g, plane = self.g, math.prod(self.g.spatial)
        padding = (g.padding[0][0], g.padding[1][0])
        image = (self.group * self.depth * plane, g.in_channels * plane, low, high, *g.spatial, *padding, self.down)
        where = (*image, self.vp, self.cut.pitch, *box)
        self.kernels.winograd_inputs(self.x, v, self.memory("strip"), where, self.cut.lanes)

    def outputs(
        self, v: Array, u: Array, box: tuple[int, ...], first: int, count: int, channels: tuple[int, int]
    ) -> bool:
        """Multiply and transform back ``count`` filters, in ``u`` from ``first`` on; return whether all is finite.

        Of the channels these are the next; the products are transformed back after the last ones.
        """
        g, plane = self.g, math.prod(self.g.out_spatial)
        begin = (self.group * self.rows + first) * plane
        image = (begin, g.out_channels * plane, *g.out_spatial, self.down)
        where = (self.depth, *channels, 0, count, self.up, self.vp, self.mp, self.cut.pitch, *image, *box)
        m, strip = self.memory("products"), self.memory("strip")
        finite: bool = self.kernels.winograd_outputs(v, u, m, self.y, strip, where, self.cut.lanes)
        return finite


def _share_filters(one: _Group) -> bool:
    """Transform filters together, then let every thread take blocks of tiles; return whether all is finite."""
    threads, lanes, bad = _threads_for(one.g), one.cut.lanes, []
    u = one.memory("filters")
    for first in range(0, one.rows, one.cut.filters):
        count = min(one.cut.filters, one.rows - first)

        def transform(part: int, parts: int, first: int = first, count: int = count) -> None:
            low, high = (min(count, lanes * (p * -(-count // lanes) // parts)) for p in (part, part + 1))
            one.filters(u, first, low, high, (0, one.depth))

        def work(part: int, parts: int, first: int = first, count: int = count) -> None:
            v = one.memory("inputs")
            for box in one.boxes[part::parts]:
                one.inputs(v, box, 0, one.depth)
                if not one.outputs(v, u, box, first, count, (0, one.depth)):
                    bad.append(box)

        _threads.run_all(transform, threads if count * one.depth > WORTH_THREADS else 1)
        _threads.run_all(work, min(threads, len(one.boxes)))
    return not bad


def _share_inputs(one: _Group) -> bool:
    """Transform all tiles together, then let every thread take filters; return whether all is finite."""
    (box,), threads, bad = one.boxes, _threads_for(one.g), []
    v = one.memory("inputs")

    def transform(part: int, parts: int) -> None:
        one.inputs(v, box, part * one.depth // parts, (part + 1) * one.depth // parts)

    firsts = range(0, one.rows, one.cut.filters)

    def work(part: int, parts: int) -> None:
        u = one.memory("filters")
        for first in firsts[part::parts]:
            count = min(one.cut.filters, one.rows - first)
            for low in range(0, one.depth, one.cut.deep):
                channels = low, min(one.depth, low + one.cut.deep)
                one.filters(u, first, 0, count, channels)
                if not one.outputs(v, u, box, first, count, channels):
                    bad.append(first)

    # Channels that lie close together reach into the next: one thread makes them in their order.
    apart = not one.cut.tight and one.depth * box[1] * one.cut.across > WORTH_THREADS
    _threads.run_all(transform, threads if apart else 1)
    _threads.run_all(work, min(threads, len(firsts)))
    return not bad
