"""What shares memory with what: a write through any result reaches what it reaches in NumPy, wherever the bytes are.

The random programs write through a few kinds of views; here every function that may return a view or a copy meets every
kind of layout. Each pair is tried once per device, by writing.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu

LAYOUTS = {
    "C": lambda a: a,
    "T": lambda a: a.T,
    "columns": lambda a: a[:, :4],
    "rows": lambda a: a[::2],
    "part": lambda a: a[1:3, 2:4],
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "one row": lambda a: a[2],
    "one column": lambda a: a[:, 1],
    "one element": lambda a: a[1:2, 2:3],
    "nothing": lambda a: a[:0],
    "new axis": lambda a: a[:, None, :],
    "permuted": lambda a: a.reshape(4, 3, 2).transpose(2, 0, 1),
}
CALLS = {
    "asanyarray": lambda a, np: np.asanyarray(a),
    "ascontiguousarray": lambda a, np: np.ascontiguousarray(a),
    "asfortranarray": lambda a, np: np.asfortranarray(a),
    "astype": lambda a, np: a.astype(a.dtype, copy=False),
    "flatten": lambda a, np: a.flatten(),
    "view": lambda a, np: a.view(),
    "view of integers": lambda a, np: a.view("i8"),
    "real": lambda a, np: np.real(a),
    "squeeze": lambda a, np: np.squeeze(a),
    "expand_dims": lambda a, np: np.expand_dims(a, 0),
    "atleast_3d": lambda a, np: np.atleast_3d(a),
    "moveaxis": lambda a, np: np.moveaxis(a, 0, -1),
    "swapaxes": lambda a, np: a.swapaxes(0, -1),
    "flip": lambda a, np: np.flip(a),
    "rot90": lambda a, np: np.rot90(np.atleast_2d(a)),
    "diagonal": lambda a, np: np.atleast_2d(a).diagonal(),
    "diag": lambda a, np: np.diag(a) if a.ndim < 3 else a,
    "array_split": lambda a, np: np.array_split(a, 2, axis=-1)[1],
    "unstack": lambda a, np: np.unstack(a)[0] if a.ndim > 1 and len(a) and hasattr(np, "unstack") else a,
    "broadcast_arrays": lambda a, np: np.broadcast_arrays(a, np.zeros(a.shape))[0],
    "nan_to_num": lambda a, np: np.nan_to_num(a, copy=False),
    "take": lambda a, np: np.take(a, [0], axis=-1),
}
for _order in "CFAK":
    CALLS |= {
        f"ravel {_order}": lambda a, np, o=_order: a.ravel(o),
        f"asarray {_order}": lambda a, np, o=_order: np.asarray(a, order=o),
        f"array {_order}": lambda a, np, o=_order: np.array(a, copy=None, order=o),
    }


def check(layout, call, base):
    """Write through what NumPy's call and xpu's give, and compare the arrays that they were given."""
    theirs, ours = base.copy(), xpu.asarray(base) + 0
    try:
        expected = call(layout(theirs), np)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - NumPy's words for it vary
            call(layout(ours), xpu)
        return
    got = call(layout(ours), xpu)
    assert (got.shape, got.dtype, got.strides) == (expected.shape, expected.dtype, expected.strides)
    np.testing.assert_array_equal(np.asarray(got), expected)
    if not expected.flags.writeable:
        with pytest.raises(ValueError, match="read-only"):
            got[...] = -7
        return
    got[...] = -7
    expected[...] = -7
    np.testing.assert_array_equal(np.asarray(ours), theirs)
    with xpu.config(device="cpu"):  # no replica has missed the write
        np.testing.assert_array_equal(np.asarray(ours + 0), theirs)


@pytest.mark.parametrize("name", CALLS)
def test_a_write_through_a_result_reaches_what_it_reaches_in_numpy(policy, name):
    with xpu.config(on_fallback="allow"):
        for layout in LAYOUTS.values():
            check(layout, CALLS[name], np.arange(24.0).reshape(4, 6))


@given(
    st.sampled_from(sorted(LAYOUTS)),
    st.sampled_from([(-1,), -1, (2, -1), (-1, 2), (1, -1), (2, 2, -1), (3, -1), (-1, 1, 4), (4, 6), (7, 3)]),
    st.sampled_from("CFA"),
)
def test_a_reshape_is_a_view_where_numpys_is(layout, shape, order):
    for device in ("cpu", "pretend", "auto"):
        with xpu.config(device=device):
            check(LAYOUTS[layout], lambda a, np: np.reshape(a, shape, order=order), np.arange(24.0).reshape(4, 6))


@pytest.mark.parametrize("order", ["C", "F", "A"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reshapes_are_told_apart_by_an_older_numpy(layout, order, monkeypatch):
    """NumPy 2.0 has no ``reshape(copy=False)``; the answer is the same."""
    from xpu import _ghosts

    array = LAYOUTS[layout](np.arange(24.0).reshape(4, 6))
    for shape in ((-1,), -1, (2, -1), (-1, 2), (1, -1), (2, 2, -1), (7, 3)):
        told = _ghosts._reshapes_without_copy(array, shape, order)
        with monkeypatch.context() as patch:
            patch.setattr(_ghosts, "_TELLS", False)
            assert _ghosts._reshapes_without_copy(array, shape, order) == told, shape


def test_a_row_of_a_transposed_device_array_reshaped_and_written_on_the_host():
    """Found by the long run of the random programs: the write went to a copy."""
    n, x = np.ones((2, 3)), xpu.asarray(np.zeros((2, 3)))
    with xpu.config(device="pretend"):
        x[:] = 1.0
    with xpu.config(device="cpu"):
        x.T[0].reshape(-1, 2)[:] = 0.0
    n.T[0].reshape(-1, 2)[:] = 0.0
    np.testing.assert_array_equal(np.asarray(x), n)


def test_nan_to_num_in_place_leaves_no_stale_replica(policy):
    x = xpu.asarray(np.array([1.0, np.nan, np.inf])) + 0.0
    np.asarray(x)  # valid on both sides
    with xpu.config(on_fallback="allow"):
        assert xpu.nan_to_num(x, False, 5.0, posinf=7.0) is x
    with xpu.config(device="cpu"):
        assert (x + 0).tolist() == [1.0, 5.0, 7.0]
    n = np.array([np.nan, 2.0])
    assert xpu.nan_to_num(n, copy=False).tolist() == n.tolist() == [0.0, 2.0]
    with pytest.raises(ValueError, match="copy"):
        xpu.nan_to_num([np.nan], copy=False)
    assert xpu.nan_to_num(xpu.asarray([1, 2]), copy=False).tolist() == [1, 2]
