"""Views of arrays on a device: NumPy is asked once for each kind, and every later one means the same."""

import numpy as np
import pytest

import xpu
from xpu import _dispatch, _windows


@pytest.fixture(autouse=True)
def _on_the_device():
    _windows.forget()
    with xpu.config(device="pretend", on_fallback="raise"):
        yield


@pytest.fixture
def asked(monkeypatch):
    """The names of the rows whose views NumPy is asked for."""
    names = []
    ghosts = _dispatch.on_ghosts
    monkeypatch.setattr(_dispatch, "on_ghosts", lambda this: names.append(this.op.name) or ghosts(this))
    return names


def fresh(shape=(4, 6), dtype="f8"):
    """An array on the device alone, and the same for NumPy."""
    host = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    device = xpu.asarray(host) * 1
    assert str(device.device) == "pretend:0"
    return device, host.copy()


VIEWS = {
    "rows": lambda np, a: a[1:3],
    "a row": lambda np, a: a[2],
    "a negative row": lambda np, a: a[-1],
    "a box": lambda np, a: a[1:-1, ::2],
    "backwards": lambda np, a: a[::-1, ::-2],
    "new axes": lambda np, a: a[None, ..., None, 1:],
    "all": lambda np, a: a[...],
    "nothing": lambda np, a: a[2:2],
    "of a view": lambda np, a: a[1:, 1:].T[2:, ::-1],
    "transposed": lambda np, a: a.T,
    "axes in order": lambda np, a: np.transpose(a, (1, 0)),
    "reshaped": lambda np, a: a.reshape(3, 8),
    "raveled": lambda np, a: a.ravel(),
    "swapped": lambda np, a: np.swapaxes(a, 0, 1),
    "the diagonal": lambda np, a: np.diagonal(a, 1),
    "reinterpreted": lambda np, a: a.view("i8"),
    "broadcast": lambda np, a: np.broadcast_to(a, (2, 4, 6)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_the_second_view_of_a_kind_is_numpys_without_asking(name, asked):
    take = VIEWS[name]
    a, host = fresh()
    first = take(xpu, a)
    times = len(asked)
    assert times
    b, host = fresh()
    with xpu.profile() as events:  # recorders are told of every view: they take the long way
        take(xpu, b)
    assert len(events.events) == times == len(asked) // 2
    second, expected = take(xpu, b), take(np, host)
    assert len(asked) == 2 * times
    for got in (first, second):
        assert (got.shape, got.strides, got.dtype) == (expected.shape, expected.strides, expected.dtype)
        assert got.flags.writeable == expected.flags.writeable
        assert str(got.device) == "pretend:0"
    if expected.flags.writeable:
        second[...] = 7
        expected[...] = 7
    with xpu.config(on_transfer="allow"):
        np.testing.assert_array_equal(xpu.asnumpy(b), host)
        np.testing.assert_array_equal(xpu.asnumpy(second), expected)


def test_equal_keys_of_other_types_are_other_keys():
    a, host = fresh()
    for key in (1, True, np.True_, 1.0, np.int64(1), (1,), slice(1), (1, 0), slice(0, 1), None, ...):
        for _ in range(2):
            try:
                expected = host[key]
            except IndexError:
                with pytest.raises(IndexError):
                    a[key]
                continue
            np.testing.assert_array_equal(xpu.asnumpy(a[key]), expected)
            assert np.shape(a[key]) == np.shape(expected)


def test_other_layouts_and_dtypes_are_other_kinds():
    a, host = fresh()
    for change in (lambda x: x, lambda x: x.T, lambda x: x[::-1], lambda x: x.astype("i8"), lambda x: x[:, 1:]):
        for _ in range(2):
            got, expected = xpu.asnumpy(change(a)[1:, 0]), change(host)[1:, 0]
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


def test_what_numpy_refuses_is_refused_again():
    a, _ = fresh()
    assert a[1:].shape == a[1:].shape == (3, 6)
    assert xpu.swapaxes(a, 0, 1).shape == xpu.swapaxes(a, 0, 1).shape == (6, 4)
    with pytest.raises(TypeError):
        a[1.0:]
    with pytest.raises(TypeError):
        xpu.swapaxes(a, (0, 1))


def test_a_view_of_what_may_not_be_written_may_not():
    a, _ = fresh()
    row = a[1:]
    assert row.flags.writeable
    locked = xpu.broadcast_to(a, (4, 6))
    assert locked.strides == a.strides
    for start in (1, 2):
        for _ in range(3):
            part = locked[start:]
            assert not part.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                part[...] = 0
            assert a[start:].flags.writeable


def test_what_is_on_the_host_too_is_viewed_there(asked):
    a, host = fresh()
    a[1:]
    times = len(asked)
    xpu.asnumpy(a)
    part = a[1:]
    np.testing.assert_array_equal(np.asarray(part), host[1:])
    assert len(asked) == times


def test_a_table_that_is_full_is_begun_anew(monkeypatch):
    monkeypatch.setattr(_windows, "_MOST", 3)
    a, host = fresh()
    for start in (0, 1, 2, 3, 0, 1, 2, 3):
        np.testing.assert_array_equal(xpu.asnumpy(a[start:] * 1), host[start:])
        assert len(_windows._known) <= 3
