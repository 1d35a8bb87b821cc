"""Whole NumPy programs under NumPy and under xpu, side by side, at four sizes.

Run ``python benchmarks/programs.py [--rounds 7]``. Every round runs each program once under each, in turn, compiled
beforehand and with its printing thrown away; figures are ratios of medians.
"""

import argparse
import contextlib
import io
import math
import os
import runpy
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import xpu
from xpu import runner

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
NAMES = ("tiny", "small", "middle", "large")


def seconds(run: object, path: Path, size: int) -> float:
    """Run a program once and return its seconds."""
    with contextlib.redirect_stdout(io.StringIO()):
        before = sys.argv
        sys.argv = [str(path), str(size)]
        start = time.perf_counter()
        try:
            run(path, size)
        finally:
            sys.argv = before
        return time.perf_counter() - start


def under_numpy(path: Path, size: int) -> None:
    """Run as Python does."""
    runpy.run_path(str(path), run_name="__main__")


def under_xpu(path: Path, size: int) -> None:
    """Run with xpu for numpy."""
    runner.run_path(path, [str(size)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    versions = f"NumPy {np.__version__}, xpu {xpu.__version__}, {os.cpu_count()} CPUs"
    print(f"{versions}; NumPy's time, and xpu's over it, medians of {rounds}")
    print(f"{'program':20}" + "".join(f"{name:>24}" for name in NAMES))
    ratios: list[list[float]] = [[] for _ in NAMES]
    for name, sizes in SIZES.items():
        cells = []
        for column, size in enumerate(sizes):
            path, times = FOLDER / f"{name}.py", {under_numpy: [], under_xpu: []}
            for round_ in range(rounds + 1):
                for run, spent in times.items():
                    took = seconds(run, path, size)
                    if round_:
                        spent.append(took)
            base, ours = (statistics.median(spent) for spent in times.values())
            ratios[column].append(ours / base)
            cells.append(f"{base * 1e3:9.2f} ms  {ours / base:5.2f}x")
        print(f"{name:20}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    means = [math.exp(statistics.fmean(map(math.log, column))) for column in ratios]
    print(f"{'geometric mean':20}" + "".join(f"{m:>23.2f}x" for m in means) + f"; worst {max(map(max, ratios)):.2f}x")


if __name__ == "__main__":
    main()
