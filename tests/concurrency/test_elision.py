"""Runs `elision_cases` where nothing has closed the hot path yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpu import _elision

CASES = Path(__file__).with_name("elision_cases.py")


@pytest.mark.skipif(not _elision.COUNTS, reason="temporaries are reused by CPython up to 3.13 with its lock only")
def test_temporaries_are_reused_and_nothing_else():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XPU_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(CASES)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=CASES.parent, check=False)
    assert run.returncode == 0, run.stdout[-5000:]
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout


WATCHED = """
import sys
import numpy as np

def watch(frame, event, argument):
    frame.f_locals  # as debuggers do; up to CPython 3.12 the frame then holds all that its variables hold
    return watch

sys.{how}(watch)
import xpu
sys.{how}(None)
from xpu import _elision

b = xpu.ones(_elision.LARGE)
x = b + b
names, windows = [], []
for _ in range(5):
    for _ in range(5):
        result = x + b
        assert np.array_equal(np.asarray(x), np.full(_elision.LARGE, 2.0)), "what names hold was written into"
        names.append(x)
    windows.append(x[1:])
    names.clear()
"""


@pytest.mark.parametrize("how", ["settrace", "setprofile"])
def test_what_a_debugger_counts_while_it_watches_the_import_is_not_believed(how):
    run = subprocess.run([sys.executable, "-c", WATCHED.format(how=how)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
