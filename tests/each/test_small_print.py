"""What NumPy's arrays, ufuncs and namespace tell about themselves, xpu's tell too, wherever the bytes are."""

import io
import operator
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import xpu

TOLD = {
    "ufunc": lambda np, a: [
        (f.nin, f.nout, f.nargs, f.ntypes, f.types, f.identity, f.signature) for f in (np.add, np.modf, np.matmul)
    ],
    "resolve_dtypes": lambda np, a: np.add.resolve_dtypes((a.dtype, a.dtype, None)),
    "ufunc.at": lambda np, a: np.add.at(a, [0, 0], 1.0),
    "ufunc.accumulate": lambda np, a: np.add.accumulate(a),
    "ufunc.outer": lambda np, a: np.multiply.outer(a[0], a[1]),
    "ufunc.reduceat": lambda np, a: np.add.reduceat(a, [0, 1], axis=1),
    "shape, ndim, size": lambda np, a: [
        (np.shape(x), np.ndim(x), np.size(x), np.size(x, 0)) for x in (a, [[1, 2], [3, 4]])
    ],
    "isscalar": lambda np, a: (np.isscalar(3), np.isscalar(a), np.iterable(a), np.iterable(3)),
    "complex": lambda np, a: (np.iscomplexobj(a), np.iscomplexobj([1j]), np.isrealobj(a), np.isrealobj(a + 1j)),
    "isfortran": lambda np, a: (np.isfortran(a), np.isfortran(a.T)),
    "sharing": lambda np, a: [
        (np.may_share_memory(a, b), np.shares_memory(a, b)) for b in (a, a[1:], a + 1, a.T, a[::-1, ::-1])
    ],
    "apart": lambda np, a: np.shares_memory(a[:, ::2], a[:, 1::2]),
    "casts": lambda np, a: (
        np.can_cast(a.dtype, "f4"),
        np.min_scalar_type(300),
        np.common_type(a),
        np.result_type(a, 1),
    ),
    "limits": lambda np, a: (np.finfo(a.dtype).bits, np.finfo(a.dtype).tiny, repr(np.finfo("f4")), np.iinfo("i4").max),
    "broadcast_shapes": lambda np, a: np.broadcast_shapes((2, 1), (3,)),
    "isdtype": lambda np, a: np.isdtype(a.dtype, "real floating"),
    "memory": lambda np, a: (a.itemsize, a.nbytes, a.strides, a.T.flags.fnc, a.flags.writeable),
    "byteswap": lambda np, a: (a.byteswap(), a.byteswap(inplace=True), a),
    "shape=": lambda np, a: (setattr(a, "shape", (3, 2)), a.shape),
    "shape= of a view": lambda np, a: setattr(a[:, 0], "shape", (2, 1)),
    "setfield": lambda np, a: (a.setfield(7, "f4", 4), a),
    "compress": lambda np, a: a.compress([True, False], axis=0),
    "dumps": lambda np, a: pickle.loads(a.dumps()),
    "items": lambda np, a: (a.item(0), a.item((1, 2)), a.tolist(), a.tobytes()),
    "power": lambda np, a: (a**2, a**0.5, a**a, 2.0**a, a ** a.sum()),
    "in place with a scalar": lambda np, a: operator.iadd(a, a.sum()),
    "divmod": lambda np, a: (divmod(a, 2.0), divmod(2.0, a + 1)),
    "scalars": lambda np, a: (a.sum() + 1, 1 - a.sum(), divmod(a.sum(), 4.0), divmod(40.0, a.sum()), a.sum() ** 2),
    "index": lambda np, a: [10, 20, 30][np.argmax(a[1, :2])],
    "einsum of a list": lambda np, a: np.einsum("ij->j", a),
    "concatenate with foreign": lambda np, a: np.concatenate([a, [[1.0, 2.0, 3.0]]]),
    "named results": lambda np, a: np.linalg.svd(a).S.shape if hasattr(np.linalg.svd(a), "S") else None,
    "argsort of all": lambda np, a: np.argsort(a, axis=None, kind="stable"),
    "chkfinite": lambda np, a: np.asarray_chkfinite(a),
    "frombuffer": lambda np, a: np.frombuffer(b"\0" * 16, "f8"),
    "copyto": lambda np, a: (np.copyto(a, 1.0, where=a > 2), a),
    "ascontiguousarray of a number": lambda np, a: (np.ascontiguousarray(3.0), np.asfortranarray([[1, 2], [3, 4]])),
}


