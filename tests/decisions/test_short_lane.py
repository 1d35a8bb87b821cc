"""Small host arrays while an accelerator is in force: no placement, no transfer, NumPy's sharing."""

import numpy as np
import pytest

import xpu
from xpu import _backends, _short
from xpu._backends._pretend import PretendBackend
from xpu._device import parse
from xpu._machine import shipped


@pytest.fixture
def placed(monkeypatch, planned):
    """Names of the calls that placement is asked about, beside a pretend H200."""
    h200 = PretendBackend(parse("pretend"), shipped("h200"))
    monkeypatch.setattr(_backends.automatic, "found", h200)
    monkeypatch.setattr(_backends.automatic, "asked", True)
    monkeypatch.setitem(_backends._loaded, parse("pretend"), h200)
    monkeypatch.setattr(_backends, "_machines", {})
    monkeypatch.setattr(_short, "_limits", {})
    monkeypatch.setattr(_short, "_verdicts", {})
    _backends.gate.accelerate()
    with xpu.config(device="auto"):
        yield planned


def assigned(a, change):
    change(a)
    return a


CALLS = {
    "a + b": lambda xp, a, b: a + b,
    "2.0 * a": lambda xp, a, b: 2.0 * a,
    "sin": lambda xp, a, b: xp.sin(a),
    "divmod": lambda xp, a, b: xp.divmod(a, 2.0)[1],
    "a.sum()": lambda xp, a, b: a.sum(),
    "max along an axis": lambda xp, a, b: xp.max(a, axis=0, keepdims=True),
    "cumsum": lambda xp, a, b: xp.cumsum(a),
    "where": lambda xp, a, b: xp.where(a > 1, a, b),
    "views": lambda xp, a, b: a[1:-1] + a[:-2],
    "a view's transpose": lambda xp, a, b: (-a.reshape(2, 3)).T[1] > 2,
    "a new axis": lambda xp, a, b: a[None, 1:-1],
    "scalars": lambda xp, a, b: 2 - a.sum() * b.max(),
    "a mask": lambda xp, a, b: a[a > 2],
    "a += b": lambda xp, a, b: a.__iadd__(b),
    "a view += 1": lambda xp, a, b: assigned(a, lambda a: a[1:].__iadd__(1)),
    "an element": lambda xp, a, b: assigned(a, lambda a: a.__setitem__(-1, 7.0)),
    "a slice of a view": lambda xp, a, b: assigned(a, lambda a: a[1:].__setitem__(slice(2, 4), b[1:3])),
    "everything": lambda xp, a, b: assigned(a, lambda a: a.__setitem__(..., 2)),
    "out=": lambda xp, a, b: xp.add(a, b, out=b),
    "concatenate": lambda xp, a, b: xp.concatenate([a, b]),
    "sort": lambda xp, a, b: xp.sort(-a),
    "matmul": lambda xp, a, b: a.reshape(2, 3) @ b.reshape(3, 2),
    "solve": lambda xp, a, b: xp.linalg.solve(a.reshape(2, 3)[:, 1:], b[:2]),
    "a string in kwargs": lambda xp, a, b: a.astype("f4", order="C"),
}


@pytest.mark.parametrize("name", CALLS)
def test_few_bytes_are_not_placed(placed, name):
    n = np.arange(6.0) ** 2
    a, b = xpu.asarray(n), xpu.asarray(n + 1)
    placed.clear()
    got = CALLS[name](xpu, a, b)
    assert placed == []
    assert isinstance(got, (xpu.ndarray, xpu.scalar))
    expected = CALLS[name](np, n, n + 1)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("f", [lambda: xpu.zeros(10), lambda: xpu.arange(3), lambda: xpu.linspace(0.0, 1.0, 5)])
def test_small_new_arrays_are_not_placed(placed, f):
    assert f().size < 11
    assert placed == []


def test_draws_are_not_placed(placed):
    assert xpu.random.default_rng(0).normal(size=4).shape == (4,)
    assert placed == []


def test_many_bytes_are_placed(placed):
    a = xpu.asarray(np.ones(10**6))
    placed.clear()
    total = (a + a).sum()
    assert placed == ["add", "sum"]
    assert float(total) == 2e6


def test_a_region_on_the_cpu_does_not_end_placement(placed):
    with xpu.config(device="cpu"):
        xpu.asarray(np.ones(3)) + 1.0
        xpu.where(xpu.asarray(np.ones(3)) > 0, 1.0, 2.0)
    a = xpu.asarray(np.ones(10**6))
    placed.clear()
    a + a
    xpu.where(a > 0, a, a)
    assert placed == ["add", "greater", "where"]


def test_a_large_result_of_small_operands_is_placed(placed):
    a, b = xpu.asarray(np.ones((1000, 1))), xpu.asarray(np.ones((1, 1000)))
    placed.clear()
    assert (a + b).size == (a @ b).size
    assert placed == ["add", "matmul"]


def test_what_lies_on_the_accelerator_is_placed(placed):
    a = xpu.ones(4, device="pretend")
    placed.clear()
    assert (a + 1.0).device == "pretend:0"
    assert placed == ["add"]


