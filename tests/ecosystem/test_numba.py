import numpy as np
import pytest

import xpu

numba = pytest.importorskip("numba", reason="numba is not installed")

ROW = (
    "numba",
    "`njit` functions read and write the memory itself, the array stays on the host; signatures given in advance take "
    "NumPy's only",
    "`njit` gives NumPy arrays; `vectorize`, `guvectorize` and `stencil` functions give xpu arrays",
    "no (`xpu.vectorize` is)",
)


@pytest.fixture(scope="module")
def fill_and_sum():
    @numba.njit
    def fill_and_sum(a, value):
        total = 0.0
        for v in a.ravel():
            total += v
        if total > 1e6:
            a = np.zeros_like(a)
        a[0] = value
        return total

    return fill_and_sum


def test_compiled_functions_work_on_the_arrays_memory(x, host, fill_and_sum):
    view = x[1:]
    assert fill_and_sum(x, 2 * x.sum()) == host.sum()
    assert x[0].tolist() == [132.0] * 4
    assert fill_and_sum(view, 0.0) == host[1:].sum()
    assert x[1].tolist() == [0.0] * 4
    assert (x * 1).tolist() == x.tolist()
    assert str(x.device) == "cpu"


def test_what_comes_back(x, host):
    @numba.njit
    def tail(a):
        return a[1:]

    back = tail(x)
    assert type(back) is np.ndarray
    back[0, 0] = -1.0
    assert x[1, 0] == -1.0
    with pytest.raises(TypeError):
        numba.njit("f8(f8[:, :])")(lambda a: a[0, 0])(x)


def test_universal_functions_give_xpu_arrays(x, host):
    @numba.vectorize
    def twice(a, b):
        return 2 * a + b

    made = twice(x, 1.0)
    assert type(made).__module__ == "xpu"
    assert made.tolist() == (2 * host + 1).tolist()


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64", "bool"])
def test_scalars(dtype, device):
    same = numba.njit(lambda a: a)
    scalar = xpu.ones(3, dtype=dtype).max()
    assert same(scalar) == same(np.ones(3, dtype=dtype).max())
    assert type(same(scalar)) is type(same(np.ones(3, dtype=dtype).max()))
