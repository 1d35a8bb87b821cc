"""The cuDNN engine on a real GPU: values, precision, determinism, streams, threads, memory.

NOT RUN ON A GPU by its author: written against the same engine that ``tests/pure/test_cudnn_engine.py``
runs with cuDNN's part played on the host.
"""

import functools
import itertools
import threading

import numpy
import pytest
from hypothesis import given

from cudnn_cases import KINDS, LAYOUTS, VARIANTS, forward, geometries, make, operands
from cudnn_cases import agrees as agrees_within
from xpu.conv._cudnn import CudnnEngine
from xpu.conv._cudnn_library import CudnnUnavailableError, load
from xpu.conv._cudnn_problem import CudnnOptions, default_workspace_limit
from xpu.conv._cudnn_session import Session


@functools.cache
def missing():
    """Why these tests cannot run here, or an empty string."""
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except (ImportError, RuntimeError) as error:
        return f"no CUDA device: {error}"
    if not count:
        return "no CUDA device"
    try:
        load()
    except CudnnUnavailableError as error:
        return f"no cuDNN: {error.reason}"
    return ""


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(missing()), reason=missing() or "runs")]

ENGINE = CudnnEngine()
WIDE = make(batch=4, in_channels=64, out_channels=64, spatial=(28, 28), kernel=(3, 3), padding=((1, 1), (1, 1)))


# Engines may add in any order; Winograd's, on cards that have them, multiply by fractions.
TOLERANCE = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-13}


def agrees(geometry, first, second, result):
    agrees_within(geometry, first, second, result, TOLERANCE[geometry.dtype.name])


@pytest.fixture
def cupy():
    import cupy

    return cupy


def run(cupy, geometry, first, second, bias=None, engine=ENGINE):
    arrays = [None if a is None else cupy.asarray(a) for a in (first, second, bias)]
    return cupy.asnumpy(engine.run(cupy, geometry, *arrays))


def noise(geometry, seed=0):
    random = numpy.random.default_rng(seed)
    return [random.standard_normal(shape).astype(geometry.dtype) for shape in geometry.operand_shapes]


@given(geometries().filter(lambda g: g.dtype.name != "bfloat16"))
def test_results_are_the_definitions(geometry):
    import cupy

    first, second = operands(geometry)
    agrees(geometry, first, second, run(cupy, geometry, first, second))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_variants_are_the_definitions(cupy, dtype, layout, kind):
    for rank, variant in itertools.product((1, 2, 3), VARIANTS.values()):
        geometry = make(kind, dtype, layout, rank, **variant(rank))
        first, second = operands(geometry)
        agrees(geometry, first, second, run(cupy, geometry, first, second))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16(cupy, kind):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 arrays need ml_dtypes")
    geometry = make(kind).with_(dtype=numpy.dtype(ml_dtypes.bfloat16))
    first, second = operands(geometry)
    result = run(cupy, geometry, first, second).astype("f8")
    exact = run(cupy, geometry.with_(dtype=numpy.dtype("f8")), first.astype("f8"), second.astype("f8"))
    assert numpy.abs(result - exact).max() <= numpy.abs(exact).max() * 2**-8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_is_true_float32(cupy, layout):
    """TensorFloat-32 keeps 10 bits of mantissa: its error here is near 1e-3, float32's near 1e-6."""
    geometry = WIDE.with_(layout=layout)
    first, second = noise(geometry)
    expected = forward(geometry, first, second)
    scale = numpy.abs(expected).max()
    exact = run(cupy, geometry, first, second)
    fast = run(cupy, geometry, first, second, engine=CudnnEngine(CudnnOptions(tf32=True)))
    assert numpy.abs(exact - expected).max() < 1e-5 * scale
    assert numpy.abs(fast - expected).max() < 1e-2 * scale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_same_bits_every_time(cupy, dtype, kind):
    geometry = WIDE.with_(kind=kind, dtype=numpy.dtype(dtype))
    first, second = noise(geometry)
    once = run(cupy, geometry, first, second)
    for _ in range(5):
        assert run(cupy, geometry, first, second).tobytes() == once.tobytes()


