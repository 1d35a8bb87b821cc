"""The parts: what each of them looks at, as a function from a `Run` to plain data.

Every part runs in a process of its own (see `gpu_acceptance`), so it may crash or hang.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import xpu
from acceptance import probes, tables
from acceptance.convolutions import convolutions, speeds
from acceptance.measure import NotHere, Run, each, settings
from xpu._backends import now

__all__ = ["PARTS", "Part"]

ROOT = Path(__file__).parents[2]
# Seconds that pytest has to say what it has found once it is interrupted.
GRACE = 8.0


def doctor(run: Run) -> dict[str, Any]:
    """The doctor's table."""
    report = importlib.import_module("xpu._doctor").doctor()
    found: dict[str, Any] = {"report": report.to_dict(), "table": str(report)}
    return found


def suite(run: Run) -> dict[str, Any]:
    """The test suite on the device; its output goes to a file beside the report."""
    for needed in ("pytest", "hypothesis"):
        if importlib.util.find_spec(needed) is None:
            message = f"{needed} is not installed"
            raise NotHere(message)
    tests = ["tests/pipeline/test_pipeline.py"] if run.small else _in_order()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--xpu-devices", run.device, *tests]
    if "xpu" not in [e.name for e in importlib.metadata.entry_points(group="pytest11")]:
        command += ["-p", "xpu.testing.plugin"]  # run from the source tree
    if not run.small and importlib.util.find_spec("xdist") is not None:
        command += ["-n", str(_workers())]
    log = Path(os.environ.get("XPU_ACCEPTANCE_OUT", ".")) / f"gpu-acceptance-tests-{run.device}.log"
    left = max(run.deadline - time.monotonic() - GRACE, 1.0)
    with open(log, "w", encoding="utf-8") as file:
        status = _until(subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT), left)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no output"]
    told = [line for line in lines if " passed" in line or " failed" in line or " error" in line] or lines
    found: dict[str, Any] = {
        "passed": status == 0,
        "summary": told[-1],
        "failed": [x[:300] for x in lines if x.startswith(("FAILED", "ERROR"))][:60],
        "log": log.name,
    }
    if status != 0:
        how = f"stopped after {left:.0f} s" if status is None else "failed"
        found["status"] = f"{how}: {told[-1][:200]}"
    return found


def _in_order() -> list[str]:
    """Return what the suite is given: what only a card can show comes first, in case the time does not reach."""
    first = ["tests/gpu", "tests/each", "tests/nn", "tests/pipeline", "tests/kernels", "tests/decisions"]
    rest = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").iterdir() if p.is_dir() or p.match("test_*.py"))
    dry_run = "--ignore=tests/pipeline/test_gpu_acceptance.py"
    return [*first, *(p for p in rest if p not in first and "__pycache__" not in p), dry_run]


