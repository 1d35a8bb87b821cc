"""``check="both"``: what counts as a disagreement of devices and what does not; what failures say, word for word."""

import re

import numpy as np
import pytest

import xpu
from xpu import _running
from xpu._backends import backend
from xpu._backends._lost import find
from xpu._backends._pretend import PretendLost, PretendOutOfMemory
from xpu._block import home
from xpu._device import parse

EPS = np.finfo("f8").eps


@pytest.fixture
def pretend():
    return backend(parse("pretend"))


@pytest.fixture
def disagree(pretend, monkeypatch):
    """Let the pretend device answer `wrong` for one function of x, and say whether the check finds it."""

    def found(x, wrong, name="cos", function=None, **keywords):
        monkeypatch.setattr(pretend, "overrides", {name: wrong})
        with xpu.config(device="pretend", check="both", on_fallback="raise"), np.errstate(all="ignore"):
            given = xpu.asarray(x)
            try:
                (function or getattr(xpu, name))(given, **keywords)
            except xpu.errors.CheckError as error:
                return str(error)
        return ""

    return found


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (np.cos, False),
        (
            lambda x: np.cos(x) * (1 + 300 * EPS),
            False,
        ),  # 6 * 64 units of each value, and of the largest
        (lambda x: np.cos(x) * (1 + 1000 * EPS), True),
        (lambda x: np.cos(x) + 300 * EPS, False),  # near a zero the largest value counts
        (lambda x: np.cos(x) + 1000 * EPS, True),
        (lambda x: np.cos(x)[:1], True),
        (lambda x: np.cos(x)[None], True),
        (lambda x: np.cos(x).astype("f4"), True),
        (lambda x: np.cos(x) * np.nan, True),
        (lambda x: np.where(x == x[0], np.inf, np.cos(x)), True),
    ],
)
def test_a_disagreement_beyond_rounding_is_found(disagree, wrong, found):
    said = disagree(np.array([0.0, 0.5, 1.0, np.pi / 2]), wrong)
    assert bool(said) == found


def test_nan_and_infinities_that_agree_are_no_disagreement(disagree):
    assert disagree(np.array([np.nan, np.inf, 1.0]), np.cos) == ""
    assert disagree(np.array([np.inf, -np.inf, np.nan]), np.negative, "negative") == ""
    assert disagree(np.array([np.inf, 1e300, np.nan]), lambda x: np.abs(x), "negative")
    # An infinity among the results does not widen the tolerance.
    wrong = lambda x: np.exp(x) + np.where(np.isfinite(x), 1e-6, 0.0)  # noqa: E731
    assert disagree(np.array([np.inf, 1.0]), wrong, "exp")


def test_integers_and_booleans_must_be_equal(disagree):
    n = np.array([1, 2, 3])
    assert disagree(n, np.negative, "negative") == ""
    assert disagree(n, lambda x: -x + 1, "negative")
    assert disagree(n > 1, np.logical_not, "logical_not") == ""
    assert disagree(n > 1, lambda x: np.asarray(x), "logical_not")
    assert disagree(n.astype("u1"), lambda x: x + np.uint8(1), "positive")


def test_every_part_of_a_tuple_is_compared(disagree):
    x = np.array([1.25, -2.5])
    assert disagree(x, np.modf, "modf") == ""
    assert disagree(x, lambda x: (np.modf(x)[0], np.modf(x)[1] + 1), "modf")
    assert disagree(x, lambda x: (np.modf(x)[0] + 1, np.modf(x)[1]), "modf")


def test_complex_results_are_compared_with_a_tolerance(disagree):
    z = np.array([1 + 1j, -2.0])
    assert disagree(z, lambda x: np.exp(x) * (1 + 100 * EPS), "exp") == ""
    assert disagree(z, lambda x: np.exp(x) * (1 + 1e-6j), "exp")


def test_memory_that_holds_anything_is_not_compared(disagree):
    assert disagree(np.ones(3), lambda x, **k: np.full(3, 7.0), "empty_like") == ""
    assert disagree(np.ones(3), lambda x, **k: np.full(4, 7.0), "empty_like")


def test_keywords_and_writes_reach_the_comparison(disagree):
    x = np.arange(6.0).reshape(2, 3)
    assert disagree(x, np.sum, "sum", axis=1) == ""
    assert disagree(x, lambda a, axis=None: np.sum(a, axis=0), "sum", axis=1)
    # The reference is computed on copies, before the call writes.
    assert disagree(x, np.add, "add", function=lambda a: a.__iadd__(1.0)) == ""


def test_what_disagrees_is_shown(disagree):
    said = disagree(np.array([1.0]), lambda x: x + 1, "negative")
    assert said == (
        "xpu.negative: devices disagree: float64(1,) array([2.]) there, float64(1,) array([-1.]) on the host. "
        "Found by check='both'."
    )
    said = disagree(np.array([1.0, 2.0]), lambda x: np.float64(9.0), "sum")
    assert said.startswith("xpu.sum: devices disagree: float64() array(9.) there, float64() ")


# ----------------------------------------------------------------------------- what failures say


