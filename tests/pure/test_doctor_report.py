"""What the doctor says: the rows, whether parts fit, the text, the JSON, the exit status."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doctor_world import PATHFINDER, PYNVML, TOOLKIT, World, keys, mend, verdict, world
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu import _doctor
from xpu._doctor import Finding, Probe, Report, Row, _find, _rows, _show
from xpu._doctor._facts import Facts, Process, version
from xpu._doctor._model import WIDTHS, as_text
from xpu._doctor._symptoms import SYMPTOMS

__all__ = ["world"]  # a fixture

LIBRARY = {"path": "/v/site-packages/nvidia/cu13/lib/x.so.13", "found_via": "site-packages"}
GOOD: dict[str, dict[str, Any]] = {
    "machine": {
        "platform": "linux",
        "system": "ubuntu debian",
        "container": "",
        "wsl": False,
        "cards_on_bus": 1,
        "kernel_module": "580.159.04",
        "nodes": {"nvidia0": True, "nvidiactl": True},
        "variables": {},
        "toolkits": [],
        "cache": {"path": "/home/user/.cupy/kernel_cache", "writable": True, "in_memory": False},
        "packages": {
            "cupy-cuda13x": "14.2.0",
            "nvidia-cudnn-cu13": "9.19.0.56",
            "nvidia-cudnn-frontend": "1.28.0",
            "nvidia-ml-py": "13.615.71",
            "cuda-pathfinder": "1.9.0",
        },
    },
    "nvml": {
        "driver": "580.159.04",
        "cuda": 13000,
        "gpus": [
            {
                "name": "NVIDIA GeForce RTX 4090 Laptop GPU With A Long Name",
                "capability": [8, 9],
                "memory_bytes": 16 << 30,
                "free_bytes": 15 << 30,
                "partitioned": False,
                "pcie_generation": 1,
                "pcie_generation_max": 4,
                "pcie_width": 8,
                "pcie_width_max": 16,
            }
        ],
    },
    "libraries": {
        name: LIBRARY | {"version": "13.0"}
        for name in ("cudart", "nvrtc", "cublas", "cufft", "curand", "cusparse", "cusolver")
    }
    | {
        "headers": LIBRARY | {"version": "13.0", "lacking": []},
        "architectures": [75, 80, 89, 90, 120],
    },
    "linking": {},
    "cupy": {
        "version": "14.2.0",
        "driver": 13000,
        "devices": 1,
        "ran": {"compile a kernel": True, "multiply matrices": True},
    },
    "cudnn": {
        "copies": ["/v/libcudnn.so.9"],
        "path": "/v/libcudnn.so.9",
        "found_via": "site-packages",
        "version": 91900,
        "cudart": 13010,
        "status": 0,
        "loaded": ["/v/libcudnn.so.9"],
        "frontend": "1.28.0",
    },
}


def facts_with(**changed: dict[str, Any]) -> Facts:
    """Return good facts with some of a probe's replaced."""
    probes = {name: Probe(name, "ok", {**told, **changed.get(name, {})}) for name, told in GOOD.items()}
    return Facts(probes, Process())


def found(**changed: dict[str, Any]) -> list[str]:
    """Return the names of what is wrong with such facts."""
    return [finding.key for finding in _find.find(facts_with(**changed))]


def packages(**changed: str) -> dict[str, Any]:
    """Return the machine's packages with some replaced."""
    named = {name.replace("_", "-"): text for name, text in changed.items()}
    return {"packages": {**GOOD["machine"]["packages"], **named}}


NO_DRIVER = {"machine": {"kernel_module": "", "nodes": {}}, "cupy": {"driver": 0, "ran": {}}}


def test_good_facts_are_good() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("no-permission", {"machine": {"nodes": {"nvidia0": True, "nvidiactl": False}}}),
        ("stale-driver", {"nvml": {"driver": "", "gpus": [], "status": 18}}),
        ("no-driver", NO_DRIVER | {"nvml": {"driver": "", "cuda": 0, "gpus": [], "status": 9}}),
        ("no-driver", NO_DRIVER | {"nvml": {"driver": "", "cuda": 0, "gpus": [], "status": 12}}),
        ("troubled-driver", {"nvml": {"driver": "", "gpus": [], "status": 15}}),
        ("old-driver", {"nvml": {"driver": "580.65.05", "cuda": 13000}}),
        ("old-driver", {"nvml": {"driver": "550.54", "cuda": 12040}}),
        ("old-cupy", {"cupy": {"version": "13.6.0"}}),
        ("many-cupys", {"machine": packages(cupy="14.2.0")}),
        ("wrong-architecture", {"nvml": {"gpus": [{"capability": [7, 0]}]}}),
        ("other-cudnn", {"cudnn": {"cudart": 12090}}),
        ("no-cudnn", {"cudnn": {"copies": [], "path": ""}}),
        ("frontend", {"cudnn": {"frontend": "1.21.1"}}),
        ("frontend", {"cudnn": {"frontend": "1.29.0"}}),
        ("mixed-toolkit", {"libraries": {"nvrtc": LIBRARY | {"version": "12.9"}}}),
        ("no-headers", {"libraries": {"headers": {"path": "", "version": ""}}}),
    ],
)
def test_parts_that_do_not_fit(key: str, changed: dict[str, dict[str, Any]]) -> None:
    assert found(**changed) == [key]


