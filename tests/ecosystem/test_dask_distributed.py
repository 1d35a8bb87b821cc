"""A real LocalCluster of two worker processes, each with a device of its own."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpu
from xpu.dask import DevicePerWorker

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")


def device_of_a_product():
    import xpu

    with xpu.profile() as p:
        x = xpu.ones((64, 64))
        y = x @ x
    return [e.device for e in p.events if e.op == "matmul"], y


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "60s", "distributed.worker.memory.terminate": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_worker_callbacks(setup=DevicePerWorker(["cpu", "pretend"]))
        yield client


def test_each_worker_has_its_own_device(client):
    workers = sorted(client.scheduler_info()["workers"].items(), key=lambda item: item[1]["name"])
    found = {}
    for address, info in workers:
        where, product = client.submit(device_of_a_product, workers=[address], pure=False).result()
        found[info["name"]] = where
        assert isinstance(product, xpu.ndarray)
        assert product[0, 0] == 64
    assert found == {0: ["cpu"], 1: ["pretend:0"]}


def test_a_dask_array_of_xpu_chunks(client):
    host = np.arange(10_000.0).reshape(100, 100)
    lazy = da.from_array(host, chunks=50).map_blocks(xpu.asarray)
    got = ((lazy @ lazy.T) / 2 + lazy.mean()).compute()
    assert isinstance(got, (xpu.ndarray, xpu.scalar))
    np.testing.assert_allclose(xpu.asnumpy(got), host @ host.T / 2 + host.mean())


def test_arrays_travel_both_ways(client):
    x = xpu.arange(1000.0)
    future = client.scatter(x)
    y = client.submit(lambda a: a * 2, future).result()
    assert isinstance(y, xpu.ndarray)
    assert y.tolist() == [2.0 * i for i in range(1000)]


def test_the_pages_examples_run_as_written(tmp_path):
    """As scripts: the second starts its own workers, which import it."""
    page = Path(__file__).parents[2] / "docs" / "distributed.md"
    printed = []
    for i, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)):
        script = tmp_path / f"example{i}.py"
        script.write_text(code, encoding="utf-8")
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.strip())
    assert printed == ["999999000000.0", "<class 'xpu.scalar'>"]


def received_on(array):
    """What a worker knows of an argument: the serialiser that brought it, and whether its memory may move on."""
    from distributed.protocol.serialize import dask_deserialize

    import xpu

    with xpu.config(device="pretend"), xpu.profile() as p:
        array + 1
        array * 2
    return dask_deserialize.dispatch(type(array)).__module__, p.bytes_moved, type(array) is xpu.ndarray


def test_the_serialisers_are_on_the_workers_without_being_set_up(client):
    if not importlib.metadata.entry_points(group="dask.sizeof", name="xpu"):
        pytest.skip("xpu-array is not installed, only on the path: it has no entry points")
    x = xpu.arange(1000.0)
    for address in client.scheduler_info()["workers"]:
        sent = client.scatter(x, workers=[address], hash=False)
        future = client.submit(received_on, sent, workers=[address], pure=False)
        assert future.result() == ("xpu._dask_wire", 8000, True)


def pinned():
    import xpu

    return xpu.arange(1000.0, device="pretend") * 2


def ask(array):
    return array.device, float(array.sum())


def test_a_chunk_on_an_accelerator_stays_there_until_another_worker_asks(client):
    by_name = {info["name"]: address for address, info in client.scheduler_info()["workers"].items()}
    first, second = by_name[0], by_name[1]
    made = client.submit(pinned, workers=[second], pure=False)
    assert client.submit(ask, made, workers=[second], pure=False).result() == ("pretend:0", 999_000.0)
    assert client.submit(ask, made, workers=[first], pure=False).result() == ("cpu", 999_000.0)
