"""xpu.nn against its definitions, finite differences and the decisions of placement."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import xpu
from xpu import nn


def _by_definition(x, w, bias, stride, padding, dilation, groups):
    """Convolve in float64 or complex128 by the sum that defines it; NCHW, sequences per axis."""
    rank = w.ndim - 2
    wide = np.pad(x.astype(np.result_type(x, np.float64)), [(0, 0), (0, 0), *[(p, p) for p in padding]])
    out = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(wide.shape[2:], w.shape[2:], stride, dilation, strict=True)
    ]
    y = np.zeros((len(x), len(w), *out), wide.dtype)
    per_in, per_out = w.shape[1], len(w) // groups
    for o in range(len(w)):
        first = (o // per_out) * per_in
        for offset in itertools.product(*map(range, w.shape[2:])):
            key = tuple(
                slice(k * d, k * d + (n - 1) * s + 1, s)
                for k, d, s, n in zip(offset, dilation, stride, out, strict=True)
            )
            part = wide[(slice(None), slice(first, first + per_in), *key)]
            y[:, o] += np.einsum("bc...,c->b...", part, w[(o, slice(None), *offset)])
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


@st.composite
def problems(draw):
    """A convolution that fits."""
    rank = draw(st.integers(1, 3))
    sizes = st.integers(1, 3)
    groups = draw(st.integers(1, 2))
    per_axis = {
        name: tuple(draw(values) for _ in range(rank))
        for name, values in (
            ("stride", sizes),
            ("padding", st.integers(0, 2)),
            ("dilation", st.integers(1, 2)),
            ("kernel", sizes),
            ("spatial", st.integers(1, 6)),
        )
    }
    for n, p, d, k in zip(*(per_axis[name] for name in ("spatial", "padding", "dilation", "kernel")), strict=True):
        assume(n + 2 * p >= d * (k - 1) + 1)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    dtype = draw(st.sampled_from(["f4", "f8", "c8", "c16", "f2"]))
    channels, out = groups * draw(sizes), groups * draw(sizes)

    def values(*shape):
        made = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype[0] == "c" else 0)
        return made.astype(dtype)

    x = values(draw(st.integers(0, 2)), channels, *per_axis["spatial"])
    w = values(out, channels // groups, *per_axis.pop("kernel"))
    per_axis.pop("spatial")
    return x, w, values(out) if draw(st.booleans()) else None, {**per_axis, "groups": groups}


TOLERANCE = {"e": 2e-2, "f": 1e-4, "F": 1e-4, "d": 1e-10, "D": 1e-10}


def _close(got, expected, like):
    host = xpu.asnumpy(got)
    assert (host.shape, host.dtype) == (expected.shape, like.dtype)
    tolerance = TOLERANCE[like.dtype.char]
    np.testing.assert_allclose(
        host, expected, rtol=tolerance, atol=tolerance * max(1.0, np.abs(expected).max(initial=0))
    )


@given(problem=problems(), device=st.sampled_from(["cpu", "pretend", "auto"]), last=st.booleans())
def test_convolutions_are_what_they_are_defined_to_be(problem, device, last):
    x, w, bias, options = problem
    expected = _by_definition(x, w, bias, **options)
    rank = w.ndim - 2
    given_ = np.moveaxis(x, 1, -1) if last else x
    with xpu.config(device=device):
        y = getattr(nn, f"conv{rank}d")(xpu.asarray(given_), w, bias, layout="NHWC" if last else "NCHW", **options)
    _close(xpu.moveaxis(y, -1, 1) if last else y, expected, x)


@given(problem=problems(), device=st.sampled_from(["cpu", "pretend"]))
def test_gradients_are_those_of_the_definition(problem, device):
    """The convolution is linear in x and in w, so <y, dy> = <x, dx> = <w, dw> (no bias)."""
    x, w, _, options = problem
    assume(x.dtype.char in "fd" and x.size)
    rank = w.ndim - 2
    rng = np.random.default_rng(1)
    y = _by_definition(x, w, None, **options)
    dy = rng.normal(size=y.shape).astype(x.dtype)
    with xpu.config(device=device):
        dx = getattr(nn, f"conv{rank}d_input")(x.shape, xpu.asarray(w), dy, **options)
        dw = getattr(nn, f"conv{rank}d_weight")(xpu.asarray(x), w.shape, dy, **options)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)
    scale = max(1.0, float(np.abs(y * dy).sum()))
    tolerance = TOLERANCE[x.dtype.char] * scale
    assert abs(float((dx * x).sum()) - (y * dy).sum()) < tolerance
    assert abs(float((dw * w).sum()) - (y * dy).sum()) < tolerance
    with xpu.config(device=device):
        sizes = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, k, s, p, d in zip(
                y.shape[2:], w.shape[2:], *(options[o] for o in ("stride", "padding", "dilation")), strict=True
            )
        ]
        if min(sizes) < 1:
            with pytest.raises(ValueError, match="gives spatial sizes"):
                getattr(nn, f"conv_transpose{rank}d")(dy, w, **options)
            return
        back = getattr(nn, f"conv_transpose{rank}d")(dy, w, **options)
    inside = tuple(slice(0, n) for n in back.shape)  # shorter where the stride left a rest
    np.testing.assert_allclose(xpu.asnumpy(back), xpu.asnumpy(dx)[inside], rtol=1e-4, atol=1e-4)


def test_a_gradient_is_a_finite_difference():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3))
    options = {"stride": 2, "padding": 1}
    dw = xpu.asnumpy(nn.conv2d_weight(x, w.shape, np.ones((1, 3, 3, 3)), **options))
    for index in [(0, 0, 0, 0), (2, 1, 1, 2)]:
        step = np.zeros_like(w)
        step[index] = 1e-6
        slope = float((nn.conv2d(x, w + step, **options) - nn.conv2d(x, w - step, **options)).sum()) / 2e-6
        assert abs(slope - dw[index]) < 1e-6


@pytest.mark.parametrize("make", [lambda a: a[::-1], lambda a: a[:, :, ::2], lambda a: np.broadcast_to(a[:1], a.shape)])
def test_strided_reversed_and_broadcast_inputs(make, policy):
    x = make(np.random.default_rng(0).normal(size=(2, 3, 8, 8)))
    x.flags.writeable = False
    w = np.random.default_rng(1).normal(size=(4, 3, 3, 3))[:, :, ::-1]
    _close(nn.conv2d(xpu.asarray(x), w), _by_definition(x, w, None, (1, 1), (0, 0), (1, 1), 1), x)


# ----------------------------------------------------------------------------- pooling


def _pool_by_definition(x, reduce, kernel, stride, padding, ceil_mode, include):
    """One axis at the end of x; windows as PyTorch's documentation defines them."""
    length = x.shape[-1]
    reach = (length + 2 * padding - kernel) / stride
    count = int(np.ceil(reach) if ceil_mode else np.floor(reach)) + 1
    if ceil_mode and (count - 1) * stride >= length + padding:
        count -= 1
    made = []
    for i in range(count):
        start = i * stride - padding
        stop = min(start + kernel, length + padding)
        inside = x[..., max(start, 0) : min(stop, length)]
        if reduce == "max":
            made.append(inside.max(-1))
        else:
            made.append(inside.sum(-1) / ((stop - start) if include else inside.shape[-1]))
    return np.stack(made, -1)