@pytest.mark.parametrize(
    "changed",
    [
        {"nvml": {"driver": "580.65.06"}},
        {"nvml": {"driver": "610.10", "cuda": 13050}},
        {"nvml": {"gpus": [{"capability": [7, 5]}]}},
        {"cudnn": {"frontend": "1.22.0"}},
        {"cudnn": {"frontend": "1.28.9"}},
        {"machine": {"nodes": {}}},
        {"cupy": {"version": "14.0.0"}},
        {"cudnn": {"cudart": 13000}},
    ],
)
def test_parts_that_just_fit(changed: dict[str, dict[str, Any]]) -> None:
    assert found(**changed) == []


def test_a_rocm_cupy_is_told_from_a_cuda_one() -> None:
    machine = {"packages": {"cupy-rocm-7-0": "14.2.0"}}
    assert found(machine=machine, cudnn={"frontend": "1.28.0"}) == ["rocm-cupy"]


def test_an_old_card_keeps_its_driver_and_gets_cuda_12() -> None:
    facts = facts_with(nvml={"gpus": [{"capability": [6, 1]}]})
    (finding,) = _find.find(facts)
    assert finding.mend.endswith('pip install "xpu-array[cuda12]"')


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("ubuntu debian", "sudo ubuntu-drivers install"),
        ("debian", "sudo apt install nvidia-driver"),
        ("rocky rhel centos fedora", "sudo dnf install akmod-nvidia"),
        ("arch", "sudo pacman -S nvidia-open"),
        ("", "install the driver from https://www.nvidia.com/drivers"),
    ],
)
def test_the_driver_is_installed_as_the_system_does(system: str, command: str) -> None:
    facts = facts_with(
        machine={"system": system, "kernel_module": "", "nodes": {}},
        nvml={"driver": "", "cuda": 0, "gpus": [], "status": 12},
        cupy={"driver": 0, "ran": {}},
    )
    (finding,) = _find.find(facts)
    assert finding.key == "no-driver"
    assert finding.mend.startswith(command)


def test_the_card_and_its_link_are_shown() -> None:
    rows = {row.part: row for row in _rows.build(facts_with(), ())}
    assert rows["GPU"].found == "0: RTX 4090 Lapto…, cc 8.9, 16 GiB"
    assert rows["GPU link"] == Row(
        "GPU link", "moves data to and from the card", "PCIe 4 x8, the card has x16", "note", group=_rows.CARD
    )


def test_the_cache_is_shown_from_home_and_told_in_full(world: World) -> None:
    row = next(row for row in world.report().rows if row.part == "Kernel cache")
    assert row.found == "~/.cupy/kernel_cache"
    assert row.where == f"{world.env['HOME']}/.cupy/kernel_cache"
    assert row.verdict == "ok"


def test_two_cards_make_four_rows() -> None:
    card = GOOD["nvml"]["gpus"][0]
    rows = _rows.build(facts_with(nvml={"gpus": [card, {**card, "pcie_width": None}]}), ())
    shown = [row.found for row in rows if row.part == "GPU link"]
    assert shown == ["PCIe 4 x8, the card has x16", "not told (a virtual card?)"]
    assert [row.found[:2] for row in rows if row.part == "GPU"] == ["0:", "1:"]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_no_lack_of_facts_makes_the_doctor_raise(data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(GOOD))))
    endings = st.sampled_from(["ok", "timeout", "crash", "garbage", "not started"])
    probes = {}
    for name in names:
        keep = data.draw(st.sets(st.sampled_from([*GOOD[name], "-"])))
        told = {key: value for key, value in GOOD[name].items() if key in keep}
        probes[name] = Probe(name, data.draw(endings), told, (("step", data.draw(st.text())),))
    facts = Facts(probes, Process())
    findings = _find.find(facts)
    rows = _rows.build(facts, findings)
    assert {"NVIDIA driver", "GPU", "CuPy", "cuDNN", "Fork"} <= {row.part for row in rows}
    report = Report(facts.ran, "done.", rows, findings, tuple(probes.values()))
    assert str(report).endswith("done.")
    assert json.loads(json.dumps(report.to_dict()))["usable"] is facts.ran


