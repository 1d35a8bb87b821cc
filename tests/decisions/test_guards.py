"""Guards whose difference the pretend device need not show: the call is the host's, with the reason; others stay."""

import numpy as np
import pytest

import xpu

DIFFERS = "the GPU's answer would differ from NumPy's: "
INTEGERS = np.array([1, 2, 3])


def _copied(xp, a):
    made = xp.zeros(3, dtype="int8") + xp.int8(0)
    xp.copyto(made, a, casting="unsafe")
    return made


CASES = {
    "copyto": (_copied, np.array([1.0, 2.0, np.nan]), np.array([1.0, 2.0, 3.0])),
    "ptp": (lambda xp, a: xp.ptp(a), np.array([1j, complex(np.nan, 0), 2]), np.array([1j, 2, 3])),
    "isin": (lambda xp, a: xp.isin(a, xp.array([1, 9], dtype="uint64")), np.array([-1, 1, 3]), INTEGERS.astype("u8")),
    "round": (lambda xp, a: xp.round(a, 1), np.array([True, False]), np.array([0.25, 1.5])),
}


@pytest.mark.parametrize(("call", "differs", "same"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_the_host_answers_where_the_device_would_differ(call, differs, same):
    with xpu.config(device="pretend", on_fallback="raise"):
        for values, where, reason in ((differs, "cpu", DIFFERS), (same, "pretend:0", "forced")):
            a = xpu.asarray(values)
            expected = refused = None
            try:
                expected = call(np, values)
            except TypeError as error:
                refused = type(error)
            with xpu.profile() as p:
                if refused is not None:
                    with pytest.raises(refused):
                        call(xpu, a)
                    continue
                got = call(xpu, a)
            assert (p.events[-1].device, p.events[-1].reason[: len(reason)]) == (where, reason)
            np.testing.assert_array_equal(np.asarray(got), expected)


def test_several_results_are_a_tuple():
    with xpu.config(device="pretend", on_fallback="raise"):
        made = xpu.meshgrid(xpu.arange(3), xpu.arange(2))
    assert (type(made), [m.shape for m in made]) == (tuple, [(2, 3), (2, 3)])


def test_a_transposed_array_is_partitioned_there():
    values = np.array([[3.0, 1.0], [2.0, 4.0], [0.0, 5.0]])
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        a = (xpu.asarray(values) + 0.0).T
        a.partition(1, axis=1)
    assert (p.events[-1].op, p.events[-1].device) == ("ndarray.partition", "pretend:0")
    assert np.asarray(a)[:, 1].tolist() == np.sort(values.T, axis=1)[:, 1].tolist()
