"""Nothing grows: Python memory, blocks and replicas go when the last array over them goes."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import xpu
from xpu import _block
from xpu._block import home


def _blocks():
    gc.collect()
    return len(_block._adopted), len(_block._replicated)


def _work(device):
    with xpu.config(device=device):
        a = xpu.asarray(np.arange(512.0))
        b = a[1:] + a[:-1]
        b[::2] = 0.0
        b += xpu.sin(a[1:]).sum()
        a.reshape(2, 256)[0] @ b[:256]


@pytest.mark.parametrize("device", ["cpu", "pretend", "auto"])
def test_memory_does_not_grow(device):
    for _ in range(50):
        _work(device)
    before = _blocks()
    tracemalloc.start()
    try:
        _work(device)
        gc.collect()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            _work(device)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - first
    finally:
        tracemalloc.stop()
    assert grown < 4096  # less than one of the arrays: nothing is kept per call
    assert _blocks() == before


def test_replicas_go_with_the_last_view():
    with xpu.config(device="pretend"):
        a = xpu.asarray(np.arange(100.0))
        v = a[10:20]
        block = weakref.ref(home(v).block)
        roots = weakref.ref(home(v).block.roots[v.device])
        del a
        gc.collect()
        assert block() is not None
        del v
    gc.collect()
    assert block() is None
    assert roots() is None


def test_a_cycle_does_not_keep_device_memory():
    with xpu.config(device="pretend"):
        a = xpu.asarray(np.arange(100.0))
        block = weakref.ref(_block.shared(a).block)
        loop = [a]
        loop.append(loop)
        del a, loop
    gc.collect()
    assert block() is None
