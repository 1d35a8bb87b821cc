"""Feeding under trouble: no memory, a lost device, Ctrl-C, awkward batches, pipelines in pipelines."""

import threading
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import xpu
from xpu._backends import backend
from xpu._device import parse
from xpu._machine import shipped
from xpu.testing import faults

ROWS = 1000  # 8000 bytes a batch
Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True)
class Sample:
    image: object
    label: str


@pytest.fixture
def pretend(monkeypatch):
    target = backend(parse("pretend"))
    monkeypatch.setattr(target, "machine", shipped("h200"))
    with xpu.config(device="pretend"):
        yield target


def batches(n, size=ROWS):
    return [np.full(size, float(i)) for i in range(n)]


def add_one(x):
    return x + 1


def firsts(results):
    return [float(y[0]) for y in results]


@pytest.mark.parametrize("memory", [100_000, 40_000, 20_000, 10_000, 4_000])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_short_of_memory_results_are_the_same(pretend, memory, depth):
    """Fewer batches are ahead; a batch larger than the card stays on the host, aloud."""
    with faults(memory=memory), warnings.catch_warnings():
        warnings.simplefilter("ignore", xpu.errors.FallbackWarning)
        assert firsts(xpu.pipeline(add_one, batches(6), depth=depth)) == [1, 2, 3, 4, 5, 6]
        assert firsts(xpu.prefetch(batches(6), depth=depth)) == [0, 1, 2, 3, 4, 5]


def test_what_is_ahead_makes_room_before_anything_stays_on_the_host(pretend):
    """Three batches fit, and no result beside them: nothing falls back."""
    with faults(memory=20_000), xpu.config(on_fallback="raise"), xpu.profile() as p:
        assert firsts(xpu.prefetch(batches(6), depth=4)) == [0, 1, 2, 3, 4, 5]
        assert firsts(xpu.pipeline(add_one, batches(6), depth=4)) == [1, 2, 3, 4, 5, 6]
    assert {e.device for e in p.events if e.op == "add"} == {"pretend:0"}


def test_a_batch_that_does_not_fit_is_told_of(pretend):
    with faults(memory=4000), pytest.warns(xpu.errors.FallbackWarning, match=r"shape \(1000,\).*Make batches smaller"):
        assert firsts(xpu.prefetch(batches(2))) == [0, 1]
    with faults(memory=4000), xpu.config(on_fallback="raise"), pytest.raises(xpu.errors.FallbackError, match="batch"):
        list(xpu.pipeline(add_one, batches(2)))
    with faults(failing_uploads=1), pytest.warns(xpu.errors.FallbackWarning, match="upload failed"):
        assert firsts(xpu.prefetch(batches(3))) == [0, 1, 2]


def test_a_lost_device_loses_no_batch(pretend):
    with faults(lost=True), pytest.warns(xpu.errors.DeviceWarning, match="was lost"):
        assert firsts(xpu.pipeline(add_one, batches(5))) == [1, 2, 3, 4, 5]
    with faults(lost=True), pytest.warns(xpu.errors.DeviceWarning, match="was lost"):
        assert firsts(xpu.prefetch(batches(5))) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("where", ["upload", "run", "download"])
def test_ctrl_c_stops_at_once_and_leaves_the_device_usable(pretend, where):
    source = batches(6)
    with faults(interrupted=where):
        with pytest.raises(KeyboardInterrupt):
            list(xpu.pipeline(add_one, source))
        assert pretend.frozen is None
        assert not pretend.pinned
        assert firsts(xpu.pipeline(add_one, source)) == [1, 2, 3, 4, 5, 6]


def test_ctrl_c_in_the_source(policy):
    def source():
        yield from batches(2)
        raise KeyboardInterrupt

    for run in (lambda: xpu.pipeline(add_one, source()), lambda: xpu.prefetch(source())):
        with pytest.raises(KeyboardInterrupt):
            list(run())


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_prefetch_hands_out_what_came_before_an_error_of_the_source(policy, depth):
    def source():
        yield from batches(3)
        raise OSError("disk")

    got = []
    with pytest.raises(OSError, match="disk"):
        got.extend(float(b[0]) for b in xpu.prefetch(source(), depth=depth))
    assert got == [0, 1, 2]


