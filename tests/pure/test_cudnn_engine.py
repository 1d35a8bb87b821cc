"""The cuDNN engine without a GPU: what it hands to cuDNN, and that this is the right convolution.

Arrays are genuine `cupy.ndarray` objects over host memory; cuDNN's part is played in NumPy, from what
was handed over alone (`cudnn_host`). Where cuDNN is installed, the graph that it stored is played.
"""

import ctypes
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy
import pytest
from cudnn_host import HostCudnn, HostCupy, PlannedCudnn, cupy, host, over_host_memory
from hypothesis import given

from cudnn_cases import KINDS, LAYOUTS, VARIANTS, agrees, cudnn_and_device, forward, geometries, make, operands
from xpu.conv import _cudnn_library
from xpu.conv._cudnn import CudnnEngine
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError, HandlePool
from xpu.conv._cudnn_problem import ROLES, CudnnOptions, default_workspace_limit
from xpu.conv._cudnn_session import Session
from xpu.conv._engine import Rates


class World:
    """A host-played CuPy, cuDNN, session and engine."""

    def __init__(self, library=None, **options):
        self.xp = HostCupy()
        self.library = library or HostCudnn()
        self.session = Session(lambda: self.library)
        self.engine = self.with_options(**options)

    def with_options(self, **options):
        return CudnnEngine(CudnnOptions(**options), self.session)

    def run(self, geometry, first, second, bias=None, engine=None):
        return (engine or self.engine).run(self.xp, geometry, first, second, bias)

    def arrays(self, geometry):
        return [self.xp.put(a) for a in operands(geometry)]


@pytest.fixture
def world():
    return World()


@pytest.fixture(params=["recorded", "planned"])
def library(request):
    """Make a fresh cuDNN: the recorded frontend, and the real one where it is installed."""
    if request.param == "recorded":
        return HostCudnn
    found = cudnn_and_device()
    if isinstance(found, str):
        pytest.skip(found)
    return lambda: PlannedCudnn(*found)


# ------------------------------------------------------------------ results


real_geometries = geometries().filter(lambda g: g.dtype.name != "bfloat16")  # NumPy cannot play it


@given(real_geometries)
def test_results_are_the_definitions(library, geometry):
    world = World(library())
    first, second = operands(geometry)
    result = world.run(geometry, world.xp.put(first), world.xp.put(second))
    assert type(result) is cupy.ndarray
    assert (result.shape, result.dtype, result.flags.c_contiguous) == (geometry.result_shape, geometry.dtype, True)
    agrees(geometry, first, second, host(result))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_are_the_definitions(library, variant, layout, kind):
    for rank in (1, 2, 3):
        world = World(library())
        geometry = make(kind, "float64", layout, rank, **VARIANTS[variant](rank))
        first, second = operands(geometry)
        agrees(geometry, first, second, host(world.run(geometry, world.xp.put(first), world.xp.put(second))))


def _plain(xp, a, channels):
    return xp.put(a)


def _other_order(xp, a, channels):
    """Channels last in memory where the layout has them first, and the reverse."""
    there = 1 if channels > 1 else a.ndim - 1
    moved = xp.put(numpy.ascontiguousarray(numpy.moveaxis(a, channels, there)))
    axes = list(range(a.ndim))
    axes.insert(channels, axes.pop(there))
    return moved.transpose(axes)


def _reversed(xp, a, channels):
    return xp.put(numpy.ascontiguousarray(a[..., ::-1]))[..., ::-1]


def _spread(xp, a, channels=1):
    wide = numpy.full((*a.shape[:-1], 2 * a.shape[-1]), 99, a.dtype)
    wide[..., ::2] = a
    return xp.put(wide)[..., ::2]


def _turned(xp, a, channels):
    order = numpy.roll(numpy.arange(a.ndim), 1)
    return xp.put(numpy.ascontiguousarray(a.transpose(order))).transpose(numpy.argsort(order))


