"""`xpu.fuse`: the same values as without it, one operation, on every device."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu._kernels import _fuse, _fused_cuda
from xpu._kernels._expression import traced

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Tiny arrays are fused too."""
    monkeypatch.setattr(_fuse, "_FEW", 0)


def mixed(x, y):
    r = xpu.sqrt(x * x + y * y)
    return xpu.where(r > 1, (x - y) / (r + 1), r * 2 - 0.5 * x + y * y)


CASES = {
    "mixed": mixed,
    "numpy's names": lambda x, y: np.exp(-np.abs(x)) * np.maximum(x, y) - np.clip(y, -1, 1),
    "numbers": lambda x, y: (2 * x + 1) ** 2 - y / 3,
    "comparison": lambda x, y: (x > y) & (x < 2 * y),
    "loop": lambda x, y: sum((x * k for k in range(4)), y),
    "reused value": lambda x, y: (x + y) * (x + y) * x,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("a", "b"), [("f8", "f8"), ("f4", "f4"), ("f4", "i4"), ("i8", "i2")])
def test_same_values_on_every_device(name, a, b, policy):
    f = CASES[name]
    x, y = (RNG.normal(size=20_000) * 5).astype(a), (RNG.normal(size=20_000) * 5).astype(b)
    fused = xpu.fuse(f)
    got = fused(xpu.asarray(x), xpu.asarray(y))
    expected = f(x, y)
    assert fused.reason == ""
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(xpu.asnumpy(got), np.asarray(expected))


OPERATIONS = ["add", "subtract", "multiply", "maximum", "minimum", "hypot", "less", "copysign"]


@given(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from([(5,), (3, 4), (0,), (), (2, 1, 3)]),
    st.sampled_from(["f4", "f8", "i4"]),
)
def test_random_expressions(steps, shape, dtype):
    def f(x, y):
        values = [x, y, 1.5, 2]
        for name, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            if all(type(v) in (int, float) for v in (a, b)):
                a = x
            values.append(getattr(np, name)(a, b))
        return values[-1]

    x = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    y = np.asarray(x * 2 - 3, dtype)
    expected = np.asarray(f(x, y))
    for device in ("cpu", "pretend"):
        with xpu.config(device=device, on_fallback="raise"):
            got = xpu.fuse(f)(xpu.asarray(x), xpu.asarray(y))
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(xpu.asnumpy(got), expected)


@pytest.mark.parametrize(
    ("left", "right"),
    [((300, 1), (1, 200)), ((40, 50), (50,)), ((7, 1, 5), (3, 1)), ((1000,), ())],
)
def test_broadcasting_and_layouts(left, right):
    x, y = RNG.normal(size=left), RNG.normal(size=right)
    fused = xpu.fuse(mixed)
    np.testing.assert_array_equal(xpu.asnumpy(fused(xpu.asarray(x), xpu.asarray(y))), np.asarray(mixed(x, y)))
    np.testing.assert_array_equal(xpu.asnumpy(fused(xpu.asarray(x).T, 2.0)), np.asarray(mixed(x.T, 2.0)))


def test_one_operation_is_recorded():
    x = xpu.linspace(0, 1, 100)
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        xpu.fuse(mixed)(x, x)
    assert [e.op for e in p.events if e.op != "linspace"] == ["fuse(mixed)"]
    assert p.events[-1].device == "pretend:0"


def test_several_results():
    @xpu.fuse
    def polar(x, y):
        return np.hypot(x, y), np.arctan2(y, x)

    x, y = RNG.normal(size=(2, 500))
    r, angle = polar(x, y)
    np.testing.assert_array_equal(xpu.asnumpy(r), np.hypot(x, y))
    np.testing.assert_array_equal(xpu.asnumpy(angle), np.arctan2(y, x))
    uneven = xpu.fuse(lambda a, b: (a + 1, a + b))
    first, second = uneven(np.ones(3), np.ones((2, 3)))
    assert "different shapes" in uneven.reason
    assert (first.shape, second.shape) == ((3,), (2, 3))


def test_globals_and_numbers_are_read_at_every_call():
    weights = {"w": 2.0}
    fused = xpu.fuse(lambda x, k: x * weights["w"] + k)
    assert xpu.asnumpy(fused(np.ones(2), 1)).tolist() == [3.0, 3.0]
    weights["w"] = 5.0
    assert xpu.asnumpy(fused(np.ones(2), k=2)).tolist() == [7.0, 7.0]


def test_numbers_among_themselves_are_pythons():
    """Their dtype stays weak, and ``not``, ``range`` and comparisons see values."""

    def mixed_in(x, share, steps):
        for _ in range(steps):
            x = x * (1 - share) + (0.5 if share > 0.5 else 0.25)
        return x

    for device in ("cpu", "pretend"):
        with xpu.config(device=device):
            x = xpu.ones(4, dtype="f4")
            fused = xpu.fuse(mixed_in)
            got, expected = fused(x, 0.75, 3), mixed_in(x, 0.75, 3)
            assert fused.reason == ""
            assert got.dtype == expected.dtype == np.float32
            assert got.tolist() == expected.tolist()


