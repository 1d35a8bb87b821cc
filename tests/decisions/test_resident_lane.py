"""Calls on arrays that lie on the forced device already: no placement, the same results, the same care."""

import gc
import weakref

import numpy as np
import pytest

import xpu
from xpu import _dispatch, _resident
from xpu._accounts import memory
from xpu._backends import backend
from xpu._device import parse
from xpu._learn import learner
from xpu._transfer import ledger
from xpu.errors import DeviceLostError, FallbackError, FallbackWarning
from xpu.testing import faults

VALUES = np.arange(12.0).reshape(3, 4) / 7


@pytest.fixture
def long_ways(planned):
    """Names of the calls that take the long way, on a pretend device that everything is forced to."""
    _resident.forget()
    with xpu.config(device="pretend", on_fallback="allow"):
        yield planned
    _resident.forget()


def there(values=VALUES):
    return xpu.asarray(values) + 0.0


CALLS = {
    "a + b": lambda xp, a, b: a + b,
    "2.0 * a": lambda xp, a, b: 2.0 * a,
    "a number of NumPy's": lambda xp, a, b: a * np.float32(3),
    "an integer": lambda xp, a, b: a - 2,
    "sin": lambda xp, a, b: xp.sin(a),
    "two results": lambda xp, a, b: xp.divmod(a, 2.0)[1],
    "compared": lambda xp, a, b: a < b,
    "to the square": lambda xp, a, b: a**2,
    "a.sum()": lambda xp, a, b: a.sum(),
    "along an axis": lambda xp, a, b: xp.max(a, axis=0, keepdims=True),
    "along two": lambda xp, a, b: a.mean(axis=(0, 1)),
    "cumsum": lambda xp, a, b: xp.cumsum(a, axis=1),
    "a @ b.T": lambda xp, a, b: a @ b.T,
    "where": lambda xp, a, b: xp.where(a > 1, a, b),
    "clip": lambda xp, a, b: xp.clip(a, 0.1, 0.9),
    "sort": lambda xp, a, b: xp.sort(-a, axis=0),
    "take": lambda xp, a, b: xp.take(a, 2, axis=1),
    "fft": lambda xp, a, b: xp.fft.fft(a, axis=0).real,
    "astype": lambda xp, a, b: a.astype("float32"),
    "roll": lambda xp, a, b: xp.roll(a, 1, axis=1),
    "cholesky": lambda xp, a, b: xp.linalg.det(a @ a.T + xp.eye(3)),
    "a scalar of a scalar": lambda xp, a, b: a.sum() + a.max(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_second_call_of_a_kind_is_not_placed(long_ways, call):
    expected = call(np, VALUES, VALUES + 1)
    first = call(xpu, there(), there(VALUES + 1))
    a, b = there(), there(VALUES + 1)
    long_ways.clear()
    moved = ledger.count
    second = call(xpu, a, b)
    assert [name for name in long_ways if name not in ("eye", "full")] == []
    assert ledger.count == moved or call is CALLS["cholesky"]  # `eye` is made on the host
    for made in (first, second):
        assert type(made) is (xpu.scalar if isinstance(expected, np.generic) else xpu.ndarray)
        assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(np.asarray(made), expected, rtol=1e-6 if made.dtype == np.float32 else 1e-13)
    assert second.device == "pretend:0"


def test_what_a_call_is_known_by(long_ways):
    """Other dtypes, shapes, numbers and words are other kinds of calls."""
    a, small = there(), there(VALUES[:2])
    single = a.astype("float32")
    xpu.multiply(a, 1.0)
    xpu.max(a, axis=0)
    for call, kind in (
        (lambda: xpu.multiply(small, 1.0), "multiply"),
        (lambda: xpu.multiply(single, 1.0), "multiply"),
        (lambda: xpu.multiply(a, 1), "multiply"),
        (lambda: xpu.multiply(a, a), "multiply"),
        (lambda: xpu.max(a, axis=1), "max"),
        (lambda: xpu.max(a, 0), "max"),
        (lambda: xpu.max(a), "max"),
    ):
        long_ways.clear()
        call()
        call()
        assert long_ways == [kind]
    long_ways.clear()
    xpu.multiply(a, 2.5)  # a number counts by its type
    assert long_ways == []


def test_writes_are_seen_through_views_and_leave_no_stale_replica(long_ways):
    a = there()
    view = a[1:]
    for _ in range(3):
        a += 1.0
        view *= 2.0
    expected = VALUES.copy()
    for _ in range(3):
        expected += 1.0
        expected[1:] *= 2.0
    assert "add" not in long_ways[-1:]
    np.testing.assert_array_equal(np.asarray(a), expected)  # valid on both sides now
    long_ways.clear()
    a += 1.0  # the host's replica has to go
    assert long_ways == ["add"]
    a += 1.0
    assert long_ways == ["add"]
    np.testing.assert_array_equal(np.asarray(a), expected + 2.0)
    out = there()
    xpu.multiply(a, 2.0, out=out)
    long_ways.clear()
    assert xpu.multiply(a, 2.0, out=out) is out
    assert long_ways == []
    np.testing.assert_array_equal(np.asarray(out), 2.0 * (expected + 2.0))


def test_what_lies_on_both_sides_is_read_where_it_is_wanted(long_ways):
    with xpu.config(device="cpu"):
        a = xpu.asarray(VALUES.copy())
    a + 1.0
    assert a._home.block.valid == {"cpu", "pretend:0"}
    long_ways.clear()
    moved = ledger.count
    a + 1.0
    assert (long_ways, ledger.count) == ([], moved)


def test_what_is_elsewhere_or_pinned_takes_the_long_way(long_ways):
    a = there()
    a + a
    with xpu.config(device="cpu"):
        host = xpu.asarray(VALUES.copy())
    pinned = there().to_device("pretend")
    for call in (lambda: a + host, lambda: a + pinned, lambda: xpu.add(a, VALUES), lambda: xpu.add(a, [1.0] * 4)):
        long_ways.clear()
        call()
        assert long_ways == ["add"]
    assert (a + pinned)._home.block.pin == "pretend:0"


def test_who_watches_sees_every_call(long_ways):
    a = there()
    a + a
    with xpu.profile() as p:
        a + a
    assert [(e.op, e.device, e.reason) for e in p.events] == [("add", "pretend:0", "forced by config(device=...)")]
    long_ways.clear()
    with xpu.config(check="both"):
        a + a
    assert long_ways == ["add"]
    with xpu.no_transfers():
        a + a


def test_a_call_that_fails_is_tried_the_long_way(long_ways):
    a = there()
    a + a
    with faults(failing_calls=1) as injected:
        np.testing.assert_array_equal(np.asarray(a + a), VALUES * 2)  # again, on the device
    assert injected.raised == ["run"]
    with faults(failing_calls=2), xpu.config(on_fallback="warn"), pytest.warns(FallbackWarning, match="add"):
        made = a + a
    assert made.device == "cpu"
    np.testing.assert_array_equal(np.asarray(made), VALUES * 2)
    a * a
    with faults(failing_calls=9) as injected:
        assert [(a * a).device, (a * a).device] == ["cpu", "cpu"]
    assert injected.raised == ["run", "run"]  # by the short way and by the long one, and never again
    _dispatch.forget_refusals()
    a - a
    with faults(failing_calls=2), xpu.config(on_fallback="raise"), pytest.raises(FallbackError, match="subtract"):
        a - a
    _dispatch.forget_refusals()


def test_a_function_that_is_missing_from_now_on(long_ways):
    a = there()
    xpu.sin(a)
    with faults(missing=("sin",)):
        made = xpu.sin(a)
    assert made.device == "cpu"
    np.testing.assert_array_equal(np.asarray(made), np.sin(VALUES))


def test_a_write_that_fails_changes_nothing(long_ways):
    a = there()
    a += 1.0
    with faults(failing_calls=2):
        a += 1.0
    _dispatch.forget_refusals()
    np.testing.assert_array_equal(np.asarray(a), VALUES + 1.0 + 1.0)
    b = there()
    with pytest.raises(ValueError, match="broadcast"):
        b += there(np.ones((5, 4)))
    with pytest.raises(TypeError, match="Cannot cast|cannot cast|same_kind"):
        xpu.add(b, 1j, out=b)
    np.testing.assert_array_equal(np.asarray(b), VALUES)


def test_a_lost_device(long_ways):
    a = there()
    a + a
    with faults(lost=True), pytest.raises(DeviceLostError, match="only copy"):
        a + a


def test_nothing_is_kept_alive(long_ways):
    a = there()
    made = a + a
    made = a + a
    gone = weakref.ref(made)
    del made
    gc.collect()
    assert gone() is None
    memory = backend(parse("pretend")).memory
    used = memory.used
    for _ in range(50):
        a * 3.0
    gc.collect()
    assert memory.used <= used


# ----------------------------------------------------------------------------- where nothing but the gain decides

LARGE = np.linspace(0.0, 1.0, 300_000)


@pytest.fixture
def placed(beside, planned):
    """Names of the calls that are placed, beside a pretend H200 that automatic placement may choose."""
    beside("h200")
    yield planned
    _resident.forget()


def on_the_card(values):
    with xpu.config(device="pretend"):
        return xpu.asarray(values) + 0.0


def chain(x, y):
    for _ in range(4):
        x = xpu.sqrt(x * y + 1.0)
        x += y
    return x


def leads(arrays):
    return [(a.device, a._home.block.lead) for a in arrays]


def test_what_is_faster_there_stays_without_being_placed(placed):
    x, y = on_the_card(LARGE), on_the_card(LARGE + 1.0)
    chain(x, y)
    placed.clear()
    moved = ledger.count
    made = chain(x, y)
    assert (placed, ledger.count, made.device) == ([], moved, "pretend:0")
    np.testing.assert_allclose(np.asarray(made), chain(LARGE, LARGE + 1.0), rtol=1e-14)


def test_accounts_go_on_as_if_placed(placed, monkeypatch):
    def played():
        _resident.forget()
        memory.forget()
        x, y = on_the_card(LARGE), on_the_card(LARGE + 1.0)
        return leads([x, y, *[chain(x, y) for _ in range(3)], xpu.sum(x + y, keepdims=True)])

    short = played()
    monkeypatch.setattr(_dispatch, "on_residents", lambda *call: _dispatch.TOO_MUCH)
    placed.clear()
    long = played()
    assert len(placed) > 40
    assert [device for device, _ in short] == [device for device, _ in long]
    assert [lead for _, lead in short] == pytest.approx([lead for _, lead in long], rel=1e-9)


def test_what_the_host_does_faster_is_placed_every_time(placed):
    x = on_the_card(LARGE[:50])
    placed.clear()
    for _ in range(30):
        x + 1.0
    assert x.device == "cpu"  # it has earned the way back
    assert placed[:3] == ["add", "add", "add"]


def test_results_that_are_wanted_on_the_host_bring_the_calls_there(placed):
    """Each result is read by Python: from some call on the product is made where it is read."""
    x = on_the_card(LARGE)
    devices = []
    for _ in range(12):
        made = x * 2.0
        devices.append(made.device)
        np.asarray(made)
    assert "multiply" in placed[2:]
    assert devices[0] == "pretend:0"


def test_a_region_on_the_cpu_is_on_the_cpu(placed):
    x = on_the_card(LARGE)
    x + 1.0
    x + 1.0
    with xpu.config(device="cpu"):
        assert (x + 1.0).device == "cpu"


def test_what_was_learned_since_is_asked_for(placed, monkeypatch):
    x = on_the_card(LARGE)
    x + 1.0
    placed.clear()
    x + 1.0
    monkeypatch.setattr(learner, "samples", learner.samples + 1)
    x + 1.0
    x + 1.0
    assert placed == ["add"]


def test_an_array_on_both_sides_earns_nothing(placed):
    x = on_the_card(LARGE)
    x + 1.0
    np.asarray(x)
    view = x._home
    view.block.lead = before = 1e-7
    placed.clear()
    x + 1.0
    assert (placed, view.block.lead, view.block.valid) == ([], before, {"cpu", "pretend:0"})
