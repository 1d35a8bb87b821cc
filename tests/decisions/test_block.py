"""`_block` by itself: how handles find their block, where replicas come from, which go, what stays on the host."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

import xpu
from xpu import _backends, _block
from xpu._backends import HOST, backend
from xpu._backends._pretend import PretendBackend
from xpu._block import Block, View, anchor, devices_of, evict, home, host_view, read, settle, shared, write, writing
from xpu._config import Recorder, listening
from xpu._device import CPU, Device, parse
from xpu._gate import gate
from xpu._machine import shipped
from xpu._transfer import ledger
from xpu._wrap import own, wrap


@pytest.fixture
def first():
    return backend(parse("pretend"))


@pytest.fixture
def second(first, monkeypatch):
    """Another device, so that bytes can go from device to device."""
    device = Device("pretend:1")
    made = PretendBackend(device, shipped("h200"))
    monkeypatch.setitem(_backends._loaded, device, made)
    return made


def on(where, nbytes=800):
    """A block of float64 whose only replica is on one device."""
    block = Block(nbytes)
    values = np.arange(nbytes // 8, dtype=float)
    root = where.allocate(nbytes)
    where.upload(root, values.view(np.uint8))
    block.roots[where.device] = root
    block.valid = frozenset({where.device})
    return block


def handle_on(block, **keywords):
    made = object.__new__(xpu.ndarray)
    whole = View(block, (block.nbytes // 8,), (8,), np.dtype(float), 0, **keywords)
    settle(made, whole)
    return made


# ----------------------------------------------------------------------------- finding the block


def test_handles_made_while_the_gate_was_open_meet_in_one_block(first):
    values = np.arange(100.0)
    whole, part, reverse = wrap(values), wrap(values[10:20]), wrap(values[::-1])
    assert [hasattr(h, "_home") for h in (whole, part, reverse)] == [False] * 3
    views = [home(h) for h in (whole, part, reverse)]
    assert len({id(v.block) for v in views}) == 1
    assert [v.offset for v in views] == [0, 80, 792]
    assert home(whole) is views[0]
    assert [h._raw for h in (whole, part, reverse)] == [None] * 3  # no hot path may see what can move
    with writing([views[1].block], first) as begin:
        raw = write(part, first)
        begin()
        raw._data[...] = -1.0
    assert devices_of(whole) == {first.device}
    assert read(whole, HOST)[8:22].tolist() == [8.0, 9.0, *[-1.0] * 10, 20.0, 21.0]
    assert read(reverse, HOST)[0] == 99.0


def test_memory_that_nobody_looks_for_any_more_is_forgotten():
    values = np.arange(10.0)
    block = home(wrap(values)).block
    assert _block._adopted[id(values)] is block
    del block
    assert id(values) not in _block._adopted


def test_a_numpy_scalar_shares_with_nobody(first):
    x = wrap(np.float64(3.0))
    assert home(x) is None
    assert x._home is None
    assert devices_of(x) == {CPU}
    assert float(read(x, first)._data) == 3.0
    assert read(x, HOST) is x._raw


def test_text_cannot_leave_the_host():
    x = wrap(np.array(["a", "b"]))
    view = home(x)
    assert view.block.anchored
    assert x._raw is view.raw_host
    assert view.block.roots[CPU].dtype.kind == "U"


def test_without_an_accelerator_no_block_is_looked_for(monkeypatch):
    monkeypatch.setattr(gate, "accelerated", False)
    x = wrap(np.arange(3.0))
    assert home(x) is None
    assert not hasattr(x, "_home")


def test_foreign_memory_is_anchored_and_its_block_with_it(first):
    values = np.arange(50.0)
    block = home(wrap(values)).block
    block.ensure(first)
    block.written(first.device)
    view = host_view(values[:5], anchored=True)
    assert view.block is block
    assert (block.anchored, set(block.valid)) == (True, {CPU})
    assert host_view(np.frombuffer(bytearray(80))).block.anchored  # memory of something that is no array


def test_a_handle_that_may_move_closes_the_gate(monkeypatch):
    closed = []
    gate = SimpleNamespace(accelerate=lambda: closed.append(1), accelerated=False, open=False)
    monkeypatch.setattr(_block, "gate", gate)
    x, values = wrap(np.arange(3.0)), np.arange(3.0)
    settle(x, host_view(values))
    assert (x._raw, len(closed)) == (None, 1)
    settle(x, host_view(values, anchored=True))
    assert (x._raw is values, len(closed)) == (True, 1)
    assert x._home.raw_host is values


def test_a_fresh_device_array_gets_a_block_when_something_shares_it(first):
    raw = first.view(first.allocate(80), 0, (2, 5), (40, 8), np.dtype(float))
    x = own(raw, scalar=False)
    assert home(x) is None
    view = shared(x)
    assert shared(x) is view
    assert (view.shape, view.strides, view.offset) == ((2, 5), (40, 8), 0)
    assert (view.nbytes, view.itemsize, view.ndim) == (80, 8, 2)
    assert (view.readonly, view.block.nbytes, set(view.block.valid)) == (False, 80, {first.device})


def test_a_child_process_starts_with_free_locks(monkeypatch):
    monkeypatch.setattr(_block, "_homing", _block._homing)
    monkeypatch.setattr(_block, "_listing", _block._listing)
    before = _block._homing, _block._listing
    _block._after_fork()
    after = _block._homing, _block._listing
    for old, new in zip(before, after, strict=True):
        assert new is not old
        with new:
            pass


# ----------------------------------------------------------------------------- replicas


def test_a_new_block_has_no_history():
    block = Block(8)
    assert (block.lead, block.pin, block.anchored, block.last_use, block.birth) == (0.0, None, False, 0, None)
    assert (block.roots, block.valid, block.nbytes) == ({}, frozenset(), 8)


def test_an_array_is_born_once(first):
    block, born = Block(80), []
    block.birth = lambda where: born.append(where) or where.allocate(80)
    block.ensure(first)
    block.ensure(first)
    assert born == [first]
    assert block.birth is None
    block.ensure(HOST)
    assert born == [first]


def test_bytes_go_from_device_to_device_through_the_host(first, second):
    block = on(first)
    before = ledger.nbytes, ledger.count, first.downloads, second.uploads
    block.ensure(second)
    after = ledger.nbytes, ledger.count, first.downloads, second.uploads
    assert [b - a for a, b in zip(before, after, strict=True)] == [1600, 2, 1, 1]
    assert set(block.valid) == {CPU, first.device, second.device}
    assert second.view(block.roots[second.device], 0, (100,), (8,), np.dtype(float))._data[99] == 99.0


def test_a_replica_is_made_from_the_hosts_where_there_is_one(first, second):
    block = on(first)
    block.ensure(HOST)
    downloads = first.downloads
    block.ensure(second)
    assert first.downloads == downloads


def test_a_small_part_goes_from_device_to_device_alone(first, second):
    block = on(first, 8000)
    x = handle_on(block)
    part = x[10:20]
    before = ledger.nbytes
    raw = read(part, second)
    assert type(raw) is second.raw_type
    assert raw._data.tolist() == list(range(10, 20))
    assert ledger.nbytes - before == 160
    assert set(block.valid) == {first.device}
    assert read(part, HOST).tolist() == list(range(10, 20))
    block.ensure(HOST)
    before = first.downloads
    assert read(part, second)._data.tolist() == list(range(10, 20))
    assert first.downloads == before  # the host has it


def test_views_of_a_device_array_keep_strides_and_dtype(first):
    block = on(first)
    raw = first.view(block.roots[first.device], 16, (3, 4), (64, 16), np.dtype(float))
    view = View.of(block, raw, first)
    assert (view.offset, view.shape, view.strides, view.dtype) == (16, (3, 4), (64, 16), np.dtype(float))
    block.ensure(HOST)
    assert view.raw(HOST)[2].tolist() == [18.0, 20.0, 22.0, 24.0]
    assert view.raw(HOST) is view.raw(HOST)


def test_what_may_not_be_written_may_not_be_written_anywhere(first):
    values = np.arange(4.0)
    values.flags.writeable = False
    x = wrap(values)
    assert home(x).readonly is True
    with pytest.raises(ValueError, match=r"assignment destination of shape \(4,\) is read-only"):
        write(x, first)
    y = handle_on(on(first), readonly=True)
    assert home(y).readonly is True
    shown = read(y, HOST)
    with pytest.raises(ValueError, match="read-only"):
        shown[0] = 1.0
    assert View.of(home(y).block, np.arange(3.0), HOST).readonly is False


# ----------------------------------------------------------------------------- eviction


def test_no_more_goes_than_was_asked_for(first):
    blocks = [on(first) for _ in range(4)]
    for position, block in enumerate(blocks):
        block.ensure(HOST)
        block.last_use = -10 + position  # older than anything else alive
    assert evict(first.device, 0) == 0
    assert evict(first.device, 800) == 800
    assert [first.device in b.valid for b in blocks] == [False, True, True, True]
    assert evict(first.device, 801) == 1600
    assert [first.device in b.valid for b in blocks] == [False, False, False, True]
    assert [first.device in b.roots for b in blocks] == [False, False, False, True]
    assert all(CPU in b.valid for b in blocks)
    assert [b in _block._replicated for b in blocks] == [False, False, False, True]


def test_what_another_thread_holds_or_the_call_needs_is_passed_over(first):
    blocks = [on(first) for _ in range(4)]
    for position, block in enumerate(blocks):
        block.ensure(HOST)
        block.last_use = -10 + position
    held, done = threading.Event(), threading.Event()

    def hold():
        with blocks[0].lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        assert evict(first.device, 1600, spare=[blocks[1]]) == 1600
    finally:
        done.set()
        thread.join()
    assert [first.device in b.valid for b in blocks] == [True, True, False, False]


def test_an_only_copy_and_a_replica_elsewhere_stay(first, second):
    only, elsewhere = on(first), on(second)
    elsewhere.ensure(HOST)
    both = on(first)
    both.ensure(second)  # on the host too, then
    evict(first.device)
    assert set(only.valid) == {first.device}
    assert set(elsewhere.valid) == {CPU, second.device}
    assert set(both.valid) == {CPU, second.device}
    assert both in _block._replicated
    assert only not in _block._replicated


def test_only_an_accelerators_use_counts(first):
    x = handle_on(on(first))
    block = home(x).block
    read(x, first)
    used = block.last_use
    read(x, HOST)
    assert block.last_use == used
    with writing([block], first) as begin:
        write(x, first)
        begin()
    assert block.last_use > used


# ----------------------------------------------------------------------------- memory that someone else will hold


class Reads(Recorder):
    def __init__(self):
        self.reads = []

    def read(self, operand, nbytes=None, *, for_good=False):
        self.reads.append((operand, for_good))


def test_anchoring_brings_the_bytes_to_the_host_for_good(first):
    x = handle_on(on(first))
    block, heard = home(x).block, Reads()
    part = x[:10]
    with listening(heard):
        shown = anchor(x)
    assert [(o is x, good) for o, good in heard.reads] == [(True, True)]
    assert (block.anchored, set(block.valid), set(block.roots)) == (True, {CPU}, {CPU})
    assert x._raw is shown
    assert x._home.block is block
    shown[3] = -3.0
    with xpu.config(device="pretend"):
        assert float((part * 1.0).sum()) == 45.0 - 6.0  # read where it lies; views see it
        x += 1.0
    assert shown[0] == 1.0
    assert set(block.valid) == {CPU}


def test_anchoring_before_there_was_an_accelerator(monkeypatch):
    monkeypatch.setattr(gate, "accelerated", False)
    values = np.arange(3.0)
    x = wrap(values)
    assert anchor(x) is values
    assert x._home.block.anchored
    assert x._raw is values
    assert anchor(wrap(np.float64(2.0))).tolist() == 2.0


# ----------------------------------------------------------------------------- writing


def interrupted(block, where, *, begun):
    """Write, and stop with an error."""
    with writing([block, block], where) as begin:
        if begun:
            begin()
            assert set(block.valid) == {where.device}
        raise ZeroDivisionError


def test_a_write_that_ends_leaves_one_replica_and_one_that_does_not_leaves_the_others(first, second):
    block = on(first)
    block.ensure(second)
    with writing([block, block], first) as begin:
        begin()
    assert set(block.valid) == {first.device}
    assert set(block.roots) == {CPU, first.device}  # the host keeps its memory for later
    block.ensure(HOST)
    with pytest.raises(ZeroDivisionError):
        interrupted(block, first, begun=True)
    assert set(block.valid) == {CPU}
    block.ensure(first)
    with pytest.raises(ZeroDivisionError):
        interrupted(block, first, begun=False)
    assert set(block.valid) == {CPU, first.device}
    alone = on(first)
    with pytest.raises(ZeroDivisionError):
        interrupted(alone, first, begun=True)
    assert set(alone.valid) == {first.device}


def test_a_block_that_is_written_waits_for_nobody_but_its_own_thread(first):
    one, other = on(first), on(first)
    with writing([one, other], HOST):
        taken = []

        def reach():
            taken.extend(block.lock.acquire(blocking=False) for block in (one, other))

        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
    assert taken == [False, False]
    assert one.lock.acquire(blocking=False)
    one.lock.release()


@pytest.mark.parametrize("look", [home, shared])
def test_two_threads_that_look_at_once_find_one_view(first, look):
    """Both are past the first look when the table is free again: the second look has to see what the first made."""
    if look is home:
        x = wrap(np.arange(10.0))
    else:
        x = own(first.view(first.allocate(80), 0, (10,), (8,), np.dtype(float)), scalar=False)
    found, waiting = [], threading.Barrier(3)

    def find():
        waiting.wait(10)
        found.append(look(x))

    threads = [threading.Thread(target=find) for _ in range(2)]
    with _block._homing:
        for thread in threads:
            thread.start()
        waiting.wait(10)
        time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert found[0] is found[1] is x._home


def test_a_view_of_no_elements_keeps_its_strides():
    assert HOST.view(HOST.allocate(96), 0, (0, 3), (48, 8), np.dtype(float)).strides == (48, 8)
