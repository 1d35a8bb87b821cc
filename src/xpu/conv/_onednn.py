"""The oneDNN engine: Intel's CPU kernels, which PyTorch runs too, where the extra ``onednn`` is installed.

Whatever oneDNN does not do, or does only by its slow reference loops, is a reason in the plan.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import numpy

from xpu.conv import _threads
from xpu.conv._engine import Rates
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.conv._lower import lowered, lowered_geometries
from xpu.conv._onednn_library import forked, loaded, problem
from xpu.conv._onednn_primitive import DTYPES, Key, Primitive, build
from xpu.conv._space import lowered_space
from xpu.errors import text

__all__ = ["OnednnEngine"]

Array = Any
Namespace = Any

_KINDS = ("forward", "input", "weight")
# Fewer multiply-adds than this never make a process load the library (54 MB, about 15 ms).
WORTH = 1_000_000
# Its kernels count elements in 32 bits here and there.
_MOST = 2**31 - 1
# A primitive looks up its arguments and starts its threads, for each of up to four of them.
_CALLS = 8


class OnednnEngine:
    """oneDNN's convolutions and gradients of float32; of halves where the processor has them; complex64 as reals.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> OnednnEngine().supports(conv_geometry("nn.conv1d", 1, (1, 1, 4), (1, 1, 2), "f8", "f8"))
    'oneDNN has no float64 convolution on the CPU'
    """

    name = "onednn"
    device: Literal["any", "cpu", "cuda"] = "cpu"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or why oneDNN is not there or not the one for this geometry."""
        if geometry.dtype.name not in (*DTYPES, "complex64"):
            return f"oneDNN has no {geometry.dtype.name} convolution on the CPU"
        if not loaded() and geometry.macs < WORTH:
            return "it is too small to load oneDNN for"
        missing = problem()
        if missing:
            return missing
        for g in _parts(geometry):
            if max(map(math.prod, (g.x_shape, g.w_shape, g.y_shape))) > _MOST:
                return f"an array has more than {_MOST:,} elements"
            found = build(Key(g, _count()))
            if isinstance(found, str):
                return found
        return None

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the bytes of the operands and the result in oneDNN's layouts, and of its scratchpad."""
        if geometry.dtype.kind == "c":
            return lowered_space(lambda g: _primitive(g).workspace, geometry, kinds=_KINDS)
        return max((_primitive(g).workspace for g in _parts(geometry)), default=0)

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Predict the arithmetic, and a copy of every array that needs another layout."""
        total = 0.0
        for g in _parts(geometry):
            found = _primitive(g)
            total += g.flops * _share(g, found.implementation) / rates.flops
            total += 1.0 * found.reordered / rates.bandwidth + _CALLS * rates.call
        return total

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the convolution.

        Raises
        ------
        ImportError
            If oneDNN is not installed.
        NotImplementedError
            If oneDNN refuses the geometry.
        ValueError
            If an operand's shape is not the geometry's.
        """
        return self.run_with_bias(xp, geometry, first, second, None)

    def run_with_bias(self, xp: Namespace, g: ConvGeometry, first: Array, second: Array, bias: Array | None) -> Array:
        """Compute the convolution and, in the same pass of a forward one, add one number per channel."""
        _check(g, first, second, bias)
        if not _parts(g):
            result = xp.zeros(g.result_shape, dtype=g.dtype)
        elif g.dtype.kind == "c":
            result = lowered(_native, xp, g, first, second, kinds=_KINDS)
        elif bias is None or g.kind == "forward":
            return _native(xp, g, first, second, bias)
        else:
            result = _native(xp, g, first, second)
        return result if bias is None else _add(result, bias, g)


def _count() -> int:
    """Return the threads: one in a fork, where OpenMP would wait for threads that are not there."""
    return 1 if forked() else _threads.count()


@functools.lru_cache(maxsize=1024)
def _parts(geometry: ConvGeometry) -> list[ConvGeometry]:
    """Return the geometries that oneDNN is asked for: none where no product adds to the result."""
    if geometry.dtype.kind == "c":
        return lowered_geometries(geometry, kinds=_KINDS)
    return [geometry] if lowered_geometries(geometry, kinds=_KINDS) else []


def _primitive(g: ConvGeometry, bias: bool = False) -> Primitive:
    found = build(Key(g, _count(), bias))
    if isinstance(found, str):
        message = text(f"nn.conv{g.rank}d", f"oneDNN refused {g}: {found}", "Use another engine.")
        raise NotImplementedError(message)
    return found


@functools.lru_cache(maxsize=1024)
def _shapes(g: ConvGeometry) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """Return the shapes of the operands, a bias and the result, worked out once."""
    channels = g.in_channels if g.kind == "input" else g.out_channels
    return (*g.operand_shapes, (channels,), g.result_shape)


def _check(g: ConvGeometry, first: Array, second: Array, bias: Array | None) -> None:
    """Refuse operands that are not what the geometry says: oneDNN gets bare addresses."""
    for array, shape in zip((first, second, bias), _shapes(g), strict=False):
        if array is not None and (array.shape != shape or (array.dtype != g.dtype and not _swapped(array, g))):
            problem = f"an operand is {array.dtype} of shape {array.shape}, {g} takes {g.dtype} of shape {shape}"
            raise ValueError(text(f"nn.conv{g.rank}d", problem, "Pass the arrays the geometry was made from."))


def _swapped(array: Array, g: ConvGeometry) -> bool:
    return bool(array.dtype.newbyteorder("=") == g.dtype)


def _native(xp: Namespace, g: ConvGeometry, first: Array, second: Array, bias: Array | None = None) -> Array:
    result = numpy.empty(_shapes(g)[3], g.dtype)
    one, two = (numpy.require(a, g.dtype, ("C", "A")) for a in (first, second))
    added = None if bias is None else numpy.require(bias, g.dtype, ("C", "A"))
    _primitive(g, bias is not None).run(one, two, result, added)
    return result


def _add(result: Array, bias: Array, g: ConvGeometry) -> Array:
    result += bias if g.layout == "NHWC" else bias.reshape((-1, *(1,) * g.rank))
    return result


def _share(g: ConvGeometry, implementation: str) -> float:
    """Return the time of an operation against one of a large matrix product, as `benchmarks/conv_plan.py` shows it."""
    if g.depthwise:
        return 4.0
    if "gemm" in implementation:
        # Columns are written for every product, and few rows do not fill its registers.
        return 0.95 if g.pointwise else 1.2 + 8.0 * math.prod(g.kernel) / max(1, g.out_channels // g.groups)
    return (0.95 if implementation.startswith("brg") else 0.85) + 0.15 * g.groups / g.in_channels
