"""The second way to the GPU, numba-cuda, as far as it goes without one: PTX for sm_90, and when it is chosen."""

import numpy as np
import pytest
from test_vectorize import branchy, calls_helper, newton, soft, wave

from xpu._kernels import _cuda

CASES = [(soft, "ddd"), (wave, "d"), (newton, "f"), (branchy, "ff")]
F8 = np.dtype("f8")


@pytest.mark.parametrize(("f", "chars"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_ptx_for_sm_90(f, chars):
    numba = pytest.importorskip("numba", reason="numba compiles")
    cuda = pytest.importorskip("numba.cuda", reason="this numba has no CUDA compiler")
    nvvm = pytest.importorskip("numba.cuda.cudadrv.nvvm", reason="this numba has no CUDA compiler")
    if not nvvm.is_available():
        pytest.skip("NVVM, the compiler's back end, is not installed (nvidia-nvvm)")
    types = tuple(numba.from_dtype(np.dtype(c)) for c in chars)
    ptx, _ = cuda.compile(_cuda.numba_twin(f), types, device=True, cc=(9, 0), output="ptx", abi="c")
    assert ".target sm_90" in ptx
    assert ".visible .func" in ptx


def test_what_a_function_calls_becomes_a_device_function():
    """Compiling such a caller asks the driver for the card, so it is not compiled here."""
    dispatcher = pytest.importorskip("numba.cuda.dispatcher", reason="this numba has no CUDA compiler")
    twin = _cuda.numba_twin(calls_helper)
    assert isinstance(twin.__globals__["helper"], dispatcher.CUDADispatcher)
    assert twin.__globals__["helper"].targetoptions["device"] is True
    assert not isinstance(calls_helper.__globals__["helper"], dispatcher.CUDADispatcher)


@pytest.fixture
def ways(monkeypatch):
    """Each way says that it was asked; the first `refused` of them refuse."""
    asked, refused = [], set()

    def way(name):
        def maker(f, inputs, result):
            asked.append(name)
            if name in refused:
                raise TypeError(f"{name} says no")
            return lambda *args: np.asarray(args[0]) * 2

        maker.__name__ = f"_by_{name}"
        return maker

    for name in ("cupy", "cupy_in_64_bits", "numba", "whole_arrays"):
        monkeypatch.setattr(_cuda, f"_by_{name}", way(name))
    return asked, refused


ORDER = ["cupy", "cupy_in_64_bits", "numba", "whole_arrays"]


@pytest.mark.parametrize("works", range(4))
def test_the_first_way_that_works_is_taken_and_remembered(ways, works):
    asked, refused = ways
    refused |= set(ORDER[:works])
    run = _cuda.kernel(wave, (F8,), F8)
    x = np.arange(3.0)
    assert run(x).tolist() == [0.0, 2.0, 4.0]
    assert asked == ORDER[: works + 1]
    run(x)
    assert asked == ORDER[: works + 1]


def test_where_no_way_works_every_reason_is_told(ways):
    asked, refused = ways
    refused |= set(ORDER)
    with pytest.raises(TypeError) as told:
        _cuda.kernel(wave, (F8,), F8)(np.arange(3.0))
    assert asked == ORDER
    assert all(f"{name}: {name} says no" in str(told.value) for name in ORDER)


def test_a_lambda_goes_to_numba_at_once(ways):
    """CuPy wants the source of a function by itself."""
    asked, _ = ways
    _cuda.kernel(lambda x: x * 2, (F8,), F8)(np.arange(3.0))
    assert asked == ["numba"]


def test_the_results_dtype_is_the_kernels(ways):
    run = _cuda.kernel(wave, (F8,), np.dtype("f4"))
    assert run(np.arange(3.0)).dtype == np.dtype("f4")