def test_clipping_outside_the_dtypes_range_and_no_array_at_all():
    small = np.array([250, 3, 0], np.uint8)
    for device in ("cpu", "pretend"):
        with xpu.config(device=device):
            clipped = xpu.fuse(lambda x: xpu.clip(x, -1, 4) + x)
            assert clipped(xpu.asarray(small)).tolist() == [254, 6, 0]
            assert clipped.reason == "it clips uint8 at -1"
            alone = xpu.fuse(lambda x, y: xpu.hypot(x, y))
            assert float(alone(3.0, 4.0)) == 5.0
            assert float(alone(xpu.asarray(3.0), 4.0)) == 5.0
            assert alone.reason == "it is given no array of one axis or more"


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: x + x.sum(), "it uses .sum"),
        (lambda x: x[1:] * 2, "elements"),
        (lambda x: x * 2 if x[0] > 0 else x, "elements"),
        (lambda x: np.cumsum(x) + 1, "cumsum"),
        (lambda x: np.add(x, 1, dtype="f4"), "add.__call__ with dtype"),
        (lambda x: x, "returns something else"),
        (lambda x: np.add.reduce(x * x), "add.reduce"),
    ],
)
def test_what_is_not_fused_runs_by_itself(f, reason):
    x = np.arange(1.0, 6.0)
    fused = xpu.fuse(f)
    np.testing.assert_array_equal(xpu.asnumpy(fused(xpu.asarray(x))), np.asarray(f(x)))
    assert reason in fused.reason


def test_an_in_place_operator_still_writes():
    def f(x):
        x += 1
        return x * 2

    x = xpu.zeros(3)
    fused = xpu.fuse(f)
    assert fused(x).tolist() == [2.0, 2.0, 2.0]
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert "out" in fused.reason


def test_mistakes_are_numpys():
    with pytest.raises(ValueError, match="broadcast"):
        xpu.fuse(lambda x, y: x + y)(np.ones(3), np.ones(4))
    with pytest.raises(TypeError, match=r"xpu\.fuse: the function must be callable, got int"):
        xpu.fuse(3)


def test_few_elements_run_by_themselves(monkeypatch):
    monkeypatch.setattr(_fuse, "_FEW", 6_000_000)
    fused = xpu.fuse(mixed)
    with xpu.config(device="cpu"):
        fused(np.ones(100), 1.0)
    assert "800 bytes" in fused.reason


def test_methods_and_documentation():
    class Model:
        scale = 3.0

        @xpu.fuse
        def apply(self, x):
            """Scale."""
            return x * self.scale

    assert Model.apply.__doc__ == "Scale."
    assert "it takes a Model" in _reason(Model())


def _reason(model):
    model.apply(np.ones(3))
    return type(model).apply.reason


SOURCES = {
    "mixed": (mixed, "dd"),
    "mixed f4": (mixed, "ff"),
    "integers": (lambda x, y: (x // y) % 7 + abs(x) - np.sign(y), "ll"),
    "complex": (lambda x, y: np.exp(1j * x) * np.conj(y) + y, "dD"),
    "half": (lambda x, y: x * y + 1, "ee"),
    "logic": (lambda x, y: np.logical_and(x > 0, np.isfinite(y)), "fd"),
    "powers": (lambda x, y: x**2 + y**1.5 + np.arctan2(x, y), "dd"),
}


def source(name):
    pytest.importorskip("cupy", reason="the steps are those of CuPy's ufuncs", exc_type=ImportError)
    f, chars = SOURCES[name]
    with xpu.config(device="cpu"):
        program, _, _ = traced(f, [np.ones(2, c) for c in chars])
    made = _fused_cuda.kernel_source(program)
    assert made is not None
    return made


@pytest.mark.parametrize("name", SOURCES)
def test_cuda_source(name):
    made = source(name)
    assert made.body.endswith(f"y0 = t{made.body.rpartition('= t')[2]}")
    assert made.preamble.count("__device__ inline void step") == made.body.count("step")


def fused_kernel(name):
    """A whole kernel around a fused expression, as CUDA C (compiled in test_cuda_source.py)."""
    made = source(name)
    names = _fused_cuda._C
    inputs = ", ".join(f"const {names[d.char]}* a{i}" for i, d in enumerate(made.inputs))
    declared = "\n".join(f"const {names[d.char]} x{i} = a{i}[threadIdx.x];" for i, d in enumerate(made.inputs))
    result = names[made.outputs[0].char]
    return (
        f"#include <cupy/complex.cuh>\n#include <cupy/carray.cuh>\n{made.preamble}\n"
        f'extern "C" __global__ void kernel({inputs}, {result}* out) '
        f"{{ {declared}\n{result} y0;\n{made.body}\nout[threadIdx.x] = y0; }}"
    )
