"""`prefetch` and `pipeline`: order, bounds, errors, and overlap on the pretend device's virtual clock."""

import numpy as np
import pytest

import xpu
from xpu._backends import backend
from xpu._device import parse
from xpu._machine import shipped
from xpu._pipeline._staging import StagingPool, host_memory

SIZE = 1 << 16


@pytest.fixture
def pretend(monkeypatch):
    target = backend(parse("pretend"))
    monkeypatch.setattr(target, "machine", shipped("h200"))
    with xpu.config(device="pretend", on_fallback="raise"):
        yield target


def batches(n, size=8):
    return [np.full(size, float(i)) for i in range(n)]


def test_results_come_in_order(policy):
    got = [y.tolist() for y in xpu.pipeline(lambda x: x * 2 + 1, batches(7), depth=3)]
    assert got == [[2.0 * i + 1] * 8 for i in range(7)]
    assert [b[0] for b in map(xpu.asnumpy, xpu.prefetch(batches(5)))] == [0, 1, 2, 3, 4]


def test_structures_of_arrays(policy):
    source = [{"x": np.ones(3) * i, "pair": (np.arange(3), "label")} for i in range(4)]

    def f(batch):
        return {"sum": batch["x"] + batch["pair"][0], "kept": batch["pair"][1]}

    got = list(xpu.pipeline(f, source))
    assert [g["sum"].tolist() for g in got] == [[i, i + 1, i + 2] for i in range(4)]
    assert {g["kept"] for g in got} == {"label"}


def test_results_are_on_the_host(pretend):
    x, *_ = xpu.pipeline(lambda x: x + 1, batches(3))
    with xpu.no_transfers():
        assert xpu.asnumpy(x).tolist() == [1.0] * 8


def test_a_generators_buffer_may_be_reused(policy):
    def reusing():
        buffer = np.empty(4)
        for i in range(5):
            buffer[:] = i
            yield buffer

    assert [float(y[0]) for y in xpu.pipeline(lambda x: x * 1, reusing())] == [0, 1, 2, 3, 4]
    assert [float(b[0]) for b in xpu.prefetch(reusing(), depth=3)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_than_depth_batches_are_ahead(pretend, depth):
    taken = []

    def source():
        for i in range(12):
            taken.append(i)
            yield np.ones(4)

    for i, _ in enumerate(xpu.pipeline(lambda x: x + 1, source(), depth=depth)):
        assert len(taken) <= i + 1 + depth
    taken.clear()
    for i, _ in enumerate(xpu.prefetch(source(), depth=depth)):
        assert len(taken) <= i + depth


def test_an_error_in_f_comes_after_the_results_before_it(policy):
    def f(x):
        if float(x[0]) == 3:
            raise LookupError("batch 3")
        return x

    got = []
    with pytest.raises(LookupError, match="batch 3"):
        got.extend(float(y[0]) for y in xpu.pipeline(f, batches(6)))
    assert got == [0, 1, 2]


def test_an_error_in_the_source_comes_after_the_results_before_it(policy):
    def source():
        yield from batches(2)
        raise OSError("disk")

    got = []
    with pytest.raises(OSError, match="disk"):
        got.extend(float(y[0]) for y in xpu.pipeline(lambda x: x + 1, source()))
    assert got == [1, 2]


def test_leaving_early_closes_the_lanes(pretend):
    before = pretend.clock
    running = xpu.pipeline(lambda x: x + 1, iter(batches(10, SIZE)))
    next(running)
    running.close()
    link = pretend.machine.to_device
    # Depth 2: three batches were queued, and closing waits for them.
    assert pretend.clock - before >= 3 * link.seconds(8 * SIZE, pinned=True)
    assert xpu.ones(3).sum() == 3


@pytest.mark.parametrize("depth", [0, -1, 1.5, None])
def test_depth_is_checked(depth):
    with pytest.raises(ValueError, match=r"xpu\.pipeline: depth="):
        xpu.pipeline(abs, [], depth=depth)
    with pytest.raises(ValueError, match=r"xpu\.prefetch: depth="):
        xpu.prefetch([], depth)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match=r"xpu\.pipeline: f must be callable, got int"):
        xpu.pipeline(3, [])
    with pytest.raises(TypeError, match=r"xpu\.prefetch: batches must be iterable, got int"):
        xpu.prefetch(3)


def test_progress_bar(capsys, policy):
    assert len(list(xpu.pipeline(lambda x: x, batches(3), progress=True))) == 3
    shown = capsys.readouterr()
    assert "batches" in shown.err
    assert shown.out == ""


