"""What an engine is: the one small protocol, and the constants a cost estimate starts from.

An engine does one thing: a convolution of the geometries it supports.  `xpu.conv._lower` turns the
two gradients, channels-last arrays, half precision and complex numbers into what a plain engine
does, which is a real forward convolution with channels first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from xpu.conv._geometry import ConvGeometry

__all__ = ["Engine", "Rates", "allowance", "itemcost"]

Array = Any
Namespace = Any

# The workspace a plan may take, in multiples of input and output.
WORKSPACE_FACTOR = 2
# On a GPU cuDNN's kernels need some bytes that do not depend on the problem.
FLOOR_CUDA = 1 << 20


@dataclass(frozen=True, slots=True)
class Rates:
    """What a device does per second, for cost estimates.

    Parameters
    ----------
    flops : float
        float32 operations per second of a large matrix product, all threads together.
    bandwidth : float
        Bytes per second of a copy, read and write counted.
    call : float
        Seconds one library call costs at least.
    threads : int
        Threads the first two are for.
    """

    flops: float = 1.0e11
    bandwidth: float = 1.0e10
    call: float = 3.0e-6
    threads: int = 1

    def for_threads(self, threads: int) -> Rates:
        """Return the rates with another number of threads; the memory is shared after two."""
        factor = threads / self.threads
        return Rates(self.flops * factor, self.bandwidth * min(factor, 2.0), self.call, threads)


class Engine(Protocol):
    """One way to compute a convolution."""

    name: str
    device: Literal["any", "cpu", "cuda"]

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return ``None``, or the reason why this engine does not do this geometry."""
        ...

    def workspace(self, geometry: ConvGeometry) -> int:
        """Return the most bytes this engine holds at once beside its operands (contiguous) and the result."""
        ...

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Return the predicted run time."""
        ...

    def run(self, xp: Namespace, geometry: ConvGeometry, first: Array, second: Array) -> Array:
        """Compute the result; ``first`` and ``second`` have ``geometry.operand_shapes``."""
        ...


def itemcost(geometry: ConvGeometry) -> float:
    """Return how much slower arithmetic on this element type is than on float32."""
    return {"float64": 2.0, "complex128": 2.0}.get(geometry.dtype.name, 1.0)


def allowance(geometry: ConvGeometry, device: str = "cpu") -> int:
    """Return the bytes of workspace a plan may take unless the caller allows more: twice its inputs and its output.

    The inputs are both operands: a layer of many channels on few pixels works on its weight more than on its data.
    """
    return max(WORKSPACE_FACTOR * geometry.bytes, FLOOR_CUDA if device == "cuda" else 0)