def test_sharing_survives(placed):
    a = xpu.asarray(np.zeros(6))
    v = a[::2]
    v += 1.0
    w = xpu.diff(a, n=0)
    w[1] = 7.0
    r = a.reshape(2, 3)
    r[1] = [4.0, 5.0, 6.0]
    assert a.tolist() == [1.0, 7.0, 1.0, 4.0, 5.0, 6.0]
    assert v.tolist() == [1.0, 1.0, 5.0]
    there = a.to_device("pretend")
    v[0] = 9.0
    assert there.tolist()[0] == 1.0
    assert a.tolist()[0] == 9.0


def test_a_refused_call_raises_numpys_error_and_changes_nothing(placed):
    a, b = xpu.asarray(np.arange(3)), xpu.asarray(np.arange(4))
    with pytest.raises(ValueError, match="could not be broadcast"):
        a + b
    with pytest.raises(ValueError, match="non-broadcastable output|could not be broadcast"):
        xpu.add(b, b, out=a)
    with pytest.raises(TypeError, match="Cannot cast"):
        xpu.add(a, 0.5, out=a)
    assert (a.tolist(), b.tolist()) == ([0, 1, 2], [0, 1, 2, 3])


def test_a_profile_sees_small_calls_too(placed):
    a = xpu.asarray(np.ones(3))
    with xpu.profile() as p:
        a + 1.0
    assert [e.op for e in p.events] == ["add"]


def test_a_new_machine_sets_new_limits():
    with xpu.config(device="auto"):
        _backends.gate.accelerate()
        xpu.asarray(np.ones(3)) + 1.0
    assert _short._limits
    _backends.forget_machines()
    assert not _short._limits



def test_operators_see_that_few_bytes_have_moved(placed):
    x = xpu.arange(8.0) + 0
    view, scalar = x[2:], x.sum()
    assert (view.T.device, float(scalar)) == ("cpu", 28)
    with xpu.config(device="pretend"):
        x += 100  # now only the accelerator has these bytes
        there = x.sum()
    assert x.device == "pretend:0"
    with xpu.profile() as p:
        results = [view + 1, -view, view[::2], view * there, there + scalar, view.T]
    expected = np.arange(102.0, 108)
    for got, want in zip(results, (expected + 1, -expected, expected[::2], expected * 828, 856, expected), strict=True):
        assert np.array_equal(np.asarray(got), want)
    assert p.events[0].device == "pretend:0"
    assert view[0] == 102


def test_writes_see_that_few_bytes_have_moved(placed):
    x = xpu.arange(8.0) + 0
    n = np.arange(8.0)
    values = []
    for array, other in ((x, xpu.ones(6) + 0), (n, np.ones(6))):
        view = array[2:]
        view += 1
        for change in (lambda v: v.__iadd__(1), lambda v: v.__setitem__(0, 9.0), other.__iadd__):
            with xpu.config(device="pretend"):
                array += 100  # now only the accelerator has these bytes
            assert array is n or x.device == "pretend:0"
            change(view)
        values.append((np.asarray(array), np.asarray(other)))
    assert np.array_equal(*(array for array, _ in values))
    assert np.array_equal(*(other for _, other in values))


def test_a_failing_write_leaves_its_target(placed):
    x = xpu.arange(4) + 0
    shown = x[1:]
    with pytest.raises(np._core._exceptions._UFuncOutputCastingError):
        x += 0.5
    with pytest.raises(ValueError, match="broadcast"):
        shown += xpu.ones(2, dtype=int)
    with pytest.raises(IndexError):
        x[9] = 1
    with pytest.raises(ValueError, match="broadcast"):
        x[:2] = xpu.ones(3, dtype=int)
    assert x.tolist() == [0, 1, 2, 3]


def test_operators_leave_pinned_bytes_where_they_are(placed):
    pinned = xpu.ones(4).to_device("pretend")
    for got in (pinned + 1, 2 * pinned, -pinned, pinned[1:]):
        assert got.device == "pretend:0"
    assert placed


@pytest.mark.parametrize("device", ["cpu", "pretend"])
def test_put_writes_all_or_nothing(device):
    x = xpu.arange(4).to_device(device)
    for indices in ([0, 9], [1, -5]):
        for put in (xpu.put, type(x).put):
            with pytest.raises(IndexError, match="out of bounds"):
                put(x, indices, [7, 8])
    assert x.tolist() == [0, 1, 2, 3]
    x.put([0, -1], [7, 8])
    np.put(x, [5, 6], 3, mode="wrap")
    assert x.tolist() == [7, 3, 3, 8]


class Signal(xpu.ndarray):
    """A user's class: one of NumPy's arrays."""


def test_a_subclass_takes_the_long_way(placed):
    s, x = xpu.arange(3.0).view(Signal), xpu.arange(3.0)
    made = [xpu.add(s, 1), xpu.add(1, s), 2 + s, x + s, s + x, xpu.sin(s), xpu.maximum(s, 2.0)]
    assert {type(m) for m in made} == {Signal}
    assert [m.tolist() for m in made[:5]] == [[1, 2, 3], [1, 2, 3], [2, 3, 4], [0, 2, 4], [0, 2, 4]]
