"""The parts: what each of them looks at, as a function from the device to plain data.

Every part runs in a process of its own (see `gpu_acceptance`), so it may crash or hang.
"""

from __future__ import annotations

import importlib
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import xpu
from acceptance import tables
from acceptance.measure import clock_of, settings
from xpu._backends import backend
from xpu._device import parse

__all__ = ["PARTS"]

ROOT = Path(__file__).parents[2]


def doctor(device: str, small: bool) -> dict[str, Any]:
    """The doctor's table."""
    report = importlib.import_module("xpu._doctor").doctor()
    found: dict[str, Any] = report.to_dict()
    return found


def probes(device: str, small: bool) -> dict[str, Any]:
    """Latencies of launches and copies, bandwidths, rates: what the machine file's numbers stand for."""
    target, clock = backend(parse(device)), clock_of(device)
    found: dict[str, Any] = {}
    with settings(device, "gpu"):
        start = clock()
        float((xpu.arange(10) + 1).sum())
        found["first kernel, seconds"] = clock() - start
        x = xpu.ones(16)
        x += 0
        found["x + x of 16 elements, microseconds"] = _each(lambda: x + x, clock, 200) * 1e6
        copies = {}
        for nbytes in (8, 1 << 12, 1 << 16, 1 << 20) + (() if small else (1 << 24, 1 << 28)):
            host, root = np.ones(nbytes, np.uint8), target.allocate(nbytes)
            back = np.empty_like(host)
            up = _each(lambda root=root, host=host: target.upload(root, host), clock, 5)
            down = _each(lambda root=root, back=back: target.download(root, back), clock, 5)
            copies[str(nbytes)] = {"to device, GB/s": nbytes / up / 1e9, "to host, GB/s": nbytes / down / 1e9}
        found["copies"] = copies
        n = 128 if small else 4096
        for dtype in ("f4", "f8"):
            a = xpu.ones((n, n), dtype)
            a += 0
            found[f"matmul {dtype}, Tflop/s"] = 2 * n**3 / _each(lambda a=a: a @ a, clock, 5) / 1e12
        big = xpu.ones(1 << (16 if small else 27))
        big += 0
        found["big + 1, GB/s"] = 2 * big.nbytes / _each(lambda: big + 1.0, clock, 5) / 1e9
    return found


def _each(work: Callable[[], Any], clock: Callable[[], float], times: int) -> float:
    work()
    start = clock()
    for _ in range(times):
        work()
    return (clock() - start) / times


def suite(device: str, small: bool) -> dict[str, Any]:
    """The test suite on the device."""
    tests = ["tests/pipeline/test_pipeline.py"] if small else ["tests"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    if device == "cuda" and (ROOT / "src/xpu/testing/plugin.py").exists():
        command += ["--xpu-devices", "cuda"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "XPU_DEVICE": device}, capture_output=True, text=True, check=False
    )
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-300:]]
    return {
        "passed": done.returncode == 0,
        "summary": lines[-1],
        "failed": [x for x in lines if x.startswith("FAILED")],
    }


def calibration(device: str, small: bool) -> dict[str, Any]:
    """Calibration of this machine (the pretend device is never measured)."""
    if small:
        return {"note": "not run: a pretend device is never measured"}
    return {"machine": xpu.calibrate(seconds=15.0, save=False, progress=False).to_dict()}


def prediction(device: str, small: bool) -> dict[str, Any]:
    """Predicted against actual seconds of operations that are warm and resident."""
    errors: dict[str, list[float]] = {}
    with settings(device, "gpu"):
        for n in (32, 64) if small else (256, 1024, 4096):
            x = xpu.ones((n, n)) + xpu.eye(n) * n
            for name, work in tables.OPERATIONS.items():
                work(xpu, x)
                with xpu.profile() as p:
                    work(xpu, x)
                for event in p.events:
                    if event.predicted > 0 and event.actual > 0:
                        errors.setdefault(name, []).append(abs(math.log2(event.actual / event.predicted)))
    return {"median factor between predicted and actual": {k: 2 ** statistics.median(v) for k, v in errors.items()}}


