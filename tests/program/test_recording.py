"""What a recording writes down: which memory a call reads, writes and makes; and that its file is only data."""

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest

import xpu
from xpu import runner
from xpu._program import HostRead, ProgramFileError, Recording, Storage, Use, from_dict, load, save, to_dict

PROGRAMS = sorted((Path(__file__).parents[2] / "examples" / "programs").glob("*.py"))


def ops(program):
    return ["read" if isinstance(s, HostRead) else s.work.op for s in program.steps]


def on_the_host(name="test"):
    return xpu.config(device="cpu"), Recording(name)


def test_a_chain_is_a_graph_of_storages():
    settings, recording = on_the_host()
    with settings, recording:
        a = xpu.asarray(np.arange(1000.0))
        b = a * 2
        c = b + a
        value = float(c.sum())
    program = recording.program()
    assert value == 3 * 499500
    assert ops(program) == ["multiply", "add", "sum", "read"]
    multiply, add, total, read = program.steps
    first = multiply.uses[0].storage
    assert program.storages[first] == Storage(8000, "cpu")
    assert multiply.uses == (Use(first, 8000),)
    assert add.uses == (Use(multiply.results[0], 8000), Use(first, 8000))
    assert (multiply.writes, multiply.gap, multiply.forced) == ((), "", "")
    assert program.storages[multiply.results[0]] == Storage(8000)
    assert total.uses[0].storage == add.results[0]
    assert read.use == Use(total.results[0], 8)
    assert 0 < sum(s.seconds for s in program.steps[:3]) < program.seconds
    assert {s.line for s in program.steps} <= {f"test_recording.py:{n}" for n in range(30, 36)}


def test_views_share_a_storage_and_in_place_calls_write_it():
    settings, recording = on_the_host()
    with settings, recording:
        a = xpu.asarray(np.ones((100, 100)))
        inner = a[1:-1, 1:-1]
        inner += 1
        few = a[0] * 2
        a[3] = few
        one = a[3, 3]
    assert one == 2
    program = recording.program()
    assert ops(program) == ["add", "multiply", "setitem", "read"]
    add, multiply, assign, read = program.steps
    whole = add.uses[0].storage
    assert program.storages[whole].nbytes == 80000
    assert (add.writes, add.results) == ((whole,), ())
    assert multiply.uses == (Use(whole, 800, alone=True),)
    assert (assign.writes, assign.results) == ((whole,), ())
    assert assign.uses[1].storage == multiply.results[0]
    assert read.use == Use(whole, 8, alone=True)


def test_memory_used_again_is_a_new_storage():
    settings, recording = on_the_host()
    with settings, recording:
        a = xpu.asarray(np.ones(1 << 17))
        for _ in range(20):
            a = a + 1  # the memory of large results is given out again
    program = recording.program()
    made = [s.results[0] for s in program.steps]
    assert len(set(made)) == 20
    assert [s.uses[0].storage for s in program.steps[1:]] == made[:-1]


def test_foreign_memory_never_leaves_the_host():
    theirs = np.ones(1000)
    settings, recording = on_the_host()
    with settings, recording:
        mine = xpu.asarray(np.ones(1000))
        mine = xpu.add(mine, theirs)
        np.add(theirs, 1, out=theirs)
        mine.flat[0] = 7
        xpu.add(mine, 1, out=mine)
    program = recording.program()
    assert ops(program) == ["add", "read", "add"]
    first, read, last = program.steps
    assert program.storages[first.uses[1].storage] == Storage(8000, "cpu", anchored=True)
    assert read.use.storage == first.results[0]
    assert program.storages[last.uses[0].storage] == Storage(8000, "cpu", anchored=True)
    assert last.gap == "it writes to memory that cannot leave the host"


def test_what_only_the_host_can_do_is_marked():
    settings, recording = on_the_host()
    with settings, recording:
        a = xpu.asarray(np.ones(100))
        a.sum(where=a > 0)
        xpu.equal(xpu.asarray(["a", "b"]), "a")
        with xpu.config(device="pretend"):
            a * 2
    gaps = {s.work.op: s.gap for s in recording.steps}
    assert gaps["sum"] == "the GPU library's sum has no where="
    assert gaps["greater"] == ""
    assert gaps["equal"].startswith("dtype <U1 exists on the host only")
    assert {s.work.op: s.forced for s in recording.steps}["multiply"] == "accelerator"