@given(
    length=st.integers(1, 9),
    kernel=st.integers(1, 4),
    stride=st.one_of(st.none(), st.integers(1, 4)),
    padding=st.integers(0, 2),
    ceil_mode=st.booleans(),
    include=st.booleans(),
    name=st.sampled_from(["max", "avg"]),
    device=st.sampled_from(["cpu", "pretend"]),
)
def test_pooling(length, kernel, stride, padding, ceil_mode, include, name, device):
    assume(2 * padding <= kernel <= length + 2 * padding)
    x = np.random.default_rng(0).normal(size=(2, 3, length))
    expected = _pool_by_definition(x, name, kernel, stride or kernel, padding, ceil_mode, include)
    more = {"count_include_pad": include} if name == "avg" else {}
    with xpu.config(device=device):
        pool = getattr(nn, f"{name}_pool1d")
        got = pool(xpu.asarray(x), kernel, stride, padding, ceil_mode=ceil_mode, **more)
        square = getattr(nn, f"{name}_pool2d")(
            xpu.asarray(x[..., None].repeat(4, -1)),
            (kernel, 1),
            (stride or kernel, 1),
            (padding, 0),
            ceil_mode=ceil_mode,
            **more,
        )
    np.testing.assert_allclose(xpu.asnumpy(got), expected)
    np.testing.assert_allclose(xpu.asnumpy(square)[..., 2], expected)


def test_pooling_in_three_dimensions_and_channels_last():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 4, 2))
    got = xpu.asnumpy(nn.max_pool3d(x, 2, layout="NHWC"))
    assert got.shape == (1, 2, 2, 2, 2)
    np.testing.assert_array_equal(got[0, 1, 0, 1], x[0, 2:, :2, 2:].max((0, 1, 2)))
    np.testing.assert_allclose(
        xpu.asnumpy(nn.avg_pool3d(x, 2, divisor_override=1, layout="NHWC"))[0, 0, 0, 0], x[0, :2, :2, :2].sum((0, 1, 2))
    )


# ----------------------------------------------------------------------------- the rest


