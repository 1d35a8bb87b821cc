"""Every row against NumPy, under every policy: values within the row's budget, dtype, shape, exception.

The cases come from the rows: a new row is tested without a new line here.
"""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import xpu
from xpu._op import OPS
from xpu._ops._make import Function, UFunc

CATEGORIES = {
    "all": "?bBhHiIlLfdFD",
    "numeric": "bBhHiIlLfdFD",
    "real": "bBhHiIlLfd",
    "integer": "bBhHiIlL",
    "integer or boolean": "?bBhHiIlL",
    "floating": "fdFD",
    "real floating": "fd",
    "time": "",
}
UFUNCS = sorted({f.op.name for f in vars(xpu).values() if isinstance(f, UFunc) and f.op.dtypes != "time"})
UNARY_ROWS = sorted(
    {
        f.op.name
        for f in vars(xpu).values()
        if isinstance(f, Function)
        and not isinstance(f, UFunc)
        and f.op.kind in ("reduction", "scan", "sort", "elementwise")
        and f.op.arrays == (0,)
        and not f.op.sequence
        and not f.op.writes
        and f.op.name not in ("histogramdd", "bincount", "searchsorted")
    }
)


def arrays(kind, shape):
    dtype = np.dtype(kind)
    elements = None
    if dtype.kind in "fc":
        elements = st.sampled_from([0.0, -0.0, 1.0, -2.5, 0.5, 3.0, 7.25, 1e3, np.nan, np.inf, -np.inf, 1e-3])
        if dtype.kind == "c":
            elements = st.builds(complex, elements, elements)
    return hnp.arrays(dtype, shape, elements=elements)


def agree(name, ours, theirs, *args, budget=0, **kwargs):
    """Call both; compare results, or the type of the exception."""
    with np.errstate(all="ignore"):
        try:
            expected = theirs(*args, **kwargs)
        except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError) as error:
            with pytest.raises(type(error)):
                ours(*args, **kwargs)
            return
        got = ours(*args, **kwargs)
    compare(name, got, expected, budget)


def compare(name, got, expected, budget):
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            compare(name, g, e, budget)
        return
    if not isinstance(expected, (np.ndarray, np.generic)):
        assert got == expected
        return
    assert isinstance(got, (xpu.ndarray, xpu.scalar)), (name, type(got))
    assert isinstance(got, xpu.scalar) == isinstance(expected, np.generic), name
    value = np.asarray(got)
    assert (value.dtype, value.shape) == (expected.dtype, expected.shape), name
    if value.dtype.kind in "fc":
        rtol = float(np.finfo(value.dtype).eps) * max(1, budget)
        np.testing.assert_allclose(value, expected, rtol=rtol, atol=0, equal_nan=True, err_msg=name)
    else:
        np.testing.assert_array_equal(value, expected, err_msg=name)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", UFUNCS)
def test_ufunc(policy, name):
    op = OPS[name]
    host = op.host

    @given(st.data())
    def check(data):
        kinds = [data.draw(st.sampled_from(CATEGORIES[op.dtypes])) for _ in range(host.nin)]
        shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=host.nin, max_side=4, max_dims=2)).input_shapes
        if name in ("matmul", "vecdot"):
            shapes = [(3, 3)] * host.nin
        args = [data.draw(arrays(k, s)) for k, s in zip(kinds, shapes, strict=True)]
        if data.draw(st.booleans()):
            args[0] = args[0][..., ::-1] if args[0].ndim else args[0]
        before = [a.copy() for a in args]
        agree(name, getattr(xpu, name), host, *args, budget=op.ulp)
        ours = [xpu.asarray(a) for a in args]
        agree(name, lambda *a: getattr(xpu, name)(*ours), host, *args, budget=op.ulp)
        for a, b in zip(args, before, strict=True):
            np.testing.assert_array_equal(a, b)

    check()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", UNARY_ROWS)
def test_function_of_one_array(policy, name):
    op = OPS[name]
    takes_axis = "axis" in inspect.signature(op.host).parameters

    @given(st.data())
    def check(data):
        kind = data.draw(st.sampled_from(CATEGORIES.get(op.dtypes) or "fd"))
        a = data.draw(arrays(kind, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0)))
        keywords = (
            {"axis": data.draw(st.integers(-1, max(a.ndim - 1, 0)))}
            if takes_axis and a.ndim and data.draw(st.booleans())
            else {}
        )
        x = xpu.asarray(a)
        agree(name, lambda a, **k: getattr(xpu, name)(x, **k), op.host, a, budget=max(op.ulp, 64), **keywords)

    check()


VIEWS = {
    "T": lambda a: a.T,
    "transpose": lambda a: a.transpose(),
    "ravel": lambda a: a.ravel(),
    "reversed": lambda a: a[::-1],
    "column": lambda a: a[:, 1],
    "newaxis": lambda a: a[None, :, None],
    "reshape": lambda a: a.reshape(4, 3),
    "reshape -1": lambda a: a.reshape(-1, 2),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "diagonal": lambda a: a.diagonal(),
    "real": lambda a: a.real,
    "view": lambda a: a.view("u8"),
    "squeeze": lambda a: a[None].squeeze(),
    "ellipsis": lambda a: a[..., 1:3],
}


