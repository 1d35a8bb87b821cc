"""The doctor outlives its probes: they may hang, crash, print nonsense or not start at all."""

from __future__ import annotations

import sys
import time

import pytest
from doctor_world import COMPILER, World, keys, verdict, world

from xpu._doctor import _run, diagnose
from xpu._doctor._xpu_probes.answer import MARK, Answer
from xpu._doctor._xpu_probes.main import PROBES

__all__ = ["world"]  # a fixture

TELL = f'print({MARK!r} + \'{{"key": "cards_on_bus", "value": 1}}\', flush=True); '


def child(code: str, limit: float = 30.0) -> _run.Plan:
    """Plan a probe that runs this Python code."""
    return _run.Plan("machine", (sys.executable, "-S", "-c", code), limit)


def test_every_probe_has_a_limit() -> None:
    assert set(_run.LIMITS) == set(PROBES)
    assert [plan.limit for plan in _run.plans(limit=3.0)] == [3.0] * len(PROBES)


def test_a_probe_that_sleeps_is_stopped_and_its_facts_are_kept() -> None:
    begin = time.monotonic()
    answer = _run.run(child(TELL + "import time; time.sleep(600)", limit=1.0))
    assert time.monotonic() - begin < 300
    assert answer.ending == "timeout"
    assert answer.facts == {"cards_on_bus": 1}
    assert answer.detail.startswith("no answer after 1 s")


def test_what_a_probe_started_is_stopped_with_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    trace = tmp_path_factory.mktemp("trace") / "alive"
    grandchild = f"import time; time.sleep(2); open({str(trace)!r}, 'w').close()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    assert _run.run(child(code, limit=1.0)).ending == "timeout"
    time.sleep(2.0)
    assert not trace.exists()


def test_a_probe_that_segfaults() -> None:
    code = TELL + "import ctypes, faulthandler; faulthandler.enable(); ctypes.string_at(0)"
    answer = _run.run(child(code))
    assert answer.ending == "crash"
    assert answer.facts == {"cards_on_bus": 1}
    assert answer.detail.startswith("killed by SIGSEGV")
    assert "Segmentation fault" in answer.detail


def test_a_probe_that_aborts_and_one_that_raises() -> None:
    assert _run.run(child("import os; os.abort()")).detail.startswith("killed by SIGABRT")
    answer = _run.run(child("raise ValueError('who knows')"))
    assert answer.ending == "crash"
    assert answer.detail.startswith("exit status 1.")
    assert answer.detail.endswith("ValueError: who knows")


@pytest.mark.parametrize(
    "code",
    [
        "print('Hello from a library')",
        "import os; os.write(1, bytes(range(256)) * 10)",
        f"print({MARK!r} + '{{\"key\": ')",
        f"print({MARK!r} + '[1, 2]')",
        'print(\'{"key": "cards_on_bus", "value": 1}\')',
        "pass",
    ],
)
def test_a_probe_that_prints_garbage(code: str) -> None:
    answer = _run.run(child(code))
    assert answer.ending == "garbage"
    assert answer.facts == {}
    assert answer.detail.startswith("an answer nobody can read")


def test_a_probe_that_never_stops_printing_is_stopped() -> None:
    answer = _run.run(child("while True: print('x' * 10_000)", limit=300.0))
    assert answer.ending == "garbage"
    assert len(answer.detail) < 1000


@pytest.mark.parametrize("command", [("/no/such/python",), ("/",), ("",), ("a\0b",)])
def test_a_probe_that_cannot_start(command: tuple[str, ...]) -> None:
    answer = _run.run(_run.Plan("machine", command, 5.0))
    assert answer.ending == "not started"
    assert answer.detail != ""


def test_garbage_around_the_facts_is_set_aside(world: World) -> None:
    noise = "import os; print('library says hello'); os.write(1, b'and leaves the line open')\n"
    world.healthy()
    source = world.site / "cupy/__init__.py"
    world.write(source, noise + source.read_text())
    report = world.report()
    assert keys(report) == []
    assert verdict(report, "CuPy") == "ok"  # its first fact is told right after the open line
    assert report.usable


@pytest.mark.skipif(COMPILER is None, reason="no C compiler to make the made-up libraries with")
def test_a_library_that_crashes_as_it_is_loaded_is_a_finding(world: World) -> None:
    world.healthy()
    crash = "__attribute__((constructor)) void start(void) { *(volatile int *)0 = 1; }"
    world.compile(crash, world.site / "nvidia/cu13/lib/libcufft.so.13")
    report = world.report()
    assert "broken-probe" in keys(report)
    finding = next(f for f in report.findings if f.key == "broken-probe")
    assert finding.seen.startswith("the libraries probe: killed by SIGSEGV")
    assert verdict(report, "cuBLAS") == "ok"  # told before the crash
    assert report.usable  # the other probes were not harmed


def test_a_cupy_that_hangs_is_a_finding(world: World) -> None:
    world.healthy()
    world.write(world.site / "cupy/__init__.py", "import time; time.sleep(600)")
    report = world.report(cupy=2.0)
    assert keys(report) == ["broken-probe"]
    assert report.findings[0].seen.startswith("the cupy probe: no answer after 2 s")
    assert verdict(report, "CuPy") == "broken"
    assert not report.usable


def test_an_nvml_that_aborts_is_a_finding(world: World) -> None:
    world.healthy()
    world.compile("void abort(void); int nvmlInit_v2(void) { abort(); }", world.loader / "libnvidia-ml.so.1")
    report = world.report()
    assert keys(report) == ["broken-probe"]
    assert report.findings[0].seen.startswith("the nvml probe: killed by SIGABRT")


def test_no_interpreter_at_all() -> None:
    report = diagnose(_run.plans(python=("/no/such/python",)))
    assert not report.usable
    assert {probe.ending for probe in report.probes} == {"not started"}
    assert keys(report) == ["broken-probe"]


def test_an_answer_keeps_a_failure_and_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    class LibraryError(Exception):
        pass

    path = tmp_path_factory.mktemp("answer") / "lines"
    with path.open("wb") as file:
        answer = Answer(file.fileno())
        with answer.step("first", LibraryError):
            raise LibraryError("x" * 5000)
        answer.fact("after", [1, None])
    facts, errors, noise = _run._parse(path.read_text())
    assert facts == {"after": [1, None]}
    assert errors == (("first", "LibraryError: " + "x" * 1986),)
    assert noise == ""