def _shifted(xp, a, channels=1):
    long = xp.put(numpy.concatenate([numpy.full(1, 99, a.dtype), a.ravel()]))
    return long[1:].reshape(a.shape)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16(library, kind):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 arrays need ml_dtypes")
    world = World(library())
    geometry = make(kind, batch=1, spatial=(4, 5), kernel=(2, 2)).with_(dtype=numpy.dtype(ml_dtypes.bfloat16))
    first, second = operands(geometry)  # sums below 256 are exact in bfloat16
    result = world.run(geometry, world.xp.put(first), world.xp.put(second))
    agrees(geometry, first.astype("f8"), second.astype("f8"), host(result))


# Ways to hold the same values, and whether the engine must copy.
FORMS = {
    "as it is": (False, _plain),
    "other order of channels": (False, _other_order),
    "every second element": (True, _spread),
    "batch innermost": (True, _turned),
    "reversed": (True, _reversed),
    "one element past an aligned address": (True, _shifted),
}


@pytest.mark.parametrize("second", FORMS)
@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize(("kind", "layout"), [("forward", "NHWC"), ("input", "NCHW"), ("weight", "NHWC")])
def test_operands_in_every_form(library, kind, layout, first, second):
    world = World(library())
    geometry = make(kind, "float32", layout, 2, **VARIANTS["everything"](2))
    values = operands(geometry)
    forms = [FORMS[first], FORMS[second]]
    channels = [3 if layout == "NHWC" and name != "w" else 1 for name in ROLES[kind][:2]]
    arrays = [make_it(world.xp, a, c) for (_, make_it), a, c in zip(forms, values, channels, strict=True)]
    agrees(geometry, *values, host(world.run(geometry, *arrays)))
    assert sum(entry[0] == "copy" for entry in world.xp.log) == sum(copies for copies, _ in forms)


def test_broadcast_operands_are_spelled_out(library):
    world = World(library())
    geometry = make("forward", "float64", batch=3)
    first, second = operands(geometry)
    first[:] = first[:1]
    one = world.xp.put(first[:1])
    repeated = cupy.ndarray(first.shape, first.dtype, memptr=one.data, strides=(0, *one.strides[1:]))
    agrees(geometry, first, second, host(world.run(geometry, repeated, world.xp.put(second))))


# ------------------------------------------------------------------ what is handed over


@pytest.mark.parametrize(("kind", "uids"), [("forward", (1, 2, 4)), ("input", (4, 2, 1)), ("weight", (1, 4, 2))])
def test_pointers_stream_handle_and_workspace(world, kind, uids):
    geometry = make(kind)
    first, second = world.arrays(geometry)
    result = world.run(geometry, first, second)
    (done,) = world.library.executed
    assert done.pointers == dict(zip(uids, (first.data.ptr, second.data.ptr, result.data.ptr), strict=True))
    assert all(type(p) is int for p in (*done.pointers.values(), done.workspace, done.stream))
    assert done.stream == 0x5150
    assert done.handle is world.library.handles[0] is done.graph.handle
    assert world.xp.log[-1] == ("empty", 640, numpy.dtype("uint8"))
    assert done.workspace not in done.pointers.values()
    assert world.xp.devices == []  # left again


def test_no_workspace_is_a_null_pointer():
    world = World(HostCudnn([0]))
    world.run(make(), *world.arrays(make()))
    assert world.library.executed[0].workspace == 0
    assert [entry[0] for entry in world.xp.log] == ["empty"]


def test_stream_is_asked_for_each_time(world):
    arrays = world.arrays(make())
    world.run(make(), *arrays)
    world.xp.stream = 0x7777
    world.run(make(), *arrays)
    assert [done.stream for done in world.library.executed] == [0x5150, 0x7777]


def test_calls_come_in_the_order_the_frontend_needs(world):
    world.run(make(), *world.arrays(make()))
    assert world.library.graphs[0].calls == [
        "validate",
        "build_operation_graph",
        ("create_execution_plans", ["A", "FALLBACK"]),
        *["deselect"] * 3,
        ("build", 0),
        ("build", 1),
    ]


ALWAYS = {"DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION", "FFT", "RUNTIME_COMPILATION"}


