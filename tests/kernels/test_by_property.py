"""One function, one result: `vectorize` and `fuse` on every device and by every way, over generated programs."""

import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpu
from xpu._kernels import _fuse, _numba, _vectorize

pytest.importorskip("numba", reason="numba compiles for the host")

# A new program is compiled at every example: some tenths of a second each.
FEW = max(6, int(os.environ.get("XPU_EXAMPLES", "25")) // 4)


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Tiny arrays are compiled and fused too."""
    monkeypatch.setattr(_vectorize, "_FEW", 0)
    monkeypatch.setattr(_fuse, "_FEW", 0)


# ----------------------------------------------------------------------------- generated expressions

LEAVES = ("x", "y", "x", "y", "1.5", "2", "3")
UNARY = ("-({})", "np.abs({})", "np.sqrt(np.abs({}))", "np.sin({})", "np.exp(-np.abs({}))")
BINARY = ("({} + {})", "({} - {})", "({} * {})", "({} / {})")
BINARY += ("np.maximum({}, {})", "np.minimum({}, {})", "np.hypot({}, {})")
CHOICES = ("x < y", "x > 1.5", "y != 2", "x >= 0")

trees = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(UNARY), inner),
        st.tuples(st.sampled_from(BINARY), inner, inner),
        st.tuples(st.sampled_from(CHOICES), inner, inner),
    ),
    max_leaves=6,
)
dtypes = st.sampled_from(["f8", "f4", "i8", "i4"])
values = st.lists(st.integers(-16, 16), min_size=1, max_size=20)


def written(tree, scalar):
    """The expression as source: of numbers, or of whole arrays."""
    if isinstance(tree, str):
        return tree
    form, *inner = tree
    parts = [written(t, scalar) for t in inner]
    if form not in CHOICES:
        return form.format(*parts)
    return f"({parts[0]} if {form} else {parts[1]})" if scalar else f"np.where({form}, {parts[0]}, {parts[1]})"


def function(tree, scalar):
    scope = {"np": np}
    exec(f"def program(x, y):\n    return {written(tree, scalar)} + 0 * x\n", scope)
    return scope["program"]


def operands(numbers, a, b):
    """Small values, and quarters where the dtype has them; no zero, so that integers may divide."""
    x = np.asarray([n / 4 if a[0] == "f" else n for n in numbers], a)
    y = np.asarray([n / 4 if b[0] == "f" else n for n in numbers[::-1]], b)
    x[x == 0], y[y == 0] = 1, 2
    return x, y


def close(got, expected, narrow):
    """Compiled arithmetic may be wider than NumPy's (never narrower), so single precision differs by its rounding."""
    rtol = 2e-4 if narrow else 1e-10
    scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    np.testing.assert_allclose(np.asarray(got, "f8"), np.asarray(expected, "f8"), rtol=rtol, atol=rtol * scale)


def on(device, f, x, y):
    with xpu.config(device=device, on_fallback="raise"), xpu.profile() as p, np.errstate(all="ignore"):
        got = f(xpu.asarray(x), xpu.asarray(y))
    where = {e.device for e in p.events if e.op.startswith(("vectorize", "fuse"))}
    assert where <= {"cpu" if device == "cpu" else f"{device}:0"}
    return xpu.asnumpy(got)


@pytest.fixture(params=["pretend", pytest.param("cuda", marks=pytest.mark.gpu)])
def other(request):
    if request.param == "cuda" and not any(d.kind == "cuda" for d in xpu.devices()):
        pytest.skip("needs a CUDA device")
    return request.param


@given(trees, dtypes, dtypes, values)
def test_generated_expressions_fused(other, tree, a, b, numbers):
    x, y = operands(numbers, a, b)
    f = function(tree, scalar=False)
    with np.errstate(all="ignore"):
        expected = np.asarray(f(x, y))
    fused = xpu.fuse(f)
    host = on("cpu", fused, x, y)
    assert fused.reason == ""
    assert host.dtype == expected.dtype
    np.testing.assert_array_equal(host, expected)  # to the bit
    there = on(other, fused, x, y)
    assert there.dtype == expected.dtype
    close(there, expected, "f4" in (a, b) and other == "cuda")


@settings(max_examples=FEW)
@given(trees, dtypes, dtypes, values)
def test_generated_functions_vectorized(other, tree, a, b, numbers):
    x, y = operands(numbers, a, b)
    with np.errstate(all="ignore"):
        expected = np.asarray(function(tree, scalar=False)(x, y))
    kernel = xpu.vectorize(function(tree, scalar=True))
    host = on("cpu", kernel, x, y)
    assert kernel.reason == ""
    close(host, expected, "f4" in (a, b))
    there = on(other, kernel, x, y)
    assert (there.dtype, there.shape) == (host.dtype, host.shape)
    close(there, host, "f4" in (a, b) and other == "cuda")


@given(trees, dtypes, dtypes, values)
def test_generated_functions_without_a_compiler(tree, a, b, numbers):
    """Whole arrays where there is no branch, NumPy's way where there is one: the same values again."""
    x, y = operands(numbers, a, b)
    with np.errstate(all="ignore"):
        expected = np.asarray(function(tree, scalar=False)(x, y))
    kernel = xpu.vectorize(function(tree, scalar=True))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_numba, "compiled", lambda *args, **kwargs: (None, "no compiler"))
        got = on("cpu", kernel, x, y)
    branches = any(choice in repr(tree) for choice in CHOICES)
    assert (kernel.reason == "no compiler") is branches
    if not branches:
        assert got.dtype == expected.dtype
        close(got, expected, "f4" in (a, b))


# ----------------------------------------------------------------------------- functions as people write them


def collatz(n):
    count = 0
    while n > 1 and count < 60:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        count += 1
    return count


def poly(x):
    total = 0.0
    for k in range(5):
        total = total * x + (k + 1)
    return total


def sector(x, y):
    if x > 0 and y > 0:
        return 1
    if x < 0 or y < 0:
        return 2
    return 3


def inside(x, y):
    return x * x + y * y <= 4.0


def sigmoid(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def double(x):
    return 2 * x


def clamp(x, low, high):
    return min(max(double(x), low), high)


PEOPLE = {collatz: 1, poly: 1, sector: 2, inside: 2, sigmoid: 1, clamp: 3}
KERNELS = {f: xpu.vectorize(f) for f in PEOPLE}
BY_HAND = {f: np.vectorize(f) for f in PEOPLE}


@given(st.sampled_from(list(PEOPLE)), dtypes, st.lists(st.integers(-9, 9), min_size=1, max_size=30), st.booleans())
def test_functions_as_people_write_them(other, f, dtype, numbers, column):
    if f is collatz:
        dtype, numbers = "i8", [abs(n) + 1 for n in numbers]
    x = np.asarray(numbers, dtype)
    given_arrays = [x, *(x[::-1] + i for i in range(1, PEOPLE[f]))]
    if column:
        given_arrays[0] = given_arrays[0][:, None]
    expected = BY_HAND[f](*given_arrays)
    for device in ("cpu", other):
        with xpu.config(device=device, on_fallback="raise"):
            got = xpu.asnumpy(KERNELS[f](*map(xpu.asarray, given_arrays)))
        assert KERNELS[f].reason == ""
        assert got.shape == expected.shape
        assert got.dtype.kind == expected.dtype.kind
        close(got, expected, dtype == "f4")
