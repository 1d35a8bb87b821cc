"""Every convolution as forward convolutions of real arrays with channels first.

An engine that does only those does all of them through `lowered`, so that each identity is written
once: the gradient with respect to the input is one stride-1 convolution per phase of the stride,
the one with respect to the weight swaps batch with channels and stride with dilation, halves are
computed in float32, and a complex convolution is two real ones over a doubled batch.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy

from xpu.conv._geometry import ConvGeometry

__all__ = ["Phase", "channels_first", "lowered", "lowered_geometries", "phases", "weight_swap"]

Array = Any
Namespace = Any
Core = Callable[[Namespace, ConvGeometry, Array, Array], Array]

HALVES = ("float16", "bfloat16")


def channels_first(geometry: ConvGeometry) -> ConvGeometry:
    """Return the same geometry with channels first."""
    return geometry.with_(layout="NCHW")


def lowered(
    core: Core,
    xp: Namespace,
    geometry: ConvGeometry,
    first: Array,
    second: Array,
    *,
    complex_core: bool = False,
    kinds: tuple[str, ...] = ("forward",),
) -> Array:
    """Compute any convolution through ``core``, which does real forward ones, channels first.

    Parameters
    ----------
    core : callable
        ``core(xp, geometry, first, second)``.
    xp : namespace
        The arrays' namespace: numpy or cupy.
    geometry : ConvGeometry
        What to compute.
    first, second : array
        Of ``geometry.operand_shapes``.
    complex_core : bool, optional
        Whether ``core`` takes complex arrays itself.
    kinds : tuple of str, optional
        The kinds ``core`` does itself.

    Returns
    -------
    array
        Of ``geometry.result_shape``, C-contiguous.
    """
    name = geometry.dtype.name
    if _nothing(geometry):
        return xp.zeros(geometry.result_shape, dtype=geometry.dtype)
    if geometry.layout == "NHWC":
        return _from_channels_last(core, xp, geometry, first, second, complex_core, kinds)
    again = {"complex_core": complex_core, "kinds": kinds}
    if name in HALVES:
        wide = geometry.with_(dtype=numpy.dtype("float32"))
        a, b = first.astype("float32"), second.astype("float32")
        return lowered(core, xp, wide, a, b, **again).astype(geometry.dtype)  # type: ignore[arg-type]
    if geometry.dtype.kind == "c" and not complex_core:
        return _complex(core, xp, geometry, first, second, kinds)
    if geometry.kind in kinds:
        return core(xp, geometry, first, second)
    if geometry.kind == "input":
        return _input(core, xp, geometry, first, second)
    return _weight(core, xp, geometry, first, second)


@functools.lru_cache(maxsize=4096)
def _nothing(g: ConvGeometry) -> bool:
    """Whether no product adds to the result: an empty axis in it, in an operand, or in the sum."""
    return g.empty or any(0 in shape for shape in (*g.operand_shapes, g.result_shape))


def lowered_geometries(
    geometry: ConvGeometry, complex_core: bool = False, kinds: tuple[str, ...] = ("forward",)
) -> list[ConvGeometry]:
    """Return the geometries `lowered` hands to its core, for cost estimates."""
    if _nothing(geometry):
        return []
    plain = channels_first(geometry)
    times = 1
    if plain.dtype.name in HALVES:
        plain = plain.with_(dtype=numpy.dtype("float32"))
    if plain.dtype.kind == "c" and not complex_core:
        real = numpy.dtype(f"float{plain.dtype.itemsize * 4}")
        plain, times = plain.with_(dtype=real, batch=2 * plain.batch), 2
    if plain.kind in kinds:
        return [plain] * times
    if plain.kind == "weight":
        return [weight_swap(plain)] * times
    return [p.geometry for p in phases(plain) if p.geometry is not None] * times


def _from_channels_last(
    core: Core,
    xp: Namespace,
    g: ConvGeometry,
    first: Array,
    second: Array,
    complex_core: bool,
    kinds: tuple[str, ...],
) -> Array:
    plain = channels_first(g)
    first = xp.moveaxis(first, -1, 1)
    if g.kind == "weight":
        second = xp.moveaxis(second, -1, 1)
    result = lowered(core, xp, plain, first, second, complex_core=complex_core, kinds=kinds)
    return result if g.kind == "weight" else xp.ascontiguousarray(xp.moveaxis(result, 1, -1))


def _complex(
    core: Core,
    xp: Namespace,
    g: ConvGeometry,
    first: Array,
    second: Array,
    kinds: tuple[str, ...],
) -> Array:
    real = g.with_(dtype=numpy.dtype(f"float{g.dtype.itemsize * 4}"))
    result = xp.empty(g.result_shape, dtype=g.dtype)
    if g.kind == "weight":
        result.real = lowered(core, xp, real, first.real, second.real, kinds=kinds)
        result.real -= lowered(core, xp, real, first.imag, second.imag, kinds=kinds)
        result.imag = lowered(core, xp, real, first.real, second.imag, kinds=kinds)
        result.imag += lowered(core, xp, real, first.imag, second.real, kinds=kinds)
        return result
    n = g.batch
    double = real.with_(batch=2 * n)
    both = xp.concatenate([first.real, first.imag])
    made = lowered(core, xp, double, both, second.real, kinds=kinds)
    result.real, result.imag = made[:n], made[n:]
    del made  # before the next is made
    made = lowered(core, xp, double, both, second.imag, kinds=kinds)
    result.real -= made[n:]
    result.imag += made[:n]
    return result


class Phase:
    """One residue class of a stride in the gradient with respect to the input.

    Parameters
    ----------
    result : tuple of slice
        Which elements of ``x`` (spatial axes) this phase makes.
    taps : tuple of slice
        Which kernel elements reach them.
    crop : tuple of slice
        Which elements of ``y`` take part.
    geometry : ConvGeometry or None
        The stride-1 forward convolution from the cropped ``y``, or ``None`` where no kernel element
        reaches this phase and the result is zero.
    """

    __slots__ = ("crop", "geometry", "result", "taps")

    def __init__(
        self,
        result: tuple[slice, ...],
        taps: tuple[slice, ...],
        crop: tuple[slice, ...],
        geometry: ConvGeometry | None,
    ) -> None:
        self.result, self.taps, self.crop, self.geometry = result, taps, crop, geometry


def phases(g: ConvGeometry) -> Iterator[Phase]:
    """Split the gradient with respect to the input into stride-1 convolutions of ``y``.

    With ``x[i]`` touched by ``y[o]`` through tap ``t`` where ``i = o*s - p + t*d``: for one residue
    of ``i + p`` modulo ``s`` the taps are an arithmetic progression and ``o`` steps by one.
    """
    for residues in itertools.product(*(range(s) for s in g.stride)):
        axes = [_phase_axis(g, axis, r) for axis, r in enumerate(residues)]
        if any(a is not None and a[0].start >= g.spatial[i] for i, a in enumerate(axes)):
            continue
        result = tuple(a[0] for a in axes)
        if any(a[5] == 0 for a in axes):
            empty = (slice(0, 0),) * g.rank
            yield Phase(result, empty, empty, None)
            continue
        geometry = ConvGeometry(
            "forward",
            g.batch,
            g.groups,
            g.out_channels,
            g.in_channels,
            tuple(a[4] for a in axes),
            tuple(a[5] for a in axes),
            (1,) * g.rank,
            tuple(a[6] for a in axes),
            tuple(a[3] for a in axes),
            g.layout,
            g.dtype,
        )
        yield Phase(result, tuple(a[1] for a in axes), tuple(a[2] for a in axes), geometry)


def _phase_axis(g: ConvGeometry, axis: int, residue: int) -> tuple[slice, slice, slice, tuple[int, int], int, int, int]:
    """Return (result, taps, crop, padding, size of y, taps count, dilation) along one axis."""
    s, d, k = g.stride[axis], g.dilation[axis], g.kernel[axis]
    before, size, outs = g.padding[axis][0], g.spatial[axis], g.out_spatial[axis]
    start = (residue - before) % s
    length = max(0, -(-(size - start) // s))
    result = slice(start, size, s)
    step = s // math.gcd(s, d)
    first = next((t for t in range(min(k, step)) if (t * d) % s == residue), None)
    if first is None or length == 0:
        return result, slice(0, 0), slice(0, 0), (0, 0), 0, 0, 1
    taps = slice(first, k, step)
    count, spread = len(range(first, k, step)), d * step // s
    # x[start + j*s] gathers y[shift + j - m*spread] for m = 0 .. count-1.
    shift = (start + before - first * d) // s
    low, high = shift - (count - 1) * spread, shift + length
    crop = slice(max(0, low), max(0, min(outs, high), max(0, low)))
    inside = crop.stop - crop.start
    if inside == 0:
        return result, slice(0, 0), slice(0, 0), (0, 0), 0, 0, 1
    pads = (max(0, -low), high - low - max(0, -low) - inside)
    return result, taps, crop, pads, inside, count, spread


def _input(core: Core, xp: Namespace, g: ConvGeometry, y: Array, w: Array) -> Array:
    unit = all(s == 1 for s in g.stride)
    result = None if unit else xp.zeros(g.x_shape, dtype=g.dtype)
    whole = (slice(None), slice(None))
    for phase in phases(g):
        if phase.geometry is None:
            continue
        part = w[(*whole, *phase.taps)]
        part = part[(*whole, *(slice(None, None, -1),) * g.rank)]
        small = (g.groups, g.out_channels // g.groups, *part.shape[1:])
        part = xp.swapaxes(part.reshape(small), 1, 2).reshape(phase.geometry.w_shape)
        piece = y[(*whole, *phase.crop)]
        if phase.geometry.empty:
            made = xp.zeros(phase.geometry.y_shape, dtype=g.dtype)
        else:
            made = core(xp, phase.geometry, piece, part)
        if result is None:
            return made
        result[(*whole, *phase.result)] = made
        del made, part, piece  # their memory is for the next
    return xp.zeros(g.x_shape, dtype=g.dtype) if result is None else result


def weight_swap(g: ConvGeometry) -> ConvGeometry:
    """Return the forward geometry whose (cropped) output is the gradient of the weight."""
    return ConvGeometry(
        "forward",
        g.in_channels // g.groups,
        g.groups,
        g.batch * g.groups,
        g.out_channels,
        g.spatial,
        g.out_spatial,
        g.dilation,
        g.stride,
        g.padding,
        g.layout,
        g.dtype,
    )


def _weight(core: Core, xp: Namespace, g: ConvGeometry, x: Array, y: Array) -> Array:
    swap = weight_swap(g)
    groups, n = g.groups, g.batch
    x = x.reshape((n, groups, -1, *g.spatial))
    x = xp.moveaxis(x, 2, 0).swapaxes(1, 2).reshape(swap.x_shape)
    y = y.reshape((n, groups, -1, *g.out_spatial))
    y = xp.moveaxis(y, 0, 2).reshape(swap.w_shape)
    made = core(xp, swap, x, y)
    crop = (slice(None), slice(None), *(slice(0, k) for k in g.kernel))
    return xp.ascontiguousarray(xp.swapaxes(made[crop], 0, 1))
