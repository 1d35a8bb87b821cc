"""xpu arrays as chunks of dask arrays, and on their way between dask's workers."""

import importlib.metadata
import pickle
import subprocess
import sys

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
    from dask.sizeof import sizeof

    _dask.register(sizeof)  # where xpu is on the path but not installed there is no entry point


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
    assert type(got) in (xpu.ndarray, xpu.scalar)  # a scalar calls itself an instance of NumPy's
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


def test_sizes_without_moving_anything(device):
    from dask.sizeof import sizeof

    x = xpu.asarray(np.ones((10, 3))) * 2
    with xpu.config(on_transfer="raise"), xpu.profile() as p:
        assert sizeof(x) == 240
        assert sizeof(x[::2]) == 120
        assert sizeof(xpu.asarray(1.5)) == 8
    assert p.bytes_moved == 0


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


def travelled(array):
    """The array as another process gets it, and the memory that its message was read into."""
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    header, frames = protocol.serialize(array, serializers=["dask"])
    message = bytearray(b"".join(bytes(memoryview(f).cast("B")) for f in frames))
    view, start, read = memoryview(message), 0, []
    for f in frames:
        read.append(view[start : start + memoryview(f).nbytes])
        start += read[-1].nbytes
    return protocol.deserialize(header, read), np.frombuffer(message, np.uint8)


def test_frames_are_the_bytes_alone_and_nothing_is_copied(device):
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    with xpu.config(device="cpu"):
        x = xpu.arange(10_000.0)
        header, (frame,) = protocol.serialize(x)
        assert header["serializer"] == "dask"
        assert np.shares_memory(np.frombuffer(frame), np.asarray(x))
    back, message = travelled(x)
    with xpu.config(device="cpu"):
        assert np.shares_memory(np.asarray(back), message)
        assert back.sum() == x.sum()


@pytest.mark.parametrize("name", VALUES)
def test_what_arrives(name, device):
    host = VALUES[name]
    back, _ = travelled(xpu.asarray(host))
    assert type(back) is xpu.ndarray
    assert (back.dtype, back.shape) == (host.dtype, host.shape)
    assert xpu.asnumpy(back).tolist() == host.tolist()
    back[...] = back  # writable
    total, _ = travelled(xpu.asarray(host).ravel()[:1].copy()[()])
    assert total.dtype == host.dtype


def test_a_scalar_arrives_as_one(device):
    back, _ = travelled(xpu.arange(5.0).sum())
    assert isinstance(back, xpu.scalar)
    assert back == 10


def test_a_broadcast_array_sends_one_row(device):
    back, message = travelled(xpu.broadcast_to(xpu.arange(100.0), (50, 100)))
    assert back.shape == (50, 100)
    assert message.nbytes in (800, 40_000)  # 40,000 where the device has no broadcast views of its own
    assert xpu.asnumpy(back)[-1].tolist() == list(range(100))


def test_an_array_that_never_left_the_process_is_a_copy(device):
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    x = xpu.arange(10.0)
    back = protocol.deserialize(*protocol.serialize(x))
    back[0] = 7
    assert x[0] == 0


def test_an_array_on_an_accelerator_is_copied_aloud_and_stays_there():
    protocol = pytest.importorskip("distributed.protocol", reason="dask.distributed is not installed")
    with xpu.config(device="pretend"):
        x = xpu.arange(10_000.0) * 2
        assert x.device == "pretend:0"
        with xpu.config(on_transfer="raise"), pytest.raises(TypeError, match="Could not serialize"):
            protocol.serialize(x, serializers=["dask"], on_error="raise")
        with xpu.profile() as p:
            protocol.serialize(x)
            protocol.serialize(x)
        assert p.bytes_moved == x.nbytes  # once: the host's replica is valid then
        with xpu.profile() as p:
            (x + 1).sum()
        assert p.bytes_moved == 0


def test_an_array_that_arrived_moves_once(device):
    back, _ = travelled(xpu.arange(10_000.0))
    with xpu.config(device="pretend"), xpu.profile() as p:
        back * 2
        back + 1
        assert p.bytes_moved == back.nbytes
        back[0] = 5
        assert back.sum() == 5 + sum(range(10_000))


def test_the_entry_point_registers_everything_in_a_fresh_process():
    """In any order of imports, and without importing anything for it."""
    found = importlib.metadata.entry_points(group="dask.sizeof", name="xpu")
    if not found:
        pytest.skip("xpu-array is not installed, only on the path: it has no entry points")
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    code = """if True:
        import sys, xpu, dask
        assert "distributed" not in sys.modules and "dask.array" not in sys.modules
        import dask.array as da
        x = da.from_array(xpu.arange(10.0), chunks=5)
        assert type((x + xpu.ones(10)).compute()) is xpu.ndarray
        import distributed
        from distributed.protocol.serialize import dask_deserialize, dask_serialize
        for table in (dask_serialize, dask_deserialize):
            assert table.dispatch(xpu.ndarray).__module__ == table.dispatch(xpu.scalar).__module__ == "xpu._dask_wire"
        module = sys.modules["distributed.protocol.serialize"]
        print(module.__loader__ is module.__spec__.loader, type(module.__loader__).__name__)
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("True SourceFileLoader", "")


def test_a_dask_with_other_tables_is_told_of_and_imports(monkeypatch):
    def gone():
        message = "module 'distributed.protocol.serialize' has no attribute 'dask_serialize'"
        raise AttributeError(message)

    monkeypatch.setattr(_dask._dask_wire, "register", gone)
    with pytest.warns(xpu.errors.FallbackWarning, match="dask_serialize"):
        _dask._attempt(_dask._dask_wire.register)


def test_a_device_per_worker():
    from xpu.dask import DevicePerWorker

    plugin = pickle.loads(pickle.dumps(DevicePerWorker(["cpu", "cuda:1"])))
    assert [str(plugin.choose(n)) for n in (0, 1, 2)] == ["cpu", "cuda:1", "cpu"]
    with pytest.raises(xpu.errors.DeviceError, match="gpu"):
        DevicePerWorker(["gpu"])
