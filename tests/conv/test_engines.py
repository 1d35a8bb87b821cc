"""Every CPU engine against the definition, over geometry, element types and memory layouts."""

from __future__ import annotations

import numpy
import pytest
from conv_reference import FORMS, check, geometries, operand
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xpu.conv import ENGINES, ConvGeometry, _onednn_library, _threads, execute, plan_conv
from xpu.conv._background import wait

# Compiled, loaded or read from the disk before anything is counted; without their library the engines refuse.
COMPILED = wait()
MISSING = {"compiled": "" if COMPILED else "numba is not installed", "onednn": _onednn_library.problem()}

# These take few geometries, so they are drawn for them: below, and in test_compiled.py.
NARROW = ("winograd", "compiled-winograd", "planes")
NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(bool(MISSING.get(name)), reason=MISSING.get(name) or "it is there"))
    for name, engine in ENGINES.items()
    if engine.device in ("any", "cpu") and name not in NARROW
]
# Winograd's transforms and the FFT spread rounding over the whole result.
FACTOR = {"winograd": 60.0, "compiled-winograd": 60.0, "fft": 30.0}


def run(name: str, g: ConvGeometry, seed: int, forms: tuple[str, str]) -> None:
    rng = numpy.random.default_rng(seed)
    first, second = (operand(rng, s, g.dtype, f) for s, f in zip(g.operand_shapes, forms, strict=True))
    kept = first.copy(), second.copy()
    got = execute(plan_conv(g, engines=(name,)), numpy, first, second)
    check(g, got, first, second, FACTOR.get(name, 8.0))
    numpy.testing.assert_array_equal(first, kept[0])
    numpy.testing.assert_array_equal(second, kept[1])
    assert got.flags.writeable
    assert not numpy.shares_memory(got, first)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(g=geometries(), seed=st.integers(0, 99), one=st.sampled_from(FORMS), two=st.sampled_from(FORMS))
def test_an_engine_agrees_with_the_definition(name: str, g: ConvGeometry, seed: int, one: str, two: str) -> None:
    assume(ENGINES[name].supports(g) is None)
    run(name, g, seed, (one, two))


@pytest.mark.parametrize("name", [n for n in ENGINES if "winograd" in n])
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["forward", "input"]),
    groups=st.sampled_from([1, 2]),
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    spatial=st.tuples(st.integers(6, 19), st.integers(6, 19)),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    dtype=st.sampled_from(["float32", "float64"]),
    form=st.sampled_from(FORMS),
)
def test_winograd_agrees_with_the_definition(
    name: str,
    kind: str,
    groups: int,
    batch: int,
    channels: tuple[int, int],
    spatial: tuple[int, int],
    pads: tuple[int, int, int, int],
    layout: str,
    dtype: str,
    form: str,
) -> None:
    g = ConvGeometry(
        kind,
        batch,
        groups,
        groups * channels[0],
        groups * channels[1],
        spatial,
        (3, 3),
        (1, 1),
        (1, 1),
        (pads[:2], pads[2:]),
        layout,
        numpy.dtype(dtype),
    )
    assume(ENGINES[name].supports(g) is None)
    run(name, g, 3, (form, "plain"))


@pytest.mark.skipif(not COMPILED, reason="numba is not installed")
@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 40),
    rows=st.integers(1, 40),
    size=st.integers(9, 70) | st.sampled_from([48, 95]),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    threads=st.sampled_from([1, 2, 3]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_tiles_of_every_width_and_share(
    batch: int,
    channels: int,
    rows: int,
    size: int,
    kernel: int,
    stride: int,
    groups: int,
    threads: int,
    dtype: str,
) -> None:
    g = ConvGeometry(
        "forward",
        batch,
        groups,
        groups * channels,
        groups * rows,
        (11, size),
        (kernel, kernel),
        (stride, stride),
        (1, 1),
        ((1, 0), (kernel // 2, kernel // 2)),
        "NCHW",
        numpy.dtype(dtype),
    )
    rng = numpy.random.default_rng(5)
    x, w = (operand(rng, s, g.dtype, "plain") for s in g.operand_shapes)
    # More threads than processors too: the shares are what is tested.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "count", lambda: threads)
        check(g, execute(plan_conv(g, engines=("compiled",)), numpy, x, w), x, w)


@settings(max_examples=80, deadline=None)
@given(g=geometries())
def test_the_plan_runs_what_it_says(g: ConvGeometry) -> None:
    plan = plan_conv(g)
    assert plan.engine == plan.seconds[0][0]
    assert plan.predicted_seconds == min(s for _, s in plan.seconds)
    assert set(dict(plan.seconds)) | set(dict(plan.refused)) == set(ENGINES)
    text = str(plan)
    assert f"engine {plan.engine}, workspace {plan.workspace:,} bytes" in text
    assert all(name in text for name in ENGINES)
    rng = numpy.random.default_rng(1)
    first, second = (operand(rng, s, g.dtype, "plain") for s in g.operand_shapes)
    check(g, execute(plan, numpy, first, second), first, second, 60.0)
