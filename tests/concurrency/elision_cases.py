"""Large temporaries are written into, and nothing that anybody holds ever is (`xpu._elision`).

`test_elision` runs these in an interpreter of their own: after any test with an accelerator the hot
path that they test is closed for the rest of the process.
"""

import _thread
import operator
import sys
import threading
import tracemalloc
import weakref
from functools import partial, reduce
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpu
from xpu import _elision

N = _elision.LARGE // 8
NBYTES = 8 * N


def arrays(count=3, dtype=np.float64, n=N):
    rng = np.random.default_rng(0)
    return [xpu.asarray((1 + 9 * rng.random(n)).astype(dtype)) for _ in range(count)]


def peak(function):
    """Return the most memory that NumPy held during the call, in arrays of `NBYTES`."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / NBYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "expression",
    [
        lambda a, b, c: a + b + c,
        lambda a, b, c: a - (b + c),
        lambda a, b, c: 2 * (a + b) - 1,
        lambda a, b, c: 1 / (a * b + c),
        lambda a, b, c: (a + b) * 3.0,
        lambda a, b, c: (a + b) * np.float64(3.0),
        lambda a, b, c: -(a + b),
        lambda a, b, c: (a + b) ** 2,
        lambda a, b, c: -((a - b) ** 2) / c,
        lambda a, b, c: (a + b) ** -0.5,
        lambda a, b, c: eval("a + b + c", {"a": a, "b": b, "c": c}),
    ],
)
def test_an_expression_holds_one_temporary_at_a_time(expression, monkeypatch):
    a, b, c = arrays()
    numpys = [np.array(x) for x in (a, b, c)]
    assert np.array_equal(np.asarray(expression(a, b, c)), expression(*numpys))
    assert peak(lambda: expression(a, b, c)) < 1.5
    monkeypatch.setattr(_elision, "_LEFT", None)
    monkeypatch.setattr(_elision, "_RIGHT", None)
    assert peak(lambda: expression(a, b, c)) > 1.5  # so it is elision that saves it


def test_what_a_name_a_container_or_a_view_holds_is_not_written():
    a, b, c = arrays()
    total = a + b
    kept = np.array(total)
    box, holder = [total], {"x": (total,)}
    results = [total + c, box[0] + c, holder["x"][0] * 2, 3 - total]
    assert all(r is not total for r in results)
    assert np.array_equal(np.asarray(total), kept)

    def shows(x, look):
        seen.append(look(x))
        return x

    for look in (np.asarray, memoryview_of, np.from_dlpack, lambda x: x[1:], lambda x: x.T, lambda x: x):
        seen = []
        result = shows(a + b, look) + c
        assert np.array_equal(np.asarray(seen[0]).ravel()[-5:], kept[-5:]), look
        assert np.array_equal(np.asarray(result), kept + np.asarray(c))


def memoryview_of(x):
    return memoryview(np.asarray(x))


def test_compiled_callers_may_only_have_borrowed_what_they_pass():
    a, b, c = arrays()
    kept = np.array(a + b)
    operands = (a + b, c)
    for call in (
        lambda: operator.add(*operands),
        lambda: list(map(operator.add, [operands[0]], [operands[1]])),
        lambda: reduce(operator.add, operands),
        lambda: list(accumulate(operands)),
        lambda: sum(operands),
        lambda: operands[0].__add__(operands[1]),
    ):
        call()
        assert np.array_equal(np.asarray(operands[0]), kept)
    assert np.array_equal(np.asarray(sum([a, b, c])), np.asarray(a) + np.asarray(b) + np.asarray(c))
    running = list(accumulate([a, b, c]))
    assert np.array_equal(np.asarray(running[1]), kept)


def objects_of(*values):
    """NumPy's own object array, the only holder of new arrays of these values."""
    made = np.empty(len(values), object)
    for i, value in enumerate(values):
        made[i] = value.copy()
    return made


def test_the_elements_of_an_object_array_are_only_borrowed_by_its_operators():
    a, b, c = arrays()
    kept = [np.array(a), np.array(b)]

    class Box:
        state = objects_of(a, b)

    def held():
        return state

    def put(values, out):
        return np.add(values, 0, out=out)

    state, box, boxes = Box.state, Box(), {"state": Box.state}
    for step in (
        lambda: state + 1,
        lambda: 1 - state,
        lambda: box.state * 2,
        lambda: boxes["state"] / 2,
        lambda: held() - 3,
        lambda: put(state, state) + 1,
        lambda: np.add(state, 0, out=state) + 1,
        lambda: np.add(state, 0, state) + 1,
        lambda: (state if c is not None else a + b) + 1,
        lambda: (a + b if c is None else state) + 1,
        lambda: state + state,
    ):
        step()
        assert all(np.array_equal(np.asarray(x), then) for x, then in zip(state, kept, strict=True))


