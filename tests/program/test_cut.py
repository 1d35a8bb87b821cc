"""The minimum cut against an exhaustive search over placements and transfers, on small random programs."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu._machine import shipped
from xpu._op import Work
from xpu._program import HostRead, Program, Step, Storage, Use
from xpu._program._cut import minimum_cut, price

F8 = np.dtype("f8")
MACHINES = {name: shipped(name) for name in ("h200", "rtx4060-laptop", "gh200")}
KINDS = ("elementwise", "reduction", "matmul", "sort")


@st.composite
def programs(draw):
    storages = [
        Storage(draw(st.integers(1, 8)) * 10**6, draw(st.sampled_from(["cpu", "accelerator", "both"])))
        for _ in range(draw(st.integers(1, 3)))
    ]
    storages.append(Storage(draw(st.integers(1, 8)) * 10**6, "cpu", anchored=True))
    steps = []
    for _ in range(draw(st.integers(1, 7))):
        uses = []
        for _ in range(draw(st.integers(1, 3))):
            number = draw(st.integers(0, len(storages) - 1))
            storage = storages[number]
            alone = storage.anchored or draw(st.booleans())
            uses.append(Use(number, storage.nbytes // draw(st.integers(1, 9)) if alone else storage.nbytes, alone))
        if draw(st.integers(0, 4)) == 0:
            steps.append(HostRead(uses[0]))
            continue
        work = Work(draw(st.sampled_from(KINDS)), F8, draw(st.floats(0, 1e8)), draw(st.floats(0, 1e9)))
        writable = [u.storage for u in uses if not storages[u.storage].anchored]
        writes = tuple(writable[:1]) if draw(st.booleans()) else ()
        results = ()
        if draw(st.booleans()) and len(storages) < 6:
            results = (len(storages),)
            storages.append(Storage(draw(st.integers(1, 8)) * 10**6))
        gap = draw(st.sampled_from(["", "", "", "no such function"]))
        steps.append(Step(work, tuple(uses), writes, results, gap))
    return Program("random", tuple(storages), tuple(steps))


def exhaustive(program, machine):
    """The least seconds over all placements and all moments at which a whole storage may move: dynamic programming.

    A state says on which devices each storage is valid ("h", "d", "hd", "" for one not made yet).
    """
    start = tuple({"cpu": "h", "accelerator": "d", "both": "hd", "": ""}[s.start] for s in program.storages)
    best = {start: 0.0}
    for step in program.steps:
        moved = {}
        for state, seconds in best.items():  # any set of whole storages may move first
            options = []
            for place, storage in zip(state, program.storages, strict=True):
                both = place in ("h", "d") and not storage.anchored
                link = machine.to_device if place == "h" else machine.to_host
                options.append([(place, 0.0)] + ([("hd", link.seconds(storage.nbytes))] if both else []))
            for choice in itertools.product(*options):
                after = tuple(place for place, _ in choice)
                cost = seconds + sum(price for _, price in choice)
                moved[after] = min(moved.get(after, np.inf), cost)
        best = {}
        for state, seconds in moved.items():
            for device in "h" if isinstance(step, HostRead) or step.gap else "hd":
                cost, possible = seconds, True
                uses = (step.use,) if isinstance(step, HostRead) else step.uses
                writes = () if isinstance(step, HostRead) else step.writes
                for use in uses:
                    if device in state[use.storage]:
                        continue
                    if (not use.alone and not program.storages[use.storage].anchored) or use.storage in writes:
                        possible = False  # it has to be moved first
                    link = machine.to_device if device == "d" else machine.to_host
                    cost += link.seconds(use.nbytes)
                if not possible:
                    continue
                after = list(state)
                if isinstance(step, Step):
                    cost += (machine.cpu if device == "h" else machine.accelerator).seconds(step.work)
                    for number in (*step.writes, *step.results):
                        after[number] = device
                key = tuple(after)
                best[key] = min(best.get(key, np.inf), cost)
    return min(best.values())


@settings(max_examples=150)  # fewer do not see a wrong price of one direction
@given(programs(), st.sampled_from(sorted(MACHINES)))
def test_the_cut_is_the_best_of_all_placements(program, name):
    machine = MACHINES[name]
    found = minimum_cut(program, machine)
    assert found.seconds == pytest.approx(exhaustive(program, machine), rel=1e-6)
    assert found.seconds == price(program, machine, found.devices)
    for step, device in zip(program.steps, found.devices, strict=True):
        if isinstance(step, HostRead) or step.gap:
            assert device == "cpu"


WORK = Work("elementwise", F8, 24e7, 1e7)  # 27 ms on the host, 68 us on an H200
MEGABYTES = Storage(80_000_000, "cpu")


def test_a_value_read_often_moves_once():
    machine = MACHINES["h200"]
    step = Step(WORK, (Use(0, 80_000_000),))
    once = minimum_cut(Program("p", (MEGABYTES,), (step,)), machine)
    often = minimum_cut(Program("p", (MEGABYTES,), (step,) * 50), machine)
    assert often.devices == ("accelerator",) * 50
    run = machine.accelerator.seconds(WORK)
    assert once.seconds == pytest.approx(machine.to_device.seconds(80_000_000) + run)
    assert often.seconds == pytest.approx(machine.to_device.seconds(80_000_000) + 50 * run)


def test_a_write_on_the_host_ends_a_replica():
    machine = MACHINES["h200"]
    there = Step(WORK, (Use(0, 80_000_000),), forced="accelerator")
    here = Step(WORK, (Use(0, 80_000_000),), writes=(0,), gap="no such function")
    up = machine.to_device.seconds(80_000_000)
    ran = 2 * machine.accelerator.seconds(WORK) + machine.cpu.seconds(WORK)
    for steps, moved in (((there, there, here), 1), ((there, here, there), 2)):
        assert minimum_cut(Program("p", (MEGABYTES,), steps), machine).seconds == pytest.approx(ran + moved * up)


def test_one_gap_in_a_loop_does_not_bring_the_loop_home():
    machine = MACHINES["gh200"]
    loop = [Step(WORK, (Use(0, 80_000_000),), writes=(0,))] * 10
    gap = Step(Work("host", F8, 8.0, 1.0), (Use(0, 8, alone=True),), gap="no such function")
    devices = minimum_cut(Program("p", (MEGABYTES,), (*loop, gap, *loop)), machine).devices
    assert devices == ("accelerator",) * 10 + ("cpu",) + ("accelerator",) * 10


def test_without_an_accelerator_or_steps():
    program = Program("p", (MEGABYTES,), (Step(WORK, (Use(0, 80_000_000),)),))
    assert minimum_cut(program, shipped("generic")).devices == ("cpu",)
    assert minimum_cut(Program("p", (), ()), MACHINES["h200"]) == ((), 0.0)