def test_the_text_fits_a_hundred_columns(world: World) -> None:
    world.healthy()
    world.driver(cc=(6, 1), lanes=4)
    report = world.report()
    lines = str(report).splitlines()
    assert len(report.findings) == 1
    assert max(len(line) for line in lines if "run:" not in line) <= 100
    table = [line for line in lines[2:] if line.startswith("  ")][: len(report.rows)]
    starts = {line.index(row.told, 85) for line, row in zip(table, report.rows, strict=True)}
    assert starts == {sum(WIDTHS[:3]) + 8}
    assert {line for line in lines[2 : len(report.rows) + 6] if line not in table} == {r.group for r in report.rows}
    assert any(line == f"   run:  {report.findings[0].mend}" for line in lines)  # never cut


def test_every_cause_fits_its_line() -> None:
    long = [s.key for s in SYMPTOMS if len(f"9. {s.part}: {s.cause}") > 100]
    assert long == []
    assert all(row.part in _rows.PARTS for row in _rows.build(facts_with(), ()))
    assert max(map(len, _rows.PARTS)) <= WIDTHS[0]
    assert max(len(purpose) for _, purpose in _rows.PARTS.values()) <= WIDTHS[1]


def _report(*findings: Finding) -> Report:
    facts = facts_with()
    return Report(facts.ran, "Usable: a card.", _rows.build(facts, findings), findings, ())


def test_a_terminal_gets_the_same_words_in_colour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = _report(Finding("old-cupy", "CuPy", "too old.", "pip install " + "x" * 120))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    _show.show(report, False)
    shown = capsys.readouterr().out
    assert "\x1b[31m" in shown or "\x1b[1;31m" in shown
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in shown.splitlines()]
    assert "   run:  " + report.findings[0].mend in lines
    assert all(any(row.found in line for line in lines) for row in report.rows)
    assert max(len(line) for line in lines if "run:" not in line) <= 100


def test_every_row_that_is_not_well_names_the_command_that_mends_it(world: World) -> None:
    world.driver("535.104.05", cuda=12020)
    world.toolkit(without=["cufft"])
    world.cudnn(frontend="1.30.0")
    world.cupy()
    report = world.report()
    told = {row.part: (row.verdict, report.findings[row.see - 1].key if row.see else "") for row in report.rows}
    assert told["NVIDIA driver"] == ("broken", "old-driver")
    assert told["cuFFT"] == ("missing", "no-toolkit")
    assert told["cuDNN frontend"] == ("note", "frontend")
    assert told["CuPy"] == told["cuBLAS"] == ("ok", "")
    assert all(row.told == f"{row.verdict} ({row.see})" for row in report.rows if row.see)


def test_a_narrow_terminal_goes_without_the_purposes() -> None:
    rich = pytest.importorskip("rich.console")
    report = _report(Finding("old-cupy", "CuPy", "too old.", "pip install cupy"))
    for width, wide in ((80, False), (100, True)):
        console = rich.Console(file=io.StringIO(), width=width, highlight=False)
        _show.in_colour(report, console)
        shown = console.file.getvalue()
        assert ("what every kernel includes" in shown) is wide
        assert all(row.found in shown for row in report.rows)
        assert max(map(len, shown.splitlines())) <= width