@pytest.mark.parametrize(
    ("dtype", "options", "more"),
    [
        ("float32", {}, {"TENSOR_CORE", "NONDETERMINISTIC"}),
        ("float32", {"tf32": True}, {"NONDETERMINISTIC"}),
        ("float32", {"deterministic": False}, {"TENSOR_CORE"}),
        ("float64", {}, {"NONDETERMINISTIC"}),
        ("float16", {}, {"NONDETERMINISTIC"}),
        ("float16", {"deterministic": False}, set()),
    ],
)
def test_options_rule_engines_out(dtype, options, more):
    world = World(**options)
    geometry = make(dtype=dtype)
    world.run(geometry, *world.arrays(geometry))
    (graph,) = world.library.graphs
    assert set(graph.dropped) == ALWAYS | more
    assert graph.limit == default_workspace_limit(geometry)
    sums = "DOUBLE" if dtype == "float64" else "FLOAT"
    assert graph.types["compute_data_type"].name == graph.types["intermediate_data_type"].name == sums


def test_workspace_limit_of_the_caller():
    world = World(workspace_limit=639)
    world.run(make(), *world.arrays(make()))
    assert world.library.graphs[0].limit == 639
    assert world.library.graphs[0].chosen == 2


def test_real_frontend_passes_integers_through():
    found = cudnn_and_device()
    if isinstance(found, str):
        pytest.skip(found)
    world = World(PlannedCudnn(*found))
    geometry = make()
    first, second = world.arrays(geometry)
    world.run(geometry, first, second)
    graph = world.library.graphs[0]._graph
    if not hasattr(graph, "_lowered_graph"):
        pytest.skip(f"frontend {found[0].__version__} executes in C++ at once")
    seen = []

    class Lowered:
        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            return getattr(self.real, name)

        def _execute_with_raw_ptrs(self, address, count, workspace, handle, index):
            seen.append((list((ctypes.c_void_p * count).from_address(address)), workspace, index))

    graph._lowered_graph = Lowered(graph._lowered_graph)
    graph.execute({4: 0x4000, 1: 0x1000, 2: 0x2000}, 0, handle=None)
    graph.execute({4: 0x4000, 1: 0x1000, 2: 0x2000}, 0x9000, handle=None)
    assert [(pointers, workspace) for pointers, workspace, _ in seen] == [
        ([0x1000, 0x2000, 0x4000], 0),
        ([0x1000, 0x2000, 0x4000], 0x9000),
    ]
    assert graph.get_plan_name_at_index(seen[0][2]) == world.session.plan(world.engine._key(geometry, 0)).engine


# ------------------------------------------------------------------ bias


