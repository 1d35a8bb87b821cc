"""`xpu.vectorize`: NumPy's class, compiled where it may be, the same on every device."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import xpu
from xpu._kernels import _code, _cuda, _vectorize

SCALE = 2.0


@pytest.fixture(autouse=True)
def eager_compiler(monkeypatch):
    """Tiny arrays are compiled too."""
    monkeypatch.setattr(_vectorize, "_FEW", 0)


def soft(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x


def wave(x):
    return math.exp(-x * x) * math.sin(x) + abs(x) ** 3


def newton(x):
    y = 1.0
    for _ in range(20):
        y = 0.5 * (y + x / y)
    return y


def branchy(x, y):
    t = x * y + 1.0
    if t > 2.0:
        return t * x - y * 0.5
    if x < 0:
        return abs(x) - y
    return (x + y) * (x - y) / (1 + x * x)


def helper(x):
    return x * SCALE


def calls_helper(x):
    return helper(x) + 1


CASES = [(soft, 3), (wave, 1), (newton, 1), (branchy, 2), (calls_helper, 1)]


@pytest.mark.parametrize(("f", "count"), CASES, ids=[f.__name__ for f, _ in CASES])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_agrees_with_numpy_on_every_device(f, count, dtype, policy):
    pytest.importorskip("numba", reason="numba compiles for the host")
    kernel = xpu.vectorize(f)
    given_arrays = [np.linspace(0.5, 2.5, 24).astype(dtype) + 0.1 * i for i in range(count)]
    expected = np.vectorize(f)(*given_arrays)
    got = kernel(*map(xpu.asarray, given_arrays))
    assert kernel.reason == ""
    assert isinstance(got, (xpu.ndarray, xpu.scalar))
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-5 if dtype == "f4" else 1e-12)


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(-100, 100)),
    st.floats(-100, 100),
)
def test_a_branchy_function_by_property(x, y):
    pytest.importorskip("numba", reason="numba compiles for the host")
    expected = np.vectorize(branchy, otypes=[float])(x, y)
    for device in ("cpu", "pretend"):
        with xpu.config(device=device, on_fallback="raise"):
            got = _KERNEL(xpu.asarray(x), y)
        np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-12, atol=1e-12)


_KERNEL = xpu.vectorize(branchy, otypes=[float])


def test_it_is_placed_and_recorded_like_any_operation():
    pytest.importorskip("numba", reason="numba compiles for the host")
    kernel = xpu.vectorize(wave)
    x = xpu.linspace(0.0, 1.0, 50)
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        y = kernel(x)
    event = p.events[-1]
    assert (event.op, event.device) == ("vectorize(wave)", "pretend:0")
    with xpu.config(device="cpu"), xpu.profile() as p:
        kernel(x)
    assert p.events[-1].device == "cpu"
    assert y.shape == (50,)


def test_a_changed_global_recompiles(monkeypatch):
    kernel = xpu.vectorize(calls_helper)
    x = xpu.asarray([1.0, 2.0])
    assert kernel(x).tolist() == [3.0, 5.0]
    monkeypatch.setitem(calls_helper.__globals__, "SCALE", 10.0)
    assert kernel(x).tolist() == [11.0, 21.0]


def test_closures_are_followed():
    factor = 3

    def scaled(x):
        return x * factor

    kernel = xpu.vectorize(scaled)
    assert kernel(xpu.asarray([1, 2])).tolist() == [3, 6]
    factor = 5
    assert kernel(xpu.asarray([1, 2])).tolist() == [5, 10]


def test_a_branch_of_another_kind_widens_the_result():
    pytest.importorskip("numba", reason="numba finds the type of every branch")

    def clipped(x):
        if x < 2:
            return 0
        return x * 0.5

    assert xpu.vectorize(clipped)(xpu.asarray([1, 2, 3])).tolist() == [0.0, 1.0, 1.5]


def test_numpys_other_uses():
    def add(a, b=10):
        return a + b

    kernel = xpu.vectorize(add)
    assert kernel([1, 2]).tolist() == [11, 12]
    assert kernel([1, 2], b=1).tolist() == [2, 3]
    assert kernel([[1], [2]], [10, 20]).tolist() == [[11, 21], [12, 22]]
    assert isinstance(kernel, np.vectorize)
    assert kernel(1).shape == ()

    @xpu.vectorize(otypes=[np.float32], doc="halves")
    def half(x):
        return x / 2

    assert half.__doc__ == "halves"
    assert half([1, 2]).dtype == np.float32


@pytest.mark.parametrize(
    ("f", "options", "args", "reason"),
    [
        (lambda a, b: np.polyval(a, b), {"excluded": {0}}, ([1, 2], [0.0, 1.0]), "excluded"),
        (lambda v: v.sum(), {"signature": "(n)->()"}, (np.ones((2, 3)),), "signature"),
        (lambda x: (x, x), {}, (np.ones(2),), "not one number"),
        (lambda x: f"{x}", {}, (np.ones(2),), "formats a string"),
        (lambda x: x.real, {}, (np.ones(2),), "attribute .real"),
        (lambda *a: a[0], {}, (np.ones(2),), "*args"),
        (lambda x: np.random.random() * 0 + x, {}, (np.ones(2),), "random"),
        (math.sqrt, {}, (np.ones(2),), "builtin_function_or_method"),
        (lambda x: x + 1, {}, (np.ones(2, "f2"),), "float16"),
        (lambda s: len(s), {}, (np.array(["a", "bc"]),), "len"),
    ],
    ids=["excluded", "signature", "tuple", "string", "attribute", "star", "random", "builtin", "f2", "text"],
)
def test_what_is_not_compiled_runs_as_numpy_runs_it(f, options, args, reason):
    kernel = xpu.vectorize(f, **options)
    got, expected = kernel(*args), np.vectorize(f, **options)(*args)
    assert reason in kernel.reason
    for g, e in zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]:
        assert xpu.asnumpy(g).tolist() == e.tolist()
        assert g.dtype == e.dtype


def test_nothing_to_apply_it_to():
    with pytest.raises(ValueError, match="size 0"):
        xpu.vectorize(wave)(xpu.ones(0))
    assert xpu.vectorize(wave, otypes=[float])(xpu.ones(0)).shape == (0,)


def test_few_elements_do_not_start_a_compiler(monkeypatch):
    monkeypatch.setattr(_vectorize, "_FEW", 1000)
    kernel = xpu.vectorize(lambda x: 1 / x)
    with xpu.config(device="cpu"):
        kernel(np.ones(600))
        assert "600 elements" in kernel.reason
        with pytest.raises(ZeroDivisionError):
            kernel(np.array([1.0, 0.0]))
        kernel(np.ones(600))
        assert "elements" not in kernel.reason


@pytest.mark.parametrize("f", [wave, lambda x: x * x + 1], ids=["wave", "lambda"])
def test_without_a_compiler_whole_arrays_or_numpys_way(f, monkeypatch):
    monkeypatch.setattr(_vectorize._numba, "compiled", lambda *a, **k: (None, "numba does not import"))
    kernel = xpu.vectorize(f)
    x = np.linspace(-1, 1, 7)
    np.testing.assert_allclose(xpu.asnumpy(kernel(x)), np.vectorize(f)(x))
    branchy_kernel = xpu.vectorize(branchy)
    np.testing.assert_allclose(xpu.asnumpy(branchy_kernel(x, x)), np.vectorize(branchy)(x, x))
    assert branchy_kernel.reason == "numba does not import"


def test_what_cupy_would_translate_otherwise_is_not_given_to_it():
    def either(x):
        return x or 1.0

    def both(x, y):
        if x > 0 and y > 0:
            return x
        return y

    assert "'and' or 'or'" in _cuda.translatable(either)
    assert _cuda.translatable(both) == ""
    assert "lambda" in _cuda.translatable(lambda x: x)


def test_in_place_operators_are_seen():
    def adds(x):
        x += 1
        return x

    assert _code.mutates_arguments(adds)
    assert not _code.mutates_arguments(wave)


def test_what_a_compiler_would_change_silently_is_not_compiled():
    large = np.array([2**63 + 1, 2**63 + 5], np.uint64)  # numba's uint64 % int64 is a float64
    third = xpu.vectorize(lambda x: x % 3)
    with np.errstate(all="ignore"):
        got = xpu.asnumpy(third(xpu.asarray(large)))
    assert (got.tolist(), got.dtype) == ([(2**63 + 1) % 3, (2**63 + 5) % 3], np.uint64)
    assert third.reason == "dtype uint64 is not compiled"
    real = xpu.vectorize(lambda z: z * 2, otypes=[float])
    with pytest.raises(TypeError, match="complex"):
        real(xpu.asarray([1 + 1j, 2j]))
