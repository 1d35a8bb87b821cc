"""xpu.signal and xpu.ndimage on the host beside SciPy's own functions: ratios of medians in one run.

Run ``python benchmarks/filters.py``. A ratio below 1 means that xpu is faster. The last column is the
fastest of the SciPy functions that do the same job.
"""

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.signal

import xpu


def seconds(f: Callable[[], object]) -> float:
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    print(f"{'job':44} {'xpu':>9}  SciPy, each as its time over xpu's (below 1: faster than xpu)")
    for shape, kernel in [((10**6,), (101,)), ((512, 512), (3, 3)), ((512, 512), (15, 15)), ((1024, 1024), (63, 63))]:
        for kind in ("f4", "f8"):
            a, k = rng.normal(size=shape).astype(kind), rng.normal(size=kernel).astype(kind)
            x, y = xpu.asarray(a), xpu.asarray(k)
            jobs = {"xpu.signal.convolve": lambda x=x, y=y: xpu.signal.convolve(x, y, "same")}
            slow = a.size * k.size > 10**9
            for name in ("convolve", "fftconvolve", "oaconvolve"):
                theirs = getattr(scipy.signal, name)
                jobs[f"signal.{name}"] = lambda f=theirs, a=a, k=k: f(a, k, "same")
            if a.ndim == 2:
                jobs["xpu.signal.convolve2d"] = lambda x=x, y=y: xpu.signal.convolve2d(x, y, "same")
                jobs["xpu.ndimage.convolve"] = lambda x=x, y=y: xpu.ndimage.convolve(x, y)
                if not slow:
                    jobs["signal.convolve2d"] = lambda a=a, k=k: scipy.signal.convolve2d(a, k, "same")
                jobs["ndimage.convolve"] = lambda a=a, k=k: scipy.ndimage.convolve(a, k)
            times: dict[str, list[float]] = {name: [] for name in jobs}
            for round_ in range(6):
                for name, job in jobs.items():
                    spent = seconds(job)
                    if round_:
                        times[name].append(spent)
            medians = {name: statistics.median(spent) for name, spent in times.items()}
            for name in (n for n in jobs if n.startswith("xpu")):
                others = [f"{n} {medians[n] / medians[name]:.2f}" for n in jobs if not n.startswith("xpu")]
                job = f"{name} {kind} {'x'.join(map(str, shape))} * {'x'.join(map(str, kernel))}"
                print(f"{job:44} {medians[name] * 1e3:7.2f} ms  {'  '.join(others)}")
    print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, {os.cpu_count()} CPUs")


if __name__ == "__main__":
    main()
