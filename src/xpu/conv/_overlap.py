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
from xpu.conv._engine import Rates, itemcost
from xpu.conv._fft import EFFICIENCY
from xpu.conv._gemm import gemm_forward
from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._space import lowered_space

__all__ = ["OverlapEngine"]

Array = Any
Namespace = Any

# Bytes of pieces that are transformed together: with their spectra they fit most second caches.
CHUNK = 1 << 18
# Seconds of the Python and SciPy calls for one group of pieces.
STEP = 20e-6
# Elements of input and output for which another thread is called.
WORTH_THREADS = 1 << 15


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
        """Predict ``2.5 n log2 n`` operations per transform, the passes over the pieces and the calls."""
        total = 0.0
        for g in lowered_geometries(geometry, complex_core=True):
            cut, threads = _cut(g), _threads_for(g)
            lines = g.batch * g.in_channels
            points = (2.0 * lines * cut.pieces + g.in_channels * threads) * cut.length
            kind = 2 if g.dtype.kind == "c" else 1
            work = 2.5 * points * math.log2(cut.length) * kind / EFFICIENCY * itemcost(g) / rates.flops
            # The rates are those of all threads in force, of which a short signal has one.
            work *= rates.threads / threads
            total += work + 2.0 * (g.flow_bytes) / rates.bandwidth + cut.steps(g) * STEP / threads
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
    return _cut(g).bytes(g, _threads_for(g))


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

    def steps(self, g: ConvGeometry) -> int:
        """Return the groups of pieces, and the pieces at the edges, which are done alone."""
        if self.pieces == 1:
            return g.in_channels * -(-g.batch // self.together)
        return g.batch * g.in_channels * (2 + -(-self.pieces // self.together))

    def bytes(self, g: ConvGeometry, threads: int) -> int:
        """Return the bytes of all scratch memory: of each thread the pieces, their spectra and the kernel's."""
        spectrum = (self.length + 2) * g.dtype.itemsize
        return threads * (self.together * 2 * spectrum + 2 * spectrum)


@functools.lru_cache(maxsize=4096)
def _cut(g: ConvGeometry) -> _Cut:
    """Choose the length that takes the least time, and as many pieces as fit the cache and half of the workspace."""
    (span,), (outputs,) = g.span, g.out_spatial
    best, least = (0, 0, 0), math.inf
    whole = outputs + span - 1
    for length in _lengths(span, whole):
        useful = length - span + 1
        pieces = 1 if length >= whole else -(-outputs // useful)
        # Units are about nanoseconds of one thread; a group of pieces costs calls.
        groups = 1 if pieces == 1 else 2 + pieces * length * g.dtype.itemsize / CHUNK
        far = 1.0 if length * g.dtype.itemsize <= CHUNK else 2.0
        time = far * pieces * length * (0.4 * math.log2(length) + 1.0) + 1e9 * STEP * groups
        if time < least:
            best, least = (length, useful, pieces), time
    room = min(CHUNK, (g.flow_bytes) // (2 * _threads_for(g)))
    together = max(1, room // (best[0] * g.dtype.itemsize))
    return _Cut(*best, together)


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
    cut, y = _cut(g), numpy.empty(g.y_shape, dtype=g.dtype)
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

    if cut.pieces == 1:
        lines = [(c, n, min(g.batch, n + cut.together)) for c in range(g.in_channels)
                 for n in range(0, g.batch, cut.together)]  # fmt: skip
        jobs = [(c, functools.partial(_whole, g, cut, x[n:m, c], y[n:m, c])) for c, n, m in lines]
    else:
        jobs = [
            (c, functools.partial(_some, g, cut, x[n, c], y[n, c], box))
            for c in range(g.in_channels)
            for n in range(g.batch)
            for box in _boxes(g, cut)
        ]

    def work(part: int, parts: int) -> None:
        mine, known = jobs[part * len(jobs) // parts : (part + 1) * len(jobs) // parts], -1
        for channel, job in mine:
            if channel != known:
                kernel, known = spectrum(channel), channel
            job(functools.partial(filtered, kernel=kernel), w[channel])

    _threads.run_all(work, min(_threads_for(g), len(jobs)))
    return y


def _boxes(g: ConvGeometry, cut: _Cut) -> list[tuple[int, int, bool]]:
    """Return groups of pieces of a line as (first, end, whether they lie within the line)."""
    (n,), ((before, _),) = g.spatial, g.padding
    low = min(cut.pieces, -(-before // cut.useful))
    # Piece b begins with element b * useful - before.
    high = max(low, min(cut.pieces, (n + before - cut.length) // cut.useful + 1))
    inside = [(b, min(high, b + cut.together), True) for b in range(low, high, cut.together)]
    edges = [(b, b + 1, False) for b in (*range(low), *range(high, cut.pieces))]
    return inside + edges


def _some(g: ConvGeometry, cut: _Cut, x: Array, y: Array, box: tuple[int, int, bool], filtered: Any, w: Array) -> None:
    """Filter some pieces of one line."""
    (first, end, inside), ((before, _),), (outputs,) = box, g.padding, g.out_spatial
    start, stop = first * cut.useful, min(outputs, end * cut.useful)
    low, high = start - before, stop - before + g.span[0] - 1
    near = x[max(0, low) : max(0, min(len(x), high))]
    if inside:
        step = x.strides[0]
        pieces = numpy.lib.stride_tricks.as_strided(
            x[low:], (end - first, cut.length), (cut.useful * step, step), writeable=False
        )
    else:
        pieces = numpy.zeros((1, cut.length), dtype=x.dtype)
        pieces[0, max(0, -low) : max(0, -low) + len(near)] = near
    made, finite = filtered(pieces)
    if not finite:
        pads = (max(0, -low), high - low - max(0, -low) - len(near))
        y[start:stop] = _plainly(g, near, pads, w)
    elif stop - start == (end - first) * cut.useful:
        y[start:stop].reshape(end - first, cut.useful)[...] = made[:, : cut.useful]
    else:
        y[start:stop] = made[:, : cut.useful].reshape(-1)[: stop - start]


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
