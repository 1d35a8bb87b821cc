"""The list of faults (`tests/fault_cases.py`) on the pretend device, and what only `xpu.testing.faults` can play."""

import multiprocessing
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import xpu
from fault_cases import FaultCases
from xpu._backends import HOST
from xpu._block import home, read, shared
from xpu.testing import faults


class TestPretend(FaultCases):
    """All of it, by injection."""

    @pytest.fixture
    def device(self):
        return "pretend"


@pytest.fixture
def there():
    with xpu.config(device="pretend"):
        made = xpu.asarray(np.arange(1000.0)[::-1]) + 0.0
    shared(made)
    return made


def test_a_full_device_lets_go_what_it_must_and_goes_on():
    """Memory for ten arrays of 80 kB: twenty are used in turn, and every result is right."""
    with xpu.config(device="cpu"):
        arrays = [xpu.asarray(np.full(10_000, float(i))) for i in range(20)]
    with faults(memory=800_000), xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        sums = [float((x + 1.0).sum()) for x in arrays]
    assert sums == [10_000.0 * (i + 1) for i in range(20)]
    assert {e.device for e in p.events} == {"pretend:0"}
    assert p.bytes_moved == 20 * (80_000 + 8)


def test_a_fragmented_device_gives_its_pool_back():
    with xpu.config(device="cpu"):
        x = xpu.asarray(np.arange(10_000.0))
    with faults(memory=250_000, fragmented=True), xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        for _ in range(6):
            total = float((x + 1.0).sum())
    assert total == float(np.arange(10_000.0).sum()) + 10_000.0
    assert {e.device for e in p.events} == {"pretend:0"}


def test_one_element_can_be_read_off_a_full_device():
    with faults(memory=80_000), xpu.config(device="pretend", on_fallback="raise"):
        x = xpu.asarray(np.arange(10_000.0))
        x += 1
        assert x[7] == 8.0
        assert x[5:8].tolist() == [6.0, 7.0, 8.0]


def test_what_does_not_fit_at_all_runs_on_the_cpu():
    with xpu.config(device="cpu"):
        x = xpu.asarray(np.arange(10_000.0))
    with faults(memory=100_000), xpu.config(device="pretend", on_fallback="allow"), xpu.profile() as p:
        made = x + 1.0
    assert [(e.device, e.reason) for e in p.events] == [("cpu", "the accelerator is out of memory")]
    assert made.tolist() == list(range(1, 10_001))


@pytest.mark.parametrize("axis", [-1, 0])
def test_a_sort_in_place_that_stops_half_way_is_not_believed(axis):
    """A GPU library sorts in several kernels: when one fails, half of the only copy may be spoilt."""
    values = np.arange(1000.0).reshape(20, 50)[:, ::-1].copy()
    with xpu.config(device="pretend"):
        a = xpu.asarray(values) + 0.0
    with faults(torn_calls=1) as injected, xpu.config(device="pretend", on_fallback="allow"), xpu.profile() as p:
        a.sort(axis=axis)
    assert injected.raised == ["run"]
    assert [(e.device, e.reason) for e in p.events] == [("cpu", "the call failed on the accelerator")]
    assert a.tolist() == np.sort(values, axis=axis).tolist()


def test_a_torn_write_leaves_the_hosts_replica(there):
    read(there, HOST)
    with faults(torn_calls=1), xpu.config(device="pretend", on_fallback="allow"):
        there[10:20] = 5.0
    expected = np.arange(1000.0)[::-1].copy()
    expected[10:20] = 5.0
    assert there.tolist() == expected.tolist()


@pytest.mark.parametrize("where", ["upload", "download", "run"])
def test_ctrl_c_half_way_through_a_copy_leaves_nothing_half_valid(there, where):
    block = home(there).block
    if where == "upload":
        with xpu.config(device="cpu"):
            there += 1.0  # the host's is newer
    expected = np.asarray(there).tolist() if where == "upload" else np.arange(1000.0)[::-1].tolist()
    valid = set(block.valid)
    with (
        faults(interrupted=where) as injected,
        xpu.config(device="cpu" if where == "download" else "pretend"),
        pytest.raises(KeyboardInterrupt),
    ):
        there * 2.0
    assert injected.raised == [where]
    assert set(block.valid) == valid
    for device in ("cpu", "pretend"):
        with xpu.config(device=device):
            assert (there * 2.0).tolist() == [2.0 * x for x in expected]


