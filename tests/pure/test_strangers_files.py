"""Files and text from a stranger are data: nothing in them runs, and nonsense is refused with xpu's own error."""

import contextlib
import copy
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpu
from xpu import _machine, _store, cli
from xpu._machine import shipped
from xpu._program import _json
from xpu._program._data import Program, Storage
from xpu.conv import _autotune_store as plans
from xpu.errors import MachineFileError, MachineFileWarning


class Evil:
    """Unpickling this leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def hostile(mark):
    """Contents of a file, by name."""
    evil = pickle.dumps(Evil(mark))
    return {
        "pickle": evil,
        "nothing": b"",
        "zeros": bytes(4096),
        "not UTF-8": b"\xff\xfe{}",
        "cut off": b'{"schema": 1, "name": "x',
        "a number": b"7",
        "a list": b"[]",
        "deep": b"[" * 100_000,
        "deep objects": b'{"a":' * 100_000,
        "a long number": b'{"schema": ' + b"9" * 10_000 + b"}",
        "infinity": b'{"schema": Infinity}',
        "code": b"__import__('os').mkdir('" + str(mark).encode() + b"')",
        "yaml": b"!!python/object/apply:os.mkdir ['" + str(mark).encode() + b"']",
    }


NAMES = list(hostile("x"))
KEY = {"engines": ["gemm", "direct"], "shape": [1, 2]}


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_file_from_a_stranger(tmp_path, monkeypatch, name):
    mark, path = tmp_path / "mark", tmp_path / "machine.json"
    path.write_bytes(hostile(mark)[name])
    with pytest.raises(MachineFileError, match="machine.json"):
        _machine.load(path)
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    os.replace(path, _store.path_of({"cpu": "x"}))
    with pytest.warns(MachineFileWarning, match="set aside"):
        assert _store.saved({"cpu": "x"}) is None
    assert not mark.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_cache_from_a_stranger(tmp_path, monkeypatch, name):
    mark = tmp_path / "mark"
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    assert plans.put(KEY, {"gemm": 1.0})
    assert plans.get(KEY) == {"gemm": 1.0}
    with open(plans.path_of(KEY), "wb") as file:
        file.write(hostile(mark)[name])
    with pytest.warns(MachineFileWarning, match="cannot be used"):
        assert plans.get(KEY) is None
    assert not mark.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_program_from_a_stranger(tmp_path, name):
    mark, path = tmp_path / "mark", tmp_path / "program.json"
    path.write_bytes(hostile(mark)[name])
    with pytest.raises(_json.ProgramFileError, match="program.json"):
        _json.load(path)
    assert not mark.exists()


ABSURD = st.sampled_from(
    [None, True, -1, 0, 10**400, -(10**400), 1e308, float("nan"), float("inf"), [], {}, [[]], {"a": 1}]
    + ["", "__import__('os')", "../../etc/passwd", "x" * 10_000, "O", "object", "<f8"]
)


def leaves(data, path=()):
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


MACHINE = json.loads(json.dumps(shipped("h200").to_dict()))
PROGRAM = _json.to_dict(Program("p", (Storage(8, "cpu", False),), (), 1.0))


@pytest.mark.parametrize(
    ("whole", "read", "refusal"),
    [(MACHINE, _machine.from_dict, MachineFileError), (PROGRAM, _json.from_dict, _json.ProgramFileError)],
    ids=["machine", "program"],
)
def test_any_field_may_be_anything(whole, read, refusal):
    """What is read is either refused, with the field named, or makes a machine whose numbers can be used."""

    @given(st.sampled_from(sorted(leaves(whole), key=str)), ABSURD)
    def replaced(path, value):
        data = copy.deepcopy(whole)
        place = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        with contextlib.suppress(refusal):
            read(data)

    replaced()


# ----------------------------------------------------------------------------- text on the command line


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').mkdir('MARK')",
        "add.__globals__",
        "add(__import__('os').mkdir('MARK'), 1)",
        "(lambda: add)()(1, 2)",
        "[add for add in (1,)][0](1)",
        "add(*open('MARK', 'w').write('x'))",
        "add(load('EVIL', allow_pickle=True), 1)",
        "sum(load(file='EVIL', allow_pickle=True))",
        "save('MARK', ones(3))",
        "add(save('MARK', ones(3)), 1)",
        "add(savetxt('MARK', ones(3)), 1)",
        "add(fromfile('EVIL'), 1)",
        "add(genfromtxt('EVIL'), 1)",
        "add(loadtxt('EVIL'), 1)",
        "add(runner.run_path('CODE'), 1)",
        "add(testing.faults(lost=True), 1)",
        "add(set_config(device='pretend'), 1)",
        "add(**ones(3))",
        "numpy.add(1, 2)",
        "add(ones(3)",
        "",
    ],
)
def test_an_expression_from_a_stranger(tmp_path, capsys, expression):
    mark, evil, code = tmp_path / "mark", tmp_path / "evil.npy", tmp_path / "code.py"
    evil.write_bytes(pickle.dumps(Evil(mark)))
    code.write_text(f"import os; os.mkdir({str(mark)!r})")
    for name, path in {"MARK": mark, "EVIL": evil, "CODE": code}.items():
        expression = expression.replace(name, str(path))
    assert cli.main(["explain", expression]) == 2
    assert "xpu explain: xpu.explain: " in capsys.readouterr().err
    assert not mark.exists()
    assert not (tmp_path / "mark.npy").exists()


HONEST = ["add(ones(10), 1)", "np.linalg.svd(np.ones((3, 3)))", "sum(random.normal(size=5))", "zeros(3, dtype=float32)"]


@pytest.mark.parametrize("expression", HONEST)
def test_an_honest_expression_is_explained(capsys, expression):
    assert cli.main(["explain", expression]) == 0
    assert "cpu" in capsys.readouterr().out


def test_arrays_of_objects_do_not_travel_as_code():
    """A pickled array is bytes and a dtype; loading it makes no object but the array."""
    data = pickle.dumps(xpu.ones(3))
    assert b"os" not in data.split(b"xpu")[0]
    np.testing.assert_array_equal(np.asarray(pickle.loads(data)), np.ones(3))
