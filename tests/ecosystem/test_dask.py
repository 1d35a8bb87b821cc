"""xpu arrays as chunks of dask arrays, and on their way between dask's workers."""

import importlib.metadata
import pickle

import numpy as np
import pytest

import xpu
from xpu import _dask

dask = pytest.importorskip("dask", reason="dask is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")

ROW = (
    "dask.array",
    "chunks are the xpu arrays themselves",
    "xpu arrays",
    "yes: chunk by chunk",
)


@pytest.fixture(scope="module", autouse=True)
def registered():
    _dask.register_arrays()


@pytest.fixture(params=["cpu", "pretend"])
def device(request):
    with xpu.config(device=request.param), dask.config.set(scheduler="synchronous"):
        yield request.param


@pytest.fixture
def pair():
    host = np.arange(48.0).reshape(6, 8)
    return host, da.from_array(xpu.asarray(host), chunks=(3, 4))


EXPRESSIONS = {
    "elementwise": lambda x: x * 2 + 1,
    "ufunc": lambda x: np.sqrt(x) + np.exp(-x),
    "transpose": lambda x: x.T,
    "slices": lambda x: x[1:5, ::2],
    "sum": lambda x: x.sum(),
    "mean of an axis": lambda x: x.mean(axis=0),
    "std": lambda x: x.std(axis=1),
    "max": lambda x: x.max(axis=1),
    "matmul": lambda x: x @ x.T,
    "tensordot": lambda x: np.tensordot(x, x.T, axes=1),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "reshape": lambda x: x.reshape(48),
    "where": lambda x: np.where(x > 20, x, 0),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name, pair, device):
    host, lazy = pair
    f = EXPRESSIONS[name]
    got = f(lazy).compute()
    assert isinstance(got, (xpu.ndarray, xpu.scalar))
    assert not isinstance(got, (np.ndarray, np.generic))
    np.testing.assert_allclose(xpu.asnumpy(got), f(host), rtol=1e-12)


def test_chunks_run_where_xpu_puts_them(pair):
    _, lazy = pair
    with (
        xpu.config(device="pretend", on_fallback="raise"),
        dask.config.set(scheduler="synchronous"),
        xpu.profile() as p,
    ):
        (lazy * 2).compute()
    assert {e.device for e in p.events if e.op == "multiply"} == {"pretend:0"}


def test_chunk_type_and_lookups(pair):
    from dask.array.chunk_types import is_valid_chunk_type
    from dask.array.dispatch import concatenate_lookup, tensordot_lookup

    assert is_valid_chunk_type(xpu.ndarray)
    assert concatenate_lookup.dispatch(xpu.ndarray) is xpu.concatenate
    assert tensordot_lookup.dispatch(xpu.ndarray) is xpu.tensordot
    host, lazy = pair
    with dask.config.set(scheduler="synchronous"):
        both = (lazy + xpu.ones(8)).compute()
    np.testing.assert_array_equal(xpu.asnumpy(both), host + 1)


def test_sizes():
    from dask.sizeof import sizeof

    _dask.register(sizeof)
    assert sizeof(xpu.ones((10, 3))) == 240


def test_the_entry_point_names_the_registration():
    try:
        found = importlib.metadata.entry_points(group="dask.sizeof", name="xpu")
    except importlib.metadata.PackageNotFoundError:
        found = ()
    if not found:
        pytest.skip("xpu-array is not installed, only on the path: it has no entry points")
    assert next(iter(found)).load() is _dask.register


VALUES = {
    "floats": np.arange(12.0).reshape(3, 4),
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "complex": np.ones(3, complex),
    "bool": np.array([True, False]),
    "empty": np.empty((0, 3)),
    "no axes": np.array(3.5),
    "structured": np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "text": np.array(["a", "bc"]),
}


@pytest.mark.parametrize("name", VALUES)
def test_distributed_carries_arrays(name, device):
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    host = VALUES[name]
    back = protocol.deserialize(*protocol.serialize(xpu.asarray(host)))
    assert isinstance(back, xpu.ndarray)
    assert not isinstance(back, np.ndarray)
    assert back.dtype == host.dtype
    assert back.shape == host.shape
    assert xpu.asnumpy(back).tolist() == host.tolist()
    back[...] = back  # writable


def test_bytes_travel_beside_the_pickle(device):
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    x = xpu.arange(10_000.0)
    _, frames = protocol.serialize(x)
    sizes = sorted(memoryview(f).nbytes for f in frames)
    assert sizes[-1] == x.nbytes
    assert sum(sizes[:-1]) < 1000
    total = protocol.deserialize(*protocol.serialize(x.sum()))
    assert isinstance(total, xpu.scalar)


def test_a_device_per_worker():
    from xpu.dask import DevicePerWorker

    plugin = pickle.loads(pickle.dumps(DevicePerWorker(["cpu", "cuda:1"])))
    assert [str(plugin.choose(n)) for n in (0, 1, 2)] == ["cpu", "cuda:1", "cpu"]
    with pytest.raises(xpu.errors.DeviceError, match="gpu"):
        DevicePerWorker(["gpu"])