def test_softmax_and_relu(policy):
    x = np.random.default_rng(0).normal(size=(3, 5)) * 100
    made = nn.softmax(xpu.asarray(x), 0)
    e = np.exp(x - x.max(0))
    np.testing.assert_allclose(xpu.asnumpy(made), e / e.sum(0))
    assert nn.softmax(np.ones(3, np.float16)).dtype == np.float16
    np.testing.assert_array_equal(xpu.asnumpy(nn.relu(xpu.asarray(x))), np.maximum(x, 0))


def test_batch_norm(policy):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(4, 3, 5)), rng.normal(size=3), rng.normal(size=3)
    mean, var = xpu.zeros(3), xpu.ones(3)
    made = nn.batch_norm(xpu.asarray(x), mean, var, weight, bias, training=True, momentum=0.5)
    m, v = x.mean((0, 2)), x.var((0, 2))
    expected = (x - m[:, None]) / np.sqrt(v[:, None] + 1e-5) * weight[:, None] + bias[:, None]
    np.testing.assert_allclose(xpu.asnumpy(made), expected)
    np.testing.assert_allclose(xpu.asnumpy(mean), 0.5 * m)
    np.testing.assert_allclose(xpu.asnumpy(var), 0.5 + 0.5 * v * 20 / 19)
    fixed = nn.batch_norm(xpu.asarray(x), mean, var, eps=0.0)
    np.testing.assert_allclose(
        xpu.asnumpy(fixed), (x - 0.5 * m[:, None]) / np.sqrt(0.5 + 0.5 * v * 20 / 19)[:, None], rtol=1e-10
    )


def test_where_a_convolution_ran_and_why():
    x, w = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
    with xpu.config(device="cpu"):
        here = xpu.asarray(x)
    with xpu.config(device="pretend"), xpu.profile() as p:
        y = nn.conv2d(here, w, padding=1)
    event = p.events[-1]
    assert (event.op, event.device, event.reason) == ("nn.conv2d", "pretend:0", "forced by config(device=...)")
    assert event.bytes_moved == x.nbytes + w.nbytes
    assert y.device == "pretend:0"
    told = xpu.explain(nn.conv2d, x, w, padding=1)
    assert told.op == "nn.conv2d"


def test_a_plan_is_data():
    plan = nn.plan_conv(np.ones((1, 8, 20, 20), np.float32), np.ones((8, 8, 3, 3), np.float32), padding="same")
    assert plan.geometry.y_shape == (1, 8, 20, 20)
    assert plan.engine in dict(plan.seconds)
    assert plan is nn.plan_conv((1, 8, 20, 20), (8, 8, 3, 3), padding="same")


X, W = np.ones((1, 4, 5, 5)), np.ones((6, 4, 3, 3))


@pytest.mark.parametrize("device", ["cpu", "pretend"])
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nn.conv2d(X, np.ones((6, 3, 3, 3))), ValueError, r"nn.conv2d.*\(1, 4, 5, 5\).*\(6, 3, 3, 3\)"),
        (lambda: nn.conv2d(X, W, groups=3), ValueError, "groups"),
        (lambda: nn.conv2d(X, np.ones((6, 4, 7, 7))), ValueError, r"\(6, 4, 7, 7\)"),
        (lambda: nn.conv2d(X, W, padding=-1), ValueError, "padding"),
        (lambda: nn.conv2d(X, W, stride=0), ValueError, "stride"),
        (lambda: nn.conv1d(X, W), ValueError, r"nn.conv1d.*\(1, 4, 5, 5\)|nn.conv1d.*\(6, 4, 3, 3\)"),
        (lambda: nn.conv2d(X.astype("f4"), W), TypeError, "float32.*float64|float64.*float32"),
        (lambda: nn.conv2d(X.astype(int), W.astype(int)), TypeError, "int64"),
        (lambda: nn.conv2d(X, W, np.ones(5)), ValueError, r"bias has shape \(5,\)"),
        (lambda: nn.conv2d_input((1, 4, 9, 9), W, np.ones((1, 6, 3, 3))), ValueError, "grad_output has shape"),
        (lambda: nn.max_pool2d(X, 7), ValueError, "larger than x of shape"),
        (lambda: nn.max_pool2d(X, 2, padding=2), ValueError, "more than half"),
        (lambda: nn.avg_pool2d(X[0, 0], 2), ValueError, "that is 2 axes"),
        (lambda: nn.avg_pool2d(X, 2, divisor_override=0), ValueError, "divisor_override=0"),
        (lambda: nn.softmax(np.ones(3, int)), TypeError, "int64"),
        (lambda: nn.batch_norm(X, np.ones(3), np.ones(4)), ValueError, r"running_mean has shape \(3,\)"),
        (lambda: nn.batch_norm(X, None, None), ValueError, "training is False"),
    ],
)
def test_mistakes_name_the_function_and_the_shapes(call, error, words, device):
    with xpu.config(device=device, on_fallback="raise"), pytest.raises(error, match=words):
        call()