@pytest.mark.parametrize("kind", ["forward", "input"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_bias(cupy, dtype, layout, kind):
    for rank in (1, 2, 3):
        geometry = make(kind, dtype, layout, rank)
        first, second = operands(geometry)
        channels = geometry.out_channels if kind == "forward" else geometry.in_channels
        bias = numpy.arange(channels).astype(dtype)
        shape = (-1,) if layout == "NHWC" else (-1, *[1] * rank)
        plain = run(cupy, geometry, first, second)
        error = numpy.abs(run(cupy, geometry, first, second, bias) - (plain + bias.reshape(shape))).max()
        assert error <= TOLERANCE[dtype] * numpy.abs(plain).max()


FORMS = {
    "reversed": lambda cupy, a: cupy.asarray(a[..., ::-1].copy())[..., ::-1],
    "every second element": lambda cupy, a: cupy.asarray(numpy.repeat(a, 2, axis=-1))[..., ::2],
    "channels last in memory": lambda cupy, a: cupy.moveaxis(cupy.asarray(numpy.moveaxis(a, 1, -1).copy()), -1, 1),
    "misaligned": lambda cupy, a: cupy.asarray(numpy.concatenate([a.ravel()[:1], a.ravel()]))[1:].reshape(a.shape),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_operands_in_every_form(cupy, kind, form):
    geometry = make(kind, **VARIANTS["everything"](2))
    first, second = operands(geometry)
    result = ENGINE.run(cupy, geometry, form(cupy, first), form(cupy, second))
    agrees(geometry, first, second, cupy.asnumpy(result))


def test_broadcast_operands(cupy):
    geometry = make()
    first, second = operands(geometry)
    repeated = cupy.broadcast_to(cupy.asarray(first[:1]), first.shape)
    result = cupy.asnumpy(ENGINE.run(cupy, geometry, repeated, cupy.asarray(second)))
    assert numpy.array_equal(result[0], result[1])
    assert numpy.allclose(result[0], forward(geometry, first, second)[0], rtol=0, atol=1e-3)


def test_empty_arrays(cupy):
    geometry = make(batch=0)
    assert run(cupy, geometry, *operands(geometry)).shape == geometry.y_shape
    assert not run(cupy, make(in_channels=0), *operands(make(in_channels=0))).any()


def test_work_goes_to_the_current_stream(cupy):
    """On a stream of its own, after work queued there: a wrong stream would read too early."""
    first, second = operands(WIDE)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        a, b = cupy.zeros(first.shape, "f4"), cupy.asarray(second)
        busy = cupy.ones((2048, 2048), "f4")
        for _ in range(20):
            busy = busy @ busy * 0.0 + 1.0
        a += cupy.asarray(first) * busy[0, 0]
        result = ENGINE.run(cupy, WIDE, a, b)
        answer = cupy.asnumpy(result)
    agrees(WIDE, first, second, answer)


def test_threads_share_plans(cupy):
    session = Session()
    engine = CudnnEngine(session=session)
    first, second = operands(WIDE)
    results, errors = [], []

    def work():
        try:
            with cupy.cuda.Stream(non_blocking=True):
                results.append(run(cupy, WIDE, first, second, engine=engine))
        except (RuntimeError, ValueError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, len(results), len(session)) == ([], 4, 1)
    for result in results:
        agrees(WIDE, first, second, result)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_workspace_within_its_limit(kind, layout, dtype):
    geometry = WIDE.with_(kind=kind, layout=layout, dtype=numpy.dtype(dtype))
    assert 0 <= ENGINE.workspace(geometry) <= default_workspace_limit(geometry)
    assert CudnnEngine(CudnnOptions(workspace_limit=0)).workspace(geometry) == 0
    assert ENGINE.ready(geometry)


def test_pool_gets_everything_back(cupy):
    first, second = (cupy.asarray(a) for a in operands(WIDE))
    ENGINE.run(cupy, WIDE, first, second)
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    for _ in range(3):
        ENGINE.run(cupy, WIDE, first, second)
    assert pool.used_bytes() == before


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_what_is_left_to_other_engines(dtype):
    assert ENGINE.supports(make(dtype=dtype)) == f"cuDNN has no {dtype} convolution"
    assert ENGINE.supports(make()) is None
