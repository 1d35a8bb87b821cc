"""The CUDA lanes without a GPU: CuPy's streams and events are replaced by recorders of what is asked of them."""

import sys
import types

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the module under test imports CuPy", exc_type=ImportError)

from xpu._backends import _cupy_streams as streams
from xpu._device import parse
from xpu._pipeline._staging import StagingPool


class Event:
    def __init__(self, log, name):
        self.log, self.name, self.done = log, name, False

    def synchronize(self):
        self.log.append(("wait", self.name))
        self.done = True


class Stream:
    def __init__(self, world, non_blocking):
        assert non_blocking, "a blocking stream serialises with the null stream"
        self.world, self.name = world, len(world.streams)
        world.streams.append(self)

    def __enter__(self):
        self.world.current.append(self)
        return self

    def __exit__(self, *_):
        self.world.current.pop()

    def record(self):
        event = Event(self.world.log, f"{self.name}.{len(self.world.events)}")
        self.world.events.append(event)
        return event

    def wait_event(self, event):
        self.world.log.append(("order", self.name, event.name))


class Root:
    """Device bytes: copies are done at once, though nobody may rely on it."""

    def __init__(self, n):
        self.data = np.zeros(n, np.uint8)

    def __getitem__(self, key):
        part = Root(0)
        part.data = self.data[key]
        return part

    def set(self, host, stream):
        self.data[...] = host

    def get(self, stream, out, blocking):
        assert not blocking
        out[...] = self.data


class Device:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


@pytest.fixture
def world(monkeypatch):
    made = types.SimpleNamespace(streams=[], events=[], log=[], current=[])
    cuda = types.SimpleNamespace(
        Stream=lambda non_blocking=False: Stream(made, non_blocking),
        get_current_stream=lambda: made.current[-1],
        get_elapsed_time=lambda a, b: 2.0,
    )
    monkeypatch.setattr(streams, "cupy", types.SimpleNamespace(cuda=cuda))
    return made


class Lost(RuntimeError):
    pass


@pytest.fixture
def owner():
    return types.SimpleNamespace(here=Device, staging=None, lost=(Lost,), device=parse("cuda:7"))


def test_an_error_that_shows_where_somebody_waits_is_a_lost_device(world, owner):
    from xpu._backends import _lost
    from xpu.errors import DeviceLostError

    lanes = streams.StreamLanes(owner, StagingPool(lambda n: np.empty(n, np.uint8), limit=1 << 20))
    _, mark = lanes.run("compute", None, lambda: None)

    def fails():
        message = "cudaErrorIllegalAddress: an illegal memory access was encountered"
        raise Lost(message)

    mark.synchronize = fails
    try:
        with pytest.raises(DeviceLostError, match="cuda:7 was lost .*illegal memory access"):
            lanes.finish(mark)
        assert "illegal memory access" in _lost.lost[owner.device]
    finally:
        _lost.find(owner.device)


def test_a_batch_is_ordered_by_events_and_buffers_come_back(world, owner):
    pool = StagingPool(lambda n: np.empty(n, np.uint8), limit=1 << 20)
    lanes = streams.StreamLanes(owner, pool)
    root, host, back = Root(8), np.arange(8, dtype=np.uint8), np.zeros(8, np.uint8)
    seen = []

    _, up = lanes.run("up", None, lambda: seen.append(owner.staging.upload(root, host)))
    _, done = lanes.run("compute", up, lambda: seen.append(owner.staging))
    _, down = lanes.run("down", done, lambda: seen.append(owner.staging.download(root, back)))
    assert seen == [True, None, True]
    assert [entry for entry in world.log if entry[0] == "order"] == [("order", 1, up.name), ("order", 2, done.name)]
    assert owner.staging is None
    assert pool.take(8) is not None  # a third buffer: the two are in flight
    for event in world.events:
        event.done = True
    lanes.finish(down)
    assert back.tolist() == list(range(8))
    assert lanes.busy() == {"up": 0.002, "compute": 0.002, "down": 0.002}
    assert not lanes._spans  # no event is kept once its time is read


def test_a_buffer_in_flight_is_not_reused(world, owner):
    pool = StagingPool(lambda n: np.empty(n, np.uint8), limit=1 << 20)
    lanes = streams.StreamLanes(owner, pool)
    root = Root(8)
    _, mark = lanes.run("up", None, lambda: owner.staging.upload(root, np.ones(8, np.uint8)))
    first = pool.locked
    lanes.run("up", None, lambda: owner.staging.upload(root, np.ones(8, np.uint8)))
    assert pool.locked == 2 * first
    lanes.finish(mark)  # the copies' own events have not happened: no buffer comes back
    assert pool.take(8) is not None
    assert pool.locked == 3 * first


def test_without_room_the_copy_goes_the_ordinary_way(world, owner):
    lanes = streams.StreamLanes(owner, StagingPool(lambda n: np.empty(n, np.uint8), limit=0))
    took, _ = lanes.run("up", None, lambda: owner.staging.upload(Root(8), np.ones(8, np.uint8)))
    assert took is False


def test_no_page_locked_memory_left(world, owner):
    def none_left(nbytes):
        raise streams.CUDARuntimeError(2)

    lanes = streams.StreamLanes(owner, StagingPool(none_left))
    took, _ = lanes.run("up", None, lambda: owner.staging.upload(Root(8), np.ones(8, np.uint8)))
    assert took is False


def test_a_refused_copy_gives_its_buffer_back(world, owner):
    class Refusing(Root):
        def __getitem__(self, key):
            return self

        def set(self, host, stream):
            raise streams.CUDARuntimeError(700)

    pool = StagingPool(lambda n: np.empty(n, np.uint8), limit=1 << 16)
    lanes = streams.StreamLanes(owner, pool)
    with pytest.raises(streams.CUDARuntimeError):
        lanes.run("up", None, lambda: owner.staging.upload(Refusing(8), np.ones(8, np.uint8)))
    assert pool.take(8) is not None  # the limit is one buffer


def test_the_pool_is_one_for_the_process():
    assert streams.staging_pool() is streams.staging_pool()


def test_an_error_leaves_no_staging_behind(world, owner):
    lanes = streams.StreamLanes(owner, StagingPool(lambda n: np.empty(n, np.uint8), limit=0))
    with pytest.raises(ZeroDivisionError):
        lanes.run("up", None, lambda: 1 / 0)
    assert owner.staging is None
    assert "cupy" in sys.modules
