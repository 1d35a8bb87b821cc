"""Objects of a user's own among xpu's functions, and xpu's arrays in a library's hands."""

import importlib
import sys

import numpy as np
import pytest
from scipy import optimize
from scipy.sparse import linalg

import xpu


@pytest.fixture(params=["cpu", "pretend"], autouse=True)
def device(request):
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param


class Vector:
    """Converts as a script's class does: to what the script calls an array."""

    def __init__(self, *values):
        self.values = xpu.array(values)

    def __array__(self, dtype=None, copy=None):
        return xpu.asarray(self.values, dtype=dtype)


def test_a_class_may_convert_itself_to_an_xpu_array():
    v = Vector(1.0, 2.0, 2.0)
    assert xpu.asarray(v).tolist() == [1.0, 2.0, 2.0]
    assert xpu.array([v, v]).shape == (2, 3)
    assert xpu.linalg.norm(v) == 3.0
    assert (xpu.ones(3) + v).tolist() == [2.0, 3.0, 3.0]
    assert xpu.concatenate([v, xpu.zeros(1)]).shape == (4,)


HANDLED = {}


class Diagonal:
    """NumPy's manual: "Writing custom array containers"."""

    def __init__(self, n, value):
        self.n, self.value = n, value

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__":
            return NotImplemented
        return Diagonal(self.n, ufunc(*[i.value if isinstance(i, Diagonal) else i for i in inputs], **kwargs))

    def __array_function__(self, func, types, args, kwargs):
        return HANDLED[func](*args, **kwargs) if func in HANDLED else NotImplemented


def test_a_table_of_functions_finds_numpys():
    HANDLED[xpu.sum] = lambda d: d.n * d.value
    d = Diagonal(3, 2)
    assert xpu.sum(d) == 6
    assert xpu.sin(d).value == np.sin(2)
    with pytest.raises(TypeError, match="no implementation found"):
        xpu.mean(d)
    assert xpu.sum == np.sum
    assert np.add == xpu.add
    assert xpu.add != xpu.subtract
    assert {xpu.add: 1}[np.add] == 1
    assert repr(xpu.add) == repr(np.add)
    assert str(xpu.random.default_rng(1)) == str(np.random.default_rng(1))


# --- what SciPy does with what a user's function returned


def test_gradients_reach_compiled_code():
    matrix, right = xpu.eye(4) * 2, xpu.ones(4)

    def value(x):
        return x @ (matrix @ x) - x @ right

    found = optimize.minimize(value, np.zeros(4), jac=lambda x: 4 * x - right, method="L-BFGS-B")
    assert found.success
    assert type(found.x) is np.ndarray
    np.testing.assert_allclose(found.x, 0.25)
    assert type(np.atleast_1d(right)) is type(np.atleast_2d(right, right)[1]) is np.ndarray


@pytest.mark.parametrize("name", ["cg", "gmres", "bicgstab", "minres", "lsqr", "lgmres"])
def test_krylov_solvers_take_operators(name):
    matrix = xpu.asarray(np.diag(np.arange(1.0, 9)) + 0.1)
    operator = linalg.LinearOperator((8, 8), lambda v: matrix @ v, rmatvec=lambda v: matrix.T @ v, dtype=float)
    found = getattr(linalg, name)(operator, xpu.ones(8))[0]
    np.testing.assert_allclose(matrix @ found, np.ones(8), rtol=1e-3)


LIBRARY = """
import numpy
def shown(x):
    return numpy.asarray(x)
def of_two(x):
    y = x
    return numpy.asarray(x)
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "a_library_of_this_test.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("a_library_of_this_test")
    del sys.modules["a_library_of_this_test"]


def test_a_library_writes_only_into_what_it_alone_holds(library):
    x = xpu.arange(5000.0)
    with pytest.raises(ValueError, match="read-only"):
        library.shown(x)[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        library.of_two(x * 1)[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x * 1)[0] = 1.0  # not a library
    mine = library.shown(x * 1)
    mine -= 1
    assert mine[0] == -1.0
    assert x[0] == 0.0
