"""The CUDA backend's dispatch, coherence and decisions, with CuPy's own array type and no GPU.

Kernels and copies are played by NumPy (`tests/played_cuda.py`); nothing here ran on a GPU.
"""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings

cupy = pytest.importorskip("cupy", reason="CuPy is not installed")

from test_programs_of_views import Programs  # noqa: E402

import xpu  # noqa: E402
from fault_cases import FaultCases  # noqa: E402
from played_cuda import PlayedCuda, library_has, on_device, seen  # noqa: E402
from xpu import _backends  # noqa: E402
from xpu._device import Device  # noqa: E402
from xpu._machine import shipped  # noqa: E402
from xpu._op import OPS  # noqa: E402


@pytest.fixture(autouse=True)
def cuda(monkeypatch):
    """A played ``cuda:0``."""
    device = Device("cuda:0")
    played = PlayedCuda(device)
    monkeypatch.setitem(_backends._loaded, device, played)
    monkeypatch.setitem(_backends._machines, str(device), shipped("h200"))
    _backends.gate.accelerate()
    return played


class OnCuda(Programs):
    """The random programs of views, with the played GPU for the pretend one."""

    names: ClassVar = {"pretend": "cuda"}

    def seen(self, raw):
        return seen(raw) if isinstance(raw, cupy.ndarray) else super().seen(raw)


TestProgramsOnCuda = OnCuda.TestCase
TestProgramsOnCuda.settings = settings(settings.get_profile("ci"), stateful_step_count=25)


class TestFaults(FaultCases):
    """The list of faults, with CuPy's types and exceptions."""

    @pytest.fixture
    def device(self, cuda):
        return "cuda"


@pytest.mark.parametrize(
    ("status", "kind"), [(2, "CupyOutOfMemory"), (35, "CupyLost"), (3, "CupyLost"), (719, "CupyLost"), (1, None)]
)
def test_cudas_errors_are_told_apart(status, kind):
    from cupy_backends.cuda.api.runtime import CUDARuntimeError

    from xpu._backends._cupy import _translated

    error = CUDARuntimeError(status)
    translated = _translated(error, Device("cuda:0"))
    assert translated is error if kind is None else type(translated).__name__ == kind


@pytest.mark.parametrize("words", ["CUBLAS_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED"])
def test_a_library_without_workspace_is_out_of_memory(words):
    from xpu._backends._cupy import CupyOutOfMemory, _translated

    assert isinstance(_translated(RuntimeError(words), Device("cuda:0")), CupyOutOfMemory)


@pytest.mark.parametrize("error", [ImportError("libcufft"), RuntimeError('Failure finding "libcublasLt.so"')])
def test_a_module_whose_library_is_missing_is_a_function_that_is_missing(error, monkeypatch):
    from xpu._backends import _cupy

    def missing(name):
        raise error

    monkeypatch.setattr(_cupy.importlib, "import_module", missing)
    assert _cupy._cupyx("cupyx.scipy.signal.convolve") is None


def test_results_are_cupys_arrays_and_stay_there(cuda):
    with xpu.config(device="cuda"), xpu.profile() as p:
        a = xpu.arange(6.0).reshape(2, 3)
        b = xpu.sin(a) + a.T.sum()
        assert b.device == "cuda:0"
        expected = np.sin(np.arange(6.0).reshape(2, 3)) + 15.0
        np.testing.assert_allclose(xpu.asnumpy(b), expected)
    assert {e.device for e in p.events} == {"cuda:0"}
    assert len(cuda.ran) >= 3


def test_a_cupy_array_is_an_operand_without_a_copy(cuda):
    raw = on_device(np.arange(4.0))
    with xpu.config(device="cuda"), xpu.profile() as p:
        made = xpu.multiply(raw, 2.0)
    assert p.bytes_moved == 0
    assert made.device == "cuda:0"
    assert xpu.asnumpy(made).tolist() == [0.0, 2.0, 4.0, 6.0]


def test_a_write_through_a_view_reaches_cupys_memory(cuda):
    raw = on_device(np.zeros(4))
    with xpu.config(device="cuda"):
        a = xpu.add(raw, 0.0)
        a[1::2] = 5.0
        assert xpu.asnumpy(a).tolist() == [0.0, 5.0, 0.0, 5.0]
    assert seen(raw).tolist() == [0.0] * 4


def test_what_cupy_lacks_runs_on_the_cpu_with_that_reason(cuda):
    with xpu.config(device="cuda", on_fallback="raise"), xpu.profile() as p:
        xpu.insert(xpu.ones(3), 1, 2.0)
        xpu.sum(xpu.ones(3), where=[True, False, True])
        xpu.vecdot(xpu.ones(3), xpu.ones(3))
    assert [(e.op, e.device, e.reason) for e in p.events if e.op in ("insert", "sum", "vecdot")] == [
        ("insert", "cpu", "the GPU library has no insert"),
        ("sum", "cpu", "the GPU library's sum has no where="),
        ("vecdot", "cpu", "the GPU library has no vecdot"),
    ]