def chain(steps):
    def f(x):
        for _ in range(steps):
            x = x + 1.0
        return x.sum()  # little comes back: the link is busy one way

    return f


def seconds_of(pretend, work):
    before = pretend.clock
    work()
    return pretend.clock - before


@pytest.mark.parametrize("share", [0.25, 1.0, 4.0], ids=lambda s: f"compute is {s} of copy")
def test_overlap_reaches_the_slower_of_copy_and_compute(pretend, share):
    size = 1 << 20
    copy = pretend.machine.to_device.seconds(8 * size, pinned=True)
    x = xpu.ones(size)
    x += 0
    one = seconds_of(pretend, lambda: x + 1.0)
    steps = max(1, round(share * copy / one))
    f = chain(steps)
    compute = seconds_of(pretend, lambda: f(x))
    batch, n = np.ones(size), 40
    total = seconds_of(pretend, lambda: list(xpu.pipeline(f, [batch] * n)))
    assert n * max(copy, compute) / total >= 0.9
    assert n * max(copy, compute) / total <= 1.0 + 1e-9  # nothing is faster than its slowest part


def test_without_overlap_the_limit_is_not_reached(pretend):
    size, n = 1 << 20, 40
    copy = pretend.machine.to_device.seconds(8 * size, pinned=True)
    x = xpu.ones(size)
    x += 0
    f = chain(max(1, round(copy / seconds_of(pretend, lambda: x + 1.0))))
    batch = np.ones(size)
    total = seconds_of(pretend, lambda: [float(f(xpu.asarray(batch) + 0)) for _ in range(n)])
    assert n * copy / total < 0.6


def test_prefetch_overlaps_too(pretend):
    size, n = 1 << 20, 40
    copy = pretend.machine.to_device.seconds(8 * size, pinned=True)
    x = xpu.ones(size)
    x += 0
    f = chain(max(1, round(copy / seconds_of(pretend, lambda: x + 1.0))))
    compute = seconds_of(pretend, lambda: f(x))
    batch = np.ones(size)
    total = seconds_of(pretend, lambda: [f(b) for b in xpu.prefetch([batch] * n)])
    assert n * max(copy, compute) / total >= 0.9


def test_the_profile_shows_utilisation(pretend):
    with xpu.profile() as p:
        list(xpu.pipeline(lambda x: x + 1, batches(5, SIZE)))
    event = p.events[-1]
    assert event.op == "pipeline"
    assert "link busy" in event.reason
    assert "GPU busy" in event.reason
    assert event.bytes_moved == 2 * 5 * SIZE * 8


def test_the_cost_model_chooses(monkeypatch):
    """Where settings leave the choice one batch runs on each device, and the rest where it takes less."""
    target = backend(parse("pretend"))
    monkeypatch.setattr("xpu._pipeline._feed.accelerator", lambda settings: target)
    light, heavy = [], []

    def adds(x):
        y = x + 1
        light.append(str(y.device))
        return y

    def multiplies(x):
        y = x @ x + xpu.random.normal()  # a draw has no predicted time
        heavy.append(str(y.device))
        return y.sum()

    machine = shipped("h200")
    monkeypatch.setattr(target, "machine", machine)
    monkeypatch.setattr("xpu._pipeline._feed.machine_for", lambda target: machine)
    monkeypatch.setattr("xpu._dispatch.machine_for", lambda target: machine)
    with xpu.config(device="auto"):
        list(xpu.pipeline(adds, batches(6, 64)))
        list(xpu.pipeline(multiplies, [np.ones((400, 400))] * 6))
    assert heavy == ["cpu"] + ["pretend:0"] * 5
    assert light == ["cpu", "pretend:0"] + ["cpu"] * 4


def test_staging_buffers_are_reused_within_a_share_of_memory():
    made = []

    def allocate(n):
        made.append(n)
        return np.empty(n, np.uint8)

    pool = StagingPool(allocate, limit=1 << 20)
    one = pool.take(300_000)
    two = pool.take(300_000)
    assert one is not two
    assert pool.take(600_000) is None
    pool.give(one)
    assert pool.take(200_000) is one
    pool.give(one)
    big = pool.take(500_000)  # makes room by unlocking the free one
    assert big.nbytes >= 500_000
    assert pool.peak <= 1 << 20
    pool.give(two)
    pool.give(big)
    pool.clear()
    assert pool.locked == 0
    assert len(made) == 3
    assert StagingPool(allocate).limit == int(host_memory() * 0.1)
