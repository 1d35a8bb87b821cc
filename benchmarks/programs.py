"""Whole NumPy programs under NumPy and under xpu, side by side, at four sizes.

    python benchmarks/programs.py [--rounds 5] [--sizes small large] [--programs life heat]

In every round each library runs each program in a process of its own: where large arrays come to lie in memory is luck
that lasts as long as a process, and weighs more than a dispatch.
The two processes take turns of a few hundredths of a second, for a machine may be slower for seconds on end: a turn's
figure is the median of its runs, a round's the median ratio of turns next to each other. The program is compiled
beforehand, its printing thrown away, and runs twice to warm up. Figures are medians over the rounds.
"""

import argparse
import contextlib
import io
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import xpu

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "programs"
# Each program counts its own size. Tiny: tens of elements, all overhead. Small: arrays of about 10^4 elements.
# Middle: about 10^5. Large: 10^6 and more.
SIZES = {
    "conjugate_gradient": (40, 400, 1000, 2000),
    "fft_filter": (256, 16384, 131072, 1048576),
    "heat": (16, 100, 320, 1000),
    "kmeans": (60, 5000, 20000, 100000),
    "life": (16, 128, 512, 2048),
    "nbody": (8, 60, 180, 500),
    "network": (32, 2048, 8192, 65536),
    "pca": (50, 5000, 50000, 500000),
    "records": (50, 10000, 50000, 300000),
    "sinkhorn": (20, 120, 350, 1000),
}
TURN, LEAST, TURNS = 0.04, 0.4, 3  # seconds of runs in a turn and, of each library, in a round; turns at least
NAMES = ("tiny", "small", "middle", "large")


def compiled(path: Path, library: str) -> Any:
    """Compile a program for a library: one import differs."""
    source = path.read_text(encoding="utf-8")
    changed = source.replace("import numpy as np", f"import {library} as np")
    if library not in changed:
        message = f"{path.name} has no line 'import numpy as np'"
        raise ValueError(message)
    return compile(changed, path, "exec")


def seconds(program: Any, path: Path, size: int) -> float:
    """Run a program once and return its seconds."""
    before = sys.argv
    sys.argv = [str(path), str(size)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            exec(program, {"__name__": "__main__"})
            return time.perf_counter() - start
    finally:
        sys.argv = before


def worker(library: str, name: str, size: int) -> None:
    """For each line of the standard input take a turn: print the median seconds of a program's runs."""
    path = FOLDER / f"{name}.py"
    program = compiled(path, library)
    for _ in range(2):
        seconds(program, path, size)
    print("warm", flush=True)
    for _ in sys.stdin:
        times = [seconds(program, path, size)]
        while sum(times) < TURN:
            times.append(seconds(program, path, size))
        print(statistics.median(times), flush=True)


class Worker:
    """A process in which a library runs a program when it is its turn."""

    def __init__(self, library: str, name: str, size: int) -> None:
        command = [sys.executable, __file__, "--worker", library, name, str(size)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def turn(self) -> float:
        """Return the seconds of a run."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())

    def end(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise subprocess.CalledProcessError(self._process.wait(), self._process.args)
        return line


def measured(name: str, size: int) -> tuple[float, float]:
    """Return NumPy's seconds in one round, and xpu's over them."""
    theirs, ours = Worker("numpy", name, size), Worker("xpu", name, size)
    turns: list[tuple[float, float]] = []
    spent = 0.0
    while spent < LEAST or len(turns) < TURNS:
        if len(turns) % 2:
            after = ours.turn()
            turns.append((theirs.turn(), after))
        else:
            turns.append((theirs.turn(), ours.turn()))
        spent += max(TURN, turns[-1][0])
    theirs.end()
    ours.end()
    return statistics.median(t for t, _ in turns), statistics.median(o / t for t, o in turns)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--sizes", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--worker", nargs=3, metavar=("LIBRARY", "PROGRAM", "SIZE"), help="run one here")
    given = parser.parse_args()
    if given.worker:
        worker(given.worker[0], given.worker[1], int(given.worker[2]))
        return
    versions = f"NumPy {np.__version__}, xpu {xpu.__version__}, {os.cpu_count()} CPUs"
    print(f"{versions}; NumPy's time, and xpu's over it, medians of {given.rounds}")
    print(f"{'program':20}" + "".join(f"{name:>24}" for name in given.sizes))
    ratios: list[list[float]] = [[] for _ in given.sizes]
    for name in given.programs:
        cells = []
        for column, title in enumerate(given.sizes):
            size = SIZES[name][NAMES.index(title)]
            times = [measured(name, size) for _ in range(given.rounds)]
            base, ratio = (statistics.median(column) for column in zip(*times, strict=True))
            ratios[column].append(ratio)
            cells.append(f"{base * 1e3:9.2f} ms  {ratio:5.2f}x")
        print(f"{name:20}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    means = [math.exp(statistics.fmean(map(math.log, column))) for column in ratios]
    print(f"{'geometric mean':20}" + "".join(f"{m:>23.2f}x" for m in means) + f"; worst {max(map(max, ratios)):.2f}x")


if __name__ == "__main__":
    main()
