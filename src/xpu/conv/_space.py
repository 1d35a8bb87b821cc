"""The memory that `xpu.conv._lower` takes around an engine's own: its copies, counted where it makes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy

from xpu.conv._geometry import ConvGeometry
from xpu.conv._lower import HALVES, channels_first, lowered_geometries, phases, weight_swap

__all__ = ["lowered_space"]

Core = Callable[[ConvGeometry], int]


def lowered_space(
    core: Core, geometry: ConvGeometry, *, complex_core: bool = False, kinds: tuple[str, ...] = ("forward",)
) -> int:
    """Return the most bytes that `lowered` holds at once beside operands and result.

    Parameters
    ----------
    core : callable
        The bytes an engine takes for a geometry as `lowered` hands it over, its operands being contiguous.
    geometry : ConvGeometry
        What is computed.
    complex_core, kinds
        As of `lowered`.

    Returns
    -------
    int

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f2", "f2")
    >>> lowered_space(lambda g: 100, g)  # 4, 2 and 3 numbers in float32 too
    136
    """
    if not lowered_geometries(geometry, complex_core, kinds):
        return 0
    g = channels_first(geometry)
    again = {"complex_core": complex_core, "kinds": kinds}
    if geometry.layout == "NHWC":
        # An operand whose channels were moved is made contiguous; the result is moved back into another array.
        first, second = _operands(g)
        moved = first + second if g.kind == "weight" else first + g.result_bytes
        return moved + lowered_space(core, g, **again)  # type: ignore[arg-type]
    if g.dtype.name in HALVES:
        wide = g.with_(dtype=numpy.dtype("float32"))
        return wide.bytes + lowered_space(core, wide, **again)  # type: ignore[arg-type]
    if g.dtype.kind == "c" and not complex_core:
        return _complex(core, g, kinds)
    if g.kind in kinds:
        return core(g)
    if g.kind == "weight":
        swap = weight_swap(g)
        made = swap.result_bytes
        # x and y in another order; the swapped result, of which the gradient is a part.
        return sum(_operands(g)) + made + core(swap)
    return max((_phase(core, g, p.geometry) for p in phases(g) if p.geometry is not None), default=0)


def _operands(g: ConvGeometry) -> tuple[int, int]:
    first, second = (math.prod(shape) * g.dtype.itemsize for shape in g.operand_shapes)
    return first, second


def _complex(core: Core, g: ConvGeometry, kinds: tuple[str, ...]) -> int:
    real = g.with_(dtype=numpy.dtype(f"float{g.dtype.itemsize * 4}"))
    first, second = _operands(g)
    if g.kind == "weight":
        # One real product at a time, of parts that are made contiguous, and the sum of two.
        return (first + second) // 2 + g.result_bytes // 2 + lowered_space(core, real, kinds=kinds)
    double = real.with_(batch=2 * g.batch)
    return first + second // 2 + g.result_bytes + lowered_space(core, double, kinds=kinds)


def _phase(core: Core, g: ConvGeometry, phase: ConvGeometry) -> int:
    """Return the bytes of a phase's kernel in another order and, with a stride, of its part of y and of the result."""
    piece, kernel = _operands(phase)
    whole = all(s == 1 for s in g.stride)
    return kernel + piece + (0 if whole else phase.result_bytes) + core(phase)