@pytest.mark.parametrize("kind", ["forward", "input"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_bias_is_added_per_channel_of_the_result(library, rank, layout, kind):
    world = World(library())
    geometry = make(kind, "float64", layout, rank)
    values = operands(geometry)
    channels = geometry.out_channels if kind == "forward" else geometry.in_channels
    bias = numpy.arange(1.0, channels + 1)
    arrays = [world.xp.put(a) for a in values]
    result = host(world.run(geometry, *arrays, world.xp.put(bias))).copy()
    plain = host(world.run(geometry, *arrays))
    shape = (-1,) if layout == "NHWC" else (-1, *[1] * rank)
    assert numpy.array_equal(result, plain + bias.reshape(shape))
    added = [entry[0] for entry in world.xp.log].count("add")
    assert added == (0 if kind == "forward" else 1)  # fused forward, separate for a gradient


@pytest.mark.parametrize("form", [_shifted, _spread])
def test_bias_in_other_forms_is_copied(world, form):
    geometry = make(dtype="float64")
    values = operands(geometry)
    bias = numpy.arange(12.0)
    result = world.run(geometry, *[world.xp.put(a) for a in values], form(world.xp, bias))
    assert [entry[0] for entry in world.xp.log] == ["copy", "empty", "empty"]
    assert numpy.array_equal(host(result), forward(geometry, *values) + bias.reshape(12, 1, 1))


def test_refused_bias_is_added_afterwards(world):
    world.library.refuses.append(lambda graph: graph.operation[3] is not None)
    geometry = make(dtype="float64")
    values = operands(geometry)
    bias = numpy.arange(12.0)
    result = world.run(geometry, *[world.xp.put(a) for a in (*values, bias)])
    assert numpy.array_equal(host(result), forward(geometry, *values) + bias.reshape(12, 1, 1))


def test_weight_gradient_takes_no_bias(world):
    geometry = make("weight")
    with pytest.raises(ValueError, match=r"bias is float32 of shape \(12,\)"):
        world.run(geometry, *world.arrays(geometry), world.xp.put(numpy.zeros(12, "f4")))


# ------------------------------------------------------------------ plans are kept


def test_one_plan_per_geometry_strides_options_bias_and_device(world):
    geometry = make(dtype="float64")
    first, second = operands(geometry)
    plain = [world.xp.put(first), world.xp.put(second)]
    moved = [_other_order(world.xp, first, 1), plain[1]]
    bias = world.xp.put(numpy.zeros(12))
    for _ in range(2):
        world.run(geometry, *plain)
        world.run(geometry, *moved)
        world.run(geometry, *plain, bias)
        world.run(geometry, *plain, engine=world.with_options(deterministic=False))
        world.run(geometry.with_(kind="forward", stride=(2, 1)), *plain)
    assert len(world.library.graphs) == len(world.session) == 5
    assert len(world.library.executed) == 10
    key = (geometry, ((1, 2, 3, 4),) * 2, False, CudnnOptions())
    keys = [(*key, 0), (*key, 1)]
    world.session.plan(keys[0])
    assert (world.session.known(keys[0]).engine, world.session.known(keys[1])) == ("eng1", None)


def test_least_recently_used_plan_goes_first():
    world = World()
    world.session = Session(lambda: world.library, capacity=2)
    engine = world.with_options()
    a, b, c = (make(batch=n) for n in (1, 2, 3))
    for geometry in (a, b, a, c):
        world.run(geometry, *world.arrays(geometry), engine=engine)
    assert [engine.ready(g) for g in (a, b, c)] == [True, False, True]
    assert len(world.session) == 2
    world.session.clear()
    assert not engine.ready(a)


def test_refusals_are_kept_too(world):
    world.library.refuses.append(lambda graph: True)
    arrays = world.arrays(make())
    errors = []
    for _ in range(3):
        with pytest.raises(CudnnRefusedError, match="CUDNN_STATUS_BAD_PARAM") as caught:
            world.run(make(), *arrays)
        errors.append(caught.value)
    assert len(world.library.graphs) == 1
    assert len(set(map(id, errors))) == 3
    assert not world.engine.ready(make())
    assert world.engine.supports(make()) == "cuDNN refused it: CUDNN_STATUS_BAD_PARAM"


def test_want_of_memory_while_planning_is_not_kept(world):
    world.library.refuses.append(lambda graph: len(world.library.graphs) == 1)
    world.library.refusal = "CUDNN_STATUS_ALLOC_FAILED"
    arrays = world.arrays(make())
    with pytest.raises(CudnnRefusedError, match="ALLOC_FAILED"):
        world.run(make(), *arrays)
    assert world.run(make(), *arrays).shape == make().result_shape


def test_no_engine_left_says_why():
    world = World(HostCudnn([None, 5000]), workspace_limit=100)
    with pytest.raises(CudnnRefusedError, match=r"none of 2 engines is allowed, with 100 bytes.*Requires 5000"):
        world.run(make(), *world.arrays(make()))


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_empty_arrays_never_reach_cudnn(kind, batch):
    world = World()
    world.session = Session(lambda: pytest.fail("cuDNN was asked"))
    geometry = make(kind, batch=batch, in_channels=8 if batch == 0 else 0)
    arrays = [world.xp.put(numpy.zeros(s, "f4")) for s in geometry.operand_shapes]
    result = world.run(geometry, *arrays, engine=world.with_options())
    assert result.shape == geometry.result_shape
    assert not host(result).any()


def test_empty_sum_is_the_bias(world):
    geometry = make(in_channels=0)
    arrays = [world.xp.put(numpy.zeros(s, "f4")) for s in geometry.operand_shapes]
    result = world.run(geometry, *arrays, world.xp.put(numpy.arange(12, dtype="f4")))
    assert numpy.array_equal(host(result)[0, :, 0, 0], numpy.arange(12))


def test_failed_launch_is_a_refusal_and_the_plan_stays(world):
    arrays = world.arrays(make())
    world.library.fail_execute = "CUDNN_STATUS_EXECUTION_FAILED"
    with pytest.raises(CudnnRefusedError, match=r"could not run conv2d forward .* with cuDNN eng1, workspace 640"):
        world.run(make(), *arrays)
    world.library.fail_execute = None
    world.run(make(), *arrays)
    assert len(world.library.graphs) == 1


def test_handle_that_cannot_be_made(world):
    world.library.fail_handle = "cudnnHandle Create failed CUDNN_STATUS_NOT_INITIALIZED"
    with pytest.raises(CudnnUnavailableError, match=r"does not start on this device: .*NOT_INITIALIZED.*xpu doctor"):
        world.run(make(), *world.arrays(make()))


def test_out_of_memory_is_the_callers_to_handle(world):
    arrays = world.arrays(make())
    world.xp.fail_after = 1  # the result fits, the workspace does not
    with pytest.raises(MemoryError):
        world.run(make(), *arrays)
    assert world.library.executed == []


def test_operands_that_are_not_the_geometrys(world):
    geometry = make()
    first, second = world.arrays(geometry)
    with pytest.raises(ValueError, match=r"x is float32 of shape \(12, 8, 3, 4\), conv2d forward"):
        world.run(geometry, second, first)
    with pytest.raises(ValueError, match=r"w is float64 of shape \(12, 8, 3, 4\)"):
        world.run(geometry, first, world.xp.put(host(second).astype("f8")))
    elsewhere = cupy.ndarray(
        second.shape, second.dtype, memptr=over_host_memory(second.data.ptr, second.nbytes, device=1)
    )
    with pytest.raises(ValueError, match="w is on cuda:1, its partner on cuda:0"):
        world.run(geometry, first, elsewhere)
    assert world.library.graphs == []


def test_supports_looks_at_the_geometry_before_the_libraries():
    def missing():
        message = "long"
        raise CudnnUnavailableError(message, "libcudnn is missing")

    engine = CudnnEngine(session=Session(missing))
    assert engine.supports(make(dtype="complex64")) == "cuDNN has no complex64 convolution"
    assert engine.supports(make()) == "libcudnn is missing"
    assert World().engine.supports(make()) is None


def test_workspace_without_a_device_says_so(world):
    if cupy.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(CudnnUnavailableError, match=r"cuda:3 cannot be used: .*Run `xpu doctor`"):
        world.engine.workspace(make(), device=3)
    assert world.engine.workspace(make(batch=0)) == 0


def test_engine_fits_the_protocol_of_engines():
    engine = CudnnEngine()
    members = [
        name for name in ("name", "device", "supports", "workspace", "seconds", "run") if not hasattr(engine, name)
    ]
    assert (members, engine.device) == ([], "cuda")


def test_predicted_seconds_follow_the_roofline():
    rates = Rates(flops=1e13, bandwidth=1e12, call=1e-5)
    wide = make(batch=32, in_channels=256, out_channels=256, spatial=(56, 56))
    assert CudnnEngine().seconds(wide, rates) == pytest.approx(1e-5 + 2 * wide.flops / 1e13)
    depthwise = make(batch=32, in_channels=256, out_channels=256, groups=256, spatial=(56, 56))
    assert CudnnEngine().seconds(depthwise, rates) == pytest.approx(1e-5 + depthwise.bytes / 1e12)
    exact = CudnnEngine().seconds(wide, rates)
    assert CudnnEngine(CudnnOptions(tf32=True)).seconds(wide, rates) < exact
    assert CudnnEngine().seconds(wide.with_(dtype=numpy.dtype("f2")), rates) < exact
    assert CudnnEngine().seconds(wide.with_(dtype=numpy.dtype("f8")), rates) > exact


# ------------------------------------------------------------------ threads


def test_one_handle_per_thread_and_device():
    world = World(HostCudnn([0]))
    geometry = make(spatial=(40, 40))
    ready, errors = threading.Barrier(4), []

    def work():
        try:
            arrays = world.arrays(geometry)
            ready.wait(timeout=30)
            for _ in range(4):
                world.run(geometry, *arrays)
            ready.wait(timeout=30)  # nobody's handle goes back before all have one
        except (AssertionError, RuntimeError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(world.library.graphs) == 1
    assert len({id(done.handle) for done in world.library.executed}) == len(world.library.handles) == 4
    world.run(geometry, *world.arrays(geometry))
    assert len(world.library.handles) == 4  # one of a thread that ended


def test_handles_go_back_when_a_thread_ends():
    pool = HandlePool(object)
    seen = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: seen.append((id(pool.get(0)), id(pool.get(1)))))
        thread.start()
        thread.join()
    assert len(set(seen)) == 1
    assert seen[0][0] != seen[0][1]


# ------------------------------------------------------------------ loading


@pytest.fixture
def loader(monkeypatch):
    """A made-up installation: cuda-pathfinder and the frontend as modules that record."""
    loaded = []
    broken = {}

    def load_nvidia_dynamic_lib(name):
        loaded.append(name)
        if name in broken:
            raise broken[name]

    frontend = SimpleNamespace(__version__="1.28.0", pygraph=object, backend_version=lambda: 91900)
    pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=load_nvidia_dynamic_lib)
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", pathfinder)
    monkeypatch.setitem(sys.modules, "cudnn", frontend)
    _cudnn_library._loaded.cache_clear()
    yield SimpleNamespace(loaded=loaded, broken=broken, frontend=frontend, monkeypatch=monkeypatch)
    _cudnn_library._loaded.cache_clear()


def test_cublaslt_is_loaded_before_cudnn(loader):
    assert _cudnn_library.load() is loader.frontend
    assert loader.loaded == ["cublasLt", "cudnn"]


def test_without_cublaslt_cudnn_is_never_touched(loader):
    loader.broken["cublasLt"] = RuntimeError("Failure finding libcublasLt.so.13")
    loader.monkeypatch.setitem(sys.modules, "cudnn", None)
    for _ in range(2):
        with pytest.raises(CudnnUnavailableError) as caught:
            _cudnn_library.load()
    assert loader.loaded == ["cublasLt"]
    for words in ("libcublasLt.so.13", 'pip install "xpu-array[cuda13]"', "`xpu doctor`"):
        assert words in str(caught.value)
    assert caught.value.reason == "libcublasLt cannot be loaded (Failure finding libcublasLt.so.13)"


@pytest.mark.parametrize(
    ("absent", "words"),
    [("cuda.pathfinder", "cuda-pathfinder is not installed"), ("cudnn", "nvidia-cudnn-frontend cannot be imported")],
)
def test_missing_packages_are_named(loader, absent, words):
    loader.monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(CudnnUnavailableError, match=words):
        _cudnn_library.load()


def test_old_versions_are_named(loader):
    loader.frontend.__version__ = "1.14.1"
    with pytest.raises(CudnnUnavailableError, match="nvidia-cudnn-frontend is 1.14.1, xpu needs 1.22 or newer"):
        _cudnn_library.load()
    _cudnn_library._loaded.cache_clear()
    loader.frontend.__version__ = "1.22.1"
    loader.frontend.backend_version = lambda: 8907
    with pytest.raises(CudnnUnavailableError, match="libcudnn is 8907, xpu needs version 9"):
        _cudnn_library.load()


def test_importing_the_engine_loads_no_cuda():
    code = "import sys, xpu.conv._cudnn; print([m for m in ('cupy', 'cudnn', 'cuda.pathfinder') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