@pytest.mark.parametrize("how", VIEWS)
def test_a_view_shares_its_bytes(policy, how):
    n = np.arange(12.0).reshape(3, 4)
    x = xpu.asarray(n)
    x += 0  # where the policy puts it
    ours, theirs = VIEWS[how](x), VIEWS[how](n)
    np.testing.assert_array_equal(np.asarray(ours), theirs)
    assert ours.strides == theirs.strides
    x[1, 1] = 99
    n[1, 1] = 99
    np.testing.assert_array_equal(np.asarray(ours), theirs)
    if theirs.flags.writeable:
        ours[...] = 5
        theirs[...] = 5
        np.testing.assert_array_equal(np.asarray(x), n)
    else:
        with pytest.raises(ValueError, match="read-only"):
            ours[...] = 5


@pytest.mark.parametrize(
    "key",
    [
        ([0, 2],), (np.array([2, 0, 0]),), (slice(None), [1, 3]), (np.array([[True, False] * 2] * 3),),
        ([True, False, True],), (np.array([0, 1]), np.array([1, 2])), (Ellipsis, np.array([0])), (1, [0, 1]),
    ],
)  # fmt: skip
def test_integer_and_boolean_keys(policy, key):
    n = np.arange(12.0).reshape(3, 4)
    x = xpu.asarray(n)
    key = key if len(key) > 1 else key[0]
    np.testing.assert_array_equal(np.asarray(x[key]), n[key])
    ours = (
        tuple(xpu.asarray(k) if isinstance(k, np.ndarray) else k for k in key)
        if isinstance(key, tuple)
        else xpu.asarray(key)
    )
    np.testing.assert_array_equal(np.asarray(x[ours]), n[key])
    x[ours] = -1
    n[key] = -1
    np.testing.assert_array_equal(np.asarray(x), n)


@pytest.mark.parametrize("bad", [5, (0, 7), [0, 9], slice("a"), 1.5, (0, 0, 0)])
def test_bad_keys_raise_numpys_exception(policy, bad):
    n = np.arange(12.0).reshape(3, 4)
    x = xpu.asarray(n)
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever NumPy raises
        n[bad]
    with pytest.raises(type(theirs.value)):
        x[bad]


def test_in_place_refusals_leave_the_target_as_it_was(policy):
    x = xpu.arange(4)
    with pytest.raises(TypeError):
        x += 0.5
    with pytest.raises(ValueError, match="broadcast"):
        x += xpu.ones((2, 4), dtype=int)
    assert x.tolist() == [0, 1, 2, 3]


def test_scalars_behave_like_numpys(policy):
    s = xpu.arange(4.0).sum()
    assert type(s) is xpu.scalar
    assert (hash(s), f"{s:.2f}", str(s), repr(s), round(s, 1)) == (hash(6.0), "6.00", "6.0", "np.float64(6.0)", 6.0)
    before = s
    s += 1
    assert (float(s), float(before)) == (7.0, 6.0)
    assert [10, 20, 30][xpu.arange(3).max()] == 30
    with pytest.raises(TypeError, match="item assignment"):
        s[...] = 1
    assert isinstance(xpu.arange(6.0)[2], np.float64)


def test_an_empty_key_reads_the_value_of_a_0d_array(policy):
    for value in (3.0, 0.0, True):
        x = xpu.asarray(value)
        y = x[()]
        assert type(y) is xpu.scalar
        assert y == value
        assert xpu.isfinite(x)[()]
        x[...] = 1
        assert y == value
        assert x[...].shape == ()


def test_views_of_numpy_operands_beside_device_arrays(policy):
    n = np.arange(3.0)
    x, y = xpu.broadcast_arrays(xpu.ones((2, 1)) * 2, n)
    assert type(y) is xpu.ndarray
    assert (x.shape, y.tolist()) == ((2, 3), [[0, 1, 2], [0, 1, 2]])


def test_pickle_and_copies(policy):
    import copy
    import pickle

    x = xpu.arange(6.0).reshape(2, 3)[:, 1:] + 1
    for made in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        np.testing.assert_array_equal(np.asarray(made), np.asarray(x))
        made[0] = 100
        assert x[0, 0] == 2.0
    assert pickle.loads(pickle.dumps(x.sum())) == x.sum()


def test_dlpack_both_ways(policy):
    n = np.arange(4.0)
    assert np.from_dlpack(xpu.asarray(n)).tolist() == n.tolist()
    made = xpu.from_dlpack(n)
    n[0] = 9
    assert made.tolist() == n.tolist()


def test_numpy_functions_of_xpu_arrays_stay_in_xpu(policy):
    x = xpu.arange(4.0)
    n = np.arange(4.0)
    assert type(np.sin(x)) is xpu.ndarray
    assert type(n + x) is xpu.ndarray
    assert type(np.concatenate([n, x])) is xpu.ndarray
    assert type(np.add.reduce(x)) is xpu.scalar
    assert np.isclose(np.float64(2) * x, 2 * n).all()
    np.testing.assert_array_equal(np.asarray(np.kron(x, x)), np.kron(n, n))


def test_object_and_string_arrays_stay_on_the_host_and_work(policy):
    words = xpu.array(["b", "a"])
    assert xpu.sort(words).tolist() == ["a", "b"]
    things = xpu.array([1, "x", None], dtype=object)
    things[1] = 2
    assert things[1] == 2
    days = xpu.array(["2026-01-02", "2026-01-01"], dtype="datetime64[D]")
    assert str(days.min()) == "2026-01-01"
    record = xpu.array([(1, 2.0)], dtype=[("a", int), ("b", float)])
    record["b"] += 1
    assert record["b"].tolist() == [3.0]
