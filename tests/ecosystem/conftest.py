"""One array on each device, and a profile that says where things ran."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpu


@pytest.fixture(params=["cpu", "pretend"])
def device(request):
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param


@pytest.fixture
def host():
    return np.arange(12.0).reshape(3, 4)


@pytest.fixture
def x(host, device):
    return xpu.asarray(host)


class Where:
    """Which devices a function's operations ran on."""

    def __call__(self, function):
        with xpu.profile() as p:
            self.result = function()
        return {e.device for e in p.events if e.reason != "a view: nothing runs"}


@pytest.fixture
def where():
    return Where()


@pytest.fixture(scope="session")
def dispatched():
    """What `array_api_probe.py` found in a process of its own."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("array_api_probe.py"))]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "XPU_DEVICE": "auto"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
