"""The acceptance run, dry: every part in its process, both reports, and a part that fails hides nothing."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_acceptance.py"


def run(out, *options):
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--device", "pretend", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("gpu_acceptance", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_dry_run(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = tmp_path.glob("gpu-acceptance-*.json")
    whole = json.loads(found.read_text())
    outcomes = {name: part["status"] for name, part in whole["parts"].items()}
    assert outcomes.pop("cudnn device") == "not run: it needs a card"
    assert set(outcomes.values()) == {"done"}
    parts = {name: part.get("found") for name, part in whole["parts"].items()}
    rows = parts["operations"]["rows"]
    assert len({(r["operation"], r["elements"], r["transfers"]) for r in rows}) == 60
    assert len({(r["program"], r["n"]) for r in parts["programs"]["rows"]}) == 50
    torch = importlib.util.find_spec("torch") is not None
    for row in rows + parts["programs"]["rows"] + parts["convolutions"]["rows"]:
        for way, seconds in row["seconds"].items():
            here = way != "torch" or torch
            if seconds == "not run: timed for forward float32 alone":
                assert (row["kind"], row["dtype"]) != ("forward", "float32")
                continue
            assert isinstance(seconds, float) if here else seconds.startswith("not run: torch is not installed")
    convolutions = parts["convolutions"]["rows"]
    assert {r["ran on"] for r in convolutions} == {"pretend:0"}
    assert len({(r["kind"], r["dtype"], r["image"]) for r in convolutions}) == 12
    if torch:
        assert all(r["error"] < (1e-4 if r["dtype"] == "float32" else 2e-2) for r in convolutions)
    assert min(parts["overlap"]["share of the limit"].values()) >= 0.9
    assert parts["failures"]["out of memory"] == "8388608 computed on cpu"
    assert parts["failures"]["fork after the GPU was used"] == ["child computed 3.0"]
    assert {k["ran on"] for k in parts["kernels"].values()} == {"pretend:0"}
    assert all(k["largest error"] < 1e-12 for k in parts["kernels"].values())
    assert all("pieces" in k["reasons"][0] and k["largest error"] < 1e-12 for k in parts["too large"].values())
    assert parts["tests"]["passed"] is True
    assert (tmp_path / parts["tests"]["log"]).exists()
    report = found.with_suffix(".md").read_text()
    assert "**A dry run: no card was used.**" in report
    assert "| operations | forced GPU over CuPy, from 10^6 elements on | at most 1.05 | | | | not run |" in report
    assert "| cudnn device | not run: it needs a card |" in report


def test_what_a_stopped_part_had_found_is_kept(module, tmp_path, monkeypatch):
    """The child writes a row, and half of another, and hangs; it and what it started are stopped."""
    script = tmp_path / "child.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "path = sys.argv[sys.argv.index('--out') + 1]\n"
        "open(path, 'w').write('{\"n\": 1}\\n{\"n\": ')\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    )
    monkeypatch.setattr(module, "__file__", str(script))
    found = module.run_part("probes", "pretend", 5.0)
    assert found["status"] == "stopped after 5 s"
    assert found["found"] == {"rows": [{"n": 1}]}


def test_a_stopped_parts_readings_are_set_against_the_targets(module, tmp_path, monkeypatch):
    script = tmp_path / "child.py"
    script.write_text(
        "import json, sys, time\n"
        "row = {'program': 'heat', 'n': 1, 'seconds': {'xpu auto': 2.0, 'xpu cpu': 1.0, 'xpu gpu': 4.0}}\n"
        "open(sys.argv[sys.argv.index('--out') + 1], 'w').write(json.dumps(row) + '\\n')\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(module, "__file__", str(script))
    found = module.run_part("programs", "pretend", 5.0)
    reading, bound = found["found"]["targets"]["auto over the better device"]
    assert (reading["worst"], bound) == (2.0, "at most 1.10")
    assert found["status"] == "stopped after 5 s"


def test_a_row_that_takes_seconds_is_read_once(module):
    from acceptance import measure

    class Ours:
        target, spent = measure.HOST, staticmethod(lambda: True)

    calls = []
    found = measure.interleaved(Ours, {"numpy": lambda: calls.append(1)}, 20)
    assert (len(calls), len(found)) == (2, 1)


def test_a_suite_that_is_stopped_says_what_it_has_found(module, tmp_path):
    from acceptance import parts

    (tmp_path / "test_it.py").write_text(
        "import pathlib, time\n"
        "def test_bad():\n    assert 0\n"
        "def test_slow():\n    pathlib.Path('slow').touch()\n    time.sleep(60)\n"
    )
    log = tmp_path / "log"
    with open(log, "w") as file:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path)
        while process.poll() is None and not (tmp_path / "slow").exists():
            time.sleep(0.05)
        assert parts._until(process, 0.1) is None
    assert "FAILED test_it.py::test_bad" in log.read_text()
    assert "1 failed" in log.read_text()


def test_a_part_that_fails_is_reported(module):
    outcome = module.run_part("no such part", "pretend", 60)
    assert outcome["status"].startswith("failed (exit 1): KeyError")
    assert module.run_part("doctor", "pretend", 2)["status"] == "not run: the time is spent"


def test_the_report_names_every_target(module):
    from acceptance.report import TARGETS, as_markdown

    reading = {"median": 1.0, "worst": 1.2, "cases": 3}
    targets = {"auto over the better device": (reading, "at most 1.10")}
    parts = {"programs": {"status": "done", "seconds": 1.0, "found": {"rows": [], "targets": targets}}}
    text = as_markdown({"machine": "NVIDIA X", "device": "cuda", "date": "", "seconds": 1.0, "parts": parts})
    assert "| programs | auto over the better device | at most 1.10 | 1 | 1.2 | 3 | no |" in text
    assert text.count("| not run |") == sum(map(len, TARGETS.values())) - 1


def test_an_unknown_part_is_refused(tmp_path):
    done = run(tmp_path, "--only", "weather")
    assert done.returncode == 1
    assert "no part weather" in done.stderr
