"""The compiled CPU engine: any convolution as flat sums over shifted vectors, register by register.

The input is padded and split into the phases of its stride once; after that a kernel element is a
constant shift of one flat axis, whatever the rank, so no windows are ever laid out as columns.
Needs numba (the extra ``jit``).  The kernels are compiled, or read from numba's disk cache, by a
background thread: until they are there the engine refuses, and the plan takes another one.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import itertools
import math
import threading
from typing import Any, Literal

import numpy

from xpu.conv import _threads
from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.conv._lower import lowered, lowered_geometries

__all__ = ["CompiledEngine", "ready", "refuse", "wait"]

Array = Any
Namespace = Any

# Fewer multiply-adds than this never make a process load numba.
WORTH = 1_000_000
# Flat forms up to this many bytes are kept by the thread for its next call; fresh memory costs a page fault
# every 4 KiB.  Images are done together as long as they fit CHUNK.
KEEP = 1 << 25
CHUNK = 1 << 20
_OWN = threading.local()
_LOCK = threading.Lock()


class _Kernels:
    """The compiled kernels, once they are there."""

    def __init__(self) -> None:
        self.module: Any = None
        self.thread: threading.Thread | None = None
        self.problem: str | None = None

    def load(self) -> None:
        try:
            module = importlib.import_module("xpu.conv._tiles")
            module.warm()
        except (ImportError, OSError, RuntimeError, NotImplementedError) as error:
            self.problem = f"its kernels could not be compiled ({type(error).__name__}: {error})"
            return
        self.module = module

    def begin(self) -> None:
        with _LOCK:
            if self.thread is None and self.problem is None:
                if importlib.util.find_spec("numba") is None:
                    self.problem = "numba is not installed; install the extra 'jit'"
                    return
                self.thread = threading.Thread(target=self.load, name="xpu-conv-compile", daemon=True)
                self.thread.start()
                # The compiler must not be cut off in the middle by the end of the process.
                atexit.register(self.thread.join)


_KERNELS = _Kernels()


def ready() -> bool:
    """Return whether the kernels are compiled and loaded."""
    return _KERNELS.module is not None


def wait() -> bool:
    """Begin to compile if need be, wait for the end, and return whether the kernels are ready."""
    _KERNELS.begin()
    if _KERNELS.thread is not None:
        _KERNELS.thread.join()
    return ready()


def refuse(reason: str) -> None:
    """Do without the kernels from now on, as where numba is not installed: to measure the default install."""
    with _LOCK:
        _KERNELS.module, _KERNELS.problem = None, reason


class CompiledEngine:
    """Tiles of outputs in registers; float32 and float64, every kind, rank, stride and dilation.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> CompiledEngine().run(numpy, g, x, w) if wait() else numpy.array([[[1., 12., 23.]]])
    array([[[ 1., 12., 23.]]])
    """

    name = "compiled"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or that the kernels are not there (yet)."""
        if ready():
            return None
        if geometry.macs >= WORTH:
            _KERNELS.begin()
        return _KERNELS.problem or "its kernels are not compiled yet"

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the padded input and of the output with its rows' overhang."""
        most = 0
        for g in lowered_geometries(geometry):
            flat = _Flat(g)
            items = g.batch * (g.in_channels * flat.pitch + g.out_channels * (flat.length + 16))
            most = max(most, items * g.dtype.itemsize)
        return most

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the sums over all flat positions, and the copies in and out."""
        total = 0.0
        for g in lowered_geometries(geometry):
            flat, rows = _Flat(g), g.out_channels // g.groups
            made = 2.0 * g.batch * g.out_channels * (flat.length + 8) * math.prod(g.w_shape[1:])
            total += made * itemcost(g) * (1.0 if rows >= 4 else 2.0) / rates.flops
            total += 2.0 * _copied(g, flat) / rates.bandwidth + 10 * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second)


def _copied(g: ConvGeometry, flat: _Flat) -> int:
    """Return the bytes copied into and out of the flat form."""
    if flat.plain:
        return 0
    return g.batch * (g.in_channels * flat.pitch + g.out_channels * flat.length) * g.dtype.itemsize


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


def _flatten(g: ConvGeometry, flat: _Flat, x: Array, slack: int) -> Array:
    """Return ``x`` with its zeros, split by phase, as one flat array with room behind it."""
    lines = g.batch * g.in_channels
    buffer = _scratch(lines * flat.pitch + slack, 0, g.dtype)
    buffer[lines * flat.pitch :] = 0
    shape = (g.batch, g.in_channels, flat.phases, *flat.sizes)
    split: Any = buffer[: lines * flat.pitch].reshape(shape)
    if any(before or after for before, after in g.padding) or flat.phases > 1:
        split[...] = 0
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
            split[(slice(None), slice(None), index, *put)] = x[(slice(None), slice(None), *take)]
    return buffer


def _scratch(items: int, which: int, dtype: numpy.dtype[Any]) -> Array:
    """Return uninitialised memory, this thread's own from the call before where it is large enough."""
    size = items * dtype.itemsize
    if size > KEEP:
        return numpy.empty(items, dtype=dtype)
    kept: dict[int, Array] = _OWN.__dict__.setdefault("kept", {})
    if which not in kept or kept[which].nbytes < size:
        kept[which] = numpy.empty(size, dtype=numpy.uint8)
    view: Array = kept[which][:size].view(dtype)
    return view


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    """Do a few images at a time, so that their flat forms stay in the cache."""
    flat = _Flat(g)
    offsets = flat.offsets(g)
    w = numpy.ascontiguousarray(w).ravel()
    y = numpy.empty(g.y_shape, dtype=g.dtype)
    image = (g.in_channels * flat.pitch + g.out_channels * flat.length) * g.dtype.itemsize
    count = max(1, min(g.batch, CHUNK // image))
    for n in range(0, g.batch, count):
        part = slice(n, min(g.batch, n + count))
        _images(g.with_(batch=part.stop - n), flat, offsets, x[part], w, y[part])
    return y


def _images(g: ConvGeometry, flat: _Flat, offsets: Array, x: Array, w: Array, y: Array) -> None:
    lanes = _KERNELS.module.VECTOR_BYTES // g.dtype.itemsize
    length = -(-flat.length // lanes) * lanes
    dense = math.prod(g.out_spatial) == length
    if flat.plain and dense:
        source = numpy.ascontiguousarray(x).ravel()
    else:
        source = _flatten(g, flat, x, lanes + length - flat.length)
    made = y.reshape(-1) if dense else _scratch(g.batch * g.out_channels * length, 1, g.dtype)
    _spread(g, source, offsets, w, made, (flat.pitch * g.w_shape[1], length, lanes))
    if not dense:
        lines = made.reshape((g.batch, g.out_channels, length))
        strides = (*lines.strides[:2], *(step * g.dtype.itemsize for step in flat.steps))
        y[...] = numpy.lib.stride_tricks.as_strided(lines, g.y_shape, strides)


def _spread(g: ConvGeometry, x: Array, off: Array, w: Array, y: Array, sizes: tuple[int, int, int]) -> None:
    """Divide the work among the threads: by image and group, by positions, or by rows."""
    pitch, length, lanes = sizes
    tiles = _KERNELS.module
    pairs, rows, depth = g.batch * g.groups, g.out_channels // g.groups, len(off)
    block = depth if depth <= 384 else 256 if math.prod(g.kernel) == 1 else 320
    threads = _threads.count() if g.macs > WORTH else 1
    vectors = length // lanes

    def work(part: int, parts: int) -> None:
        def share(total: int) -> tuple[int, int]:
            return part * total // parts, (part + 1) * total // parts

        i, r, p = (0, pairs), (0, rows), (0, vectors)
        if pairs % parts == 0 or pairs >= 4 * parts:
            i = share(pairs)
        elif vectors >= 12 * parts:
            p = share(vectors)
        elif rows >= 16 * parts:
            low, high = share(rows // 8)
            r = low * 8, rows if part == parts - 1 else high * 8
        else:
            p = share(vectors)
        where = (*i, g.groups, pitch, *r, rows, depth, block, length, p[0] * lanes, p[1] * lanes)
        if where[1] > where[0]:
            tiles.run_tiles(x, off, w, y, where, lanes)

    _threads.run_all(work, threads)
