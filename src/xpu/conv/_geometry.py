"""The shapes of a convolution, without an array in sight.

Plans, cost estimates and every engine speak of a convolution through `ConvGeometry`, so all
arithmetic on shapes stands here, once.  `xpu.conv._arguments` makes one from what a user wrote.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Literal

import numpy

__all__ = ["ConvGeometry", "Kind", "Layout", "Pairs", "Sizes"]

Kind = Literal["forward", "input", "weight"]
Layout = Literal["NCHW", "NHWC"]
Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ConvGeometry:
    """One convolution as PyTorch means it (cross-correlation), or one of its two gradients.

    The fields describe the *forward* convolution ``y = conv(x, w)`` whatever the kind is:
    ``kind="input"`` computes ``x`` (its gradient) from ``y`` and ``w``, which is the transposed
    convolution; ``kind="weight"`` computes ``w`` (its gradient) from ``x`` and ``y``.

    Parameters
    ----------
    kind : {"forward", "input", "weight"}
        Which of ``y``, ``x``, ``w`` is computed from the other two.
    batch, groups, in_channels, out_channels : int
        Channels are totals over all groups.
    spatial : tuple of int
        Sizes of the spatial axes of ``x``; one to three of them.
    kernel, stride, dilation : tuple of int
        One number per spatial axis.
    padding : tuple of (int, int)
        Zeros (before, after) each spatial axis of ``x``.
    layout : {"NCHW", "NHWC"}
        Channels before or after the spatial axes of ``x`` and ``y``, for any rank.  The weight is
        ``(out_channels, in_channels // groups, *kernel)`` in both, as in PyTorch.
    dtype : numpy.dtype
        Element type of all three arrays.

    Notes
    -----
    ``out = (in + before + after - dilation * (kernel - 1) - 1) // stride + 1`` is the formula of
    `torch.nn.Conv2d <https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html>`_.

    Examples
    --------
    >>> g = ConvGeometry("forward", 1, 1, 3, 8, (5, 6), (3, 3), (1, 2), (1, 1),
    ...                  ((1, 1), (0, 1)), "NCHW", numpy.dtype("float32"))
    >>> g.x_shape, g.w_shape, g.y_shape
    ((1, 3, 5, 6), (8, 3, 3, 3), (1, 8, 5, 3))
    >>> g.flops
    6480
    """

    kind: Kind
    batch: int
    groups: int
    in_channels: int
    out_channels: int
    spatial: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    padding: Pairs
    layout: Layout
    dtype: numpy.dtype[numpy.generic]

    # A geometry is looked up and asked for its shapes at every call: all of it is worked out once.
    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @cached_property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.spatial)

    @cached_property
    def span(self) -> Sizes:
        """Extent of the dilated kernel per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @cached_property
    def out_spatial(self) -> Sizes:
        """Sizes of the spatial axes of ``y``."""
        return tuple(
            (n + before + after - reach) // s + 1
            for n, (before, after), reach, s in zip(self.spatial, self.padding, self.span, self.stride, strict=True)
        )

    @cached_property
    def x_shape(self) -> Sizes:
        """Shape of the input in this layout."""
        return self._shape(self.in_channels, self.spatial)

    @cached_property
    def w_shape(self) -> Sizes:
        """Shape of the weight: ``(out_channels, in_channels // groups, *kernel)``."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @cached_property
    def y_shape(self) -> Sizes:
        """Shape of the forward output in this layout."""
        return self._shape(self.out_channels, self.out_spatial)

    @cached_property
    def result_shape(self) -> Sizes:
        """Shape of what this kind computes."""
        return {"forward": self.y_shape, "input": self.x_shape, "weight": self.w_shape}[self.kind]

    @cached_property
    def operand_shapes(self) -> tuple[Sizes, Sizes]:
        """Shapes of the two operands, in call order: (x, w), (y, w) or (x, y)."""
        x, w, y = self.x_shape, self.w_shape, self.y_shape
        return {"forward": (x, w), "input": (y, w), "weight": (x, y)}[self.kind]

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulate steps of the direct algorithm; the same for all three kinds."""
        taps = math.prod(self.kernel) * (self.in_channels // self.groups)
        return self.batch * self.out_channels * math.prod(self.out_spatial) * taps

    @cached_property
    def flops(self) -> int:
        """Real floating-point operations of the direct algorithm (a complex step is 8)."""
        return self.macs * (8 if self.dtype.kind == "c" else 2)

    @cached_property
    def bytes(self) -> int:
        """Bytes of both operands and the result, each moved once."""
        return self.operand_bytes + self.result_bytes

    @cached_property
    def operand_bytes(self) -> int:
        """Bytes of the two operands."""
        first, second = self.operand_shapes
        return (math.prod(first) + math.prod(second)) * self.dtype.itemsize

    @cached_property
    def result_bytes(self) -> int:
        """Bytes of the result."""
        return math.prod(self.result_shape) * self.dtype.itemsize

    @cached_property
    def flow_bytes(self) -> int:
        """Bytes of what flows in and out, ``x`` and ``y``; of the weight too only where it is the result."""
        first, second = self.operand_shapes
        flows = math.prod(first) + (math.prod(second) if self.kind == "weight" else 0)
        return flows * self.dtype.itemsize + self.result_bytes

    @cached_property
    def empty(self) -> bool:
        """Whether there is nothing to add up: the result is then all zeros, or has no element."""
        return self.macs == 0

    @cached_property
    def depthwise(self) -> bool:
        """Whether each group has a single input channel."""
        return self.groups == self.in_channels > 1

    @cached_property
    def pointwise(self) -> bool:
        """Whether the kernel is 1 everywhere, with stride 1 and no padding: a matrix product."""
        return all(k == 1 for k in self.kernel + self.stride) and not any(
            before or after for before, after in self.padding
        )

    def with_(self, **changes: object) -> ConvGeometry:
        """Return a copy with some fields replaced."""
        return _replaced(self, tuple(changes.items()))

    def _shape(self, channels: int, sizes: Sizes) -> Sizes:
        if self.layout == "NCHW":
            return (self.batch, channels, *sizes)
        return (self.batch, *sizes, channels)

    def __str__(self) -> str:
        """Return one line: kind, shapes, and whatever is not at its default."""
        first, second = self.operand_shapes
        parts = [f"conv{self.rank}d {self.kind} {first} x {second} -> {self.result_shape}"]
        for name in ("stride", "dilation"):
            value = getattr(self, name)
            if any(v != 1 for v in value):
                parts.append(f"{name}={value}")
        if any(pair != (0, 0) for pair in self.padding):
            parts.append(f"padding={self.padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        return ", ".join([*parts, self.layout, str(self.dtype)])


@lru_cache(maxsize=4096)
def _replaced(geometry: ConvGeometry, changes: tuple[tuple[str, object], ...]) -> ConvGeometry:
    return replace(geometry, **dict(changes))  # type: ignore[arg-type]
