"""The guide (docs/testing.md) is kept: its example runs, its excerpts are the example's, its commands do as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import xpu

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples" / "testing_guide"
GUIDE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


def _pytest(folder, *options, **environment):
    """Run a project's own tests as a user would: a fresh process, in the project's folder."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XPU_", "PYTEST_", "COV_"))}
    env |= {"PYTHONPATH": os.pathsep.join([str(Path(xpu.__file__).parent.parent), env.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(
        command, cwd=folder, env=env | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("device", ["auto", "pretend"])
def test_the_example_passes_without_a_gpu(device):
    done = _pytest(EXAMPLE, XPU_DEVICE=device)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^1\d passed in ", done.stdout, flags=re.M), done.stdout


def test_the_guides_excerpts_are_the_examples():
    known = "".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py"))
    excerpts = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.S)
    assert len(excerpts) >= 6
    for excerpt in excerpts:
        assert excerpt in known, excerpt


def test_the_published_budgets_are_those_in_force():
    published = re.search(r"<!-- budgets -->\n(.*?)<!-- /budgets -->", GUIDE, flags=re.S)
    code = "from xpu.testing._tables import budget_table; print(budget_table(), end='')"  # no test's rows in there
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert published[1] == fresh, "run: python -m xpu.testing._tables"


# ----------------------------------------------------------------------------- XPU_DEVICE=pretend pytest

PROJECT = {
    "model.py": """
import xpu as np

def step(u):
    return u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])

def careless(u):
    import numpy
    return numpy.add.reduce(numpy.asarray(u._raw))  # a raw device array, taken for NumPy's
""",
    "test_model.py": """
import numpy, pytest, xpu
import model

def test_step():
    u = xpu.asarray(numpy.linspace(0.0, 1.0, 1000))
    assert model.step(u).device.kind == "pretend"
    numpy.testing.assert_allclose(xpu.asnumpy(model.step(u)), numpy.linspace(0.0, 1.0, 1000)[1:-1])

def test_budget():
    u = xpu.asarray(numpy.linspace(0.0, 1.0, 1000))
    with xpu.no_transfers():
        for _ in range(5):
            u = model.step(u)

def test_over_budget():
    u = xpu.asarray(numpy.linspace(0.0, 1.0, 1000))
    with xpu.no_transfers():
        total = float(model.step(u).sum())

def test_careless():
    model.careless(xpu.ones(10) + 1)

def test_what_the_gpu_library_lacks_runs_on_the_cpu_with_that_reason():
    with xpu.profile() as p:
        xpu.asarray(numpy.ones((4, 4))).sum(where=xpu.eye(4, dtype=bool))
    assert "where" in p.events[-1].reason
""",
}


def test_a_projects_own_tests_meet_every_rule_of_a_gpu(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    done = _pytest(tmp_path, "--tb=line", XPU_DEVICE="pretend")
    assert done.returncode == 1
    assert "2 failed, 3 passed" in done.stdout, done.stdout
    assert "TransferError: xpu.config(on_transfer=...): 8 bytes would move from pretend:0 to cpu" in done.stdout
    assert "Implicit conversion of a pretend array of shape (10,) to a NumPy array is not allowed" in done.stdout


# ----------------------------------------------------------------------------- a shrunk failure

WRONG = {
    "wrong.py": """
import xpu as np

def spread(x, scale):
    device = x.device.kind
    return x * scale if device == "cpu" else x * scale * (1 + (np.abs(x) > 3))
""",
    "test_wrong.py": """
from hypothesis import given, strategies as st
from wrong import spread
from xpu.testing import arrays, assert_agrees

@given(arrays("f8", (3,), special=False), st.sampled_from([1.0, 2.0]))
def test_spread(x, scale):
    assert_agrees(spread, x, scale, ulp=1)
""",
}


def test_a_shrunk_failure_prints_a_program_that_fails_when_pasted(tmp_path):
    for name, text in WRONG.items():
        (tmp_path / name).write_text(text)
    done = _pytest(tmp_path, XPU_DEVICE="auto")
    assert done.returncode == 1
    printed = re.search(
        r"To reproduce:\n((?:E? *(?:import|from|xpu\.testing).*\n)+)", re.sub(r"^E  +", "", done.stdout, flags=re.M)
    )
    assert printed, done.stdout
    program = "\n".join(line.strip() for line in printed[1].splitlines()) + "\n"
    assert "from wrong import spread" in program
    assert "numpy.array([4.0, 4.0, 4.0]" in program  # the smallest number that is wrong
    again = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(xpu.__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 1
    assert "AssertionError: cpu and pretend disagree on spread" in again.stderr
