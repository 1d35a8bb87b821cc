"""xpu.plan: the same operations again on other arrays, devices fixed; what a replay cannot repeat is found and said."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpu

CUT = "plan({}): the minimum cut of the whole"


@pytest.fixture
def card(beside):
    return beside("rtx4060-laptop")


def rng(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def run(function, *args):
    """Return the result, the devices and reasons of what ran, and the bytes moved up and down."""
    with xpu.profile() as p:
        made = function(*args)
    ran = [(e.op, e.device, e.reason) for e in p.events if e.reason != "a view: nothing runs"]
    up = sum(t.nbytes for t in p.transfers if t.target != "cpu")
    return made, ran, (up, p.bytes_moved - up)


def test_the_cut_places_and_the_replay_does_not_decide(card, monkeypatch):
    def f(x, w):
        y = xpu.exp(x) @ w
        return (y / y.sum()).T

    x, w = rng(400, 400), rng(400, 400, seed=1)
    planned = xpu.plan(f, x, w)
    assert planned.reason == ""
    monkeypatch.setattr(xpu._dispatch, "plan", None)  # asking placement would raise
    made, ran, moved = run(planned, x, w)
    assert {(d, r) for _, d, r in ran} == {("pretend:0", CUT.format("f"))}
    assert [op for op, _, _ in ran] == ["exp", "matmul", "sum", "divide"]
    assert moved == (2 * 1_280_000, 1_280_000)
    expected = np.exp(x) @ w
    assert type(made) is np.ndarray
    np.testing.assert_allclose(made, (expected / expected.sum()).T)
    other = rng(400, 400, seed=2)
    expected = np.exp(other) @ w
    np.testing.assert_allclose(planned(other, w), (expected / expected.sum()).T)
    assert "minimum" not in str(planned)
    assert str(planned).splitlines()[0].startswith("plan(f): 5 steps, ")


def test_small_arrays_stay_on_the_host_and_move_nothing(card):
    planned = xpu.plan(lambda x: x @ x + 1, rng(4, 4))
    _, ran, moved = run(planned, rng(4, 4))
    assert {d for _, d, _ in ran} == {"cpu"}
    assert moved == (0, 0)


def test_one_plan_on_both_devices(card):
    """The host has the only nanpercentile: the cut pays for that transfer and keeps the rest where it is fast."""

    def f(x):
        y = xpu.sort(xpu.exp(x))
        return y - xpu.nanpercentile(x[:10, 0], 50)

    x = rng(500, 500)
    planned = xpu.plan(f, x)
    made, ran, _ = run(planned, x)
    assert {op: d for op, d, _ in ran} == {
        "exp": "pretend:0",
        "sort": "pretend:0",
        "nanpercentile": "cpu",
        "subtract": "pretend:0",
    }
    assert ("nanpercentile", "cpu", "the GPU library has no nanpercentile") in ran
    np.testing.assert_allclose(made, np.sort(np.exp(x)) - np.nanpercentile(x[:10, 0], 50))


def test_other_shapes_dtypes_and_values_are_planned_anew(card):
    calls = []

    def f(x, n, scale):
        calls.append(1)
        for _ in range(n):
            x = xpu.sin(x) * scale
        return x

    planned = xpu.plan(f, rng(5), 2, 1.5)
    assert len(calls) == 2  # traced twice
    for args in ((rng(5), 2, 1.5), (rng(7), 2, 1.5), (rng(5), 3, 1.5), (rng(5).astype("f4"), 2, 1.5), (rng(5), 2, 2.5)):
        x = args[0]
        for _ in range(args[1]):
            x = np.sin(x) * args[2]
        made = planned(*args)
        np.testing.assert_allclose(made, x, rtol=1e-6)
        assert made.dtype == x.dtype
    assert len(calls) == 10
    planned(rng(5), 2, 1.5)
    assert len(calls) == 10


@pytest.mark.parametrize("n", [4, 300])
def test_writes_views_and_identity(card, n):
    def f(x, out):
        x[1:] += 1
        view = out[::2]
        view[:] = xpu.sqrt(x[::2] * x[::2])
        y = xpu.zeros((n, n))
        y[0] = x.sum(axis=0)
        y += x @ out
        return x, out, view, y

    def plain(x, out):
        x[1:] += 1
        view = out[::2]
        view[:] = np.sqrt(x[::2] * x[::2])
        y = np.zeros((n, n))
        y[0] = x.sum(axis=0)
        y += x @ out
        return x, out, view, y

    before = rng(n, n), rng(n, n)
    planned = xpu.plan(f, *before)
    assert planned.reason == ""
    np.testing.assert_array_equal(before[0], rng(n, n))  # the trace worked on copies
    for seed in (1, 2):
        mine, theirs = ([rng(n, n, seed=seed), rng(n, n, seed=seed + 9)] for _ in range(2))
        made, expected = planned(*mine), plain(*theirs)
        for a, b in zip((*made, *mine), (*expected, *theirs), strict=True):
            np.testing.assert_allclose(a, b)
        assert made[0] is mine[0]
        assert made[1] is mine[1]
        assert np.may_share_memory(made[2], mine[1])
    assert planned.reason == ""


def test_xpu_arrays_in_and_out_and_what_is_captured(card):
    with xpu.config(device="cpu"):
        weight = xpu.asarray(rng(300, 300))
    table = np.linspace(0, 1, 300)

    def f(x):
        return (x @ weight) * table + xpu.array([0.5] * 300)

    x = xpu.asarray(rng(300, 300))
    planned = xpu.plan(f, x)
    assert planned.reason == ""
    made, _, _ = run(planned, x)
    assert isinstance(made, xpu.ndarray)
    np.testing.assert_allclose(np.asarray(made), rng(300, 300) @ rng(300, 300) * table + 0.5)
    weight *= 2  # captured by reference
    np.testing.assert_allclose(np.asarray(planned(x)), rng(300, 300) @ rng(300, 300) * 2 * table + 0.5)


_state = {"n": 0, "array": xpu.asarray(np.zeros(3))}


def _counts(x):
    _state["n"] += 1
    return x * _state["n"]


def _writes_elsewhere(x):
    _state["array"][:] = x
    return x + 1


def _caught(x):
    try:
        return x + float(x[0])
    except Exception:
        return x


FALLS_BACK = {
    "if": (lambda x: x + 1 if x.sum() > 0 else x - 1, "Python reads values at test_plan.py:"),
    "element": (lambda x: x * x[0], "Python reads values at test_plan.py:"),
    "float": (lambda x: x * float(x.max()), "Python reads values at test_plan.py:"),
    "numpy": (lambda x: np.asarray(x) + 1, "Python reads values at test_plan.py:"),
    "caught": (_caught, "Python reads values at test_plan.py:"),
    "random": (lambda x: x + xpu.random.normal(size=3), "it draws random numbers at test_plan.py:"),
    "generator": (lambda x: x * xpu.random.default_rng(1).normal(), "it draws random numbers at test_plan.py:"),
    "numpy's random": (lambda x: x + np.random.default_rng().normal(size=3), "it makes a NumPy array at test_plan.py:"),
    "python's random": (lambda x: x * random.random(), "a value given to multiply at test_plan.py:"),
    "counter": (_counts, "a value given to multiply at test_plan.py:"),
    "list of random": (lambda x: x + xpu.array([random.random()] * 3), "an array that it makes of numbers differs"),
    "mask": (lambda x: x[x > 0] * 2, "the shape of a result of getitem may depend on values"),
    "nonzero": (lambda x: xpu.nonzero(x)[0] + 1, "the shape of a result of nonzero may depend on values"),
    "python value": (lambda x: x + (1 if xpu.allclose(x, x) else 2), "gives Python a value"),
    "elsewhere": (_writes_elsewhere, "setitem writes into an array that the function neither got nor made"),
}


@pytest.mark.parametrize(("function", "why"), FALLS_BACK.values(), ids=FALLS_BACK)
def test_what_cannot_be_repeated_falls_back_and_says_why(card, function, why):
    x = np.array([1.0, -2.0, 4.0])
    planned = xpu.plan(function, x)
    assert why in planned.reason
    state, seed = dict(_state), random.getstate()
    random.seed(5)
    made, _, _ = run(planned, x)
    random.seed(5)
    _state["n"] = state["n"]
    expected = function(xpu.asarray(x))
    if "random" not in why and "NumPy array" not in why:
        np.testing.assert_allclose(made, np.asarray(expected))
    random.setstate(seed)
    with xpu.profile() as p:
        planned(x)
    assert p.events[0].op.startswith("plan(")
    assert p.events[0].reason.startswith("operation by operation: ")
    assert why in p.events[0].reason


def test_arguments_that_share_memory(card):
    base = rng(10)

    def f(a, b):
        a += b
        return a + 1

    planned = xpu.plan(f, base[:-1], base[1:])
    assert planned.reason == "its arguments share memory"


def test_changing_arguments_are_given_up(card):
    planned = xpu.plan(lambda x, t: x * t, rng(3), 0.0)
    for i in range(12):
        np.testing.assert_allclose(planned(rng(3), float(i + 1)), rng(3) * (i + 1))
    assert planned.reason == "nearly every call has arguments of other shapes or values"
    planned.forget()
    planned(rng(3), 1.0)
    assert planned.reason == ""


def test_settings_and_no_accelerator(card):
    planned = xpu.plan(lambda x: x + 1, rng(3))
    with xpu.config(device="cpu"):
        _, ran, _ = run(planned, rng(3))
        assert planned.reason == "forced by config(device=...)"
    assert ran == [("add", "cpu", "forced by config(device=...)")]
    with pytest.raises(TypeError, match=r"xpu.plan: the function must be callable, got int"):
        xpu.plan(3)


def test_errors_are_the_functions_own(card):
    planned = xpu.plan(xpu.linalg.inv, np.eye(3))
    with pytest.raises(np.linalg.LinAlgError):
        planned(np.zeros((3, 3)))
    np.testing.assert_allclose(planned(np.eye(3) * 2), np.eye(3) / 2)
    with pytest.raises(ValueError, match="could not be broadcast"):
        xpu.plan(lambda x: x + xpu.ones(4), rng(3))


# ----------------------------------------------------------------------------- random programs

STEPS = (
    lambda np, v, i, j: v.append(v[i] + v[j]),
    lambda np, v, i, j: v.append(np.sin(v[i]) * 2),
    lambda np, v, i, j: v.append(v[i][::-1]),
    lambda np, v, i, j: v.append(v[i].T),
    lambda np, v, i, j: v.append(v[i] @ v[j]),
    lambda np, v, i, j: v.append(np.where(v[i] > v[j], v[i], 0.5)),
    lambda np, v, i, j: v.append(np.sort(v[i], axis=0)),
    lambda np, v, i, j: v.append(v[i] - v[j].mean()),
    lambda np, v, i, j: v.append(np.zeros((N, N)) + v[j]),
    lambda np, v, i, j: v[i].__iadd__(np.tanh(v[j])),
    lambda np, v, i, j: v[i].__setitem__(0, v[j][1]),
    lambda np, v, i, j: v[i].__setitem__((slice(None), slice(1, 3)), 0.25),
    lambda np, v, i, j: np.multiply(v[i], 0.5, out=v[i]),
    lambda np, v, i, j: np.tanh(v[j], out=v[i]),
)
N = 40


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from(range(len(STEPS))), st.integers(0, 99), st.integers(0, 99)), max_size=12),
    st.integers(0, 2**16),
)
def test_random_programs_agree_with_numpy(steps, seed):
    def program(np):
        def f(a, b):
            values = [a, b]
            for which, i, j in steps:
                STEPS[which](np, values, i % len(values), j % len(values))
            return values

        return f

    def tamed(array):  # values stay small, so that products do not overflow
        return np.tanh(array)

    with xpu.config(device="auto"):
        planned = xpu.plan(program(xpu), rng(N, N), rng(N, N, seed=1))
        assert planned.reason == "" or planned.reason == "no accelerator"
        for s in (seed, seed + 1):
            mine, theirs = ([tamed(rng(N, N, seed=s)), tamed(rng(N, N, seed=s + 7))] for _ in range(2))
            made, expected = planned(*mine), program(np)(*theirs)
            assert planned.reason == ""
            for a, b in zip((*made, *mine), (*expected, *theirs), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7)
                assert a.dtype == b.dtype
            for a, b in zip(mine, made[:2], strict=True):
                assert a is b


@pytest.fixture(autouse=True)
def _beside_eager(beside, monkeypatch):
    """A card that wins at tiny sizes, so that random programs use both devices."""
    from dataclasses import replace

    from xpu._machine import load

    card = beside("h200")
    monkeypatch.setattr(card, "machine", replace(load("tests/machines/eager.json"), name="eager"))
    return card


def test_what_transfers_take_is_printed(card):
    x = np.ones((4000, 500))
    made = xpu.plan(lambda a: xpu.linalg.svd(a.T @ a)[1], x)
    said = re.search(r"3 steps, [\d.]+ ms predicted, ([\d.]+) ms of it transfers", str(made))
    with xpu.profile() as p:
        made(x)
    took = sum(t.seconds for t in p.transfers)
    assert took > 1e-3
    assert float(said[1]) == pytest.approx(took * 1e3, rel=0.05)
