"""xpu.testing: what it accepts, what it must refuse, and the faults it injects."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu.testing import arrays, assert_agrees, budget, budgets, dtypes, faults, on_every_device, op_calls, shapes
from xpu.testing._budgets import ulps_apart
from xpu.testing._reproduction import literal

CALLED = ["add", "hypot", "less", "logaddexp", "floor_divide", "sum", "max", "cumsum", "ptp", "sinh", "bitwise_xor"]


@pytest.mark.parametrize("name", CALLED)
def test_rows_agree_on_every_device(name):
    function = getattr(xpu, name)

    @given(arguments=op_calls(function))
    def agrees(arguments):
        # A ValueError is the same refusal on every device, such as a maximum of nothing.
        with np.errstate(all="ignore"), contextlib.suppress(ValueError):
            assert_agrees(function, *arguments)

    agrees()


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda x: x + (1e-9 if x.device.kind == "pretend" else 0.0), "units in the last place apart"),
        (lambda x: x.astype("f4") if x.device.kind == "pretend" else x, r"float64\(3,\) and float32\(3,\)"),
        (lambda x: x[:2] if x.device.kind == "pretend" else x, r"float64\(3,\) and float64\(2,\)"),
        (lambda x: x.tolist() if x.device.kind == "pretend" else x, "a result of type"),
        (lambda x: x / 0.0 if x.device.kind == "pretend" else x, "inf units"),
        (lambda x: (x, x + 1) if x.device.kind == "pretend" else (x, x), "units in the last place"),
        (lambda x: xpu.reshape(x, (7,)) if x.device.kind == "pretend" else x, "ValueError.* here"),
        (lambda x: x.__iadd__(1) if x.device.kind == "pretend" else x + 1, "input 0 on pretend became"),
    ],
)
def test_a_difference_is_found_and_can_be_reproduced(function, problem):
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=problem) as caught:
        assert_agrees(function, np.array([1.0, 2.0, 3.0]))
    assert "xpu.testing.assert_agrees(<lambda>, numpy.array([1.0, 2.0, 3.0], dtype='<f8').reshape((3,))" in str(
        caught.value
    )


def test_the_reproduction_runs():
    def wrong(x):
        return x + 1 if x.device == "cpu" else x

    with pytest.raises(AssertionError) as caught:
        assert_agrees(wrong, np.array([[np.nan, np.inf, 1.0]]), ulp=2.0)
    line = str(caught.value).splitlines()[-1].strip()
    with pytest.raises(AssertionError, match="disagree on wrong"):
        exec(line, {"numpy": np, "xpu": xpu, "wrong": wrong})


@given(arrays(dtypes("all")), st.floats(), st.complex_numbers())
def test_values_are_written_so_that_they_come_back(array, number, other):
    for value in (array, array.T, np.asfortranarray(array), number, other, (number, [other]), array.dtype):
        back = eval(literal(value), {"numpy": np})
        assert type(back) is type(value)
        if isinstance(value, np.ndarray):
            assert (back.dtype, back.shape) == (value.dtype, value.shape)
            np.testing.assert_array_equal(back, value)
            if value.dtype.kind in "fc":  # signed zeros, which compare equal
                for part in ("real", "imag"):
                    one, other = getattr(back, part), getattr(value, part)
                    assert np.signbit(one).tolist() == np.signbit(other).tolist()


def test_the_same_refusal_everywhere_is_raised():
    with pytest.raises(ValueError, match="broadcast"):
        assert_agrees(xpu.add, np.ones(2), np.ones(3))


def test_zeros_of_another_sign_are_a_difference_where_nothing_rounds():
    with pytest.raises(AssertionError, match="signs of zeros"):
        assert_agrees(lambda x: -x if x.device == "cpu" else x, np.array([0.0]), ulp=0)


def test_functions_that_write_are_compared_by_what_they_wrote():
    def fill(x):
        x[1:] = 7.0

    assert assert_agrees(fill, np.zeros(3), inputs_may_change=True) is None
    with pytest.raises(AssertionError, match="input 0"):
        assert_agrees(fill, np.zeros(3))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "c8", "c16"])
def test_distances_at_the_end_of_the_range_are_told_without_a_warning(kind):
    """A unit of the largest number overflowed: everything there counted as equal."""
    real = np.zeros(0, kind).real.dtype
    largest = np.finfo(real).max
    nearly, half = np.nextafter(largest, real.type(0)), largest / 2
    assert ulps_apart(np.array([largest], kind), np.array([largest], kind), 0.0) == 0.0
    assert ulps_apart(np.array([nearly], kind), np.array([largest], kind), 0.0) == 1.0
    assert ulps_apart(np.array([half], kind), np.array([largest], kind), float(largest)) > 1000.0
    assert ulps_apart(np.array([-largest], kind), np.array([largest], kind), 0.0) > 1000.0


def test_budgets_are_a_table():
    table = budgets()
    assert table["add"] == 0.0
    assert table["sum"] == budget(xpu.sum) > 0
    assert budget(lambda x: x) == 64.0
    assert all(value >= 0 for value in table.values())


def test_on_every_device_runs_everywhere():
    seen = []

    @on_every_device
    def note():
        seen.append(str((xpu.ones(3) + 1).device))

    note()
    assert seen[:2] == ["cpu", "pretend:0"]


@given(dtype=dtypes("integer"), shape=shapes(max_dims=2), data=st.data())
def test_strategies_draw_what_was_asked_for(dtype, shape, data):
    drawn = data.draw(arrays(dtype, shape))
    assert (drawn.dtype, drawn.shape) == (dtype, shape)
    assert dtype.kind in "iu"


def test_bad_arguments_name_the_valid_ones():
    with pytest.raises(ValueError, match="no category 'floats'. Valid: all, numeric"):
        dtypes("floats")
    with pytest.raises(ValueError, match="no calls can be drawn for 'reshape'"):
        op_calls("reshape")


def test_numpys_assertions_take_xpu_arrays():
    there = xpu.ones(3).to_device("pretend")
    xpu.testing.assert_array_equal(there, [1.0, 1.0, 1.0])
    xpu.testing.assert_allclose([there], [np.ones(3)])
    xpu.testing.assert_equal({"a": there}, {"a": np.ones(3)})
    with pytest.raises(AssertionError, match="Mismatched elements: 1 / 3"):
        xpu.testing.assert_allclose(there, [1.0, 1.0, 2.0])


# ----------------------------------------------------------------------------- faults


def _chain():
    a = xpu.asarray(np.arange(1000.0))
    b = a * 2 + 1
    b[::2] = 0.0
    return b, float(b.sum())


EXPECTED = float(np.where(np.arange(1000) % 2, np.arange(1000.0) * 2 + 1, 0.0).sum())


@pytest.mark.parametrize("count", range(1, 12))
def test_out_of_memory_at_any_point_gives_the_right_result(count):
    with xpu.config(device="pretend", on_fallback="allow"), faults(out_of_memory=count) as injected:
        b, total = _chain()
    assert total == EXPECTED
    assert xpu.asnumpy(b).sum() == EXPECTED
    assert injected.raised


@pytest.mark.parametrize("count", range(1, 8))
def test_failing_kernels_end_on_the_cpu(count):
    with xpu.config(device="pretend", on_fallback="allow"), faults(failing_calls=count) as injected, xpu.profile() as p:
        _, total = _chain()
    assert total == EXPECTED
    assert injected.raised == ["run"] * len(injected.raised)
    assert any(e.reason == "the call failed on the accelerator" for e in p.events)


def test_a_failing_upload_ends_on_the_cpu():
    with xpu.config(device="cpu"):
        a = xpu.asarray(np.arange(4.0))
    with xpu.config(device="pretend", on_fallback="allow"), faults(failing_transfers=1) as injected:
        made = a + 1.0
    assert injected.raised == ["upload"]
    assert made.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert a.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_failing_download_loses_nothing():
    with xpu.config(device="pretend"):
        a = xpu.asarray(np.arange(4.0)) + 1.0
        with faults(failing_transfers=1), pytest.raises(RuntimeError, match="download failed"):
            a.tolist()
        assert a.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_lost_device_raises_for_what_was_only_there_and_goes_on_with_the_rest():
    with xpu.config(device="cpu"):
        here = xpu.asarray(np.ones(1000))
    with xpu.config(device="pretend"):
        there = xpu.asarray(np.ones(1000)) + 1
        here + 1  # now on both
        with faults(lost=True):
            with pytest.raises(xpu.errors.DeviceLostError, match="held the only copy"):
                there + 1
            with pytest.warns(xpu.errors.DeviceWarning, match="The CPU computes from now on"):
                assert (here + 1).tolist() == [2.0] * 1000
            assert (here + 2).tolist() == [3.0] * 1000  # warned once


def test_a_missing_function_runs_on_the_cpu_with_that_reason():
    with xpu.config(device="pretend"), faults(missing=("sin",)), xpu.profile() as p:
        assert float(xpu.sin(xpu.zeros(3)).sum()) == 0.0
    assert [(e.device, e.reason) for e in p.events if e.op == "sin"] == [("cpu", "the GPU library has no sin")]


def test_a_slow_link_costs_time_on_the_virtual_clock():
    def seconds(factor):
        with xpu.config(device="cpu"):
            a = xpu.asarray(np.ones(10**6))
        with xpu.config(device="pretend"), faults(slow_link=factor), xpu.profile() as p:
            a + 1
        return p.events[0].actual

    assert seconds(100.0) > 10 * seconds(1.0)


def test_faults_end_with_the_block():
    with faults(lost=True):
        pass
    with xpu.config(device="pretend"):
        assert (xpu.ones(3) + 1).tolist() == [2.0] * 3
