"""Convolutions to try cuDNN on, and the cuDNN of this machine, if it has one that can plan."""

import functools
import json

import numpy
from hypothesis import strategies as st

from xpu.conv._cudnn_graph import build_plan, device_properties
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError, load
from xpu.conv._cudnn_problem import CudnnOptions
from xpu.conv._geometry import ConvGeometry

KINDS = ("forward", "input", "weight")
LAYOUTS = ("NCHW", "NHWC")
DTYPES = ("float16", "bfloat16", "float32", "float64")
DEFAULT = CudnnOptions()


class BFloat16:
    """Stands for ml_dtypes.bfloat16, which is not always installed: planning reads only the name."""

    name = "bfloat16"
    itemsize = 2
    kind = "V"


def dtype_of(name):
    return BFloat16() if name == "bfloat16" else numpy.dtype(name)


def make(kind="forward", dtype="float32", layout="NCHW", rank=2, **changes):
    fields = {
        "batch": 2,
        "groups": 1,
        "in_channels": 8,
        "out_channels": 12,
        "spatial": (11, 9, 6)[:rank],
        "kernel": (3, 4, 2)[:rank],
        "stride": (1,) * rank,
        "dilation": (1,) * rank,
        "padding": ((0, 0),) * rank,
    }
    fields.update(changes)
    return ConvGeometry(kind, layout=layout, dtype=dtype_of(dtype), **fields)


VARIANTS = {
    "plain": lambda rank: {},
    "groups": lambda rank: {"groups": 2},
    "depthwise": lambda rank: {"groups": 8, "out_channels": 16},
    "dilation": lambda rank: {"dilation": (3, 2, 2)[:rank]},
    "stride": lambda rank: {"stride": (2, 3, 2)[:rank]},
    "padding": lambda rank: {"padding": ((2, 1), (0, 3), (1, 0))[:rank]},
    "odd": lambda rank: {"in_channels": 3, "out_channels": 5, "batch": 1},
    "everything": lambda rank: {
        "groups": 2,
        "dilation": (2, 1, 2)[:rank],
        "stride": (2, 2, 1)[:rank],
        "padding": ((4, 1), (2, 5), (0, 3))[:rank],
    },
}


@st.composite
def geometries(draw):
    rank = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    axis = [draw(st.tuples(*[st.integers(1, 3)] * 3, *[st.integers(0, 3)] * 3)) for _ in range(rank)]
    kernel, stride, dilation = (tuple(a[i] for a in axis) for i in range(3))
    padding = tuple((a[3], a[4]) for a in axis)
    spatial = tuple(
        max(1, d * (k - 1) + 1 - sum(p) + a[5]) for k, d, p, a in zip(kernel, dilation, padding, axis, strict=True)
    )
    return ConvGeometry(
        draw(st.sampled_from(KINDS)),
        draw(st.integers(1, 3)),
        groups,
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        spatial,
        kernel,
        stride,
        dilation,
        padding,
        draw(st.sampled_from(LAYOUTS)),
        dtype_of(draw(st.sampled_from(DTYPES))),
    )


@functools.cache
def cudnn_and_device():
    """The frontend and the H200's description, or the reason why there is none here."""
    try:
        cudnn = load()
    except CudnnUnavailableError as error:
        return f"cuDNN cannot plan here: {error.reason}"
    try:
        properties = device_properties(cudnn)
        build_plan(cudnn, make(), DEFAULT, properties=properties)
    except (CudnnRefusedError, RuntimeError) as error:  # the frontend raises RuntimeError for the properties
        reason = getattr(error, "reason", str(error))
        if "SUBLIBRARY_LOADING_FAILED" in reason:
            return f"this cuDNN ({cudnn.backend_version()}) plans only where there is a driver: {reason}"
        raise
    return cudnn, properties


def stored(graph):
    """What cuDNN itself keeps of a plan: its operation graph and engine, as JSON inside the blob."""
    blob = bytes(graph.serialize())
    return json.JSONDecoder().raw_decode(blob[blob.index(b'{"cudnnVersion') :].decode("latin-1"))[0]


# ------------------------------------------------------------------ the reference


def operands(geometry, seed=0):
    """Small integers: every sum is exact in every dtype, whatever its order."""
    random = numpy.random.default_rng(seed)
    return [random.integers(-3, 4, shape).astype(geometry.dtype) for shape in geometry.operand_shapes]


def forward(geometry, x, w):
    """The convolution by its definition, in float64: every window of the padded input at once."""
    if geometry.layout == "NHWC":
        x = numpy.moveaxis(x, -1, 1)
    axes = tuple(range(2, x.ndim))
    x = numpy.pad(x.astype("f8"), ((0, 0), (0, 0), *geometry.padding))
    windows = numpy.lib.stride_tricks.sliding_window_view(x, geometry.span, axes)
    steps = [slice(None, None, s) for s in geometry.stride]
    taps = [slice(None, None, d) for d in geometry.dilation]
    windows = windows[(slice(None), slice(None), *steps, *taps)]
    split = windows.reshape(windows.shape[0], geometry.groups, -1, *windows.shape[2:])
    w = w.astype("f8").reshape(geometry.groups, -1, *w.shape[1:])
    out, inside = "abc"[: geometry.rank], "xyz"[: geometry.rank]
    y = numpy.einsum(f"ngi{out}{inside},goi{inside}->ngo{out}", split, w)
    y = y.reshape(y.shape[0], -1, *y.shape[3:])
    return numpy.moveaxis(y, 1, -1) if geometry.layout == "NHWC" else y


def agrees(geometry, first, second, result, tolerance=0.0):
    """Compare with the reference; a gradient is the adjoint of the convolution, by definition."""
    result = result.astype("f8")
    if geometry.kind == "forward":
        expected = forward(geometry, first, second)
        assert result.shape == expected.shape
        assert numpy.abs(result - expected).max() <= tolerance * numpy.abs(expected).max()
        return
    random = numpy.random.default_rng(7)
    for _ in range(4):
        probe = random.integers(-3, 4, geometry.result_shape).astype("f8")
        if geometry.kind == "input":
            terms = forward(geometry, probe, second) * first
        else:
            terms = forward(geometry, first, probe) * second
        assert abs((result * probe).sum() - terms.sum()) <= tolerance * numpy.abs(terms).sum()
