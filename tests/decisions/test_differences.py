"""NumPy's answer where CuPy's differs: the list of CuPy's documentation, item by item.

The pretend device behaves as CuPy does for these (`xpu._backends._differences`), so each test fails
without its guard. Where nothing can differ the call must stay on the device.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu._backends._differences import cupys_way
from xpu._op import OPS

DIFFERS = "the GPU's answer would differ from NumPy's: "


@pytest.fixture(autouse=True)
def on_the_device():
    with xpu.config(device="pretend", on_fallback="raise"):
        yield


def _run(f, *args):
    """Return NumPy's result, xpu's, and the device and reason of the last call."""
    with xpu.profile() as p:
        got = f(xpu, *[xpu.array(a) for a in args])
        last = p.events[-1]
    return f(np, *[np.array(a) for a in args]), got, last.device, last.reason


def _same(expected, got):
    got = xpu.asnumpy(got)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


# --- 1. conversions of floats to integers


@pytest.mark.parametrize("to", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("value", [-1.5, 127.9, 255.0, 300.0, 2.0**31, 2.0**63, 1e20, np.inf, -np.inf, np.nan])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_a_float_that_does_not_fit_is_cast_by_numpy(to, value):
    expected, got, device, reason = _run(lambda xp, x: x.astype(to), [1.0, value, 2.0])
    _same(expected, got)
    fits = np.isfinite(value) and np.iinfo(to).min <= int(value) <= np.iinfo(to).max
    assert (device, reason.startswith(DIFFERS)) == (("pretend:0", False) if fits else ("cpu", True))


def test_a_float_written_into_integers_is_cast_by_numpy():
    def write(xp, a, v):
        a[1:] = v
        return a

    with np.errstate(invalid="ignore"):
        expected, got, *_ = _run(write, np.zeros(3, np.uint8), [-1.0, 999.0])
    _same(expected, got)


def test_unsafe_casting_in_a_ufunc_runs_on_the_host():
    def run(xp, a):
        out = xp.zeros(2, xp.uint8)
        return xp.multiply(a, 2.0, out=out, casting="unsafe")

    with np.errstate(invalid="ignore"):
        expected, got, device, reason = _run(run, [-3.0, 400.0])
    _same(expected, got)
    assert device == "cpu"
    assert "casting='unsafe'" in reason


# --- 3. indices out of bounds

READS = {
    "getitem": lambda xp, a, i: a[i],
    "getitem of an axis": lambda xp, a, i: a.reshape(5, 1)[i, 0],
    "take": lambda xp, a, i: xp.take(a, i),
    "take_along_axis": lambda xp, a, i: xp.take_along_axis(a, i, 0),
    "delete": lambda xp, a, i: xp.delete(a, i),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("bad", [5, -6, 99])
def test_an_index_out_of_bounds_raises(name, bad):
    a, i = xpu.arange(5.0), xpu.array([0, bad])
    with pytest.raises(IndexError, match="out of bounds"):
        READS[name](xpu, a, i)


@pytest.mark.parametrize("bad", [5, -6])
def test_a_single_index_out_of_bounds_raises(bad):
    a = xpu.arange(5.0)
    calls = [lambda: xpu.take(a, bad), lambda: xpu.put(a, bad, 1.0), lambda: a.put(bad, 1.0)]
    calls.append(lambda: xpu.delete(a, bad))
    for call in calls:
        with pytest.raises(IndexError, match="out of bounds"):
            call()
    assert a.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("name", READS)
def test_an_index_in_bounds_stays_on_the_device(name):
    expected, got, device, _ = _run(READS[name], np.arange(5.0), [0, -5, 4])
    _same(expected, got)
    assert device == "pretend:0"


def test_a_write_out_of_bounds_raises_and_writes_nothing():
    a = xpu.arange(4.0)
    with pytest.raises(IndexError, match="out of bounds"):
        a[xpu.array([1, 4])] = xpu.array([9.0, 9.0])
    assert a.tolist() == [0.0, 1.0, 2.0, 3.0]


# --- 4. repeated indices

WRITES = {
    "setitem": lambda xp, a, i, v: a.__setitem__(i, v),
    "setitem of rows": lambda xp, a, i, v: a.reshape(6, 1).__setitem__(i, v.reshape(-1, 1)),
    "put": lambda xp, a, i, v: xp.put(a, i, v),
    "put_along_axis": lambda xp, a, i, v: xp.put_along_axis(a, i, v, 0),
}


@pytest.mark.parametrize("name", WRITES)
@given(indices=st.lists(st.integers(-6, 5), min_size=1, max_size=8))
def test_of_repeated_writes_the_last_wins(name, indices):
    def write(xp, a, i, v):
        WRITES[name](xp, a, i, v)
        return a

    expected, got, device, reason = _run(write, np.zeros(6), indices, np.arange(1.0, len(indices) + 1))
    _same(expected, got)
    repeats = len({i % 6 for i in indices}) < len(indices)
    assert device == ("cpu" if repeats else "pretend:0")
    assert ("more than once" in reason) == repeats


def test_one_value_for_repeated_indices_stays_on_the_device():
    def write(xp, a, i):
        a[i] = 7.0
        return a

    expected, got, device, _ = _run(write, np.zeros(4), [1, 1, 2])
    _same(expected, got)
    assert device == "pretend:0"


# --- 5. reductions give 0-d arrays there, scalars here


def test_a_reduction_gives_a_scalar():
    total = xpu.arange(3.0).sum()
    assert type(total) is xpu.scalar
    assert hash(total) == hash(3.0)


# --- 2, 6, 7, 9. random numbers, matrices, other dtypes


def test_random_numbers_are_numpys_stream_for_any_seed():
    for seed in (3, [1, 2, 3]):
        _same(np.random.default_rng(seed).normal(size=4), xpu.random.default_rng(seed).normal(size=4))
        _same(np.random.RandomState(seed).rand(4), xpu.random.RandomState(seed).rand(4))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrices_are_numpys():
    made = xpu.asmatrix(xpu.array([[1.0, 2.0], [3.0, 4.0]]))
    assert type(made * made) is np.matrix
    assert (made * made).tolist() == [[7.0, 10.0], [15.0, 22.0]]


@pytest.mark.parametrize(
    "values",
    [["a", "bc"], np.array(["2020-01-01", "2021-01-01"], "M8[D]"), np.array([(1, 2.0)], "i4,f8"), [None, 1]],
    ids=["str", "datetime", "structured", "object"],
)
def test_dtypes_that_only_the_host_has_stay_there(values):
    expected, got, device, _ = _run(lambda xp, a: xp.concatenate([a, a]), values)
    assert xpu.asnumpy(got).tolist() == expected.tolist()
    assert device == "cpu"


# --- 8. lists and NumPy arrays as operands


def test_ufuncs_take_lists_and_numpy_arrays():
    _same(np.array([2.0, 4.0]), xpu.add(xpu.array([1.0, 2.0]), [1.0, 2.0]))
    _same(np.array([2.0, 4.0]), xpu.array([1.0, 2.0]) + np.array([1.0, 2.0]))


# --- 10. NaN among complex numbers


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
@pytest.mark.parametrize("where_nan", [0, 2])
def test_nan_decides_minima_and_maxima_of_complex_numbers(name, where_nan):
    values = np.array([3 + 1j, 1 - 2j, 2 + 0j, 0.5j])
    expected, got, device, _ = _run(lambda xp, a: getattr(xp, name)(a), values)
    assert (xpu.asnumpy(got) == expected, device) == (True, "pretend:0")
    values[where_nan] = complex(np.nan, 1)
    expected, got, device, reason = _run(lambda xp, a: getattr(xp, name)(a), values)
    np.testing.assert_equal(xpu.asnumpy(got), np.asarray(expected))
    assert device == "cpu"
    assert "NaN" in reason


# --- 11. order of elements in memory


@pytest.mark.parametrize("f", [lambda a: a + a, lambda a: -a, lambda a: a * 2.0], ids=["a + a", "-a", "a * 2"])
def test_fortran_order_is_kept(f):
    theirs = f(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    ours = f(xpu.asfortranarray(xpu.arange(6.0).reshape(2, 3)))
    assert str(ours.device) == "pretend:0"
    assert ours.strides == theirs.strides
    assert ours.flags.f_contiguous
    assert ours.ravel("K").tolist() == theirs.ravel("K").tolist()


# --- what CuPy's own documentation does not list: read in its source, version 14.2


@pytest.mark.parametrize("key", [1.5, np.float64(1.0), (0, 1.5), slice(1.5), (slice(0.0, 2), 1)], ids=str)
def test_a_float_is_no_index(key):
    a = xpu.arange(12.0).reshape(3, 4) + 0
    for use in (lambda: a[key], lambda: a.__setitem__(key, 7.0)):
        with pytest.raises((IndexError, TypeError), match="integer"):
            use()
    assert a.tolist() == np.arange(12.0).reshape(3, 4).tolist()


@pytest.mark.parametrize("casting", ["safe", "same_kind", "equiv"])
def test_astype_takes_casting(casting):
    expected, got, device, _ = _run(lambda xp, a: a.astype("f8", casting=casting), np.arange(3.0))
    _same(expected, got)
    assert device == "pretend:0"
    with pytest.raises(TypeError, match="according to the rule"):
        xpu.arange(3.0).astype("i4", casting=casting)


def test_astype_asks_nothing_of_an_array_but_what_cupys_method_takes():
    class Cupys:
        dtype = np.dtype("f8")

        def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
            assert casting is None, "casting is not supported yet"
            return dtype, order, copy

    assert OPS["astype"].host(Cupys(), "f4", copy=False) == ("f4", "K", False)


@pytest.mark.parametrize("name", ["compress", "extract"])
def test_a_condition_beyond_the_end_is_an_index_out_of_bounds(name):
    a = xpu.arange(3.0)
    expected, got, device, _ = _run(lambda xp, c, a: getattr(xp, name)(c, a), [True, False, True], np.arange(3.0))
    _same(expected, got)
    assert device == "pretend:0"
    with pytest.raises(IndexError, match="out of bounds"):
        getattr(xpu, name)(xpu.array([True, False, True, True]), a)


def test_compress_takes_a_condition_of_one_axis():
    with pytest.raises(ValueError, match="1-d"):
        xpu.compress(xpu.array([[True, False], [True, True]]), xpu.arange(3.0))


@pytest.mark.parametrize("name", ["eig", "eigh", "qr", "slogdet", "svd"])
def test_results_of_linear_algebra_have_numpys_names(name):
    expected, got, device, _ = _run(lambda xp, a: getattr(xp.linalg, name)(a), [[2.0, 0.0], [0.0, 1.0]])
    assert type(got) is type(expected)
    for e, g in zip(expected, got, strict=True):
        assert xpu.asnumpy(g).dtype == e.dtype
    assert device == "pretend:0"


def test_raw_qr_is_a_plain_tuple_in_numpy_too():
    assert type(xpu.linalg.qr(xpu.eye(2), "raw")) is type(xpu.linalg.qr(xpu.eye(2), mode="raw")) is tuple


@pytest.mark.parametrize("matrix", [[[2.0, 1.0], [1.0, 3.0]], [[0.0, 1.0], [-1.0, 0.0]]], ids=["real", "complex"])
def test_eigenvalues_are_real_where_numpys_are(matrix):
    for f in (lambda xp, a: xp.linalg.eigvals(a), lambda xp, a: xp.linalg.eig(a)[1]):
        expected, got, device, _ = _run(f, matrix)
        assert xpu.asnumpy(got).dtype == expected.dtype
        assert device == "pretend:0"


@pytest.mark.parametrize("name", ["eigh", "eigvalsh"])
def test_float16_has_no_eigenvalues(name):
    with pytest.raises(TypeError, match="float16"):
        getattr(xpu.linalg, name)(xpu.eye(2, dtype="f2"))


@pytest.mark.parametrize("name", ["i0", "sinc"])
@pytest.mark.parametrize("kind", ["?", "i1", "i2", "i8", "f4"])
def test_small_integers_are_computed_with_in_double_precision(name, kind):
    expected, got, device, _ = _run(lambda xp, a: getattr(xp, name)(a), np.array([0, 1, 1], kind))
    assert (xpu.asnumpy(got).dtype, device) == (expected.dtype, "pretend:0")
    np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("name", ["percentile", "quantile"])
def test_booleans_have_no_quantiles(name):
    with pytest.raises(TypeError, match="boolean subtract"):
        getattr(xpu, name)(xpu.array([True, False, True]), 0.5)


@pytest.mark.parametrize("name", ["nanargmax", "nanargmin"])
@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_nothing_but_nan_has_no_largest_element(name):
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, 2.0]])
    for axis in (None, 1):
        expected, got, device, _ = _run(lambda xp, a, axis=axis: getattr(xp, name)(a, axis=axis), values)
        _same(np.asarray(expected), got)
        assert device == "pretend:0"
    with pytest.raises(ValueError, match="All-NaN"):
        getattr(xpu, name)(xpu.array([[1.0, np.nan], [2.0, np.nan]]), axis=0)


@pytest.mark.parametrize("name", ["nanstd", "nanvar"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_moments_without_degrees_of_freedom_are_nan(name):
    for values, ddof, where in (([], 0, "cpu"), ([1.0, 2.0, np.nan], 2, "cpu"), ([1.0, 3.0, np.nan], 1, "pretend:0")):
        expected, got, device, _ = _run(lambda xp, a, ddof=ddof: getattr(xp, name)(a, ddof=ddof), np.array(values))
        _same(np.asarray(expected), got)
        assert device == where


@pytest.mark.parametrize("name", ["std", "var"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("ddof", "axis", "where"), [(2, 0, "cpu"), (1, 0, "pretend:0"), (2, 1, "pretend:0"), (6, None, "cpu")]
)
def test_moments_with_too_many_degrees_taken_are_numpys(name, ddof, axis, where):
    values = np.array([[1.0, 2.0, 4.0], [5.0, 7.0, 6.0]])
    expected, got, device, _ = _run(lambda xp, a: getattr(xp, name)(a, axis=axis, ddof=ddof), values)
    _same(np.asarray(expected), got)
    assert device == where


@pytest.mark.parametrize("name", ["percentile", "quantile"])
def test_quantiles_of_nan_are_nan(name):
    for values, where in (([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]], "cpu"), ([[1.0, 2.0, 3.0]], "pretend:0")):
        expected, got, device, _ = _run(lambda xp, a: getattr(xp, name)(a, 0.5, axis=1), values)
        _same(expected, got)
        assert device == where


def test_complex_expm1_keeps_its_digits_near_zero():
    for kind, where in (("D", "cpu"), ("d", "pretend:0")):
        expected, got, device, _ = _run(lambda xp, a: xp.expm1(a), np.array([1e-10, -1e-12], kind))
        _same(expected, got)
        assert device == where


def test_unique_along_an_axis_orders_as_numpy():
    for axis, where in ((0, "cpu"), (None, "pretend:0")):
        values = np.array([[1, 0], [2**64 - 1, 0], [1, 0]], "u8")
        expected, got, device, _ = _run(lambda xp, a, axis=axis: xp.unique(a, axis=axis), values)
        _same(expected, got)
        assert device == where


@pytest.mark.parametrize("name", ["percentile", "quantile"])
def test_no_values_have_no_quantiles(name):
    """CuPy's kernel reads before the array's memory."""
    with pytest.raises(IndexError, match="out of bounds"):
        getattr(xpu, name)(xpu.array([]), 0.5)


@pytest.mark.parametrize(
    ("low", "high", "where"),
    [
        (np.nan, 2.0, "cpu"),
        (0.0, np.float64(np.nan), "cpu"),
        (np.array([0.0, np.nan, 1.0]), None, "cpu"),
        (np.array([0.0, 1.5, 1.0]), 2.0, "pretend:0"),
    ],
    ids=str,
)
def test_a_bound_that_is_nan_makes_nan(low, high, where):
    expected, got, device, _ = _run(lambda xp, a: xp.clip(a, low, high), [-1.0, 1.0, 5.0])
    _same(expected, got)
    assert device == where


@pytest.mark.parametrize("kind", ["uint64", "uint32", "uint8"])
@pytest.mark.parametrize("name", ["searchsorted", "digitize"])
def test_a_negative_number_is_less_than_any_unsigned_one(name, kind):
    def run(xp, a, v):
        return xp.searchsorted(a, v) if name == "searchsorted" else xp.digitize(v, a)

    expected, got, device, _ = _run(run, np.arange(5, dtype=kind), np.array([-1, 3], "int32"))
    _same(expected, got)
    assert device == ("pretend:0" if kind == "uint8" else "cpu")


def test_bins_are_in_order():
    for bins in ([1.0, 2.0, 4.0], [4.0, 2.0, 1.0]):
        expected, got, device, _ = _run(lambda xp, x, b: xp.digitize(x, b), [0.5, 3.0, 9.0], bins)
        _same(expected, got)
        assert device == "pretend:0"
    with pytest.raises(ValueError, match="monotonically"):
        xpu.digitize(xpu.array([0.5, 3.0]), xpu.array([4.0, 2.0, 3.0]))


@pytest.mark.parametrize("keywords", [{"sparse": True}, {"copy": False}, {"indexing": "ij"}], ids=str)
def test_keywords_after_any_number_of_arrays_are_no_arrays(keywords):
    expected, got, device, _ = _run(lambda xp, a, b: xp.meshgrid(a, b, **keywords), np.arange(3.0), np.arange(2.0))
    assert len(got) == len(expected) == 2
    for e, g in zip(expected, got, strict=True):
        _same(e, g)
    assert device == "pretend:0"


def test_several_gradients_are_a_tuple():
    made = xpu.gradient(xpu.array([[1.0, 2.0], [4.0, 8.0]]))
    assert type(made) is tuple
    assert str(made[0].device) == "pretend:0"


@pytest.mark.parametrize("name", ["rfft", "rfft2", "rfftn", "ihfft"])
def test_transforms_of_real_numbers_refuse_complex_ones(name):
    with pytest.raises(TypeError, match="not supported"):
        getattr(xpu.fft, name)(xpu.array([[1.0 + 1j, 2.0]]))
    expected, got, device, _ = _run(lambda xp, a: getattr(xp.fft, name)(a), [[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(xpu.asnumpy(got), expected)
    assert device == "pretend:0"


@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_nan_does_not_spread_over_a_convolution(name):
    for last, where in ((np.inf, "cpu"), (np.nan, "cpu"), (2.0, "pretend:0")):
        expected, got, device, _ = _run(lambda xp, a, v: getattr(xp, name)(a, v), [1.0, 3.0, 4.0, last], [1.0, 0.5])
        np.testing.assert_allclose(xpu.asnumpy(got), expected)
        assert device == where


def test_booleans_are_not_rounded_to_decimals():
    with pytest.raises(TypeError):
        xpu.round(xpu.array([True, False]), 1)


def test_views_that_are_not_in_one_piece_are_sorted_on_the_device():
    def run(xp, a):
        a[:, ::2].sort(axis=0)
        a.T.sort()
        return a

    expected, got, device, _ = _run(run, np.array([[3.0, 1.0, 2.0], [1.0, 5.0, 0.0], [2.0, 0.0, 9.0]]))
    _same(expected, got)
    assert device == "pretend:0"


def test_flipping_no_axes_gives_the_value():
    made = xpu.flip(xpu.asarray(3.0) + 0)
    assert type(made) is xpu.scalar


# --- what NumPy refuses


@pytest.mark.parametrize(
    "f",
    [
        lambda xp, x: xp.diff(x),
        lambda xp, x: xp.diff(x, 1, 0),
        lambda xp, x: xp.ediff1d(x),
        lambda xp, x: xp.cross(x, x[::-1]),
        lambda xp, x: xp.linalg.cross(x, x[::-1]),
        lambda xp, x: xp.gradient(x)[0],
    ],
    ids=["diff", "diff along 0", "ediff1d", "cross", "linalg.cross", "gradient"],
)
@pytest.mark.parametrize("shape", [(3, 4), (3, 3)])
def test_functions_that_know_axes_do_not_care_for_the_order_in_memory(f, shape):
    x = np.arange(float(np.prod(shape))).reshape(shape) ** 2
    expected, got, device, _ = _run(lambda xp, x: f(xp, x.T), x)
    _same(expected, got)
    assert device == "pretend:0"


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16"])
def test_an_index_of_a_small_type_reaches_every_element(kind):
    table, last = np.arange(256.0 if kind == "uint8" else 100.0), 255 if kind == "uint8" else 99
    places = np.array([0, 1, last], kind)

    def write(xp, table, places):
        table[places] = xp.asarray([5.0, 6.0, 7.0])
        xp.put(table, places, xp.asarray([8.0, 9.0, 10.0]))
        return table[places] + xp.take(table, places)

    expected, got, device, _ = _run(write, table, places)
    _same(expected, got)
    assert device == "pretend:0"


def test_a_negative_power_of_integers_raises():
    with pytest.raises(ValueError, match="negative integer powers"):
        xpu.asarray([True, False]) ** -1
    with pytest.raises(ValueError, match="negative integer powers"):
        xpu.array([2, 3]) ** xpu.array([1, -1])
    with pytest.raises(ValueError, match="negative integer powers"):
        xpu.array([2, 3]) ** -1


# --- the pretend device does differ


def test_the_pretend_device_differs_as_cupy_does():
    a = np.zeros(3)
    cupys_way(OPS["setitem"])(a, np.array([1, 1]), np.array([5.0, 6.0]))
    assert a.tolist() == [0.0, 5.0, 0.0]
    assert cupys_way(OPS["getitem"])(np.arange(3), np.array([3, -4])).tolist() == [0, 2]
    assert cupys_way(OPS["astype"])(np.array([-1.0, 300.0, np.nan]), np.uint8).tolist() == [0, 255, 0]
    assert cupys_way(OPS["max"])(np.array([1 + 0j, np.nan])) == 1
    assert cupys_way(OPS["add"])(*[np.asfortranarray(np.ones((2, 2)))] * 2).flags.c_contiguous


def test_a_value_the_host_read_does_not_seem_to_have_moved():
    with xpu.config(device="pretend"):
        x = xpu.arange(5000.0) * 2
        assert str(x.device) == "pretend:0"
        assert float(np.asarray(x)[3]) == 6.0
        assert str(x.device) == "pretend:0"
    with xpu.config(device="auto"):
        assert str(x.device) == "cpu"