def test_a_compiled_operator_may_pass_on_what_its_class_holds():
    a, b, _ = arrays()
    kept = np.array(a)

    class Bound:
        __add__ = a.copy().__add__

    class Partial:
        __add__ = partial(operator.add, a.copy())

    assert np.array_equal(np.asarray(Bound() + b), kept + np.asarray(b))
    assert np.array_equal(np.asarray(Bound.__add__.__self__), kept)
    assert np.array_equal(np.asarray(Partial() + b), kept + np.asarray(b))
    assert np.array_equal(np.asarray(Partial.__add__.args[0]), kept)


def test_a_temporary_that_may_not_be_written_is_not():
    a, b, _ = arrays()

    def negative(x):  # not NumPy's
        made = -x
        made.flags.writeable = False
        return made

    double, sum_ = negative(a) * 2, b - negative(a)  # pytest gives names to all in an assertion
    assert np.array_equal(np.asarray(double), np.asarray(a) * -2)
    assert np.array_equal(np.asarray(sum_), np.asarray(b) + np.asarray(a))


def test_what_a_weak_cache_hands_out_stays():
    a, _, _ = arrays()
    cache = weakref.WeakValueDictionary()

    def negative(x):
        if id(x) not in cache:
            made = -x
            cache[id(x)] = made
            return made
        return cache[id(x)]

    first = negative(a) + 1  # reused, the result would be in the cache
    assert np.array_equal(np.asarray(first), 1 - np.asarray(a))
    assert np.array_equal(np.asarray(negative(a)), -np.asarray(a))


def test_an_operator_may_be_called_without_a_caller(monkeypatch):
    a, b, c = arrays()
    troubles, done = [], threading.Event()

    class Watched:
        def __radd__(self, other):
            done.set()
            return other

    monkeypatch.setattr(sys, "unraisablehook", troubles.append)
    _thread.start_new_thread(operator.add, (a + b, c))
    _thread.start_new_thread(operator.add, (a + b, Watched()))
    assert done.wait(10)
    assert not troubles


def test_a_result_of_another_dtype_or_shape_gets_memory_of_its_own():
    a, b, _ = arrays(dtype=np.int32, n=2 * N)
    assert ((a + b) / 2).dtype == np.float64
    assert ((a + b) > 3).dtype == np.bool_
    assert ((a + b) + np.float64(0.5)).dtype == np.float64
    small = xpu.asarray(np.arange(2, dtype=np.int32)).reshape(2, 1)
    assert ((a + b) + small).shape == (2, 2 * N)
    bytes_ = xpu.asarray(np.zeros(8 * N, np.uint8))
    with pytest.raises(OverflowError):
        (bytes_ + bytes_) + 300


def test_a_temporary_that_is_watched_is_told_apart_only_by_who_holds_it():
    a, b, c = arrays()

    def watched(x):
        watchers.append(weakref.ref(x))
        return x

    watchers = []
    result = watched(a + b) + c
    assert watchers[0]() is None or watchers[0]() is result
    assert np.array_equal(np.asarray(result), np.asarray(a) + np.asarray(b) + np.asarray(c))


leaves = st.sampled_from(["a", "b", "c", "t", "2", "0.5"])
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda e: f"(-{e})"),
        inner.map(lambda e: f"({e} ** 2)"),
        inner.map(lambda e: f"({e})[::-1]" if any(x in e for x in "abct") else e),
        inner.map(lambda e: f"keep({e})"),
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_random_expressions_are_numpys_and_leave_what_they_read(expression):
    values = {}
    for name, asarray in (("numpy", np.array), ("xpu", xpu.asarray)):
        held = []

        def keep(x, held=held):
            held.append((x, np.array(x)))
            return x

        names = dict(zip("abc", (asarray(np.array(x)) for x in arrays()), strict=True), keep=keep)
        names["t"] = names["a"] + names["b"]
        before = {k: np.array(names[k]) for k in "abct"}
        with np.errstate(all="ignore"):
            values[name] = np.array(eval(expression, names))
        assert all(np.array_equal(np.array(names[k]), before[k]) for k in "abct"), name
        assert all(np.array_equal(np.array(x), then) for x, then in held), name
    assert np.array_equal(values["numpy"], values["xpu"], equal_nan=True)
