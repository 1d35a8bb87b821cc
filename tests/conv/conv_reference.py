"""A convolution and its gradients from their definition in complex128, sharing no code with the engines."""

from __future__ import annotations

import itertools
import math

import numpy
from hypothesis import strategies as st

from xpu.conv._geometry import ConvGeometry

EPS = {"float16": 1e-3, "float32": 1.2e-7, "float64": 2.3e-16, "complex64": 1.2e-7, "complex128": 2.3e-16}


def reference(g: ConvGeometry, first: numpy.ndarray, second: numpy.ndarray) -> numpy.ndarray:
    """Walk over every kernel element and add what it joins."""
    last = g.layout == "NHWC"
    a, b = first.astype("c16"), second.astype("c16")
    if last:
        a = numpy.moveaxis(a, -1, 1)
        b = numpy.moveaxis(b, -1, 1) if g.kind == "weight" else b
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(g.spatial, g.padding, strict=True))
    inner = (..., *(slice(lo, lo + n) for n, (lo, _) in zip(g.spatial, g.padding, strict=True)))
    x = numpy.zeros((g.batch, g.in_channels, *padded), "c16")
    w = numpy.zeros(g.w_shape, "c16")
    y = numpy.zeros((g.batch, g.out_channels, *g.out_spatial), "c16")
    if g.kind != "input":
        x[inner] = a
    if g.kind != "weight":
        w[...] = b
    if g.kind != "forward":
        y[...] = a if g.kind == "input" else b
    per_in, per_out = g.in_channels // g.groups, g.out_channels // g.groups
    for group, tap in itertools.product(range(g.groups), itertools.product(*map(range, g.kernel))):
        ins, outs = slice(group * per_in, (group + 1) * per_in), slice(group * per_out, (group + 1) * per_out)
        at = tuple(
            slice(t * d, t * d + s * (o - 1) + 1, s)
            for t, d, s, o in zip(tap, g.dilation, g.stride, g.out_spatial, strict=True)
        )
        xs, ws, ys = x[(slice(None), ins, *at)], w[(outs, slice(None), *tap)], y[:, outs]
        if g.kind == "forward":
            ys += numpy.einsum("oc,nc...->no...", ws, xs)
        elif g.kind == "input":
            xs += numpy.einsum("oc,no...->nc...", ws, ys)
        else:
            pixels = math.prod(g.out_spatial)
            flat = xs.reshape(g.batch, per_in, pixels), ys.reshape(g.batch, per_out, pixels)
            w[(outs, slice(None), *tap)] = numpy.einsum("ncp,nop->oc", *flat)
    result = {"forward": y, "input": x[inner], "weight": w}[g.kind]
    return numpy.moveaxis(result, 1, -1) if last and g.kind != "weight" else result


def check(g: ConvGeometry, got: numpy.ndarray, first: numpy.ndarray, second: numpy.ndarray, factor: float = 8) -> None:
    """Compare within ``factor`` roundings of the sum of magnitudes (and of the result's own)."""
    assert got.shape == g.result_shape
    assert got.dtype == g.dtype
    if got.size == 0:
        return
    want = reference(g, first, second)
    scale = float(numpy.abs(reference(g, numpy.abs(first), numpy.abs(second))).max())
    error = float(numpy.abs(got.astype("c16") - want).max())
    bound = factor * EPS[g.dtype.name] * max(scale, 1e-30)
    message = f"{g}: error {error:.3g} over the bound {bound:.3g}"
    assert error <= bound, message


@st.composite
def geometries(draw: st.DrawFn, kinds: tuple[str, ...] = ("forward", "input", "weight")) -> ConvGeometry:
    """Any small convolution whose kernel fits its padded input, degenerate ones included."""
    rank = draw(st.integers(1, 3))
    top = {1: 14, 2: 9, 3: 6}[rank]
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    dilation = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(rank))
    stride = tuple(draw(st.sampled_from([1, 1, 2, 3])) for _ in range(rank))
    padding = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(rank))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(0, r - sum(p)) for r, p in zip(spans, padding, strict=True)]
    spatial = tuple(draw(st.integers(lo, max(lo, top))) for lo in least)
    return ConvGeometry(
        draw(st.sampled_from(kinds)),
        draw(st.integers(0, 3)),
        groups,
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        spatial,
        kernel,
        stride,
        dilation,
        padding,
        draw(st.sampled_from(["NCHW", "NHWC"])),
        numpy.dtype(draw(st.sampled_from(sorted(EPS)))),
    )


def operand(rng: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype, form: str) -> numpy.ndarray:
    """Make an operand: in one of `FORMS`."""
    full = tuple(2 * n for n in shape) if form == "strided" else shape
    made = rng.standard_normal(full)
    values = (made + 1j * rng.standard_normal(full)) if dtype.kind == "c" else made
    values = values.astype(dtype)
    if form == "strided":
        values = values[tuple(slice(None, None, 2) for _ in shape)]
    elif form == "reversed":
        values = values[tuple(slice(None, None, -1) for _ in shape)]
    elif form == "transposed":
        values = values.T.copy().T
    elif form == "broadcast" and shape[0]:
        values = numpy.broadcast_to(values[:1], shape)
    elif form == "misaligned":
        values = misaligned(values)
    if form == "readonly":
        values.setflags(write=False)
    return values


def misaligned(values: numpy.ndarray) -> numpy.ndarray:
    """Return a copy one byte beside where elements of its kind lie."""
    copy = numpy.zeros(values.nbytes + 1, numpy.uint8)[1:].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


FORMS = ("plain", "strided", "reversed", "transposed", "broadcast", "readonly", "misaligned")
