"""Property tests of `tracks` on every device: `pytest` runs them on the CPU and the pretend GPU, here and in CI."""

import numpy
import pytest
import tracks
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu.testing import arrays, assert_agrees, faults, on_every_device, shapes

BOX = 10.0
positions = arrays(
    "f8",
    shapes(min_dims=3, max_dims=3, min_side=2, max_side=5),
    elements=st.floats(-100.0, 100.0, allow_subnormal=False),
)


@pytest.fixture
def walk(xpu_device):
    """A random walk of 50 particles in the plane over 200 frames, with a diffusion coefficient of 0.5."""
    steps = xpu.random.default_rng(1).normal(scale=1.0, size=(200, 50, 2))
    return xpu.cumsum(steps, axis=0)


# one call, every device: values within the budget, dtype, shape, exceptions, inputs left alone
@given(positions, st.integers(1, 4))
def test_displacements_agree(x, lag):
    if lag < len(x):
        assert_agrees(tracks.mean_squared_displacement, x, lag)


def test_a_bad_lag_is_refused_alike_everywhere():
    with pytest.raises(ValueError, match="lag must lie between 1 and 2 frames, got 3"):
        assert_agrees(tracks.displacements, numpy.zeros((3, 1, 2)), 3)


# a function that writes into its argument is compared by what it wrote
@given(positions)
def test_wrapping_agrees(x):
    assert_agrees(tracks.wrap, x, BOX, inputs_may_change=True, ulp=1)


# a property of the mathematics, on every device
@given(positions)
@on_every_device
def test_wrapped_positions_lie_in_the_box(x):
    wrapped = xpu.asarray(x)
    tracks.wrap(wrapped, BOX)
    assert bool(((wrapped >= 0) & (wrapped < BOX)).all())


@given(arrays("f8", shapes(min_dims=2, max_dims=2, min_side=2), elements=st.floats(0.0, 9.0, allow_subnormal=False)))
def test_neighbours_agree(points):
    assert_agrees(tracks.nearest_neighbours, points, BOX)


# the fixture `walk` asks for `xpu_device`: this test runs once per device
def test_the_diffusion_of_a_random_walk(walk):
    assert float(tracks.diffusion(walk, frame_time=1.0)) == pytest.approx(0.5, rel=0.1)


# a budget: nothing may move while the analysis runs; one number comes back at the end
def test_the_analysis_moves_nothing(walk, xpu_device):
    with xpu.profile() as record:
        with xpu.no_transfers():
            coefficient = tracks.diffusion(walk, frame_time=1.0)
        float(coefficient)
    assert record.bytes_moved == (0 if xpu_device == "cpu" else 8)
    assert {event.device.partition(":")[0] for event in record.events} == {xpu_device}


# a GPU that runs out of memory at any point, or whose kernels fail, must not change the answer
@pytest.mark.parametrize("trouble", [{"out_of_memory": n} for n in (1, 3, 6, 20)] + [{"failing_calls": 2}])
def test_trouble_does_not_change_the_answer(trouble):
    steps = xpu.random.default_rng(2).normal(size=(20, 5, 2))
    with xpu.config(device="cpu"):
        expected = float(tracks.diffusion(steps, 1.0))
    with xpu.config(device="pretend", on_fallback="allow"), faults(**trouble) as injected:
        assert float(tracks.diffusion(steps, 1.0)) == pytest.approx(expected, rel=1e-12)
    assert injected.raised
