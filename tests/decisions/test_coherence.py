"""Regressions of coherence that random programs found: copies that pass for views, views that pass for copies."""

import threading

import numpy as np
import pytest

import xpu
from xpu._backends import HOST, backend
from xpu._block import home, read, shared
from xpu._device import parse
from xpu.testing import faults


@pytest.fixture
def there():
    """A 4 x 100 array whose only replica is on the pretend device."""
    with xpu.config(device="pretend"):
        made = xpu.asarray(np.arange(400.0).reshape(4, 100)) + 0.0
    shared(made)
    return made


@pytest.mark.parametrize("device", ["cpu", "pretend", "auto"])
def test_ravel_of_a_strided_part_is_a_copy(there, device):
    part = there[:, 3]  # moves alone, as a contiguous copy, of which ravel is a view
    with xpu.config(device=device):
        flat = xpu.ravel(part)
    with xpu.config(device="pretend"):
        assert (flat * 1.0).tolist() == [3.0, 103.0, 203.0, 303.0]
        part += 1000.0
    assert flat.tolist() == [3.0, 103.0, 203.0, 303.0]
    assert part.tolist() == [1003.0, 1103.0, 1203.0, 1303.0]


@pytest.mark.parametrize("device", ["cpu", "pretend", "auto"])
def test_the_copy_method_lays_out_in_c_order_wherever_the_array_is(there, device):
    with xpu.config(device=device):
        made = there.T.copy()
        assert made.flags.c_contiguous
        assert xpu.copy(there.T).flags.f_contiguous  # numpy.copy keeps the order, the method does not
        flat = made.ravel()
        made[...] = 7.0
    assert set(flat.tolist()) == {7.0}


def test_threads_that_look_for_one_block_find_one():
    """Eight threads that look for one array's block at once find one."""
    for _ in range(20):
        with xpu.config(device="pretend"):
            a = xpu.asarray(np.arange(2048.0)) + 1.0
        barrier, blocks = threading.Barrier(8), []

        def look(a=a, barrier=barrier, blocks=blocks):
            barrier.wait()
            blocks.append(shared(a).block)

        threads = [threading.Thread(target=look) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(set(map(id, blocks))) == 1


def test_transfers_that_a_region_forbids_do_not_end_on_the_cpu(there):
    with xpu.config(device="cpu"):
        here = xpu.asarray(np.arange(400.0))
    with (
        xpu.config(device="pretend"),
        xpu.no_transfers(),
        pytest.raises(xpu.errors.TransferError, match="3200 bytes would move from cpu to pretend:0"),
    ):
        here + 1.0
    with xpu.config(device="pretend"), xpu.profile() as p:
        here + 1.0
    assert [(e.device, e.bytes_moved) for e in p.events] == [("pretend:0", 3200)]  # and nothing was remembered


def test_a_write_that_fails_on_the_device_leaves_the_hosts_replica_alone(there):
    read(there, HOST)  # valid on both
    with xpu.config(device="pretend", on_fallback="raise"), faults(failing_calls=1):
        with pytest.raises(xpu.errors.FallbackError):
            there += 1.0
        assert home(there).block.valid == {"cpu"}  # the device's may be half-written
    assert float(there[0, 0]) == 0.0
    with xpu.config(device="pretend"), faults(failing_calls=1), pytest.raises(ValueError, match="broadcast"):
        there += np.ones(3)
    assert there.tolist() == np.arange(400.0).reshape(4, 100).tolist()


def test_a_replica_is_never_taken_of_bytes_that_are_being_written(there, monkeypatch):
    """A reader stops in the middle of a download while a writer wants to write another part of the block."""
    reached, wrote = threading.Event(), threading.Event()

    def fault(where):
        if where == "in download":
            reached.set()
            wrote.wait(0.3)  # the writer must not get through meanwhile

    def write():
        reached.wait(10)
        with xpu.config(device="pretend"):
            there[:1] += 1000.0
        wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    monkeypatch.setattr(backend(parse("pretend")), "fault", fault)
    read(there[1:], HOST)
    writer.join()
    assert float(there[0, 99]) == 1099.0
    assert (there[:1] * 1.0).tolist() == [[x + 1000.0 for x in range(100)]]


def test_two_threads_write_halves_of_one_block_on_different_devices():
    with xpu.config(device="cpu"):
        whole = xpu.asarray(np.zeros(4_000))
    halves = whole[:2_000], whole[2_000:]

    def write(i):
        for step in range(60):
            with xpu.config(device=["cpu", "pretend"][(i + step) % 2]):
                halves[i].__iadd__(i + 1)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert xpu.asnumpy(whole).tolist() == [60.0] * 2_000 + [120.0] * 2_000


def test_require_gives_the_array_itself_where_it_fits():
    with xpu.config(device="pretend"):
        a = xpu.ones((1000, 1000)) + 1
        columns = xpu.require(a[:2, :2], requirements="C")
        assert (columns.flags.c_contiguous, columns.tolist()) == (True, [[2.0, 2.0], [2.0, 2.0]])
        assert xpu.require(a, requirements=["A", "C"]) is a
        assert xpu.require(a, dtype="f4").dtype == np.float32
