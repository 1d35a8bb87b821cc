"""What a hint would gain: priced from the recorded program, and true when it is followed."""

import numpy as np
import pytest

import xpu
from xpu._hints import hints
from xpu._machine import shipped
from xpu._op import Work
from xpu._program import Program, Step, Storage, Use

F8 = np.dtype("f8")
H200 = shipped("h200")


def work(name, n, kind="elementwise"):
    return Work(kind, F8, 16.0 * n, float(n), name)


def step(name, n, device, *, uses=(0,), writes=(), results=(), gap=""):
    used = tuple(Use(u, 8 * n) for u in uses)
    return Step(work(name, n), used, writes, results, gap, "", False, 0.0, device, f"{name}.py:1")


def back_and_forth(n, times, gap=""):
    steps = []
    for _ in range(times):
        steps.append(step("add", n, "cpu", writes=(0,), gap=gap))
        steps.append(step("exp", n, "accelerator", writes=(0,)))
    return Program("ping-pong", (Storage(8 * n, "cpu"),), tuple(steps))


def test_ping_pong_is_found_and_its_price_named():
    found = hints(back_and_forth(10**6, 10), H200)
    assert found[0].kind == "offload"
    transfers = 10 * H200.to_device.seconds(8e6) + 9 * H200.to_host.seconds(8e6)
    add = work("add", 10**6)
    slower = 10 * (H200.accelerator.seconds(add) - H200.cpu.seconds(add))
    assert found[0].seconds == pytest.approx(transfers - H200.to_device.seconds(8e6) - slower)


def test_what_only_the_host_can_do_stays_there():
    """Two arrays: one goes back and forth for the host's sake, the other has no reason to leave the GPU."""
    storages = (Storage(8_000_000, "cpu"), Storage(8_000_000, "cpu"))
    steps = []
    for _ in range(8):
        steps.append(step("find_peaks", 10**6, "cpu", uses=(0,), writes=(0,), gap="the GPU library has no find_peaks"))
        steps.append(step("add", 10**6, "accelerator", uses=(0,), writes=(0,)))
        steps += [step("exp", 10**6, "accelerator", uses=(1,), writes=(1,)) for _ in range(30)]
    found = hints(Program("mixed", storages, tuple(steps)), shipped("rtx2060-laptop"))
    assert {h.kind for h in found} <= {"pin", "plan"}
    (pin,) = [h for h in found if h.kind == "pin"]
    assert "find_peaks.py:1" in pin.text
    assert "to_device('cpu')" in pin.text


def test_nothing_to_gain_nothing_said():
    steps = tuple(step("exp", 10**6, "accelerator", writes=(0,)) for _ in range(20))
    assert hints(Program("fine", (Storage(8_000_000, "cpu"),), steps), H200) == []
    assert hints(back_and_forth(10**6, 10), H200.without_accelerator()) == []
    assert hints(Program("empty", (), ()), H200) == []


def test_a_profile_says_it_and_following_it_gains_that_much(beside):
    card = beside("rtx4060-laptop")

    def program(device):
        with xpu.config(device="cpu"):
            a = xpu.asarray(np.random.default_rng(0).normal(size=(400, 400)))
        with xpu.profile() as p:
            for _ in range(4):
                with xpu.config(device=device):
                    a += 1
                with xpu.config(device="pretend"):
                    xpu.tanh(a, out=a)
        return p

    p = program("cpu")
    (best, *_) = p.hints()
    assert best.kind == "offload"
    assert "hint: the whole on the GPU" in str(p)
    followed = program("pretend")
    assert followed.hints() == []
    link = card.machine
    saved = 3 * link.to_device.seconds(1_280_000) + 3 * link.to_host.seconds(1_280_000)
    assert sum(t.seconds for t in p.transfers) - sum(t.seconds for t in followed.transfers) == pytest.approx(saved)
    add = [e for e in p.events if e.op == "add"]
    assert best.seconds == pytest.approx(
        saved + sum(e.cpu_seconds for e in add) - sum(e.accelerator_seconds for e in followed.events if e.op == "add")
    )
