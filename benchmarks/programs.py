"""Whole NumPy programs under NumPy and under xpu, side by side, at four sizes.

Run ``python benchmarks/programs.py [--rounds 5]``. In every round each library runs each program in a fresh process,
one after the other: where large arrays come to lie in memory is luck that lasts as long as a process, and weighs more
than a dispatch. There the program, compiled beforehand and with its printing thrown away, runs once to warm up and
then for a fifth of a second at least; the median counts. Figures are medians of the ratios of a round.
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
LEAST = 0.2  # seconds of runs in a process
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
    """Print the median seconds of a program's runs in this process."""
    path = FOLDER / f"{name}.py"
    program = compiled(path, library)
    seconds(program, path, size)
    times = [seconds(program, path, size)]
    while sum(times) < LEAST:
        times.append(seconds(program, path, size))
    print(statistics.median(times))


def measured(library: str, name: str, size: int) -> float:
    """Return the same from a process of its own."""
    command = [sys.executable, __file__, "--worker", library, name, str(size)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--worker", nargs=3, metavar=("LIBRARY", "PROGRAM", "SIZE"), help="run one here")
    given = parser.parse_args()
    if given.worker:
        worker(given.worker[0], given.worker[1], int(given.worker[2]))
        return
    versions = f"NumPy {np.__version__}, xpu {xpu.__version__}, {os.cpu_count()} CPUs"
    print(f"{versions}; NumPy's time, and xpu's over it, medians of {given.rounds}")
    print(f"{'program':20}" + "".join(f"{name:>24}" for name in NAMES))
    ratios: list[list[float]] = [[] for _ in NAMES]
    for name in given.programs:
        cells = []
        for column, size in enumerate(SIZES[name]):
            times = [[measured(library, name, size) for library in ("numpy", "xpu")] for _ in range(given.rounds)]
            base = statistics.median(theirs for theirs, _ in times)
            ratio = statistics.median(ours / theirs for theirs, ours in times)
            ratios[column].append(ratio)
            cells.append(f"{base * 1e3:9.2f} ms  {ratio:5.2f}x")
        print(f"{name:20}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    means = [math.exp(statistics.fmean(map(math.log, column))) for column in ratios]
    print(f"{'geometric mean':20}" + "".join(f"{m:>23.2f}x" for m in means) + f"; worst {max(map(max, ratios)):.2f}x")


if __name__ == "__main__":
    main()
