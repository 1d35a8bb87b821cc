"""The acceptance run, dry: every part in its process, both reports, and a part that fails hides nothing."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_acceptance.py"


def run(out, *options):
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--device", "pretend", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("gpu_acceptance", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_dry_run(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = tmp_path.glob("*.json")
    whole = json.loads(found.read_text())
    assert [p["status"] for p in whole["parts"].values()] == ["done"] * len(whole["parts"])
    parts = {name: part["found"] for name, part in whole["parts"].items()}
    assert len({r["program"] for r in parts["programs"]["rows"]}) == 10
    assert len({r["n"] for r in parts["programs"]["rows"]}) == 5
    assert len({(r["operation"], r["elements"], r["transfers"]) for r in parts["operations"]["rows"]}) == 60
    assert all(isinstance(s, float) for r in parts["programs"]["rows"] for s in r["seconds"].values())
    assert min(parts["overlap"]["share of the limit"].values()) >= 0.9
    assert parts["failures"]["out of memory"] == "the CPU computed: 16"
    assert parts["kernels"]["largest error"] < 1e-12
    assert parts["tests"]["passed"] is True
    report = found.with_suffix(".md").read_text()
    assert "A dry run on the pretend device" in report
    assert "| programs: auto over the better device (target 1.10) | not run |" in report
    assert "| cudnn device | not run: needs a card |" in report


def test_a_part_that_fails_is_reported(module):
    outcome = module.run_part("no such part", "pretend", 60)
    assert outcome["status"].startswith("failed (exit 1): KeyError")


def test_a_part_that_hangs_is_stopped(module, monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/sleep")
    monkeypatch.setattr(module, "__file__", "30")
    monkeypatch.setattr(
        module.subprocess,
        "run",
        lambda command, timeout, real=subprocess.run, **k: real(["/bin/sleep", "30"], timeout=0.2, check=False),
    )
    assert module.run_part("doctor", "pretend", 7)["status"] == "stopped after 7 s"
    assert module.run_part("doctor", "pretend", 2)["status"] == "not run: the time is spent"


def test_an_unknown_part_is_refused(tmp_path):
    done = run(tmp_path, "--only", "weather")
    assert done.returncode == 1
    assert "no part weather" in done.stderr