def test_constants_are_born_later_and_counted_by_size():
    settings, recording = on_the_host()
    with settings, recording:
        xpu.zeros(1000)
        xpu.zeros(10)
        xpu.linspace(0, 1, 5000)
    zeros, few, points = recording.steps
    assert (zeros.postponed, few.postponed, points.postponed) == (True, False, False)
    assert zeros.work.bytes >= 8000
    assert points.work.bytes >= 40000
    with xpu.config(device="auto"), Recording() as recording:
        a = xpu.zeros(1000)
        a + 1
    assert [s.postponed for s in recording.steps] == [True, False]
    assert recording.steps[1].uses[0].storage == recording.steps[0].results[0]


def test_a_run_on_another_device_records_the_same_graph():
    def run():
        a = xpu.asarray(np.ones((64, 64)))
        b = a @ a
        b[2:] += a[2:]
        return float(b.sum())

    graphs = []
    for device in ("cpu", "pretend"):
        with xpu.config(device=device):
            run()
            with Recording() as recording:
                run()
        graphs.append([(type(s), getattr(s, "uses", ()), getattr(s, "results", ())) for s in recording.steps])
        places = {s.device for s in recording.steps if not isinstance(s, HostRead)}
        assert places == {"cpu" if device == "cpu" else "accelerator"}
        start = {s.start for s in recording.program().storages}
        assert start == {"", "cpu" if device == "cpu" else "accelerator"}
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_programs_round_trip(path, tmp_path, capsys):
    settings, recording = on_the_host(path.stem)
    with settings, recording:
        runner.run_path(path)
    program = recording.program()
    assert len(program.steps) > 10
    save(program, tmp_path / "p.json")
    assert load(tmp_path / "p.json") == program
    made = set()
    for step in program.steps:
        uses = (step.use,) if isinstance(step, HostRead) else step.uses
        for use in uses:
            assert use.storage in made or program.storages[use.storage].start
        if not isinstance(step, HostRead):
            assert made.isdisjoint(step.results)
            made |= set(step.results)
            assert set(step.writes) <= {u.storage for u in step.uses}


def recorded():
    settings, recording = on_the_host()
    with settings, recording:
        float((xpu.asarray(np.ones(9)) + 1).sum())
    return to_dict(recording.program())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(schema=2), "'schema' must be 1, got 2"),
        (lambda d: d.pop("steps"), "'steps' is missing"),
        (lambda d: d.update(storages={}), "'storages' must be a list, got dict"),
        (lambda d: d["storages"][1].update(nbytes=-8), "'storages[1].nbytes' must be a whole number"),
        (lambda d: d["storages"][0].update(start="moon"), "'storages[0].start' must be one of"),
        (lambda d: d["steps"][0]["uses"][0].update(storage=99), "'steps[0].uses[0].storage' must be a whole number"),
        (lambda d: d["steps"][0]["work"].update(dtype="f8,__import__"), "'steps[0].work.dtype' must be a dtype"),
        (lambda d: d["steps"][0]["work"].update(kind="magic"), "'steps[0].work.kind' must be one of"),
        (lambda d: d["steps"][1].update(seconds=float("nan")), "'steps[1].seconds' must be a finite number"),
        (lambda d: d["steps"][0].update(postponed=1), "'steps[0].postponed' must be true or false"),
        (lambda d: d["steps"][2]["read"].pop("alone"), "'steps[2].read.alone' is missing"),
        (lambda d: d["steps"].append(3), "'steps[3]' must be an object, got int"),
    ],
)
def test_a_foreign_file_is_refused_by_field(change, field):
    data = recorded()
    assert to_dict(from_dict(copy.deepcopy(data))) == data
    change(data)
    with pytest.raises(ProgramFileError, match=re.escape(field)):
        from_dict(data)


def test_a_file_that_is_not_json(tmp_path):
    path = tmp_path / "p.json"
    path.write_text("[" * 5)
    with pytest.raises(ProgramFileError, match="is not JSON"):
        load(path)
    path.write_text(json.dumps([]))
    with pytest.raises(ProgramFileError, match=r"'\(root\)' must be an object"):
        load(path)
