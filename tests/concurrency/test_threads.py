"""Threads, processes and tasks: shared reads, separate writers, settings of one's own."""

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpu

DEVICES = ["cpu", "pretend"]


def _together(count, work):
    """Run `work(i)` in `count` threads that start at once; raise what any of them raised."""
    barrier = threading.Barrier(count)

    def started(i):
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


@pytest.mark.parametrize("device", DEVICES)
def test_threads_read_one_array(device):
    with xpu.config(device=device):
        a = xpu.asarray(np.arange(10_000.0))

    def read(i):
        with xpu.config(device=DEVICES[i % 2]):
            return [float((a[k : k + 100] * 2).sum()) for k in range(0, 10_000, 500)]

    expected = [float(2 * np.arange(k, k + 100.0).sum()) for k in range(0, 10_000, 500)]
    assert _together(8, read) == [expected] * 8


def test_writers_to_distinct_arrays_never_interfere():
    arrays = [xpu.asarray(np.zeros(5_000)) for _ in range(8)]

    def write(i):
        for step in range(50):
            with xpu.config(device=DEVICES[(i + step) % 2]):
                arrays[i] += i
                arrays[i][::2] -= 1

    _together(8, write)
    for i, a in enumerate(arrays):
        expected = np.full(5_000, 50.0 * i)
        expected[::2] -= 50
        np.testing.assert_array_equal(xpu.asnumpy(a), expected)


def test_two_threads_write_views_of_one_block_on_one_device():
    for device in DEVICES:
        with xpu.config(device=device):
            whole = xpu.asarray(np.zeros(4_000))
            halves = whole[:2_000], whole[2_000:]

        def write(i, device=device, halves=halves):
            with xpu.config(device=device):
                for _ in range(50):
                    halves[i].__iadd__(i + 1)

        _together(2, write)
        assert xpu.asnumpy(whole).tolist() == [50.0] * 2_000 + [100.0] * 2_000


def test_settings_belong_to_their_thread_and_task():
    def device_after(i):
        with xpu.config(device=DEVICES[i % 2]):
            return (xpu.ones(3) + 1).device.kind

    assert _together(8, device_after) == DEVICES * 4

    async def task(name):
        with xpu.config(device=name):
            await asyncio.sleep(0.001)
            return (xpu.ones(3) + 1).device.kind

    async def both():
        return await asyncio.gather(*[task(name) for name in DEVICES * 3])

    assert asyncio.run(both()) == DEVICES * 3


def _in_a_child(numbers, answers):
    made = xpu.asarray(numbers) * 2
    answers.put((os.getpid(), float(made.sum()), xpu.asnumpy(made).tolist()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_arrays_travel_to_other_processes(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    with xpu.config(device="pretend"):
        there = xpu.arange(4.0) + 1
    child = context.Process(target=_in_a_child, args=(there, answers))
    child.start()
    pid, total, values = answers.get(timeout=60)
    child.join(timeout=60)
    assert pid != os.getpid()
    assert (total, values) == (20.0, [2.0, 4.0, 6.0, 8.0])
