"""xpu.profile: what moved where and when, who waited for whom. On the pretend device time is virtual and exact."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest

import xpu
from xpu._analysis import Span, by_operation, utilisation
from xpu._backends import HOST, _pretend
from xpu._trace import Event
from xpu._transfer import ledger


@pytest.fixture
def card(beside):
    return beside("rtx4060-laptop")


def on_host(*shape):
    with xpu.config(device="cpu"):
        return xpu.asarray(np.random.default_rng(0).normal(size=shape))


def test_bytes_per_source_line_and_direction(card):
    a = on_host(300, 300)
    with xpu.config(device="pretend"), xpu.profile() as p:
        b = a + 1  # up
        float(b[0, 0])  # eight bytes down
        with xpu.config(device="cpu"):
            b * 2  # all of it down
    lines = {entry.line.rpartition(":")[2]: entry for entry in p.by_line()}
    first = min(map(int, lines))
    assert [(lines[str(first + i)].to_device, lines[str(first + i)].to_host) for i in (0, 1, 3)] == [
        (720_000, 0),
        (0, 8),
        (0, 720_000),
    ]
    assert sum(entry.to_device + entry.to_host for entry in lines.values()) == p.bytes_moved == 1_440_008
    assert all(entry.line.startswith("test_profile.py:") for entry in p.by_line())


def test_a_transfer_takes_what_the_link_takes(card):
    a = on_host(300, 300)
    with xpu.config(device="pretend"), xpu.profile() as p:
        np.asarray(a + 1)
    up, down = p.transfers
    assert (up.source, up.target, up.nbytes) == ("cpu", "pretend:0", 720_000)
    assert (down.source, down.target, down.nbytes) == ("pretend:0", "cpu", 720_000)
    assert up.seconds == pytest.approx(card.machine.to_device.seconds(720_000))
    assert down.seconds == pytest.approx(card.machine.to_host.seconds(720_000))
    (event,) = [e for e in p.events if e.op == "add"]
    assert event.transfer_seconds == pytest.approx(up.seconds)
    assert event.actual == pytest.approx(event.predicted)
    assert event.run_seconds == pytest.approx(event.accelerator_seconds)


def test_lanes_follow_one_another_on_one_clock(card):
    a = on_host(300, 300)
    with xpu.profile() as p:
        with xpu.config(device="pretend"):
            b = a @ a
        with xpu.config(device="cpu"):
            b + 1
    spans = p.timeline()
    assert [(s.lane, s.name) for s in spans] == [
        ("to device", "720000 bytes"),
        ("gpu", "matmul"),
        ("to host", "720000 bytes"),
        ("cpu", "add"),
    ]
    for before, after in itertools.pairwise(spans):
        assert before.end <= after.start + 1e-9
    u = p.utilisation()
    assert u.gpu == pytest.approx(spans[1].end - spans[1].start)
    assert u.lost_to_transfers == pytest.approx(u.transfers) == pytest.approx(u.link)
    assert u.gpu_waiting_for_data == pytest.approx(card.machine.to_device.seconds(720_000))
    assert u.gpu + u.gpu_waiting_for_data + u.gpu_waiting_for_host == pytest.approx(u.seconds)


def test_the_time_spent_on_playing_the_device_does_not_count(card, monkeypatch):
    wall = [0.0]  # a second passes wherever the host does the device's work, and nowhere else

    def played(where):
        wall[0] += where in ("run", "in upload")

    a = on_host(400, 400)
    monkeypatch.setattr(HOST, "seconds", lambda: wall[0])
    monkeypatch.setattr(_pretend, "time", SimpleNamespace(perf_counter=lambda: wall[0]))
    monkeypatch.setattr(card, "fault", played)
    before = card.clock
    with xpu.config(device="pretend"), xpu.profile() as p:
        for _ in range(20):
            xpu.sort(a)
    assert wall[0] == card.acted == 21.0  # one upload, twenty sorts
    assert [e.actual for e in p.events] == pytest.approx([e.predicted for e in p.events])
    assert p.seconds == pytest.approx(card.clock - before) == pytest.approx(sum(e.predicted for e in p.events))


def test_a_pipeline_overlaps_copies_and_compute(card, monkeypatch):
    monkeypatch.setattr(HOST, "seconds", lambda: 0.0)  # virtual time alone: the result is exact
    monkeypatch.setattr(_pretend, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    batches = [np.random.default_rng(i).normal(size=(256, 256)) for i in range(8)]
    with xpu.config(device="pretend"), xpu.profile() as p:
        for _ in xpu.pipeline(lambda x: x @ x, batches):
            pass
    u = p.utilisation()
    assert u.lost_to_transfers < 0.5 * u.transfers
    assert u.gpu > 0.8 * u.seconds
    lanes = {s.lane for s in p.timeline()}
    assert {"gpu", "to device", "to host"} <= lanes
    pinned = card.machine.to_device.seconds(256 * 256 * 8, pinned=True)
    assert [t.seconds for t in p.transfers if t.target != "cpu"] == pytest.approx([pinned] * 8)
    assert sum(e.op == "pipeline" and e.summary for e in p.events) == 1


def test_predicted_against_actual():
    made = by_operation([Event("add", "cpu", "why", 1.0, 3.0, 8, 1), Event("add", "cpu", "why", 1.0, 1.0, 0, 0)])
    assert [(r.calls, r.predicted, r.actual, r.ratio, r.bytes_moved) for r in made] == [(2, 2.0, 4.0, 2.0, 8)]
    assert tuple(made[0]) == ("add", "cpu", 2, 2.0, 4.0, 8, "why")


def test_nobody_predicts_a_random_draw(card):
    with xpu.profile() as p:
        x = xpu.random.default_rng(0).normal(size=1000)
        x + 1
    draw, add = (e for e in p.events if e.op != "read")
    assert (draw.op, draw.reason) == ("random.normal", "the GPU library has no random.normal")
    assert np.isnan(draw.predicted)
    assert draw.actual > 0
    assert add.predicted > 0
    row = next(line for line in str(p).splitlines() if line.startswith("random.normal"))
    assert row.split()[3] == "-"
    assert row.split()[6] == "-"
    assert p.to_dict()["events"][0]["predicted"] is None


def test_who_waits_for_whom():
    busy = [
        Span("cpu", 0, 2, "a"),
        Span("to device", 1, 4, "b"),
        Span("gpu", 3, 6, "c"),
        Span("to host", 5, 8, "d"),
    ]
    u = utilisation(busy, 10.0)
    assert (u.seconds, u.cpu, u.gpu, u.link, u.transfers) == (10, 2, 3, 6, 6)
    assert u.lost_to_transfers == 1 + 2  # from 2 to 3, from 6 to 8
    assert u.gpu_waiting_for_data == 2  # from 1 to 3
    assert u.gpu_waiting_for_host == 5


def test_off_it_costs_nothing(card):
    with xpu.config(device="pretend"):
        a = on_host(100) + 1
        seconds = ledger.seconds
        np.asarray(a)
    assert ledger.seconds == seconds  # nobody listened: no clock was read


def test_plain_data(card):
    a = on_host(100, 100)
    with xpu.config(device="pretend"), xpu.profile() as p:
        a @ a
    data = json.loads(p.to_json())
    assert data["bytes_moved"] == 80_000
    assert [t["target"] for t in data["transfers"]] == ["pretend:0"]
    assert data["lines"][0]["to_device"] == 80_000
    assert data["utilisation"]["link"] > 0
    assert [line.split()[0] for line in str(p).splitlines()[1:3]] == ["op", "matmul"]
    assert "bytes moved by source line" in str(p)
    assert "the GPU waited" in str(p)


def test_pictures(card, tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    a = on_host(300, 300)
    with xpu.profile() as p:
        float((a @ a).sum())
    figure = p.plot(tmp_path / "timeline.png")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["CPU", "GPU", "link to GPU", "link to CPU"]
    assert axes.get_xlabel() in ("time [ms]", "time [µs]", "time [s]")
    drawn = sum(len(c.get_paths()) for c in axes.collections)
    assert drawn == len(p.timeline())
    with xpu.profile() as empty:
        pass
    empty.plot(tmp_path / "empty.png")
    figure = xpu.machine().plot(tmp_path / "machine.png")
    assert len(figure.axes) == 8
    assert all((tmp_path / f"{n}.png").stat().st_size > 1000 for n in ("timeline", "empty", "machine"))
    with xpu.config(device="cpu"):
        assert card.machine.without_accelerator().plot().axes
