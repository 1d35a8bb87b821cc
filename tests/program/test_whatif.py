"""`xpu whatif`: what a GPU that is not here would bring, and how sure that is."""

import json
import re

import numpy as np
import pytest

import xpu
from xpu import cli
from xpu._machine import from_dict, shipped
from xpu._op import Work
from xpu._program import HostRead, Program, Step, Storage, Use
from xpu._program._whatif import scaled, whatif

F8 = np.dtype("f8")
H200 = shipped("h200")
SCRIPT = """
import sys
import numpy as np
n = int(sys.argv[1])
a = np.random.default_rng(0).normal(size=(n, n))
for _ in range(6):
    a = a @ a / n
print("trace", a.trace() > 0 or True)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "powers.py"
    path.write_text(SCRIPT)
    return str(path)


def test_report(script, capsys):
    assert cli.main(["whatif", script, "300", "--gpu", "h200"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("trace True\n")
    assert "powers.py on a server with an NVIDIA H200 over PCIe 5" in shown
    for part in ("as xpu would place them", "best placement in hindsight", "matmul", "random.normal", "in operations"):
        assert part in shown
    assert "the GPU's rates: not calibrated on a card" in shown


def test_json_and_a_machine_file(script, tmp_path, capsys):
    path = tmp_path / "lab.json"
    shipped("gh200").save(path)
    assert cli.main(["whatif", script, "200", "--gpu", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "trace True\n"
    report = json.loads(out)
    assert report["machine"].startswith("a Grace Hopper superchip")
    assert report["best_seconds"] <= report["seconds"]
    assert report["speedup"] == report["host_seconds"] / report["seconds"]
    matmul = next(d for d in report["deciding"] if d["op"] == "matmul")
    assert (matmul["calls"], matmul["on_gpu"]) == (6, 6)


@pytest.mark.parametrize(
    ("gpu", "message"),
    [
        ("h20", r"no machine profile 'h20'\. Shipped profiles: .*gh200.*h200.*Did you mean 'h200'"),
        ("generic", r"the machine 'generic' has no GPU\. Profiles with one: gh200, h200"),
        ("nowhere.json", r"the machine file 'nowhere.json' cannot be read"),
    ],
)
def test_a_machine_that_cannot_be_used_is_refused_before_the_script_runs(script, gpu, message, capsys):
    assert cli.main(["whatif", script, "300", "--gpu", gpu]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(message, err), err


def test_a_script_that_fails_ends_the_command(tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text("import numpy as np\nnp.ones(3) @ np.ones(4)\n")
    assert cli.main(["whatif", str(path), "--gpu", "h200"]) == 1
    assert "ValueError" in capsys.readouterr().err
    assert cli.main(["whatif", str(tmp_path / "none.py"), "--gpu", "h200"]) == 2


def program(nbytes, calls=10, gap=""):
    work = Work("elementwise", F8, 3.0 * nbytes, nbytes / 8.0, "add")
    steps = [Step(work, (Use(0, nbytes),), writes=(0,), gap=gap, seconds=1e-3) for _ in range(calls)]
    return Program("p", (Storage(nbytes, "cpu"),), (*steps, HostRead(Use(0, nbytes))), 0.02)


def test_the_size_from_which_it_pays():
    large = whatif(program(80_000_000), H200, H200, own_cpu=True)
    assert large.speedup > 5
    assert large.pays_from < 1
    small = whatif(program(8_000), H200, H200, own_cpu=True)
    assert small.speedup == 1.0
    assert small.transfers == 0
    assert small.pays_from * 8_000 == pytest.approx(large.pays_from * 80_000_000, rel=1.1)
    grown = whatif(scaled(program(8_000), small.pays_from), H200, H200, own_cpu=True)
    assert grown.speedup > 1.05
    never = whatif(program(80_000_000, gap="no such function"), H200, H200, own_cpu=True)
    assert (never.speedup, never.pays_from) == (1.0, None)
    assert never.deciding[0].reason == "no such function"
    assert "does not pay" in "\n".join(never.notes())


def test_a_profile_is_thought_of_as_a_gpu_put_into_this_machine():
    slow = H200.to_dict()
    for row in slow["cpu"]["classes"].values():
        row["bandwidth"] /= 10
    here = from_dict(slow)
    theirs = whatif(program(80_000_000), H200, here, own_cpu=True)
    ours = whatif(program(80_000_000), H200, here, own_cpu=False)
    assert ours.host_seconds > 5 * theirs.host_seconds
    assert "median of 10; 0% within 30 %" in "\n".join(ours.doubts)
    assert ours.other_seconds == pytest.approx(0.01)
    assert 1 < ours.program_speedup < ours.speedup


def test_scaling_grows_products_faster():
    work = Work("matmul", F8, 8e6, 1e9, "matmul")
    made = scaled(Program("p", (Storage(8_000_000, "cpu"), Storage(8)), (Step(work, (Use(0, 8_000_000),)),)), 4.0)
    assert made.storages == (Storage(32_000_000, "cpu"), Storage(8))
    assert made.steps[0].work[2:4] == (32e6, 8e9)
    assert xpu.machine().cpu.seconds(made.steps[0].work) > 0
