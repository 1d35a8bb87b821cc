"""Filters through the engines of `xpu.conv`: that they are taken, SciPy's results, and what SciPy breaks on."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import xpu
from xpu import conv
from xpu.conv._background import wait

wait()


@pytest.fixture
def engines(monkeypatch):
    """Record the engines that ran."""
    ran = []
    execute = conv.execute
    monkeypatch.setattr(conv, "execute", lambda plan, *rest: ran.append(plan.engine) or execute(plan, *rest))
    with xpu.config(device="cpu"):
        yield ran


def _noise(shape, dtype="f8", seed=0):
    rng = np.random.default_rng(seed)
    made = rng.normal(size=shape)
    return (made + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else made).astype(dtype)


def _close(got, expected, dtype):
    assert got.dtype == expected.dtype
    tolerance = 3e-5 if np.dtype(dtype).itemsize == (8 if np.dtype(dtype).kind == "c" else 4) else 1e-11
    np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "fftconvolve", "oaconvolve", "correlate"])
def test_long_signals_take_overlapping_pieces(engines, name, mode, dtype):
    a, k = _noise(60_000, dtype), _noise(1201, dtype, 1)
    _close(getattr(xpu.signal, name)(a, k, mode), getattr(scipy.signal, name)(a, k, mode), dtype)
    assert engines == ["overlap"]


@pytest.mark.parametrize("threads", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 5),
    channels=st.integers(1, 3),
    length=st.integers(1, 400) | st.integers(3000, 9000),
    kernel=st.integers(1, 90),
    dilation=st.integers(1, 3),
    pads=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    dtype=st.sampled_from(["f4", "f8", "c8", "c16"]),
    chunk=st.sampled_from([1 << 10, 1 << 19]),
)
def test_overlapping_pieces_of_every_size(threads, batch, channels, length, kernel, dilation, pads, dtype, chunk):
    from xpu.conv import _overlap

    length = max(length, dilation * (kernel - 1) + 1 - sum(pads))
    x, w = _noise((batch, channels, length), dtype), _noise((channels, 1, kernel), dtype, 1)
    options = {"padding": (pads,), "dilation": dilation, "groups": channels}
    g = conv.conv_geometry("nn.conv1d", 1, x.shape, w.shape, x.dtype, w.dtype, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_overlap._threads, "count", lambda: threads)
        patch.setattr(_overlap, "CHUNK", chunk)
        patch.setattr(_overlap, "WORTH_THREADS", 0)
        _overlap._cut.cache_clear()
        got = conv.execute(conv.plan_conv(g, engines=("overlap",)), np, x, w)
        _overlap._cut.cache_clear()
    _close(got, conv.execute(conv.plan_conv(g, engines=("gemm",)), np, x, w), dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 777, 39_999])
def test_what_is_not_finite_stays_where_it_belongs(value, place):
    x, w = _noise((1, 1, 40_000)), _noise((1, 1, 301), seed=1)
    g = conv.conv_geometry("nn.conv1d", 1, x.shape, w.shape, x.dtype, w.dtype, padding=150)
    clean = conv.execute(conv.plan_conv(g, engines=("overlap",)), np, x, w)
    x[0, 0, place] = value
    got = conv.execute(conv.plan_conv(g, engines=("overlap",)), np, x, w)
    reached = np.zeros(got.shape, bool)
    reached[..., max(0, place - 150) : place + 151] = True
    assert (np.isfinite(got) == ~reached).all()
    np.testing.assert_allclose(got[~reached], clean[~reached], atol=1e-10)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
@pytest.mark.parametrize("kernel", [(12, 9), (11, 12), (15, 15)])
@pytest.mark.parametrize("origin", [0, -3, (2, 1)])
@pytest.mark.parametrize("mode", ["reflect", "constant", "grid-wrap", "mirror", "nearest"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_even_kernels_and_origins(engines, name, mode, origin, kernel, dtype):
    a, k = _noise((70, 81), dtype), _noise(kernel, dtype, 1)
    expected = getattr(scipy.ndimage, name)(a, k, mode=mode, origin=origin, cval=1.5)
    _close(getattr(xpu.ndimage, name)(a, k, mode=mode, origin=origin, cval=1.5), expected, dtype)
    assert len(engines) == 1


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("origin", [0, 7])
@pytest.mark.parametrize("taps", [80, 81])
@pytest.mark.parametrize("name", ["convolve1d", "correlate1d"])
def test_one_axis(engines, name, taps, origin, axis):
    a, k = _noise((300, 300), "f8"), _noise(taps, "f8", 1)
    expected = getattr(scipy.ndimage, name)(a, k, axis, mode="reflect", origin=origin)
    got = getattr(xpu.ndimage, name)(a, k, axis, mode="reflect", origin=origin)
    _close(got, expected, "f8")
    assert xpu.asnumpy(got).flags.c_contiguous
    assert len(engines) == 1


def test_an_output_of_that_type_is_written(engines):
    a, k = _noise((120, 120)), _noise((15, 15), seed=1)
    made = np.zeros((120, 240))[:, ::2]
    xpu.ndimage.convolve(a, k, output=made)
    _close(xpu.asarray(made), scipy.ndimage.convolve(a, k), "f8")
    assert len(engines) == 1
    assert xpu.ndimage.convolve(a, k, output=np.float32).dtype == np.float32
    assert len(engines) == 1, "another type is SciPy's, which adds up in double precision"
    into = a.copy()
    xpu.ndimage.correlate(into, k, output=into)
    _close(xpu.asarray(into), scipy.ndimage.correlate(a, k), "f8")


def test_an_array_of_one_element_repeated():
    """SciPy 1.17 takes elements without strides for the boundary."""
    a, k = np.broadcast_to(np.float64(3.0), (50,)), np.ones(5, "i4")
    expected = scipy.ndimage.correlate(a.copy(), k, mode="constant")
    np.testing.assert_array_equal(xpu.asnumpy(xpu.ndimage.correlate(a, k, mode="constant")), expected)
    b = np.broadcast_to(np.int64(3), (50,))
    expected = scipy.ndimage.convolve(b.copy(), k)
    np.testing.assert_array_equal(xpu.asnumpy(xpu.ndimage.convolve(b, k)), expected)


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
@pytest.mark.parametrize("boundary", ["wrap", "symm"])
def test_nothing_to_repeat_at_the_boundary(name, boundary):
    """SciPy 1.17 ends the process."""
    with pytest.raises(ValueError, match=r"in1 has shape \(0, 4\).*no element to repeat"):
        getattr(xpu.signal, name)(np.zeros((0, 4)), np.ones((2, 2)), boundary=boundary)
