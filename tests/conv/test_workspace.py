"""The workspace of a plan: at most twice input and output, and no more than what the plan says is taken."""

from __future__ import annotations

import tracemalloc

import numpy
import pytest
from conv_reference import geometries, operand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xpu.conv import ENGINES, ConvGeometry, _scratch, _threads, conv_geometry, execute, plan_conv
from xpu.conv._background import wait

wait()

# NumPy's broadcasting holds three buffers of 8192 elements, and Python its objects: no plan counts them.
SLACK = 3 * 8192 * 16 + 20_000
# The layers of `benchmarks/convolution.py`.
LAYERS = [
    ((1, 3, 224, 224), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
    ((1, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    ((1, 256, 56, 56), (64, 256, 1, 1), {}),
    ((1, 256, 14, 14), (256, 256, 3, 3), {"padding": 1}),
    ((8, 256, 14, 14), (256, 256, 3, 3), {"padding": 1}),
    ((8, 512, 28, 28), (1024, 512, 1, 1), {"stride": 2}),
    ((1, 64, 256, 256), (64, 64, 3, 3), {"padding": 1}),
    ((1, 128, 112, 112), (128, 1, 3, 3), {"padding": 1, "groups": 128}),
    ((1, 1, 10**6), (1, 1, 101), {"padding": 50}),
    ((1, 1, 1024, 1024), (1, 1, 15, 15), {"padding": 7}),
    ((1, 1, 1024, 1024), (1, 1, 63, 63), {"padding": 31}),
    ((1, 8, 48, 48, 48), (8, 8, 5, 5, 5), {"padding": 2}),
]


def enlarged(g: ConvGeometry, times: int) -> ConvGeometry:
    return g.with_(spatial=tuple(n * (times if g.rank < 3 else min(times, 2)) for n in g.spatial))


def limit(g: ConvGeometry) -> int:
    """Return twice the bytes of what goes in and out: of both operands and the result."""
    return 2 * sum(int(numpy.prod(s, dtype=object)) * g.dtype.itemsize for s in (g.x_shape, g.y_shape, g.w_shape))


@settings(max_examples=150, deadline=None)
@given(g=geometries(), times=st.sampled_from([1, 4, 16]), threads=st.sampled_from([1, 2, 7]))
def test_a_plan_keeps_the_limit_or_needs_the_least(g: ConvGeometry, times: int, threads: int) -> None:
    g = enlarged(g, times)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "count", lambda: threads)
        plan = plan_conv(g)
        if plan.workspace > limit(g):
            others = [n for n, e in ENGINES.items() if e.device != "cuda" and e.supports(g) is None]
            assert plan.workspace == min(ENGINES[n].workspace(g) for n in others), plan
            assert [name for name, _ in plan.seconds] == [plan.engine]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("x", "w", "options"), LAYERS)
def test_the_layers_of_the_benchmark_keep_the_limit(threads: int, x: tuple, w: tuple, options: dict) -> None:
    g = conv_geometry("nn.conv", len(w) - 2, x, w, "f4", "f4", **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "count", lambda: threads)
        assert plan_conv(g).workspace <= limit(g)


def test_a_caller_may_allow_more_or_less() -> None:
    g = conv_geometry("nn.conv2d", 2, (1, 1, 64, 64), (1, 1, 63, 63), "f8", "f8", padding=31)
    least = min((plan_conv(g, engines=(n,)).workspace, n) for n in ("gemm", "fft", "direct"))
    assert plan_conv(g, workspace_limit=0, engines=("gemm", "fft", "direct")).engine == least[1]
    assert plan_conv(g, workspace_limit=0, engines=("gemm", "fft", "direct")).workspace == least[0]
    assert plan_conv(g, engines=("fft", "direct")).engine == "fft"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(g=geometries(), times=st.sampled_from([4, 8]))
def test_no_engine_takes_more_than_it_says(g: ConvGeometry, times: int) -> None:
    g = enlarged(g, times)
    if g.bytes > 1 << 22:
        return
    rng = numpy.random.default_rng(0)
    first, second = (operand(rng, s, g.dtype, "plain") for s in g.operand_shapes)
    with _threads.limit(1):
        for name, engine in ENGINES.items():
            if engine.device == "cuda" or engine.supports(g) is not None:
                continue
            plan = plan_conv(g, engines=(name,))
            execute(plan, numpy, first, second)  # what a library keeps it has now
            _scratch.forget()
            tracemalloc.start()
            result = execute(plan, numpy, first, second)
            taken = tracemalloc.get_traced_memory()[1] - result.nbytes
            tracemalloc.stop()
            assert taken <= plan.workspace + SLACK, f"{plan}: {taken:,} bytes"