def _workers() -> int:
    """Return how many processes share the card: 4 GiB of its memory each, and no more than there are cores."""
    memory = importlib.import_module("cupy").cuda.runtime.memGetInfo()[1]
    return int(max(1, min(12, os.cpu_count() or 1, memory // (4 << 30))))


def _until(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for pytest; interrupt it when the time is up, for then it says what it has found. None: it was stopped."""
    for wait, stop in ((seconds, lambda: process.send_signal(signal.SIGINT)), (GRACE, process.kill)):
        try:
            status = process.wait(wait)
            return status if wait == seconds else None
        except subprocess.TimeoutExpired:
            stop()
    process.wait()
    return None


def calibration(run: Run) -> dict[str, Any]:
    """Calibration of this machine: the host alone in a dry run, for the pretend device is never measured."""
    if run.small:
        with xpu.config(device="cpu"):
            machine = xpu.calibrate(seconds=2.0, save=False, progress=False)
    else:
        machine = xpu.calibrate(seconds=20.0, save=False, progress=False)
    return {"title": machine.title, "printed": str(machine), "machine": machine.to_dict()}


def prediction(run: Run) -> dict[str, Any]:
    """Predicted against actual seconds of operations that are warm and resident."""
    errors: dict[str, list[float]] = {}
    with settings(run, "gpu"):
        for n in (32, 64) if run.small else (256, 1024, 4096):
            x = xpu.ones((n, n)) + xpu.eye(n) * n
            for name, work in tables.OPERATIONS.items():
                work(xpu, x)
                with xpu.profile() as p:
                    work(xpu, x)
                for event in p.events:
                    if event.predicted > 0 and event.actual > 0:
                        errors.setdefault(name, []).append(abs(math.log2(event.actual / event.predicted)))
                        run.emit({"operation": name, "n": n, "predicted": event.predicted, "actual": event.actual})
    median = {name: 2 ** statistics.median(values) for name, values in errors.items()}
    return {"median factor between predicted and actual": median}


def overlap(run: Run) -> dict[str, Any]:
    """Throughput of `xpu.pipeline` over the limit that the slower of copy and compute sets, at three ratios."""
    size, n = 1 << (16 if run.small else 22), 40
    batch = np.ones(size)
    found, rows = {}, []
    with settings(run, "gpu"):
        copy = each(run, lambda: list(xpu.pipeline(lambda x: x[:1], [batch] * n)), 1) / n
        resident = xpu.asarray(batch) + 0
        one = each(run, lambda: resident + 1.0, 20)
        for share in (0.25, 1.0, 4.0):
            steps = max(1, round(share * copy / one))

            def f(x: Any, steps: int = steps) -> Any:
                for _ in range(steps):
                    x = x + 1.0
                return x[:1]

            compute = each(run, lambda f=f: f(resident), 5)
            total = each(run, lambda f=f: list(xpu.pipeline(f, [batch] * n)), 1)
            found[f"compute {share} of copy"] = n * max(copy, compute) / total
            rows.append({"compute over copy": share, "share of the limit": found[f"compute {share} of copy"]})
            run.emit(rows[-1])
    return {"share of the limit": found, "targets": shares(rows)}


def shares(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the reading of the overlap that its target speaks of."""
    reading = tables.worst([row["share of the limit"] for row in rows], least=True)
    return {"throughput over the slower of copy and compute": (reading, "at least 0.9")}


def too_large(run: Run) -> dict[str, Any]:
    """Calls on a card that pretends to be small: in pieces, with the same results, next to the host."""
    backends = importlib.import_module("xpu._backends")
    replace = importlib.import_module("dataclasses").replace
    machine = backends.machine_for(run.target)
    rows = 600 if run.small else 20_000
    x = np.random.default_rng(0).standard_normal((rows, 500 if run.small else 4000))
    small = replace(machine, accelerator=replace(machine.accelerator, memory=x.nbytes // 2))
    backends._machines[str(run.target.device)] = small
    found = {}
    for name, work in {
        "sqrt(x * x + 1)": lambda m, a: m.sqrt(a * a + 1.0),
        "var(axis=0)": lambda m, a: a.var(axis=0),
        "x @ w": lambda m, a: a @ a[:64].T,
    }.items():
        with settings(run, "gpu"), xpu.profile() as p:
            a = xpu.asarray(x)
            start = now(run.target)
            got = xpu.asnumpy(work(xpu, a))
            seconds = now(run.target) - start
        start = time.perf_counter()
        expected = work(np, x)
        found[name] = {
            "seconds": seconds,
            "numpy seconds": time.perf_counter() - start,
            "largest error": float(np.abs(got - expected).max() / np.abs(expected).max()),
            "reasons": [f"{e.op}: {e.reason}" for e in p.events if "large" in e.reason],
        }
        run.emit({"call": name, **found[name]})
    return found


def failures(run: Run) -> dict[str, Any]:
    """Out of memory, and the device in a forked child."""
    found: dict[str, Any] = {}
    if run.device == "cuda":
        pool = importlib.import_module("cupy").get_default_memory_pool()
        before = pool.get_limit()
        pool.set_limit(size=1 << 24)
        undo = lambda: pool.set_limit(size=before)  # noqa: E731
    else:
        target: Any = run.target
        room, memory = target.memory, importlib.import_module("xpu._backends._pretend").Memory
        target.memory = memory(1 << 24, fragmented=False)
        undo = lambda: setattr(target, "memory", room)  # noqa: E731
    try:
        with settings(run, "gpu"), xpu.profile() as p, xpu.config(on_fallback="allow"):
            x = xpu.ones(1 << 22)
            total = float((x + x).sum())
            found["out of memory"] = f"{total:.0f} computed on {', '.join(dict.fromkeys(e.device for e in p.events))}"
            found["reasons"] = list(dict.fromkeys(e.reason for e in p.events))
    finally:
        undo()
    run.emit(dict(found))
    code = (
        f"import xpu, os\nwith xpu.config(device={run.device!r}):\n    xpu.ones(3).sum().item()\n    p = os.fork()\n"
        "    if not p:\n        print('child computed', xpu.ones(3).sum().item(), flush=True)\n        os._exit(0)\n"
        "    os.waitpid(p, 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    found["fork after the GPU was used"] = (done.stdout + done.stderr).strip().splitlines()[-3:] or "nothing printed"
    return found


def kernels(run: Run) -> dict[str, Any]:
    """A user's kernels on the device against NumPy: a branchy scalar function, and a fused expression."""

    @xpu.vectorize(otypes=[float])
    def soft(x: float, limit: float) -> float:
        if x > limit:
            return x - limit
        if x < -limit:
            return x + limit
        return 0.0

    @xpu.fuse
    def wave(x: Any, y: Any) -> Any:
        return xpu.exp(-x * x) * xpu.sin(y) + xpu.sqrt(x * x + y * y)

    host = np.linspace(-3, 3, 1 << (10 if run.small else 20))
    exact = np.sign(host) * np.maximum(np.abs(host) - 1.0, 0.0)
    found = {}
    with settings(run, "gpu"):
        x = xpu.asarray(host) + 0
        for name, call, expected, why in (
            ("vectorize", lambda: soft(x, 1.0), exact, soft),
            ("fuse", lambda: wave(x, x), np.exp(-host * host) * np.sin(host) + np.sqrt(2 * host * host), wave),
        ):
            start = time.perf_counter()
            with xpu.profile() as p:
                got = xpu.asnumpy(call())
            found[name] = {
                "first call, seconds": time.perf_counter() - start,
                "later calls, seconds": each(run, call, 10),
                "largest error": float(np.abs(got - expected).max()),
                "ran on": ", ".join(dict.fromkeys(e.device for e in p.events if e.op != "read")),
                "reason": getattr(why, "reason", ""),
            }
            run.emit({"kernel": name, **found[name]})
    return found


class Part(NamedTuple):
    """A part: its function, the most seconds it may take, and what is kept for it whatever came before.

    `targets` makes readings for the targets out of rows, for a part that was stopped before it could.
    """

    look: Callable[[Run], dict[str, Any]]
    limit: float
    kept: float
    targets: Callable[[list[dict[str, Any]]], dict[str, Any]] | None = None


PARTS: dict[str, Part] = {
    "doctor": Part(doctor, 45, 20),
    "cudnn device": Part(probes.cudnn_device, 30, 10),
    "probes": Part(probes.probes, 45, 15),
    "libraries": Part(probes.libraries, 60, 15),
    "kernels": Part(kernels, 45, 15),
    "failures": Part(failures, 45, 15),
    "overlap": Part(overlap, 45, 15, shares),
    "too large": Part(too_large, 45, 10),
    "convolutions": Part(convolutions, 75, 40, speeds),
    "operations": Part(tables.operations, 90, 50, tables.ratios),
    "programs": Part(tables.programs, 75, 40, tables.ratios),
    "prediction": Part(prediction, 40, 10),
    "calibration": Part(calibration, 75, 30),
    "tests": Part(suite, 240, 90),
}
