"""A convolution in cuDNN's terms: dims, strides in elements, padding; plain data, no cuDNN needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xpu.conv._geometry import ConvGeometry, Kind, Sizes

__all__ = [
    "ROLES",
    "UIDS",
    "CudnnOptions",
    "Problem",
    "Tensor",
    "contiguous",
    "default_workspace_limit",
    "describe",
    "packed_strides",
    "refusal",
]

UIDS = {"x": 1, "w": 2, "bias": 3, "y": 4}
# What each kind computes, and from what, in call order.
ROLES: dict[Kind, tuple[str, str, str]] = {
    "forward": ("x", "w", "y"),
    "input": ("y", "w", "x"),
    "weight": ("x", "y", "w"),
}
_DATA_TYPES = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
_SMALL_WORKSPACE = 1 << 20


@dataclass(frozen=True, slots=True)
class CudnnOptions:
    """What a plan may do.

    Parameters
    ----------
    tf32 : bool
        Allow float32 convolutions to round their operands to TensorFloat-32 (10 bits of mantissa)
        and run on tensor cores. Off: true float32.
    deterministic : bool
        Allow only engines whose result is the same bit for bit from run to run.
    workspace_limit : int or None
        Most bytes of workspace; None is `default_workspace_limit`.
    choice : int
        Which of the plans that the rest allows, in the order of cuDNN's heuristics; 0 is the first.
    """

    tf32: bool = False
    deterministic: bool = True
    workspace_limit: int | None = None
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as cuDNN sees it: axes always (batch, channels, spatial), strides in elements."""

    name: str
    dim: Sizes
    stride: Sizes


@dataclass(frozen=True, slots=True)
class Problem:
    """One convolution as cuDNN takes it: at least two spatial axes, every stride spelled out."""

    kind: Kind
    data_type: str
    x: Tensor
    w: Tensor
    y: Tensor
    before: Sizes
    after: Sizes
    stride: Sizes
    dilation: Sizes
    bias: bool

    @property
    def result(self) -> Tensor:
        """The tensor that is computed."""
        return {"x": self.x, "w": self.w, "y": self.y}[ROLES[self.kind][2]]


def refusal(geometry: ConvGeometry) -> str | None:
    """Return why cuDNN does not take a convolution, or None; from the geometry alone.

    Examples
    --------
    >>> import numpy
    >>> g = ConvGeometry("forward", 1, 1, 3, 8, (5, 6), (3, 3), (1, 1), (1, 1),
    ...                  ((1, 1), (1, 1)), "NCHW", numpy.dtype("complex64"))
    >>> refusal(g)
    'cuDNN has no complex64 convolution'
    >>> refusal(g.with_(dtype=numpy.dtype("float32"))) is None
    True
    """
    if geometry.dtype.name not in _DATA_TYPES:
        return f"cuDNN has no {geometry.dtype.name} convolution"
    if not 1 <= geometry.rank <= 3:
        return f"cuDNN has no convolution over {geometry.rank} spatial axes"
    if geometry.empty or 0 in geometry.result_shape:
        return f"cuDNN takes no empty arrays: {geometry.operand_shapes} to {geometry.result_shape}"
    return None


def default_workspace_limit(geometry: ConvGeometry) -> int:
    """Return twice the bytes of operands and result, at least 1 MiB.

    The floor lets tiny convolutions keep engines with a small fixed workspace.
    """
    return max(2 * geometry.bytes, _SMALL_WORKSPACE)


def contiguous(shape: Sizes) -> Sizes:
    """Return the strides, in elements, of a C-contiguous array.

    Examples
    --------
    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def packed_strides(shape: Sizes, strides: Sizes, itemsize: int, channels: int) -> Sizes | None:
    """Return an array's strides in elements if its memory is dense, channels first or last.

    These two orders are the only ones handed to cuDNN. It refuses gaps in a weight, broadcast,
    reversed and overlapping axes; for a gap in ``x`` it drops to slow general engines or packs the
    array itself, which costs what a copy costs.

    Parameters
    ----------
    shape, strides : tuple of int
        As of an array; strides in bytes.
    itemsize : int
        Bytes per element.
    channels : int
        The axis of channels, 1 or ``len(shape) - 1``; of ``in_channels // groups`` for a weight.

    Returns
    -------
    tuple of int or None
        Strides in elements. An axis of size 1 gets the stride it has in a dense array, whatever
        the array says, so that equal memory gives equal plans. None for any other order.

    Examples
    --------
    >>> packed_strides((2, 3, 5), (60, 20, 4), 4, channels=1)
    (15, 5, 1)
    >>> packed_strides((2, 3, 5), (60, 4, 12), 4, channels=1)
    (15, 1, 3)
    >>> packed_strides((2, 3, 5), (0, 20, 4), 4, channels=1) is None
    True
    """
    others = [axis for axis in range(1, len(shape)) if axis != channels]
    for order in ((0, channels, *others), (0, *others, channels)):
        dense = contiguous(tuple(shape[axis] for axis in order))
        found = tuple(stride for _, stride in sorted(zip(order, dense, strict=True)))
        if all(n == 1 or s == t * itemsize for n, s, t in zip(shape, strides, found, strict=True)):
            return found
    return None


def describe(geometry: ConvGeometry, strides: Sequence[Sizes] | None = None, bias: bool = False) -> Problem:
    """State a convolution in cuDNN's terms.

    A one-dimensional convolution becomes a two-dimensional one of height 1.

    Parameters
    ----------
    geometry : ConvGeometry
        One that `refusal` lets pass.
    strides : sequence of tuple of int, optional
        Strides in elements of the two operands (in call order) and the result; C-contiguous if not
        given.
    bias : bool
        Whether a value per output channel is added (``kind="forward"`` only).

    Examples
    --------
    >>> import numpy
    >>> g = ConvGeometry("forward", 2, 1, 3, 8, (9,), (4,), (2,), (1,), ((1, 0),), "NHWC",
    ...                  numpy.dtype("float32"))
    >>> describe(g).x
    Tensor(name='x', dim=(2, 3, 1, 9), stride=(27, 1, 27, 3))
    >>> describe(g).before, describe(g).after
    ((0, 1), (0, 0))
    """
    shapes = (*geometry.operand_shapes, geometry.result_shape)
    if strides is None:
        strides = [contiguous(shape) for shape in shapes]
    tensors = {
        name: _tensor(name, shape, stride, geometry.layout == "NHWC" and name != "w")
        for name, shape, stride in zip(ROLES[geometry.kind], shapes, strides, strict=True)
    }
    lift = geometry.rank == 1
    return Problem(
        kind=geometry.kind,
        data_type=_DATA_TYPES[geometry.dtype.name],
        **tensors,
        before=(0,) * lift + tuple(pair[0] for pair in geometry.padding),
        after=(0,) * lift + tuple(pair[1] for pair in geometry.padding),
        stride=(1,) * lift + geometry.stride,
        dilation=(1,) * lift + geometry.dilation,
        bias=bias,
    )


def _tensor(name: str, shape: Sizes, stride: Sizes, channels_last: bool) -> Tensor:
    if channels_last:
        shape = (shape[0], shape[-1], *shape[1:-1])
        stride = (stride[0], stride[-1], *stride[1:-1])
    if len(shape) == 3:
        shape = (*shape[:2], 1, shape[2])
        stride = (*stride[:2], stride[2] * shape[3], stride[2])
    return Tensor(name, shape, stride)