def test_an_index_out_of_bounds_raises_numpys_error(cuda):
    with xpu.config(device="cuda"), pytest.raises(IndexError, match="out of bounds"):
        xpu.arange(3.0)[xpu.array([3])]


@pytest.mark.parametrize("size", [1, 5, 60, 100])
def test_what_the_pool_adds_to_an_allocation_does_not_move(cuda, size):
    """CuPy's pool rounds up to 512 bytes: blocks are as large as their arrays nevertheless."""
    with xpu.config(device="cuda"), xpu.profile() as p:
        a = xpu.arange(float(size)) + 1.0
        assert xpu.asnumpy(a).tolist() == (np.arange(float(size)) + 1.0).tolist()
        assert p.bytes_moved == 8 * size
        xpu.asnumpy(a)
    assert p.bytes_moved == 8 * size  # the host keeps its copy


def test_a_root_ends_where_its_array_ends(cuda):
    raw = on_device(np.arange(12.0).reshape(3, 4))
    root = cuda.root(raw[:2, ::-1])
    assert (root.nbytes, cuda.offset(root, raw[:2, ::-1])) == (64, 24)
    assert cuda.root(raw[:0]).nbytes == 0


@pytest.mark.parametrize("name", ["linalg.inv", "linalg.solve", "linalg.cholesky"])
def test_linear_algebra_looks_at_cusolvers_verdict(name, monkeypatch):
    """CuPy raises ``LinAlgError`` only if told to; singular matrices give rubbish otherwise."""
    import cupyx

    from xpu._backends._cupy import CupyBackend

    seen_states = []
    monkeypatch.setattr(cupy.linalg, name.partition(".")[2], lambda *args: seen_states.append(cupyx.geterr()["linalg"]))
    CupyBackend(Device("cuda:0")).function(OPS[name])(on_device(np.eye(2)))
    assert (seen_states, cupyx.geterr()["linalg"]) == (["raise"], "ignore")


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_floats_are_divided_by_our_kernels_and_integers_by_cupys(name, monkeypatch):
    from xpu._backends import _cupy_division
    from xpu._backends._cupy import CupyBackend

    ours, theirs = f"_{name}", name
    monkeypatch.setattr(_cupy_division, ours, lambda *args, **kwargs: "ours")
    monkeypatch.setattr(cupy, theirs, lambda *args, **kwargs: "theirs")
    divide = CupyBackend(Device("cuda:0")).function(OPS[name])
    f, i = on_device(np.ones(3, "f4")), on_device(np.ones(3, "i4"))
    assert [divide(f, i), divide(i, f), divide(i, 0.5), divide(2.5, i), divide(i, i, dtype="f8")] == ["ours"] * 5
    assert [divide(i, i), divide(i, 3), divide(7, i)] == ["theirs"] * 3


def test_complex_numbers_have_our_kernels_and_real_ones_cupys(monkeypatch):
    """CuPy makes NaN of complex infinities where NumPy does not, and multiplies out no whole power."""
    from xpu._backends import _cupy, _cupy_complex
    from xpu._backends._cupy import CupyBackend

    for name, nin in (("power", 2), ("log2", 1)):
        ours = type("Ours", (), {"nin": nin, "__call__": lambda self, *args, **kwargs: "ours"})()
        monkeypatch.setattr(cupy, name, lambda *args, **kwargs: "theirs")
        assert _cupy._OURS[name] is _cupy_complex.OF_COMPLEX[name]
        monkeypatch.setitem(_cupy._OURS, name, _cupy_complex.either(name, ours))
    backend = CupyBackend(Device("cuda:0"))
    power, log2 = backend.function(OPS["power"]), backend.function(OPS["log2"])
    f, z = on_device(np.ones(3, "f4")), on_device(np.ones(3, "c8"))
    assert [power(f, z), power(z, 2), power(f, 2j), power(f, f, dtype="c8"), log2(z)] == ["ours"] * 5
    assert [power(f, f), power(f, 2.0), log2(f), log2(f, dtype="f8")] == ["theirs"] * 4


def test_no_transfers_counts_both_directions(cuda):
    with xpu.config(device="cpu"):
        a = xpu.arange(5.0)
    with xpu.config(device="cuda"), xpu.profile() as p:
        b = a + 1.0
        xpu.asnumpy(b)
    assert p.bytes_moved == 80
    with xpu.no_transfers(), pytest.raises(xpu.errors.TransferError):
        xpu.asnumpy(xpu.ones(3).to_device("cuda"))


@pytest.mark.parametrize("name", sorted(n for n, op in OPS.items() if op.gpu is not None and "." not in n))
def test_every_row_that_names_a_function_of_cupy_finds_it(name):
    op = OPS[name]
    if op.gpu.startswith("cupyx."):
        pytest.skip("cupyx loads CUDA libraries on import of some modules; its own table is tested apart")
    assert library_has(op)
