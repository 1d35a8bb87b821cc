"""Measured plans: what is raced, what is kept, what a damaged or foreign file does; no real time is looked at."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy
import pytest

import xpu
import xpu.signal
from xpu import conv
from xpu.conv import _autotune, _autotune_store, _plan
from xpu.conv._gemm import GemmEngine
from xpu.errors import MachineFileWarning

GEOMETRY = conv.conv_geometry("nn.conv2d", 2, (1, 2, 8, 8), (3, 2, 3, 3), "f4", "f4")


class Clock:
    """Time that only the engines below spend."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Runner(GemmEngine):
    """An engine with a predicted and a true time."""

    def __init__(self, name: str, clock: Clock, predicted: float, true: float) -> None:
        self.name, self._clock, self._predicted, self.true = name, clock, predicted, true
        self.runs, self.error = 0, None

    def seconds(self, geometry, rates):
        return self._predicted

    def run(self, xp, geometry, first, second):
        assert first.shape, second.shape == geometry.operand_shapes
        self.runs += 1
        self._clock.now += self.true
        if self.error is not None:
            raise self.error
        return super().run(xp, geometry, first, second)


@pytest.fixture
def field(monkeypatch, tmp_path):
    """Three engines that alone stand to choose from: the prediction is wrong about the first two."""
    clock = Clock()
    engines = [Runner("a", clock, 1.0, 9.0), Runner("b", clock, 2.0, 3.0), Runner("c", clock, 100.0, 0.1)]
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_plan, "ENGINES", {e.name: e for e in engines})
    monkeypatch.setattr(_autotune, "measure", partial(_autotune.measure, clock=clock))
    for cached in (_plan._decide.cache_clear, _autotune.forget):
        cached()
    yield engines
    for cached in (_plan._decide.cache_clear, _autotune.forget):
        cached()


def files(folder: Path) -> list[Path]:
    return sorted((folder / "conv").glob("*"))


def test_the_winner_is_measured_once_and_shown_beside_the_prediction(field, tmp_path) -> None:
    assert conv.plan_conv(GEOMETRY).engine == "a"
    plan = conv.tuned_plan(GEOMETRY)
    assert (plan.engine, plan.measured, dict(plan.seconds)) == ("b", True, {"a": 9.0, "b": 3.0})
    assert plan.predicted == (("b", 2.0), ("a", 1.0), ("c", 100.0))
    assert plan.predicted_seconds == 2.0
    rows = str(plan).splitlines()
    assert rows[1].startswith("engine b, workspace ")
    assert rows[2].split() == ["b", "2000.0000", "ms", "predicted", "3000.0000", "ms", "measured"]
    assert rows[3].split() == ["a", "1000.0000", "ms", "predicted", "9000.0000", "ms", "measured"]
    assert rows[4].split() == ["c", "100000.0000", "ms", "predicted,", "not", "measured"]
    told = plan.to_dict()
    assert told["measured"] is True
    assert told["seconds"] == {"b": 3.0, "a": 9.0}
    assert told["predicted"] == {"b": 2.0, "a": 1.0, "c": 100.0}
    runs = [e.runs for e in field]
    assert runs[2] == 0  # hopeless
    assert conv.tuned_plan(GEOMETRY) == plan
    assert [e.runs for e in field] == runs
    _autotune.forget()  # as another process would
    assert conv.tuned_plan(GEOMETRY) == plan
    assert [e.runs for e in field] == runs
    (file,) = files(tmp_path)
    assert json.loads(file.read_text())["seconds"] == {"b": 3.0, "a": 9.0}


def test_an_engine_far_behind_is_not_run_to_the_end(field) -> None:
    field[0].true, field[1].true = 0.001, 0.01
    assert conv.tuned_plan(GEOMETRY).engine == "a"
    assert field[0].runs == 1 + _autotune.ROUNDS  # the first one may have built a plan
    assert field[1].runs == 2


@pytest.mark.parametrize("error", [MemoryError(), NotImplementedError("refused"), RuntimeError("no plan")])
def test_an_engine_that_fails_is_left_out(field, error) -> None:
    field[0].error = error
    plan = conv.tuned_plan(GEOMETRY)
    assert (plan.engine, [name for name, _ in plan.seconds]) == ("b", ["b"])
    field[1].error = field[2].error = error
    _autotune.forget()
    other = GEOMETRY.with_(batch=2)
    assert conv.tuned_plan(other) == conv.plan_conv(other)  # nothing could be measured, nothing is kept


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda d: "", "Expecting value"),
        (lambda d: "[" * 100_000, ""),
        (lambda d: "[]", "it holds list, not an object"),
        (lambda d: json.dumps({**d, "format": 99}), "field 'format' is 99, not 1"),
        (lambda d: json.dumps({**d, "key": {}}), "field 'key' is {}, not"),
        (lambda d: json.dumps({**d, "seconds": {}}), "field 'seconds' is {}"),
        (lambda d: json.dumps({**d, "seconds": {"z": 1.0}}), "field 'seconds.z' names no engine that was measured"),
        (lambda d: json.dumps({**d, "seconds": {"a": -1}}), "field 'seconds.a' is -1, not a positive number"),
        (lambda d: json.dumps({**d, "seconds": {"a": True}}), "field 'seconds.a' is True"),
        (lambda d: json.dumps({**d, "seconds": {"a": float("nan")}}), "field 'seconds.a' is nan"),
        (lambda d: json.dumps({**d, "seconds": {"a": "1; import os"}}), "field 'seconds.a' is '1; import os'"),
    ],
)
def test_a_damaged_file_is_set_aside_aloud_and_measured_again(field, tmp_path, damage, told) -> None:
    plan = conv.tuned_plan(GEOMETRY)
    (file,) = files(tmp_path)
    whole = file.read_text()
    file.write_text(damage(json.loads(whole)))
    _autotune.forget()
    runs = field[0].runs
    with pytest.warns(MachineFileWarning) as caught:
        assert conv.tuned_plan(GEOMETRY) == plan
    assert field[0].runs > runs
    assert f"xpu.conv: {str(file)!r} cannot be used" in str(caught[0].message)
    assert told in str(caught[0].message)
    assert file.read_text() == whole


