"""Every field of the events of one call, on a pretend device whose clock stands still between calls."""

import numpy as np
import pytest

import xpu
from xpu._backends import HOST, backend, machine_for
from xpu._block import home
from xpu._device import parse
from xpu._dispatch import unborn
from xpu._op import Shaped
from xpu._trace import Event

N = 1000


@pytest.fixture
def where(monkeypatch):
    """The pretend device; the host takes no time."""
    found = backend(parse("pretend"))
    monkeypatch.setattr(found, "frozen", 100.0)
    monkeypatch.setattr(found, "clock", 2.0)
    monkeypatch.setattr(type(HOST), "seconds", lambda self: 100.0)
    return found


@pytest.fixture
def here():
    with xpu.config(device="cpu"):
        return xpu.asarray(np.arange(float(N)))


def recorded(f, **settings):
    with xpu.config(**settings), xpu.profile() as p:
        f()
    return p.events


def priced(where, op, *shapes):
    work = op.op.work([Shaped(s, np.dtype("f8")) for s in shapes], {})
    machine = machine_for(where)
    return machine.cpu.seconds(work), machine.accelerator.seconds(work), machine


def test_a_call_that_moves_its_operand(where, here):
    cpu, card, machine = priced(where, xpu.negative, (N,))
    up = machine.to_device.seconds(8 * N)
    (event,) = recorded(lambda: -here, device="pretend")
    expected = Event(
        op="negative",
        device="pretend:0",
        reason="forced by config(device=...)",
        predicted=pytest.approx(up + card),
        actual=pytest.approx(up + card),
        bytes_moved=8 * N,
        transfers=1,
        shapes=((N,),),
        line=event.line,
        start=pytest.approx(102.0),
        end=pytest.approx(102.0 + up + card),
        transfer_seconds=pytest.approx(up),
        cpu_seconds=pytest.approx(cpu),
        accelerator_seconds=pytest.approx(card),
    )
    assert event == expected
    assert event.line.rpartition(":")[0].endswith(".py")
    assert event.run_seconds == pytest.approx(card)


def test_a_call_whose_operands_are_there(where, here):
    _, card, _ = priced(where, xpu.add, (N,), (N,))
    with xpu.config(device="pretend"):
        there = here + 0
    before = where.clock
    events = recorded(lambda: there + there, device="pretend")
    assert [(e.bytes_moved, e.transfers, e.transfer_seconds, e.shapes) for e in events] == [(0, 0, 0.0, ((N,), (N,)))]
    assert events[0].actual == pytest.approx(card)
    assert (events[0].start, events[0].end) == pytest.approx((100.0 + before, 100.0 + before + card))


def test_a_call_on_the_host_pays_for_what_comes_down(where, here):
    cpu, _, machine = priced(where, xpu.add, (N,), (N,))
    with xpu.config(device="pretend"):
        there = here + 0
    down = machine.to_host.seconds(8 * N)
    (event,) = recorded(lambda: there + here, device="cpu")
    assert (event.device, event.bytes_moved, event.transfers) == ("cpu", 8 * N, 1)
    assert (event.transfer_seconds, event.predicted) == pytest.approx((down, down + cpu))
    assert event.actual == pytest.approx(down)  # the host's own time stands still here
    assert event.end - event.start == pytest.approx(down)


def test_a_call_that_the_device_cannot_run(where, here):
    cpu, _, machine = priced(where, xpu.nanpercentile, (N,))
    with xpu.config(device="pretend"):
        there = here + 0
    (event,) = recorded(lambda: xpu.nanpercentile(there, 50), device="pretend")
    assert (event.device, event.reason) == ("cpu", "the GPU library has no nanpercentile")
    assert event.cpu_seconds == pytest.approx(cpu)
    assert np.isnan(event.accelerator_seconds)
    assert event.predicted == pytest.approx(cpu + machine.to_host.seconds(8 * N))


def test_views_take_no_time_anywhere(where, here):
    with xpu.config(device="pretend"):
        there = here + 0
    before = where.clock
    for array, device in ((there, "pretend:0"), (here, "cpu")):
        (event,) = recorded(lambda array=array: array[1:], device="auto")
        now = pytest.approx(100.0 + before)
        told = ("getitem_view", device, "a view: nothing runs", 0.0, 0.0, 0, 0, ((N,),), event.line)
        assert event == Event(*told, start=now, end=now, cpu_seconds=0.0, accelerator_seconds=0.0)
    assert where.clock == before


def test_a_view_on_the_host_takes_the_hosts_time(here, monkeypatch):
    where = backend(parse("pretend"))
    assert where.frozen is None
    (event,) = recorded(lambda: here[1:], device="auto")
    assert event.device == "cpu"
    assert 0.0 < event.actual < event.end - event.start


