"""Runs `elision_cases` where nothing has closed the hot path yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpu import _elision

CASES = Path(__file__).with_name("elision_cases.py")


@pytest.mark.skipif(not _elision._COUNTS, reason="temporaries are reused by CPython up to 3.13 with its lock only")
def test_temporaries_are_reused_and_nothing_else():
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XPU_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(CASES)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=CASES.parent, check=False)
    assert run.returncode == 0, run.stdout[-5000:]
    assert " passed" in run.stdout
    assert "skipped" not in run.stdout
