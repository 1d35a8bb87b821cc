"""oneDNN beyond the geometry every engine is tested with: its fast kernels, threads, forks, refusals, lifetimes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import pytest
from conv_reference import FORMS, check, operand
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xpu.conv import ConvGeometry, _onednn, _onednn_library, _onednn_primitive, _threads, conv, plan_conv
from xpu.conv._onednn import OnednnEngine

ENGINE = OnednnEngine()
PROBLEM = _onednn_library.problem()
there = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM or "it is there")


def geometry(**changes) -> ConvGeometry:
    """A 3x3 layer that oneDNN has a compiled kernel for on every processor with AVX2."""
    plain = ConvGeometry(
        *("forward", 2, 1, 16, 32, (14, 14), (3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), "NCHW", numpy.dtype("float32"))
    )
    return plain.with_(**changes)


def operands(g: ConvGeometry, forms=("plain", "plain"), seed=1) -> list[numpy.ndarray]:
    rng = numpy.random.default_rng(seed)
    return [operand(rng, shape, g.dtype, form) for shape, form in zip(g.operand_shapes, forms, strict=True)]


@there
@settings(deadline=None)
@given(data=st.data())
def test_wide_channels_in_every_kind_layout_and_number_of_threads(data) -> None:
    draw = data.draw
    rank = draw(st.integers(1, 3))
    groups, depthwise = draw(st.sampled_from([1, 1, 2, 4])), draw(st.booleans())
    wide = st.sampled_from([1, 3, 8, 16, 17, 24, 32])
    channels, rows = draw(wide), draw(wide)
    if depthwise:
        groups, channels, rows = draw(st.sampled_from([8, 16, 24, 33])), 1, draw(st.sampled_from([1, 1, 2]))
    kernel, stride, dilation = (
        tuple(draw(st.integers(1, most)) for _ in range(rank)) for most in (5 if rank < 3 else 3, 3, 2)
    )
    pads = tuple((draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(rank))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    spatial = tuple(
        draw(st.integers(max(1, r - sum(p)), {1: 80, 2: 40, 3: 9}[rank])) for r, p in zip(spans, pads, strict=True)
    )
    kind = draw(st.sampled_from(["forward", "input", "weight"]))
    layout, threads = draw(st.sampled_from(["NCHW", "NHWC"])), draw(st.integers(1, 2))
    shapes = (groups * channels, groups * rows, spatial, kernel, stride, dilation, pads, layout)
    g = ConvGeometry(kind, draw(st.integers(1, 3)), groups, *shapes, numpy.dtype("float32"))
    with _threads.limit(threads):
        assume(ENGINE.supports(g) is None)
        first, second = operands(g, [draw(st.sampled_from(FORMS)) for _ in range(2)])
        channels = g.in_channels if kind == "input" else g.out_channels
        bias = None
        if kind != "weight" and draw(st.booleans()):
            bias = numpy.arange(channels, dtype="f4")
        got = ENGINE.run_with_bias(numpy, g, first, second, bias)
    if bias is not None:
        got = got - (bias if layout == "NHWC" else bias.reshape((-1, *(1,) * rank)))
    check(g, got, first, second, 200.0 if bias is not None else 8.0)


@there
def test_the_kernels_are_compiled_ones_and_the_plan_counts_their_memory() -> None:
    g = geometry()
    found = _onednn_primitive.build(_onednn_primitive.Key(g, 1))
    assert not isinstance(found, str)
    assert not found.implementation.startswith("ref")
    with _threads.limit(1):
        plan = plan_conv(g, engines=("onednn",))
    assert plan.workspace == found.workspace >= found.reordered > 0
    pointwise = _onednn_primitive.build(_onednn_primitive.Key(geometry(kernel=(1, 1), padding=((0, 0),) * 2), 1))
    assert not isinstance(pointwise, str)
    assert pointwise.reordered == 0  # a matrix product as it lies


@there
def test_what_only_the_reference_does_is_refused() -> None:
    g = geometry(in_channels=1, out_channels=1, batch=1, spatial=(64, 64), kernel=(15, 15), padding=((7, 7), (7, 7)))
    reason = ENGINE.supports(g)
    assert reason is None or "reference" in reason
    if reason:
        assert reason == dict(plan_conv(g).refused)["onednn"]
        with pytest.raises(NotImplementedError, match=r"xpu\.nn\.conv2d: oneDNN refused conv2d forward .*reference"):
            ENGINE.run(numpy, g, *operands(g))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    assert ENGINE.supports(geometry(dtype=numpy.dtype(dtype))) == f"oneDNN has no {dtype} convolution on the CPU"


@there
def test_halves_run_natively_or_are_refused() -> None:
    g = geometry(dtype=numpy.dtype("float16"))
    reason = ENGINE.supports(g)
    if reason is None:
        first, second = operands(g)
        check(g, ENGINE.run(numpy, g, first, second), first, second)
    else:
        assert reason.startswith("oneDNN has no fast implementation here")


def test_a_small_problem_does_not_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> str:
        raise AssertionError

    monkeypatch.setattr(_onednn, "loaded", lambda: False)
    monkeypatch.setattr(_onednn, "problem", asked)
    assert ENGINE.supports(geometry(spatial=(4, 4), in_channels=1)) == "it is too small to load oneDNN for"
    with pytest.raises(AssertionError):
        ENGINE.supports(geometry())


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_a_missing_or_broken_library_is_a_reason(monkeypatch, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "libdnnl.so.3"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(_onednn_library, "_path", lambda: None if content is None else str(path))
    found, reason = _onednn_library._open.__wrapped__()
    assert found is None
    wanted = "install the extra 'onednn'" if content is None else "oneDNN cannot be loaded (OSError"
    assert wanted in reason


@there
@pytest.mark.parametrize("wrong", ["shape", "dtype", "bias"])
def test_wrong_operands_never_reach_the_library(wrong: str) -> None:
    g = geometry()
    x, w = operands(g)
    bias = None
    if wrong == "shape":
        w = w[:-1]
    elif wrong == "dtype":
        x = x.astype("f8")
    else:
        bias = numpy.zeros(3, "f4")
    with pytest.raises(ValueError, match=r"xpu\.nn\.conv2d: an operand is float\d\d of shape"):
        ENGINE.run_with_bias(numpy, g, x, w, bias)


@there
def test_byte_order_and_alignment_are_put_right() -> None:
    g = geometry()
    x, w = operands(g)
    odd = numpy.empty(x.nbytes + 1, "u1")[1:].view("f4").reshape(x.shape)
    odd[...] = x
    check(g, ENGINE.run(numpy, g, odd, w.astype(">f4")), x, w)


@there
def test_a_weight_written_in_place_is_read_again() -> None:
    g = geometry()
    x, w = operands(g)
    one = ENGINE.run(numpy, g, x, w)
    w *= 2
    numpy.testing.assert_array_equal(ENGINE.run(numpy, g, x, w), 2 * one)


@there
def test_the_bias_is_added_by_the_plan_that_runs() -> None:
    x, w = operands(geometry())
    bias = numpy.arange(32, dtype="f4")
    plans = []

    def plan(g: ConvGeometry):
        plans.append(plan_conv(g, engines=("onednn",)))
        return plans[-1]

    with_bias = conv(numpy, 2, x, w, bias, plan=plan, padding=1)
    numpy.testing.assert_allclose(
        with_bias, conv(numpy, 2, x, w, plan=plan, padding=1) + bias[:, None, None], atol=1e-4
    )
    assert [p.engine for p in plans] == ["onednn"] * 2
    key = _onednn_primitive.Key(plans[0].geometry, _threads.count(), True)
    assert key in _onednn_primitive.kept.found  # in the same pass, not added afterwards


@there
def test_threads_share_primitives_but_no_memory() -> None:
    shapes = [geometry(spatial=(14 + n % 3, 14)) for n in range(12)]
    wanted = [ENGINE.run(numpy, g, *operands(g, seed=n)) for n, g in enumerate(shapes)]
    start = threading.Barrier(4)

    def work(first: int) -> None:
        start.wait()
        for turn in range(24):
            n = (first + turn) % 12
            numpy.testing.assert_array_equal(ENGINE.run(numpy, shapes[n], *operands(shapes[n], seed=n)), wanted[n])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


@there
def test_primitives_are_released_and_kept_ones_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onednn_primitive.kept, "capacity", 3)
    destroyed = []
    key = _onednn_primitive.Key(geometry(spatial=(20, 20)), 1)
    found = _onednn_primitive.build(key)
    assert not isinstance(found, str)
    x, w = operands(key.geometry)
    found.run(x, w, numpy.empty(key.geometry.result_shape, "f4"))
    weakref.finalize(found._plan, destroyed.append, "plan")
    weakref.finalize(found._calls[0]._outside[0][1], destroyed.append, "memory")
    del found
    for size in range(21, 25):
        _onednn_primitive.build(_onednn_primitive.Key(geometry(spatial=(size, size)), 1))
    gc.collect()
    assert len(_onednn_primitive.kept.found) == 3
    assert sorted(destroyed) == ["memory", "plan"]


FORK = """
import os, signal, sys
import numpy
from xpu.conv import _onednn_library, _threads
from xpu.conv._onednn import OnednnEngine, _count
from xpu.conv import conv_geometry
g = conv_geometry("conv", 2, (2, 16, 40, 40), (32, 16, 3, 3), "f4", "f4", padding=1)
x, w = numpy.ones(g.x_shape, "f4"), numpy.ones(g.w_shape, "f4")
_threads.available = lambda: 2
with _threads.limit(2):
    want = OnednnEngine().run(numpy, g, x, w)
    child = os.fork()
    if child == 0:
        signal.alarm(120)  # a hang ends the child
        got = OnednnEngine().run(numpy, g, x, w)
        os._exit(0 if (got == want).all() and _count() == 1 else 1)
    _, status = os.waitpid(child, 0)
    assert _count() == 2
    assert (OnednnEngine().run(numpy, g, x, w) == want).all()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@there
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_computes_on_one_thread() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
