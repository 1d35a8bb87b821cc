"""Long signals by transforms of overlapping pieces that stay in the second cache: the overlap-save method.

Oppenheim and Schafer, "Discrete-Time Signal Processing", section 8.7.3.  A piece of N elements yields the N - K + 1
outputs that nothing wrapped around into.  A few pieces at a time are transformed, multiplied and transformed back, so
that their spectra never reach the memory; a transform of a whole long signal would pass over it once per factor.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy

from xpu.conv import _threads
from xpu.conv._engine import Rates
from xpu.conv._gemm import gemm_forward
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["OverlapEngine"]

Array = Any
Namespace = Any

# Bytes of pieces that are transformed together, at most: with their spectra they fit most second caches.
CHUNK = 1 << 19
# Transforms that SciPy's FFT makes at once, in the lanes of a vector; those left over are made alone.
LANES = {"float32": 4, "float64": 2, "complex64": 4, "complex128": 2}
# Seconds of the Python and SciPy calls for one group of pieces, and for the kernel.
STEP = 25e-6
# Elements of input and output for which another thread is called.
WORTH_THREADS = 1 << 15
# Nanoseconds of the two transforms of a piece, per element and doubling of the length: of several pieces together,
# which share vectors, and of one alone.  By what `benchmarks/filter_sweep.py` shows on AVX2.
TOGETHER = {"float32": 0.40, "float64": 0.65, "complex64": 0.75, "complex128": 1.3}
ALONE = {"float32": 1.1, "float64": 1.15, "complex64": 2.2, "complex128": 2.4}
# The product rate of the machine those were taken on: other machines are taken to be as much faster in both.
FLOPS = 6.5e10


class OverlapEngine:
    """One-dimensional filters of stride 1 with one channel in and out per group; real and complex.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8")
    >>> x, w = numpy.arange(4.0).reshape(1, 1, 4), numpy.array([[[10.0, 1.0]]])
    >>> OverlapEngine().run(numpy, g, x, w).round(12)
    array([[[ 1., 12., 23.]]])
    """

    name = "overlap"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or what is not as it must be."""
        return _refusal(geometry)

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of every thread's pieces and their spectra, and of the kernel's spectrum."""
        return lowered_space(_space, geometry, complex_core=True)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the transforms, the passes over input and output, and the calls."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            threads = _threads_for(g)
            cut, lines = _cut(g, threads), g.batch * g.in_channels
            spent = _nanoseconds(g, cut) * 1e-9 * FLOPS * rates.threads / rates.flops
            moved = 2.0 * g.flow_bytes / rates.bandwidth
            steps = g.in_channels + len(_boxes(g, cut)) * (g.in_channels if cut.pieces == 1 else lines)
            total += spent / threads + moved + (10 * rates.call + STEP * steps) / threads
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution."""
        return lowered(_forward, xp, geometry, first, second, complex_core=True)


@functools.lru_cache(maxsize=4096)
def _refusal(geometry: ConvGeometry) -> str | None:
    if geometry.rank != 1:
        return f"the rank is {geometry.rank}, not 1"
    for g in lowered_geometries(geometry, complex_core=True):
        if g.w_shape[1] != 1 or g.out_channels != g.groups or g.stride != (1,):
            return "it needs one channel in and out per group, and stride 1"
        if g.spatial == (0,):
            return "the input has an empty axis"
    return None


def _space(g: ConvGeometry) -> int:
    return _cut(g, _threads_for(g)).bytes(g, _threads_for(g))


def _threads_for(g: ConvGeometry) -> int:
    return _threads.count() if math.prod(g.x_shape) + math.prod(g.y_shape) >= WORTH_THREADS else 1


