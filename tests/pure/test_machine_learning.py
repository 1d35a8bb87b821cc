"""Online learning on a synthetic clock: it converges, costs little, and leaves cold calls out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu._device import CPU, parse
from xpu._learn import Learner, learner
from xpu._machine import load, shipped
from xpu._op import Work, bucket
from xpu._placement import Operand, Policy, decide

PRETEND = parse("pretend")
WORK = Work("elementwise", np.dtype("f8"), 24e6, 1e6, "add")


class World:
    """A host clock; each reading costs 50 ns, as `time.perf_counter` does."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 5e-8
        return self.now


def fresh():
    machine = shipped("h200")
    machine = replace(
        machine,
        cpu=replace(machine.cpu, corrections={}, _found={}),
        accelerator=replace(machine.accelerator, corrections={}, _found={}),
    )
    world = World()
    made = Learner(world)
    made.start(machine)
    return made, machine, world


def play(made, world, device, work, seconds, calls, undisturbed=True):
    for _ in range(calls):
        world.now += 2e-5  # the rest of the program
        ticket = made.begin(device, work)
        world.now += seconds
        if ticket is not None:
            made.end(ticket, undisturbed=undisturbed)


@given(st.floats(0.2, 5.0), st.integers(5000, 10**7))
def test_predictions_converge_to_what_calls_take(factor, n):
    made, machine, world = fresh()
    work = Work("elementwise", np.dtype("f8"), 24.0 * n, float(n), "add")
    truth = machine.cpu.seconds(work) * factor
    play(made, world, CPU, work, truth, 20000)
    assert machine.cpu.seconds(work) == pytest.approx(truth, rel=0.15)


def test_nothing_is_learned_from_the_first_call_of_a_kind():
    made, machine, world = fresh()
    play(made, world, CPU, WORK, 0.5, 1)
    assert (made.samples, dict(machine.cpu.corrections)) == (0, {})
    play(made, world, CPU, WORK._replace(dtype=np.dtype("f4")), 0.5, 1)
    assert dict(machine.cpu.corrections) == {}


def test_nothing_is_learned_from_a_disturbed_call():
    made, machine, world = fresh()
    play(made, world, CPU, WORK, 1e-3, 5000, undisturbed=False)
    assert dict(machine.cpu.corrections) == {}


def test_one_disturbance_does_not_turn_a_prediction():
    made, machine, world = fresh()
    truth = machine.cpu.seconds(WORK)
    play(made, world, CPU, WORK, truth, 5000)
    before = machine.cpu.seconds(WORK)
    play(made, world, CPU, WORK, truth * 1000, 1)
    assert machine.cpu.seconds(WORK) == pytest.approx(before, rel=0.2)


def test_each_size_and_device_learns_for_itself():
    made, machine, world = fresh()
    other = WORK._replace(ops=1e3, bytes=24e3)
    before = machine.cpu.seconds(other), machine.accelerator.seconds(WORK)
    play(made, world, CPU, WORK, machine.cpu.seconds(WORK) * 3, 5000)
    assert (machine.cpu.seconds(other), machine.accelerator.seconds(WORK)) == before
    assert bucket(WORK) in machine.cpu.corrections


@given(st.floats(1e-6, 1e-2))
def test_timing_stays_below_one_percent_of_the_program(seconds):
    made, _, world = fresh()
    calls = 20000
    play(made, world, CPU, WORK, seconds, 50)
    start, readings = world.now, 0.0
    for _ in range(calls):
        world.now += 1e-5
        before = world.now
        ticket = made.begin(CPU, WORK)
        readings += world.now - before
        world.now += seconds
        before = world.now
        if ticket is not None:
            made.end(ticket, undisturbed=True)
        readings += world.now - before
    spent = readings / (world.now - start)
    assert made.samples > 0
    assert spent < 0.01


class Late:
    """A lap whose answer comes later, as a GPU's does."""

    def __init__(self):
        self.answer = None

    def stop(self):
        pass

    def seconds(self):
        return self.answer


