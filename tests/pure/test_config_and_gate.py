"""Settings, their errors, and the gate of the hot path."""

import asyncio
import subprocess
import sys
import threading

import pytest

import xpu
from xpu._config import current
from xpu._gate import Gate
from xpu.errors import ConfigError, DeviceError


def run(code, **env):
    import os

    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "XPU_DEVICE": "", "XPU_PRETEND": "", **env},
    )


def test_unknown_setting_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"unknown setting 'devise'.*autotune, check.*Did you mean 'device'"):
        xpu.config(devise="cpu")


def test_unknown_value_lists_the_valid_ones():
    with pytest.raises(ConfigError, match=r"on_transfer='maybe' is not valid.*'allow', 'warn', 'raise'"):
        xpu.set_config(on_transfer="maybe")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", 3])
def test_unknown_device_lists_the_valid_ones(name):
    with pytest.raises(DeviceError, match="Valid names: 'cpu', 'cuda'"):
        xpu.ones(3).to_device(name)


def test_a_missing_gpu_warns_and_the_cpu_computes():
    code = """
import warnings, xpu
with warnings.catch_warnings(record=True) as w:
    warnings.simplefilter("always")
    with xpu.config(device="cuda"):
        x = xpu.ones(3) + 1
        y = x * 2
print(y.tolist(), y.device, len(w), "xpu doctor" in str(w[0].message), w[0].filename)
"""
    done = run(code, CUDA_VISIBLE_DEVICES="")
    assert done.stdout.split() == ["[4.0,", "4.0,", "4.0]", "cpu", "1", "True", "<string>"], done.stderr


def test_naming_a_missing_gpu_for_an_array_is_an_error():
    done = run("import xpu; xpu.ones(3, device='cuda')", CUDA_VISIBLE_DEVICES="")
    assert "DeviceError" in done.stderr
    assert "xpu doctor" in done.stderr


def test_a_corrupt_frozen_machine_is_an_error(tmp_path):
    path = tmp_path / "machine.json"
    path.write_text('{"schema": 1, "cpu": {}}')
    done = run("import xpu; xpu.machine()", XPU_MACHINE=str(path))
    assert done.returncode
    assert "MachineFileError" in done.stderr
    assert "field 'links'" in done.stderr


def test_regions_nest_and_end():
    with xpu.config(device="pretend"):
        with xpu.config(on_transfer="raise"):
            assert (current().device, current().on_transfer) == ("pretend:0", "raise")
        assert current().on_transfer == "allow"
    assert current().on_transfer == "allow"


def test_threads_and_tasks_keep_their_own_settings():
    seen = {}
    with xpu.config(check="both"):
        worker = threading.Thread(target=lambda: seen.update(thread=current().check))
        worker.start()
        worker.join()

        async def task():
            return current().check

        assert asyncio.run(task()) == "both"
    assert seen == {"thread": "off"}


def test_gate_opens_again_when_nobody_watches_but_never_after_an_accelerator():
    gate, states = Gate(), []
    gate.follow(states.append)
    gate.watch(+1)
    gate.watch(+1)
    gate.watch(-1)
    assert not gate.open
    gate.watch(-1)
    gate.accelerate()
    gate.watch(+1)
    gate.watch(-1)
    assert states == [True, False, True, False]


def test_the_hot_path_is_taken_and_left():
    code = """
import numpy, xpu
from xpu._gate import gate
a = xpu.asarray([1.0, 2.0]); v = a[1:]
assert gate.open and not hasattr(a, "_home")
with xpu.profile() as p:
    assert not gate.open
    b = a + a
assert gate.open and [e.op for e in p.events] == ["add"]
with xpu.config(device="pretend"):
    a += 1                       # moves the memory that v, made on the hot path, looks into
    assert a.device == "pretend:0"
assert not gate.open
assert v.tolist() == [3.0] and b.tolist() == [2.0, 4.0]
v[...] = 7
assert a.tolist() == [2.0, 7.0]
print("ok")
"""
    done = run(code)
    assert done.stdout.strip() == "ok", done.stderr