def test_an_encoding_without_the_marks_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict", write_through=True)
    monkeypatch.setattr(told, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", told)
    _show.show(_report(), False)
    assert told.buffer.getvalue().decode("ascii").startswith("  Part")  # type: ignore[attr-defined]


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    report = _report()
    _show.show(report, False)
    assert capsys.readouterr().out == as_text(report) + "\n"


@pytest.mark.parametrize("usable", [True, False])
def test_exit_status_and_json(
    usable: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = replace(_report(), usable=usable)
    monkeypatch.setattr(_doctor, "doctor", lambda: report)
    assert _doctor.doctor_main(json=True) == (0 if usable else 1)
    told = json.loads(capsys.readouterr().out)
    assert told["usable"] is usable
    assert [row["part"] for row in told["rows"]] == [row.part for row in report.rows]


def test_a_wrong_result_is_not_usable() -> None:
    assert not facts_with(cupy={"ran": {"compile a kernel": True, "multiply matrices": False}}).ran
    assert not facts_with(cupy={"ran": {"multiply matrices": True}}).ran


def test_the_doctor_is_consistent_on_this_very_machine() -> None:
    report = _doctor.doctor()
    assert all(probe.ending == "ok" for probe in report.probes), report.probes
    ran = next(p.facts.get("ran", {}) for p in report.probes if p.name == "cupy")
    assert report.usable == bool(ran.get("compile a kernel") and ran.get("multiply matrices"))
    assert report.usable or (verdict(report, "GPU") != "ok" or len(report.findings) > 0)


def test_the_doctor_leaves_this_process_as_it_was() -> None:
    code = (
        "import sys, multiprocessing; from xpu._doctor import doctor, summary_for_warning;"
        " doctor(); summary_for_warning();"
        " heavy = {'cupy', 'pynvml', 'cudnn', 'rich', 'cuda.pathfinder'} & set(sys.modules);"
        " print(sorted(heavy), multiprocessing.get_start_method(allow_none=True))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] None"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("cudaErrorInsufficientDriver: CUDA driver version is insufficient", ""),
        (
            RuntimeError("cudaErrorInitializationError: x"),
            "a process that used CUDA cannot be forked",
        ),
        (OSError("undefined symbol: cublasLtX"), "a system libcublasLt stands before"),
        (ValueError("nothing known"), "the GPU cannot be used (ValueError: nothing known)"),
        ("", ""),
    ],
)
def test_the_first_warning_names_the_doctor(error: BaseException | str, sentence: str) -> None:
    text = _doctor.summary_for_warning(error)
    assert text.startswith(f"xpu computes on the CPU because {sentence}")
    assert text.endswith("; `xpu doctor` has the remedy.")
    assert "\n" not in text
    assert text.count(". ") == 0


def test_explain_knows_the_known_and_nothing_else() -> None:
    assert "cannot write" in _doctor.explain(PermissionError("/home/user/.cupy/kernel_cache"))
    assert _doctor.explain("something else") == ""
    assert _doctor.explain("cudaErrorNoDevice: no CUDA-capable device").startswith("the driver answers")


@pytest.mark.parametrize(("text", "numbers"), [("580.65.06", (580, 65, 6)), ("14.0.0rc1", (14, 0, 0)), ("x", ())])
def test_version(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


@pytest.mark.parametrize("status", [0, 4])
def test_nvidia_ml_py_is_used_where_it_is_installed(world: World, status: int) -> None:
    world.write(world.site / "pynvml.py", f"STATUS = {status}\n{PYNVML}")
    told = next(probe for probe in world.report().probes if probe.name == "nvml")
    assert told.facts["through"] == "nvidia-ml-py"
    assert told.ending == "ok"
    if status:
        assert told.errors == (("nvml", "NVMLError (4): No permission"),)
    else:
        assert (told.facts["driver"], told.facts["cuda"]) == ("570.1", 12080)
        (card,) = told.facts["gpus"]
        assert (card["name"], card["capability"]) == ("NVIDIA A100", [8, 0])
        assert card["memory_bytes"] is card["pcie_width"] is None


def test_cuda_pathfinder_is_used_where_it_is_installed(world: World, tmp_path: Path) -> None:
    world.cupy()
    path = world.compile(TOOLKIT, tmp_path / "elsewhere.so", MAJOR=13, MINOR=1)
    world.write(world.site / "cuda/__init__.py", "")
    source = f"FOUND = {{'nvrtc': {str(path)!r}}}\n{PATHFINDER}"
    world.write(world.site / "cuda/pathfinder/__init__.py", source)
    rows = {row.part: row for row in world.report().rows}
    assert (rows["NVRTC"].found, rows["NVRTC"].where) == ("13.1, conda", str(path))
    assert rows["cuBLAS"].verdict == rows["CUDA headers"].verdict == "missing"
    assert rows["cuBLAS"].where.startswith("DynamicLibNotFoundError: Failure finding")


def test_a_bare_machine_without_card(world: World) -> None:
    report = world.report()
    assert keys(report) == ["no-card", "no-cupy"]
    assert mend(report, "no-card") == "xpu whatif SCRIPT --gpu h200"
    assert mend(report, "no-cupy") == 'pip install "xpu-array[cuda13]"'
    assert report.summary.startswith("No GPU here")
    missing = {row.part for row in report.rows if row.verdict == "missing"}
    assert {"NVIDIA driver", "GPU", "CuPy", "NVRTC", "cuDNN", "cuDNN frontend"} <= missing