def test_a_call_without_an_accelerator(here, monkeypatch):
    from xpu import _backends

    monkeypatch.setattr(_backends.automatic, "found", None)
    monkeypatch.setattr(_backends.automatic, "asked", True)
    for settings, reason in (
        ({"device": "auto"}, "no accelerator"),
        ({"device": "cpu"}, "forced by config(device=...)"),
    ):
        with xpu.config(device="cpu"):
            fresh = xpu.asarray(np.ones(N))
        (event,) = recorded(lambda fresh=fresh: fresh + 1, **settings)
        assert (event.device, event.reason, event.bytes_moved) == ("cpu", reason, 0)
        assert np.isnan(event.accelerator_seconds)
        assert event.predicted == event.cpu_seconds > 0.0
        assert 0.0 < event.actual < event.end - event.start


def test_our_own_work_is_not_in_the_time_of_a_call(here, monkeypatch):
    """The host's clock goes on by a second whenever it is read: the run is one reading after another."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(type(HOST), "seconds", lambda self: float(next(ticks)))
    (event,) = recorded(lambda: here * 2.0, device="cpu")
    assert event.actual == event.run_seconds == 1.0
    assert event.end - event.start > 1.0


def test_a_pin_beside_an_operand_that_lies_elsewhere(where):
    """Where settings name no device, the pinned operand's device is asked, whatever the replicas."""
    pinned = xpu.ones(N, device="pretend")
    xpu.asnumpy(pinned)  # valid on both sides from now on
    with xpu.config(device="cpu"):
        other = xpu.asarray(np.ones(N))
    (event,) = recorded(lambda: other + pinned, device="auto")
    assert (event.device, event.reason) == ("pretend:0", "an operand is pinned there")
    at_home = other.to_device("cpu")
    (event,) = recorded(lambda: at_home * 2.0, device="auto")
    assert (event.device, event.bytes_moved) == ("cpu", 0)
    reason = event.reason
    with xpu.config(device="pretend"):
        at_home + 1.0  # has a replica there, too, but no device is asked for a block that is pinned to the host
    (event,) = recorded(lambda: at_home * 2.0, device="auto")
    assert (event.device, event.reason) == ("cpu", reason)


def test_an_unborn_array_is_of_the_shape_asked_for(where):
    for shape in ((2, 3, 4), (3, 1, 4), (0, 3), (5,), ()):
        x = unborn(xpu.zeros.op, (shape, "f4"), shape, np.dtype("f4"))
        theirs = np.zeros(shape, "f4")
        assert (x.shape, x.dtype) == (theirs.shape, theirs.dtype)
        if theirs.size:
            assert x.strides == theirs.strides
        assert home(x).block.nbytes == theirs.nbytes
        with xpu.config(device="pretend"):
            assert (x + 1).tolist() == (theirs + 1).tolist()


def test_a_birth_takes_the_time_of_its_own_work(where):
    _, card, _ = priced(where, xpu.zeros, (100_000,))
    with xpu.config(device="auto"):
        x = xpu.zeros(100_000)
    before = where.clock
    home(x).block.ensure(where)
    assert where.clock - before == pytest.approx(card)


def test_work_that_does_not_fit_runs_in_pieces(where, monkeypatch):
    from dataclasses import replace

    from xpu._backends import _machines
    from xpu._backends._pretend import Memory

    machine = replace(where.machine, accelerator=replace(where.machine.accelerator, memory=100_000))
    monkeypatch.setattr(where, "machine", machine)
    monkeypatch.setitem(_machines, "pretend:0", machine)
    monkeypatch.setattr(where, "memory", Memory(100_000, fragmented=False))
    with xpu.config(device="cpu"):
        large = xpu.asarray(np.arange(20_000.0))
    before = where.clock
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        made = xpu.sin(large)
    (event,) = p.events
    assert (event.op, event.device, event.bytes_moved) == ("sin", "pretend:0", 2 * 160_000)
    assert event.reason.startswith("too large for the accelerator: ")
    assert event.transfers >= 4
    assert event.shapes == ((20_000,),)
    assert event.actual == pytest.approx(where.clock - before)
    assert event.start == pytest.approx(100.0 + before)
    np.testing.assert_allclose(xpu.asnumpy(made), np.sin(np.arange(20_000.0)))
    with xpu.profile() as p, xpu.config(device="cpu"):
        xpu.sin(large)
    assert [(e.device, e.bytes_moved) for e in p.events] == [("cpu", 0)]  # nothing of that size is asked of the host