def test_what_faults_raises_may_be_chosen(there):
    missing = ImportError("libcublas.so.12: cannot open shared object file")
    with (
        faults(failing_calls=1, error=missing),
        xpu.config(device="pretend"),
        pytest.warns(xpu.errors.FallbackWarning, match="ImportError: libcublas"),
    ):
        there @ there


# ----------------------------------------------------------------------------- after a fork


def _in_a_forked_child(here, there, answers):
    with warnings.catch_warnings(record=True) as told, xpu.config(device="pretend"), xpu.profile() as p:
        warnings.simplefilter("always")
        made = (here + 1.0).tolist()
        again = (here + 2.0).tolist()
    try:
        lost = there.tolist()
    except xpu.errors.DeviceLostError as error:
        lost = str(error)
    answers.put((made, again, [str(w.message) for w in told], [(e.device, e.reason) for e in p.events], lost))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_uses_the_cpu_and_says_why(there):
    with xpu.config(device="cpu"):
        here = xpu.asarray(np.arange(1000.0))
    with faults(dies_in_fork=True):
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=_in_a_forked_child, args=(here, there, answers))
        child.start()
        made, again, told, events, lost = answers.get(timeout=60)
        child.join(timeout=60)
        assert float((there * 2.0).sum()) == 2.0 * 499_500.0  # the parent goes on
    assert (made, again) == (list(range(1, 1001)), list(range(2, 1002)))
    assert len(told) == 1
    assert "this process was forked after the device was first used; start it by spawn instead" in told[0]
    assert events == [("cpu", "pretend:0 was lost")] * 2
    assert "held the only copy of 8000 bytes" in lost


# ----------------------------------------------------------------------------- a driver that hangs

HANGS = """
import time, threading, warnings
import xpu
from xpu import _backends
import numpy as np

asked = []
def hang():
    asked.append(threading.current_thread().daemon)
    time.sleep(600)

_backends._driver_present = lambda: True
_backends._count_gpus = hang
_backends.automatic.possible = True
_backends.gate.accelerate()
with warnings.catch_warnings(record=True) as told, xpu.profile() as p:
    warnings.simplefilter("always")
    a = xpu.asarray(np.arange(100000.0))
    print(float((a + 1).sum()))
    with xpu.config(device="cuda"):
        print(float((a + 2).sum()), float((a + 3).sum()))
print({(e.device, e.reason) for e in p.events}, asked, len(told))
print(told[0].message)
"""


def test_a_driver_that_hangs_at_the_first_probe_costs_its_time_limit_once():
    environment = {**os.environ, "XPU_PROBE_SECONDS": "0.2", "XPU_DEVICE": "auto"}
    done = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    first, second, third, told = done.stdout.splitlines()
    assert (float(first), second) == (5000050000.0, "5000150000.0 5000250000.0")
    assert third.startswith("{('cpu', 'no accelerator')} [True] ")  # asked once, by a thread that ends with us
    assert "the driver of cuda:0 did not answer within 0.2 s" in told
    assert "The CPU computes instead; run `xpu doctor`" in told


@pytest.mark.parametrize("given", ["soon", "0", "-3"])
def test_the_time_limit_is_a_number_of_seconds(monkeypatch, given):
    from xpu._backends._probe import within_limit

    monkeypatch.setenv("XPU_PROBE_SECONDS", given)
    with pytest.raises(xpu.errors.ConfigError, match="is not a number of seconds"):
        within_limit("it", lambda: 1, ())


def test_what_a_probe_raises_is_raised(monkeypatch):
    from xpu._backends._probe import within_limit

    def fails():
        raise OSError("no such device")

    assert within_limit("it", lambda: 7, (OSError,)) == 7
    with pytest.raises(OSError, match="no such device"):
        within_limit("it", fails, (OSError,))