def _as_numpy(value):
    if isinstance(value, (tuple, list)):
        return [_as_numpy(v) for v in value]
    return np.asarray(value) if isinstance(value, (xpu.ndarray, xpu.scalar, np.ndarray, np.generic)) else value


def _same(ours, theirs):
    if isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _same(one, other)
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", TOLD)
def test_xpu_tells_what_numpy_tells(policy, name):
    base = np.arange(6.0).reshape(2, 3)
    with xpu.config(on_fallback="allow"), np.errstate(all="ignore"):
        ours = xpu.asarray(base) + 0
        theirs = base + 0
        made, expected = TOLD[name](xpu, ours), TOLD[name](np, theirs)
        _same(_as_numpy(made), _as_numpy(expected))
        _same(_as_numpy(ours), _as_numpy(theirs))  # what it wrote


def test_an_array_goes_to_a_file(policy, tmp_path):
    x = xpu.arange(6.0) * 2
    x.tofile(tmp_path / "raw")
    assert np.fromfile(tmp_path / "raw").tolist() == x.tolist()
    x.dump(tmp_path / "pickle")
    assert np.load(tmp_path / "pickle", allow_pickle=True).tolist() == x.tolist()
    buffer = io.BytesIO()
    xpu.save(buffer, x)
    assert np.load(io.BytesIO(buffer.getvalue())).tolist() == x.tolist()


def test_resize_in_place_fills_with_zeros(policy):
    x = xpu.arange(3.0) + 1
    x.resize(2, 2)
    assert x.tolist() == [[1.0, 2.0], [3.0, 0.0]]
    x.resize((2,))
    assert x.tolist() == [1.0, 2.0]


def test_flags_can_be_set_and_are_kept(policy):
    x = xpu.arange(3.0) + 1
    x.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 5.0
    assert x.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: x.__array_namespace__(api_version="1999.12"), ValueError, r"unknown api_version '1999.12'.*2025.12"),
        (lambda x: x.__array__("f4", copy=False), ValueError, "copy=False, but float64 has to become"),
        (lambda x: setattr(x.T, "shape", (6,)), AttributeError, "cannot become|Incompatible shape"),
        (lambda x: xpu.asarray(x, "f4", copy=False), ValueError, "copy=False, but dtype float64"),
        (lambda x: xpu.asarray(x, order="F", copy=False), ValueError, "copy=False"),
        (lambda x: xpu.asarray_chkfinite(x / 0.0), ValueError, "infs or NaNs"),
        (lambda x: xpu.nan_to_num(3.0, copy=False), ValueError, "a float is no array"),
        (lambda x: xpu.size(x, 5), IndexError, "tuple index out of range"),
        (lambda x: xpu.testing.dtypes("words"), ValueError, "no category 'words'"),
    ],
)
def test_a_refusal_says_what_was_asked(policy, call, error, words):
    x = xpu.arange(6.0).reshape(2, 3) + 1
    with np.errstate(all="ignore"), pytest.raises(error, match=words):
        call(x)


def test_what_this_numpy_lacks_says_so():
    from xpu._ops._make import numpy_function

    with pytest.raises(NotImplementedError, match=r"xpu.no_such: NumPy .* has no such function; upgrade NumPy"):
        numpy_function("no_such")()


def test_the_same_in_a_process_that_never_had_an_accelerator():
    """Operators and calls take shorter ways there, which end for good with the first use of a device."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XPU_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "[cpu", __file__]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
