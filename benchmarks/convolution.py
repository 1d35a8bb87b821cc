"""Convolutions on the CPU: xpu beside torch, onnxruntime and SciPy, each in a process of its own.

    python benchmarks/convolution.py [--threads 1 2] [--rounds 7] [--cases 3x3 ...] [--libraries xpu torch ...]

In every round each library has one turn at the case (`convolution_worker.py`), one after the other,
so that what else the machine does falls on all of them; while one has its turn the processes of the
others are stopped, so that their idle threads cannot spin beside it.  The figures are medians of the
rounds.  The libraries keep their own settings but for the number of threads.  Results are compared
with the first library's before anything counts.  A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy

from convolution_worker import CASES, MAKERS, SLOW, Case

NEEDS = {
    "xpu": "numba",
    "torch": "torch",
    "onnxruntime": "onnxruntime",
}
SCIPY = tuple(name for name in MAKERS if name.startswith(("signal", "ndimage")))
# Relative to the largest value; Winograd's transforms cost a few roundings.
TOLERANCE = 1e-4
Answer = dict[str, Any]


class Worker:
    """One library at one number of threads, stopped except while it is asked."""

    def __init__(self, library: str, threads: int) -> None:
        self.library = library
        count = str(threads)
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("convolution_worker.py")), library, count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **limits},
        )
        self._signal("SIGSTOP")

    def _signal(self, name: str) -> None:
        number = getattr(signal, name, None)  # Windows has neither
        if number is not None:
            self.process.send_signal(number)

    def ask(self, case: int, file: str | None) -> Answer:
        """Return what the worker answers about one case."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._signal("SIGCONT")
        self.process.stdin.write(json.dumps({"case": case, "file": file}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            message = f"the process of {self.library} ended without an answer to {CASES[case].name!r}"
            raise SystemExit(message)
        self._signal("SIGSTOP")
        answer: Answer = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._signal("SIGCONT")
        self.process.communicate()


def onednn_installed() -> bool:
    """Return whether xpu has an engine of that name and its library is there."""
    from xpu import conv

    geometry = conv.conv_geometry("conv", 2, (1, 16, 32, 32), (16, 16, 3, 3), "f4", "f4")
    engine = conv.ENGINES.get("onednn")
    return engine is not None and engine.supports(geometry) is None


def installed(libraries: Iterable[str]) -> list[str]:
    """Return those of the libraries that can run here."""
    found = []
    for name in libraries:
        if name == "xpu+onednn":
            there = onednn_installed()
        else:
            there = name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None
        if there:
            found.append(name)
    return found


def compare(case: Case, files: dict[str, str]) -> None:
    """Raise where a library's result is not the first one's."""
    (first, path), *others = files.items()
    want = numpy.load(path)
    for name, other in others:
        got = numpy.load(other)
        error = float(numpy.abs(got - want).max() / numpy.abs(want).max()) if got.shape == want.shape else numpy.inf
        if error > TOLERANCE:
            message = f"{case.name}: {name} gives {got.shape}, {first} {want.shape}, relative error {error:.2g}"
            raise SystemExit(message)


def measure(number: int, workers: list[Worker], rounds: int) -> dict[str, Answer]:
    """Return each library's answer, its seconds the median of the rounds."""
    found: dict[str, Answer] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {w.library: str(Path(folder) / f"{w.library}.npy") for w in workers}
        for worker in workers:
            answer = worker.ask(number, files[worker.library])
            if answer["seconds"] is not None:
                found[worker.library] = answer
        compare(CASES[number], {name: files[name] for name in found})
    # The first answer warmed the process; it counts only where one call takes too long for another.
    seconds = {name: [answer["seconds"]] if answer["seconds"] > SLOW else [] for name, answer in found.items()}
    quick = [worker for worker in workers if worker.library in found and not seconds[worker.library]]
    for _ in range(rounds):
        for worker in quick:
            seconds[worker.library].append(worker.ask(number, None)["seconds"])
    for name, times in seconds.items():
        found[name]["seconds"] = statistics.median(times)
    return found


def row(case: Case, found: dict[str, Answer], libraries: list[str]) -> str:
    """Return one line of the table: milliseconds, then torch's time over xpu's."""
    ours = [name for name in libraries if name.startswith("xpu")]
    cells = [case.name]
    cells += [f"{found[n]['engine']} ({found[n]['workspace']:.2f})" for n in ours]
    cells += [f"{found[n]['seconds'] * 1e3:.2f}" if n in found else "" for n in libraries]
    if "torch" in found:
        cells += [f"{found['torch']['seconds'] / found[n]['seconds']:.2f}" for n in ours]
    return "| " + " | ".join(cells) + " |"


def header(libraries: list[str]) -> str:
    ours = [name for name in libraries if name.startswith("xpu")]
    names = ["case", *(f"engine of {n}" for n in ours), *libraries]
    if "torch" in libraries:
        names += [f"torch / {n}" for n in ours]
    rule = "|".join("---" if i <= len(ours) else "---:" for i in range(len(names)))
    return "| " + " | ".join(names) + " |\n|" + rule + "|"


def mean_and_least(ratios: list[float]) -> str:
    return f"{statistics.geometric_mean(ratios):.2f} (least {min(ratios):.2f})" if ratios else "-"


def summary(results: dict[Case, dict[str, Answer]], ours: str) -> str:
    """Return how one xpu column does against torch, with and without the one-channel cases, and SciPy."""
    torch: dict[Case, float] = {}
    scipy, direct, space = [], [], []
    for case, found in results.items():
        own = found[ours]["seconds"]
        space.append(found[ours]["workspace"])
        if "torch" in found:
            torch[case] = found["torch"]["seconds"] / own
        best = [found[name]["seconds"] for name in SCIPY if name in found]
        if best:
            scipy.append(min(best) / own)
        if "signal.correlate2d" in found:
            direct.append(found["signal.correlate2d"]["seconds"] / own)
    many = [ratio for case, ratio in torch.items() if not case.one_channel]
    return (
        f"{ours}: torch / {ours} {mean_and_least(list(torch.values()))}, "
        f"without the one-channel cases {mean_and_least(many)}; "
        f"SciPy's best / {ours} {mean_and_least(scipy)}; signal.correlate2d / {ours} {mean_and_least(direct)}; "
        f"most workspace {max(space):.2f} of operands + result"
    )


def table(threads: int, libraries: list[str], cases: list[int], rounds: int) -> None:
    """Measure and print everything at one number of threads."""
    print(f"\nthreads: {threads}; medians of {rounds} rounds, milliseconds; in brackets the plan's workspace over")
    print("operands + result\n")
    print(header(libraries))
    workers = [Worker(library, threads) for library in libraries]
    results: dict[Case, dict[str, Answer]] = {}
    try:
        for number in cases:
            results[CASES[number]] = measure(number, workers, rounds)
            print(row(CASES[number], results[CASES[number]], libraries), flush=True)
    finally:
        for worker in workers:
            worker.close()
    print()
    for ours in (name for name in libraries if name.startswith("xpu")):
        print(summary(results, ours))


def versions() -> str:
    names = ("numpy", "scipy", "numba", "onednn-cpu-gomp", "torch", "onnxruntime")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="+", default=[""], help="parts of the names of the cases to run")
    parser.add_argument("--libraries", nargs="+", choices=list(MAKERS), default=list(MAKERS))
    asked = parser.parse_args()
    libraries = installed(asked.libraries)
    cases = [i for i, case in enumerate(CASES) if any(part in case.name for part in asked.cases)]
    print(f"Python {sys.version.split()[0]}, {versions()}; {os.cpu_count()} CPUs; float32")
    for threads in asked.threads:
        table(threads, libraries, cases, asked.rounds)


if __name__ == "__main__":
    main()