@pytest.fixture
def there():
    with xpu.config(device="pretend"):
        return xpu.asarray(np.arange(1000.0)) + 0


def _failing(monkeypatch, pretend, error):
    def fault(where):
        if where == "run":
            raise error

    monkeypatch.setattr(pretend, "fault", fault)
    monkeypatch.setattr(_running, "_refused", set())


def test_a_fallback_that_is_forbidden_says_how(there, pretend, monkeypatch):
    _failing(monkeypatch, pretend, RuntimeError("no kernel"))
    with xpu.config(device="pretend", on_fallback="raise"), pytest.raises(xpu.errors.FallbackError) as caught:
        xpu.tanh(there)
    assert str(caught.value) == (
        "xpu.tanh: tanh failed on pretend:0 (RuntimeError: no kernel). on_fallback='raise' forbids the CPU."
    )
    assert str(caught.value.__cause__) == "no kernel"


@pytest.mark.parametrize("error", [TypeError("odd"), ValueError("odd"), ZeroDivisionError("odd")])
def test_an_error_that_may_be_the_users_is_asked_of_the_cpu_first(there, pretend, monkeypatch, error):
    _failing(monkeypatch, pretend, error)
    with xpu.config(device="pretend", on_fallback="raise"), pytest.raises(xpu.errors.FallbackError) as caught:
        xpu.tanh(there)  # the CPU knows better: it is the device's failure
    said = f"xpu.tanh: tanh failed on pretend:0 ({type(error).__name__}: odd). on_fallback='raise' forbids the CPU."
    assert str(caught.value) == said
    assert caught.value.__cause__ is error
    assert not _running._refused
    with (
        xpu.config(device="pretend", on_fallback="raise"),
        pytest.raises(ValueError, match="broadcast"),
    ):
        xpu.add(there, np.ones(3))  # the CPU refuses, too: its words are the user's


def test_a_fallback_that_is_told_says_what_happened(there, pretend, monkeypatch):
    _failing(monkeypatch, pretend, RuntimeError("no kernel"))
    with xpu.config(device="pretend", on_fallback="warn"), pytest.warns(xpu.errors.FallbackWarning) as caught:
        made = xpu.tanh(there)
    said = "xpu.tanh: the call failed on pretend:0 (RuntimeError: no kernel) and ran on the CPU."
    assert [str(w.message) for w in caught] == [said]
    assert made.tolist() == np.tanh(np.arange(1000.0)).tolist()


def test_out_of_memory_is_no_reason_to_warn_nor_to_remember(there, pretend, monkeypatch):
    _failing(monkeypatch, pretend, PretendOutOfMemory("full"))
    with xpu.config(device="pretend", on_fallback="allow"), xpu.profile() as p:
        xpu.tanh(there)
    assert [(e.device, e.reason) for e in p.events] == [("cpu", "the accelerator is out of memory")]
    assert not _running._refused


def test_a_lost_device_names_all_that_was_only_there_and_keeps_no_replica(there, pretend, monkeypatch):
    with xpu.config(device="pretend"):
        other = xpu.asarray(np.ones(7)) + 0
    with xpu.config(device="cpu"):
        both = xpu.asarray(np.ones(4000))
    with xpu.config(device="pretend"):
        both + 1
    assert home(both).block.valid == {"cpu", "pretend:0"}
    _failing(monkeypatch, pretend, PretendLost("fell off the bus"))
    try:
        with xpu.config(device="pretend"), pytest.warns(xpu.errors.DeviceWarning):
            assert (both * 2).tolist() == [2.0] * 4000
        assert home(both).block.valid == {"cpu"}
        assert set(home(both).block.roots) == {"cpu"}
        find(parse("pretend"))
        with xpu.config(device="pretend"), pytest.raises(xpu.errors.DeviceLostError) as caught:
            xpu.concatenate([there, both, other])
        only = r"Shaped\(.*1000,.*\), Shaped\(.*7,.*\)"
        start = r"xpu\.concatenate: pretend:0 was lost \(fell off the bus\) and held the only copy of "
        assert re.fullmatch(start + only + r"\. Restart the process\.", str(caught.value)), str(caught.value)
    finally:
        find(parse("pretend"))


def test_a_numpy_array_is_written_on_the_host_beside_device_arrays(there):
    n = np.zeros(1000)
    with xpu.config(device="pretend"), xpu.profile() as p:
        xpu.add(there, 1.0, out=n)
    assert [(e.device, e.bytes_moved) for e in p.events] == [("cpu", 8000)]
    assert n.tolist() == list(range(1, 1001))


def test_a_sort_in_place_copies_nothing_where_a_replica_is_left(there, pretend, monkeypatch):
    copied = []
    genuine = pretend.compact
    monkeypatch.setattr(pretend, "compact", lambda raw: copied.append(raw) or genuine(raw))
    with xpu.config(device="pretend"):
        there.sort()
        assert len(copied) == 1  # the only replica
        np.asarray(there)
        there.sort()
        assert len(copied) == 1
        there += 1
        there.__imul__(2)
        assert len(copied) == 1  # one kernel, which runs or does not