def test_leaving_early_closes_the_source(policy):
    closed = []

    def source():
        try:
            yield from batches(10)
        finally:
            closed.append(True)

    for run in (lambda: xpu.pipeline(add_one, source()), lambda: xpu.prefetch(source())):
        running = run()
        next(running)
        del running
    assert closed == [True, True]


def test_an_iterator_of_the_users_goes_on_after_leaving_early(policy):
    source = iter(batches(10))
    running = xpu.pipeline(add_one, source, depth=1)
    next(running)
    del running
    assert len(list(source)) >= 7


def test_ragged_empty_and_odd_batches(policy):
    sizes = (0, 1, 5, 10_000, 3)
    assert [y.shape for y in xpu.pipeline(lambda x: x * 2, [np.ones(n) for n in sizes])] == [(n,) for n in sizes]
    assert list(xpu.pipeline(add_one, [])) == []
    assert list(xpu.prefetch([])) == []
    assert list(xpu.pipeline(lambda x: x, [None, 1, None])) == [None, 1, None]
    assert [y.tolist() for y in xpu.pipeline(lambda x: x, [np.array(["a"]), np.array([None])])] == [["a"], [None]]
    (pair,) = xpu.pipeline(lambda p: Pair(p.left + p.right, 3), [Pair(np.ones(2), [np.ones(2)] and np.ones(2))])
    assert (type(pair), pair.left.tolist(), pair.right) == (Pair, [2.0, 2.0], 3)
    strided = np.arange(20.0).reshape(4, 5)
    assert [y.tolist() for y in xpu.pipeline(add_one, [strided[:, ::2].T])] == [(strided[:, ::2].T + 1).tolist()]


def test_dataclasses_are_batches_and_results(policy):
    batch = Sample(np.ones(3), "label")
    (made,) = xpu.pipeline(lambda s: Sample(s.image * 2, s.label), [batch])
    assert (type(made), type(made.image), made.image.tolist(), made.label) == (Sample, xpu.ndarray, [2.0] * 3, "label")
    (ahead,) = xpu.prefetch([batch])
    ahead.image[0] = 7.0
    assert batch.image.tolist() == [1.0] * 3


def test_a_scalar_comes_back_as_a_scalar(policy):
    (total,) = xpu.pipeline(lambda x: x.sum(), [np.ones(3)])
    assert (type(total), float(total)) == (xpu.scalar, 3.0)


def test_a_batch_belongs_to_the_function(policy):
    """Writing into it changes nothing of the caller's, on any device."""

    def f(batch):
        batch["x"] += 1
        return batch["x"].sum()

    for make in (np.zeros, xpu.zeros):
        mine = [{"x": make(3) + 0} for _ in range(4)]
        assert [float(y) for y in xpu.pipeline(f, mine)] == [3.0] * 4
        for batch in xpu.prefetch(mine):
            batch["x"] += 1
        assert [float(m["x"].sum()) for m in mine] == [0.0] * 4


def test_pipelines_in_and_beside_pipelines(policy):
    def nested(x):
        return sum(xpu.pipeline(add_one, [x, x]))

    assert firsts(xpu.pipeline(nested, batches(3))) == [2, 4, 6]
    assert firsts(xpu.pipeline(lambda x: x * 2, xpu.pipeline(add_one, batches(3)))) == [2, 4, 6]
    assert firsts(xpu.pipeline(add_one, xpu.prefetch(batches(3)))) == [1, 2, 3]
    pairs = zip(xpu.pipeline(add_one, batches(4)), xpu.prefetch(batches(4)), strict=True)
    assert [(float(a[0]), float(b[0])) for a, b in pairs] == [(1, 0), (2, 1), (3, 2), (4, 3)]


def test_threads_each_with_a_pipeline(policy):
    found = {}

    def work(n):
        with xpu.config(device=policy):
            found[n] = firsts(xpu.pipeline(lambda x: x * n, batches(5)))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {n: [float(n * i) for i in range(5)] for n in range(4)}


def test_the_bar_stops_with_an_error_and_with_leaving(policy, capsys):
    def wrong(x):
        raise LookupError("f")

    before = set(threading.enumerate())
    with pytest.raises(LookupError, match="f"):
        list(xpu.pipeline(wrong, batches(3), progress=True))
    running = xpu.pipeline(add_one, batches(3), progress=True)
    next(running)
    running.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)  # told to stop, or it would draw for ever
        assert not thread.is_alive()
    assert "batches" in capsys.readouterr().err