def overlap(device: str, small: bool) -> dict[str, Any]:
    """Throughput of `xpu.pipeline` over the limit that the slower of copy and compute sets."""
    clock, size, n = clock_of(device), 1 << (16 if small else 22), 20 if small else 40
    batch = np.ones(size)
    found = {}
    with settings(device, "gpu"):
        copy = _each(lambda: list(xpu.pipeline(lambda x: x[:1], [batch] * n)), clock, 1) / n
        resident = xpu.asarray(batch) + 0
        one = _each(lambda: resident + 1.0, clock, 10)
        for share in (0.25, 1.0, 4.0):
            steps = max(1, round(share * copy / one))

            def f(x: Any, steps: int = steps) -> Any:
                for _ in range(steps):
                    x = x + 1.0
                return x.sum()

            compute = _each(lambda f=f: f(resident), clock, 5)
            total = _each(lambda f=f: list(xpu.pipeline(f, [batch] * n)), clock, 1)
            found[f"compute {share} of copy"] = n * max(copy, compute) / total
    return {"share of the limit": found, "targets": {"overlap (target at least 0.9)": min(found.values())}}


def failures(device: str, small: bool) -> dict[str, Any]:
    """Out of memory, and CUDA in a forked child."""
    found: dict[str, Any] = {}
    if device == "cuda":
        cupy = importlib.import_module("cupy")
        pool = cupy.get_default_memory_pool()
        before = pool.get_limit()
        pool.set_limit(size=1 << 24)
        try:
            with xpu.config(device="cuda", on_fallback="allow"):
                x = xpu.ones(1 << 22)
                found["out of memory"] = f"the CPU computed: {float((x + x).sum()):.0f}"
        finally:
            pool.set_limit(size=before)
    else:
        target = backend(parse("pretend"))

        def full(where: str) -> None:
            if where == "run":
                message = "pretend memory is full"
                raise target.out_of_memory[0](message)

        before_fault, target.fault = target.fault, full
        try:
            with xpu.config(device="pretend", on_fallback="allow"):
                found["out of memory"] = f"the CPU computed: {float((xpu.ones(8) * 2).sum()):.0f}"
        finally:
            target.fault = before_fault
    code = (
        f"import xpu, os\nwith xpu.config(device={device!r}):\n    xpu.ones(3).sum().item()\n    p = os.fork()\n"
        "    if not p:\n        print('child:', xpu.ones(3).sum().item(), flush=True)\n        os._exit(0)\n"
        "    os.waitpid(p, 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    found["fork after the GPU was used"] = (done.stdout or done.stderr).strip().splitlines()[-1:] or "nothing printed"
    return found


def cudnn_device(device: str, small: bool) -> dict[str, Any]:
    """The description that cuDNN gives of the card; plans can be built from it without one."""
    if device != "cuda":
        return {"note": "not run: needs a card"}
    cudnn = importlib.import_module("cudnn")
    described = cudnn.create_device_properties(0).serialize()
    return {"cudnn": cudnn.backend_version(), "device": described if isinstance(described, str) else list(described)}


def kernels(device: str, small: bool) -> dict[str, Any]:
    """A user's kernel on the device against NumPy."""

    @xpu.vectorize(otypes=[float])
    def soft(x: float, limit: float) -> float:
        if x > limit:
            return x - limit
        if x < -limit:
            return x + limit
        return 0.0

    host = np.linspace(-3, 3, 1 << (10 if small else 20))
    with settings(device, "gpu"):
        x = xpu.asarray(host) + 0
        start = time.perf_counter()
        got = xpu.asnumpy(soft(x, 1.0))
        first = time.perf_counter() - start
        each = _each(lambda: soft(x, 1.0), clock_of(device), 10)
    expected = np.sign(host) * np.maximum(np.abs(host) - 1.0, 0.0)
    error = float(np.abs(got - expected).max())
    return {"first call, seconds": first, "later calls, seconds": each, "largest error": error, "reason": soft.reason}


PARTS: dict[str, tuple[Callable[[str, bool], dict[str, Any]], float]] = {
    "doctor": (doctor, 60),
    "probes": (probes, 60),
    "kernels": (kernels, 60),
    "cudnn device": (cudnn_device, 60),
    "failures": (failures, 90),
    "overlap": (overlap, 60),
    "convolutions": (tables.convolutions, 60),
    "prediction": (prediction, 60),
    "calibration": (calibration, 90),
    "operations": (tables.operations, 120),
    "programs": (tables.programs, 120),
    "tests": (suite, 240),
}