def test_a_gpu_is_never_waited_for():
    made, machine, world = fresh()
    late = Late()
    play(made, world, PRETEND, WORK, 1e-5, 1)
    ticket = None
    while ticket is None:
        ticket = made.begin(PRETEND, WORK)
    made.end(ticket._replace(lap=late), undisturbed=True)
    assert made.samples == 0
    late.answer = 2 * machine.accelerator.seconds(WORK)
    play(made, world, PRETEND, WORK, machine.accelerator.seconds(WORK), 5000)
    assert made.samples >= 1


def test_what_the_function_took_counts_where_it_is_known():
    made, machine, world = fresh()
    truth = machine.cpu.seconds(WORK)
    for _ in range(5000):
        world.now += 2e-5
        ticket = made.begin(CPU, WORK)
        world.now += 3 * truth  # with the work around it
        if ticket is not None:
            made.end(ticket, undisturbed=True, seconds=truth)
    assert made.samples > 0
    assert machine.cpu.seconds(WORK) == pytest.approx(truth, rel=0.01)


# ----------------------------------------------------------------------------- the price of a cold call


def with_warmup(seconds):
    made, machine, world = fresh()
    classes = dict(machine.accelerator.classes)
    classes["elementwise"] = replace(classes["elementwise"], warmup=seconds)
    machine = replace(machine, accelerator=replace(machine.accelerator, classes=classes))
    made.start(machine)
    return made, machine, world


def test_a_cold_call_has_to_earn_its_price_first():
    made, machine, world = with_warmup(0.1)
    big = Work("elementwise", np.dtype("f8"), 24e7, 1e7, "add")
    there = [Operand(8 * 10**7, True, True)]
    places = []
    for _ in range(60):
        price = made.price(big)
        d = decide(big, there, machine, Policy(warmup=price))
        places.append(d.device)
        if d.device == "cpu":
            made.missed(big, d.cpu_seconds - d.accelerator_seconds)
        else:
            play(made, world, PRETEND, big, d.accelerator_seconds, 1)
    assert places[0] == "cpu"
    assert places[-1] == "accelerator"
    assert made.price(big) == 0.0
    host = places.count("cpu")
    assert host <= 0.1 / (d.cpu_seconds - d.accelerator_seconds) + 1


def test_a_small_call_does_not_pay_for_compiling():
    made, machine, _ = with_warmup(0.5)
    there = [Operand(8 * 10**6, True, True)]
    assert decide(WORK, there, machine, Policy()).device == "accelerator"
    assert decide(WORK, there, machine, Policy(warmup=made.price(WORK))).device == "cpu"


def test_dispatch_learns_only_where_a_learner_is_on(monkeypatch):
    assert not learner.on
    made = Learner()
    monkeypatch.setattr("xpu._dispatch.learner", made)
    made.start(shipped("h200"))
    with xpu.config(device="cpu"), xpu.profile():
        x = xpu.ones(10**5)
        for _ in range(200):
            x = x + 1.0
    assert made.samples > 0
    seen = made.samples
    made.stop()
    with xpu.config(device="cpu"), xpu.profile():
        x + 1.0
    assert made.samples == seen


def test_what_was_learned_is_not_saved(tmp_path, monkeypatch):
    """Factors belong to a program's data; the file holds what calibration measured, and nothing else."""
    made, machine, world = fresh()
    play(made, world, CPU, WORK, 3 * machine.cpu.seconds(WORK), 5000)
    assert machine.cpu.corrections
    machine.save(tmp_path / "machine.json")
    assert not load(tmp_path / "machine.json").cpu.corrections


def test_a_cold_call_of_each_kind_is_left_out_of_a_whole_program(monkeypatch):
    """Every first call takes a thousand times as long; predictions never see it."""
    made, machine, world = fresh()
    for name in ("add", "multiply", "sin", "sqrt"):
        for code in ("f8", "f4"):
            work = Work("elementwise", np.dtype(code), 24e6, 1e6, name)
            truth = machine.cpu.seconds(work)
            play(made, world, CPU, work, 1000 * truth, 1)
            play(made, world, CPU, work, truth, 300)
            assert machine.cpu.seconds(work) == pytest.approx(truth, rel=0.05)
