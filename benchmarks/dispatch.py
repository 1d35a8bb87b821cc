"""What a call costs on top of NumPy: ratios measured side by side, in one run.

    python benchmarks/dispatch.py

Each row times NumPy and its peers interleaved, many short rounds, and prints the median of the
ratios of a round: noise hits both alike. Peers are measured where they are installed.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np

import xpu

ROUNDS = 60
CASES: dict[str, tuple[Callable[[Any], tuple[Any, ...]], str]] = {
    "a + b, 1 element": (lambda m: (m.asarray([1.0]), m.asarray([2.0])), "a + b"),
    "a + b, 10^3": (lambda m: (m.ones(1000), m.ones(1000)), "a + b"),
    "a + b, 10^6": (lambda m: (m.ones(10**6), m.ones(10**6)), "a + b"),
    "sin(a), 1 element": (lambda m: (m.asarray([0.5]), m), "b.sin(a)"),
    "a.sum(), 10 elements": (lambda m: (m.ones(10), m), "b.sum(a)"),
    "a[1:-1]": (lambda m: (m.ones(10), m), "a[1:-1]"),
    "a[i]": (lambda m: (m.ones(10), m), "a[3]"),
    "a @ b, 8 x 8": (lambda m: (m.ones((8, 8)), m.ones((8, 8))), "a @ b"),
    "a += b, 10 elements": (lambda m: (m.ones(10), m.zeros(10)), "a += b"),
}
PEERS = ("numpy", "xpu", "array_api_strict", "autoray", "torch", "jax.numpy")


def peers() -> dict[str, Any]:
    """Return the namespaces that import here."""
    found: dict[str, Any] = {}
    for name in PEERS:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        found[name] = module.numpy if name == "autoray" else module
    return found


def measure(case: str, namespaces: dict[str, Any]) -> dict[str, float]:
    """Return seconds per call for each namespace: a list of rounds reduced to the median ratio to NumPy."""
    make, statement = CASES[case]
    timers = {}
    for name, module in namespaces.items():
        source = np if name == "autoray" else module
        if name == "torch":
            module.set_num_threads(1)
        a, b = make(source)
        if b is source and name == "autoray":
            b = module
        timers[name] = timeit.Timer(statement, "a, b = x, y", globals={"x": a, "y": b})
    number = max(1, int(2e-3 / (timers["numpy"].timeit(20) / 20)))
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    turns = list(timers.items())
    for k in range(ROUNDS):
        first = k % len(turns)  # whoever follows a library with large buffers finds cold caches
        for name, timer in turns[first:] + turns[:first]:
            rounds[name].append(timer.timeit(number) / number)
    result = {"numpy": statistics.median(rounds["numpy"])}
    for name in timers:
        if name != "numpy":
            result[name] = statistics.median(o / n for o, n in zip(rounds[name], rounds["numpy"], strict=True))
    return result


def import_ratio() -> float:
    """Return the time of `import xpu` over that of `import numpy`, in fresh interpreters, interleaved."""
    ratios = []
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = bytecode  # the first round fills it
        for _ in range(16):
            times = []
            for name in ("numpy", "xpu"):
                command = [sys.executable, "-c", code.format(name)]
                run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                times.append(float(run.stdout))
            ratios.append(times[1] / times[0])
    return statistics.median(ratios[1:])


def main() -> None:
    """Print the table."""
    namespaces = peers()
    others = [n for n in namespaces if n != "numpy"]
    versions = f"Python {sys.version.split()[0]}, NumPy {np.__version__}, xpu {xpu.__version__}"
    print(f"{versions}; times NumPy's; medians of {ROUNDS} rounds")
    print(f"{'':24}{'NumPy':>10}" + "".join(f"{n:>18}" for n in others))
    for case in CASES:
        row = measure(case, namespaces)
        print(f"{case:24}{row['numpy'] * 1e9:>8.0f}ns" + "".join(f"{row[n]:>17.2f}x" for n in others))
    print(f"import: {import_ratio():.2f}x NumPy's")


if __name__ == "__main__":
    main()