@dataclass(frozen=True, slots=True)
class _Cut:
    """How lines are cut.

    Parameters
    ----------
    length : int
        Elements of a piece: of its transforms.
    useful : int
        Outputs of a piece.
    pieces : int
        Pieces of a line; where it is one, lines are transformed together instead of pieces.
    together : int
        Pieces (or lines) that are transformed together.
    """

    length: int
    useful: int
    pieces: int
    together: int

    def bytes(self, g: ConvGeometry, threads: int) -> int:
        """Return the bytes of all scratch memory: of each thread the pieces, their spectra and the kernel's."""
        spectrum = (self.length + 2) * g.dtype.itemsize
        return threads * (self.together * 3 * spectrum + 2 * spectrum)


@functools.lru_cache(maxsize=4096)
def _cut(g: ConvGeometry, threads: int) -> _Cut:
    """Choose the length that takes the least time, and as many pieces as fit the cache and half of the workspace."""
    (span,), (outputs,) = g.span, g.out_spatial
    best, least = _Cut(0, 0, 0, 0), math.inf
    whole = outputs + span - 1
    room = min(CHUNK, g.flow_bytes // (2 * threads))
    for length in _lengths(span, whole):
        useful = length - span + 1
        pieces = 1 if length >= whole else -(-outputs // useful)
        row = g.batch if pieces == 1 else pieces
        together = max(1, min(room // (length * g.dtype.itemsize), -(-row // threads)))
        lanes = LANES[g.dtype.name]
        cut = _Cut(length, useful, pieces, together // lanes * lanes or together)
        lines = g.in_channels * (1 if pieces == 1 else g.batch)
        time = _nanoseconds(g, cut) + 1e9 * STEP * lines * -(-row // cut.together)
        if time < least:
            best, least = cut, time
    return best


def _nanoseconds(g: ConvGeometry, cut: _Cut) -> float:
    """Return the time of one thread for the transforms of all pieces and of the kernels."""
    name, steps = g.dtype.name, cut.length * math.log2(cut.length)
    far = 1.0 if 2 * cut.length * g.dtype.itemsize <= CHUNK else 2.0
    lines, row = (g.in_channels, g.batch) if cut.pieces == 1 else (g.in_channels * g.batch, cut.pieces)
    groups, last = divmod(row, cut.together)
    alone = groups * (cut.together % LANES[name]) + last % LANES[name]
    transforms = lines * ((row - alone) * TOGETHER[name] + alone * ALONE[name]) + 0.5 * g.in_channels * ALONE[name]
    return far * (transforms * steps + lines * row * cut.length)


def _lengths(span: int, whole: int) -> list[int]:
    """Return lengths to choose from: powers of two, and one and a half of them."""
    found = []
    power = 1 << max(3, (span - 1).bit_length())
    while True:
        for length in (power, power * 3 // 2):
            found.append(length)
            if length >= whole:
                return found
        power *= 2


def _forward(xp: Namespace, g: ConvGeometry, x: Array, w: Array) -> Array:
    import scipy.fft as fft

    (span,), (dilation,) = g.span, g.dilation
    cut, y = _cut(g, _threads_for(g)), numpy.empty(g.y_shape, dtype=g.dtype)
    real = g.dtype.kind != "c"

    def spectrum(channel: int) -> Array:
        """Return the spectrum that turns a product into a correlation."""
        taps = numpy.zeros(span, dtype=g.dtype)
        taps[::dilation] = w[channel, 0]
        if real:
            return numpy.conj(fft.rfft(taps, cut.length, workers=1))
        return fft.ifft(taps, cut.length, norm="forward", workers=1)

    def filtered(pieces: Array, kernel: Array) -> tuple[Array, bool]:
        """Return the circular correlation of every piece, and whether it holds nothing infinite."""
        with numpy.errstate(invalid="ignore", over="ignore"):
            if real:
                made = fft.rfft(pieces, cut.length, axis=-1, workers=1)
                made *= kernel
                finite = bool(numpy.isfinite(made[..., 0]).all())  # the sum over a piece
                return fft.irfft(made, cut.length, axis=-1, overwrite_x=True, workers=1), finite
            made = fft.fft(pieces, cut.length, axis=-1, workers=1)
            made *= kernel
            finite = bool(numpy.isfinite(made[..., 0]).all())
            return fft.ifft(made, cut.length, axis=-1, overwrite_x=True, workers=1), finite

    boxes, channels = _boxes(g, cut), range(g.in_channels)
    if cut.pieces == 1:
        jobs = [(c, functools.partial(_whole, g, cut, x[n:m, c], y[n:m, c])) for c in channels for n, m in boxes]
    else:
        jobs = [
            (c, functools.partial(_some, g, cut, x[n, c], y[n, c], box))
            for c in channels
            for n in range(g.batch)
            for box in boxes
        ]

    def work(part: int, parts: int) -> None:
        mine, known = jobs[part * len(jobs) // parts : (part + 1) * len(jobs) // parts], -1
        for channel, job in mine:
            if channel != known:
                kernel, known = spectrum(channel), channel
            job(functools.partial(filtered, kernel=kernel), w[channel])

    _threads.run_all(work, min(_threads_for(g), len(jobs)))
    return y


def _boxes(g: ConvGeometry, cut: _Cut) -> list[tuple[int, int]]:
    """Return groups of pieces of a line, or of lines of one piece: the first and the end of each."""
    total = g.batch if cut.pieces == 1 else cut.pieces
    return [(b, min(total, b + cut.together)) for b in range(0, total, cut.together)]


def _some(g: ConvGeometry, cut: _Cut, x: Array, y: Array, box: tuple[int, int], filtered: Any, w: Array) -> None:
    """Filter some pieces of one line; piece b begins with element ``b * useful - before``."""
    (first, end), ((before, _),), (outputs,) = box, g.padding, g.out_spatial
    start, stop = first * cut.useful, min(outputs, end * cut.useful)
    low, high = start - before, (end - 1) * cut.useful + cut.length - before
    near = x[max(0, low) : max(0, min(len(x), high))]
    held = near
    if len(near) != high - low:
        held = numpy.zeros(high - low, dtype=x.dtype)
        held[max(0, -low) : max(0, -low) + len(near)] = near
    step = held.strides[0]
    shape, strides = (end - first, cut.length), (cut.useful * step, step)
    pieces = numpy.lib.stride_tricks.as_strided(held, shape, strides, writeable=False)
    made, finite = filtered(pieces)
    if not finite:
        high = stop - before + g.span[0] - 1
        near = x[max(0, low) : max(0, min(len(x), high))]
        y[start:stop] = _plainly(g, near, (max(0, -low), high - low - max(0, -low) - len(near)), w)
    elif stop - start == (end - first) * cut.useful:
        y[start:stop].reshape(end - first, cut.useful)[...] = made[:, : cut.useful]
    else:
        whole = (end - first - 1) * cut.useful
        y[start : start + whole].reshape(end - first - 1, cut.useful)[...] = made[:-1, : cut.useful]
        y[start + whole : stop] = made[-1, : stop - start - whole]


def _whole(g: ConvGeometry, cut: _Cut, x: Array, y: Array, filtered: Any, w: Array) -> None:
    """Filter some lines, each as one piece: the zeros before it are those behind it, wrapped around."""
    ((before, after),), (outputs,) = g.padding, g.out_spatial
    made, finite = filtered(x)
    if not finite:
        for line, result in zip(x, y, strict=True):
            result[...] = _plainly(g, line, (before, after), w)
        return
    head = min(before, outputs)
    y[:, :head] = made[:, cut.length - before : cut.length - before + head]
    y[:, head:] = made[:, : outputs - head]


def _plainly(g: ConvGeometry, x: Array, pads: tuple[int, int], w: Array) -> Array:
    """Filter without a transform, which would spread what is not finite over a whole piece."""
    one = g.with_(batch=1, groups=1, in_channels=1, out_channels=1, spatial=(len(x),), padding=(pads,))
    if not len(x):
        return numpy.zeros(one.out_spatial, dtype=x.dtype)
    return gemm_forward(numpy, one, x[None, None], w[None])[0, 0]
