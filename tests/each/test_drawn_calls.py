"""Every row that can run on a GPU, a hundred drawn calls on every device: NumPy's answer, within the budget."""

import os
import warnings

import drawn_calls
import numpy as np
import pytest

import xpu
from xpu import _dispatch
from xpu.testing import available_devices

EXAMPLES = int(os.environ.get("XPU_CALLS", "100"))


@pytest.mark.parametrize("name", drawn_calls.NAMES)
def test_drawn_calls_agree(name):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of what is drawn
        for seed in range(EXAMPLES):
            found = drawn_calls.difference(name, seed)
            assert not found, f"{name}, seed {seed}: {found}"


def test_known_calls_agree(monkeypatch):
    """Twice each on the device: most rows are not placed the second time, and answer the same."""
    short, on_residents = set(), _dispatch.on_residents

    def noting(op, *call):
        made = on_residents(op, *call)
        if made is not _dispatch.TOO_MUCH:
            short.add(op.name)
        return made

    monkeypatch.setattr(_dispatch, "on_residents", noting)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in drawn_calls.NAMES:
            for seed in range(EXAMPLES // 20):
                found = drawn_calls.difference_the_second_time(name, seed)
                assert not found, f"{name}, seed {seed}: {found}"
    assert len(short & set(drawn_calls.NAMES)) > len(drawn_calls.NAMES) / 2


# What a GPU may answer otherwise, and no user can mind.
FREE = {
    "argpartition": "the order within a part",
    "partition": "the order within a part",
    "ndarray.partition": "the order within a part",
    "median": "the imaginary part beside a NaN",
    "nanmedian": "the imaginary part beside a NaN, the sign of a zero",
    "cumprod": "complex infinities, multiplied in another order",
    "cumulative_prod": "complex infinities, multiplied in another order",
    "nancumprod": "complex infinities, multiplied in another order",
}


@pytest.mark.gpu
@pytest.mark.parametrize("part", range(8))
def test_drawn_calls_agree_on_a_gpu(part, monkeypatch):
    """Few calls each: every dtype of every function is a kernel to compile. NOT RUN ON A GPU by its author."""
    if not any(d.startswith("cuda") for d in available_devices()):
        pytest.skip("no usable CUDA device (xpu doctor says why)")
    # CuPy compiles with -ftz=true: float32 has no subnormals there.
    monkeypatch.setattr(drawn_calls, "FLOATS", [v for v in drawn_calls.FLOATS if not 0 < abs(v) < 1e-37])
    found = {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in drawn_calls.NAMES[part::8]:
            for seed in range(int(os.environ.get("XPU_GPU_CALLS", "6"))):
                said = "" if name in FREE else drawn_calls.difference(name, seed, ("cuda",))
                if said:
                    found[name, seed] = said
    assert not found, "\n".join(f"{name}, seed {seed}: {said}" for (name, seed), said in found.items())


def test_most_draws_are_calls_that_numpy_accepts():
    """A line of the table that only draws mistakes tests nothing."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in drawn_calls.NAMES:
            accepted = 0
            for seed in range(20):
                how, args, keywords, _ = drawn_calls.draw(name, seed)
                try:
                    how(np, *args, **keywords)
                    accepted += 1
                except drawn_calls.REFUSALS:
                    pass
            assert accepted >= 6, name


@pytest.mark.parametrize("wrong", [lambda x: np.cos(x) + 1e-9, lambda x: np.cos(x)[..., None], lambda x: -np.cos(x)])
def test_a_wrong_device_is_found(wrong, monkeypatch):
    from xpu._backends import backend
    from xpu._device import parse

    monkeypatch.setattr(backend(parse("pretend")), "overrides", {"cos": wrong})
    with np.errstate(all="ignore"):
        assert any(drawn_calls.difference("cos", seed).startswith("pretend: ") for seed in range(10))


# ----------------------------------------------------------------------------- what the drawn calls found

TWO = {"cross", "outer", "linalg.cross", "linalg.outer", "polyval"}


@pytest.mark.parametrize("name", ["diff", "ediff1d", "gradient", *sorted(TWO)])
def test_axes_mean_the_same_in_fortran_order(policy, name):
    """They were taken for elementwise functions, and given the transposed array."""
    base = (np.arange(9.0) ** 2).reshape(3, 3)
    function, theirs = drawn_calls.follow(xpu, name), drawn_calls.follow(np, name)
    count = 2 if name in TWO else 1
    x = xpu.asarray(base) + 0
    if name == "linalg.outer":
        made, expected = function(x.T[0], x.T[1]), theirs(base.T[0], base.T[1])
    else:
        made, expected = function(*[x.T] * count), theirs(*[base.T] * count)
    for got, wanted in zip(made, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(got), wanted)


def test_results_without_axes_are_of_numpys_type(policy):
    x = xpu.asarray(np.array(3.0))
    assert type(xpu.flip(x)) is xpu.scalar
    assert type(xpu.roll(x, 1)) is xpu.ndarray
    if hasattr(np, "unstack"):
        assert [type(s) for s in xpu.unstack(xpu.asarray(np.arange(2.0)))] == [xpu.scalar] * 2