def test_what_a_time_depends_on_is_in_its_key(field, tmp_path, monkeypatch) -> None:
    conv.tuned_plan(GEOMETRY)
    with conv.threads(1):
        conv.tuned_plan(GEOMETRY)
    conv.tuned_plan(GEOMETRY.with_(dtype=numpy.dtype("f8")))
    conv.tuned_plan(GEOMETRY, engines=("a", "b"))
    _autotune.forget()
    monkeypatch.setattr(_autotune, "_version", lambda engine: "2")
    conv.tuned_plan(GEOMETRY)
    _autotune.forget()
    monkeypatch.setattr(_autotune, "_processor", lambda device: "another")
    conv.tuned_plan(GEOMETRY)
    assert len(files(tmp_path)) >= 5  # `threads(1)` is the default where there is one processor


def test_a_folder_that_cannot_be_written_is_done_without(field, tmp_path, monkeypatch) -> None:
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Read-only file system")

    monkeypatch.setattr(_autotune_store.tempfile, "mkstemp", refuse)
    assert conv.tuned_plan(GEOMETRY).engine == "b"
    assert files(tmp_path) == []
    monkeypatch.setattr(_autotune_store.os, "makedirs", refuse)
    assert conv.tuned_plan(GEOMETRY.with_(batch=2)).engine == "b"


def test_a_full_disk_leaves_no_half_file(field, tmp_path, monkeypatch) -> None:
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_autotune_store.os, "replace", full)
    assert conv.tuned_plan(GEOMETRY).engine == "b"
    assert files(tmp_path) == []


def test_few_files_are_kept_and_the_longest_unused_goes(field, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(_autotune_store, "MOST", 3)
    for batch in range(1, 4):
        conv.tuned_plan(GEOMETRY.with_(batch=batch))
    paths = files(tmp_path)
    by_batch = {json.loads(p.read_text())["key"]["geometry"].split("(")[1][0]: p for p in paths}
    for age, batch in ((300, "1"), (200, "2"), (100, "3")):
        os.utime(by_batch[batch], (1e9 - age, 1e9 - age))
    _autotune.forget()
    conv.tuned_plan(GEOMETRY)  # batch 1 is used again
    conv.tuned_plan(GEOMETRY.with_(batch=4))
    assert by_batch["1"].exists()
    assert not by_batch["2"].exists()
    assert len(files(tmp_path)) == 3


def test_threads_that_ask_at_once_measure_once(field) -> None:
    start = threading.Barrier(4)

    def ask(_: int) -> str:
        start.wait()
        return conv.tuned_plan(GEOMETRY).engine

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["b"] * 4
    alone = field[0].runs
    _autotune.forget()
    conv.tuned_plan(GEOMETRY)
    assert field[0].runs == alone


def test_processes_that_write_at_once_leave_a_whole_file(field, tmp_path) -> None:
    plan = conv.plan_conv(GEOMETRY)
    key = _autotune._key(plan)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: _autotune_store.put(key, {"a": 1.0 + n, "b": 2.0}), range(40)))
    assert all(done)
    kept = _autotune_store.get(key)
    assert kept is not None
    assert kept["a"] in [1.0 + n for n in range(40)]
    assert len(files(tmp_path)) == 1


def test_the_setting_decides(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    _autotune.forget()
    x, w = xpu.ones((1, 2, 9, 9), dtype="f4"), xpu.ones((3, 2, 3, 3), dtype="f4")
    plain = xpu.nn.conv2d(x, w)
    assert files(tmp_path) == []
    assert not xpu.nn.plan_conv(x, w).measured
    with xpu.config(autotune=True, device="cpu"):
        numpy.testing.assert_allclose(numpy.asarray(xpu.nn.conv2d(x, w)), numpy.asarray(plain), rtol=1e-5)
        assert len(files(tmp_path)) == 1
        assert xpu.nn.plan_conv(x, w).measured
    _autotune.forget()


def test_an_empty_convolution_is_not_measured(field) -> None:
    empty = GEOMETRY.with_(batch=0)
    assert not conv.tuned_plan(empty).measured
    assert dataclasses.replace(conv.tuned_plan(empty)) == conv.plan_conv(empty)
    assert field[0].runs == 0


def test_filters_follow_the_setting_too(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    _autotune.forget()
    rng = numpy.random.default_rng(3)
    image, kernel = rng.normal(size=(90, 95)), rng.normal(size=(13, 11))
    plain = numpy.asarray(xpu.signal.correlate(image, kernel, mode="same"))
    assert files(tmp_path) == []
    with xpu.config(autotune=True):
        tuned = numpy.asarray(xpu.signal.correlate(image, kernel, mode="same"))
    numpy.testing.assert_allclose(tuned, plain, atol=1e-10)
    (file,) = files(tmp_path)
    assert "conv2d forward (1, 1, 90, 95) x (1, 1, 13, 11)" in json.loads(file.read_text())["key"]["geometry"]
    _autotune.forget()
