"""xpu's filters on the host beside the fastest of SciPy's functions for the same job, over sizes, kernels and dtypes.

Run ``python benchmarks/filter_sweep.py --threads 1``. A line per case: xpu's time, SciPy's fastest, and their ratio
(above 1: xpu is faster). SciPy's FFTs get as many workers as xpu has threads. A candidate that is found over four
times slower than another is not timed again.
"""

import argparse
import functools
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rank", type=int, nargs="+", default=[1, 2])
parser.add_argument("--dtypes", nargs="+", default=["f4", "f8", "c8"])
parser.add_argument("--least", type=int, default=0, help="elements of the smallest arrays")
parser.add_argument("--most", type=int, default=10**8, help="elements of the largest arrays")
parser.add_argument("--taps", type=int, nargs="+", help="kernel sizes instead of the usual ones")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--jobs", nargs="+", default=["convolve", "ndimage"])
arguments = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(arguments.threads)

import numpy as np  # noqa: E402
import scipy.fft  # noqa: E402
import scipy.ndimage  # noqa: E402
import scipy.signal  # noqa: E402

import xpu  # noqa: E402
from xpu.conv import _background  # noqa: E402

Job = Callable[[], object]
LENGTHS, TAPS = (10**3, 10**4, 10**5, 10**6, 10**7), (3, 9, 31, 64, 101, 129, 200, 400, 1000, 4000)
SIDES, WIDTHS = (64, 256, 512, 1024, 2048), (3, 5, 8, 11, 15, 23, 31, 63)


def timed(job: Job, repeat: int) -> float:
    start = time.perf_counter()
    for _ in range(repeat):
        job()
    return (time.perf_counter() - start) / repeat


def lost(name: str, found: dict[str, float]) -> bool:
    """Return whether a function of xpu is over 5 % slower than the best one of SciPy's."""
    best = min(spent for other, spent in found.items() if not other.startswith("xpu"))
    return name.startswith("xpu") and best < 0.95 * found[name]


def medians(jobs: dict[str, Job], rounds: int) -> dict[str, float]:
    """Return the median seconds of every job that is within four times of the fastest."""
    first = {name: min(timed(job, 1), timed(job, 1)) for name, job in jobs.items()}
    limit = 4 * min(spent for name, spent in first.items() if not name.startswith("xpu"))
    repeat = {name: max(1, math.ceil(2e-3 / spent)) for name, spent in first.items()}
    times: dict[str, list[float]] = {name: [] for name in jobs if first[name] < limit or name.startswith("xpu")}
    for _ in range(rounds):
        for name, spent in times.items():
            jobs[name]()  # its memory is there then
            spent.append(timed(jobs[name], repeat[name]))
    return {name: statistics.median(spent) for name, spent in times.items()}


def candidates(a: np.ndarray, k: np.ndarray) -> Iterator[tuple[str, dict[str, Job]]]:
    """Yield a job's name, xpu's call and SciPy's ones."""
    x, y = xpu.asarray(a), xpu.asarray(k)
    work = a.size * k.size
    within = {"mode": "constant"}
    theirs: dict[str, Job] = {
        name: functools.partial(getattr(scipy.signal, name), a, k, "same")
        for name in ("convolve", "fftconvolve", "oaconvolve")
    }
    if work < 2 * 10**9:
        theirs["ndimage.convolve"] = functools.partial(scipy.ndimage.convolve, a, k, **within)
        if a.ndim == 1:
            theirs["ndimage.convolve1d"] = functools.partial(scipy.ndimage.convolve1d, a, k, **within)
            theirs["upfirdn"] = functools.partial(scipy.signal.upfirdn, k, a)
        else:
            theirs["convolve2d"] = functools.partial(scipy.signal.convolve2d, a, k, "same")
    jobs = {"convolve": functools.partial(xpu.signal.convolve, x, y, "same")}
    if a.dtype.kind == "f" or a.ndim == 1:
        jobs["ndimage"] = functools.partial(xpu.ndimage.convolve, x, y, **within)
    if a.ndim == 2:
        jobs["convolve2d"] = functools.partial(xpu.signal.convolve2d, x, y, "same")
    else:
        jobs["ndimage1d"] = functools.partial(xpu.ndimage.convolve1d, x, y, **within)
    yield "", {**{f"xpu.{name}": jobs[name] for name in jobs if name in arguments.jobs}, **theirs}


def main() -> None:
    """Print a line per case and the worst ratio."""
    _background.wait()
    rng, worst = np.random.default_rng(0), []
    print(f"{'case':34} {'xpu':>10} {'SciPy':>10}  ratio  SciPy's fastest")
    sizes = [((n,), (k,)) for n in LENGTHS for k in arguments.taps or TAPS if k <= n and 1 in arguments.rank]
    sizes += [((n, n), (k, k)) for n in SIDES for k in arguments.taps or WIDTHS if k <= n and 2 in arguments.rank]
    with scipy.fft.set_workers(arguments.threads):
        for shape, kernel in sizes:
            if not arguments.least <= math.prod(shape) <= arguments.most:
                continue
            for kind in arguments.dtypes:
                a, k = (rng.normal(size=s).astype(kind) for s in (shape, kernel))
                for _, jobs in candidates(a, k):
                    found = medians(jobs, arguments.rounds)
                    if any(lost(name, found) for name in found):
                        # Other work may have fallen on it.
                        found = medians({name: jobs[name] for name in found}, 4 * arguments.rounds)
                    best, least = min(((n, t) for n, t in found.items() if not n.startswith("xpu")), key=lambda i: i[1])
                    for name in (n for n in found if n.startswith("xpu")):
                        ratio = least / found[name]
                        case = f"{name[4:]} {kind} {'x'.join(map(str, shape))} * {'x'.join(map(str, kernel))}"
                        line = f"{case:34} {found[name] * 1e3:9.3f}m {least * 1e3:9.3f}m {ratio:6.2f}  {best}"
                        print(line + ("  <" if ratio < 0.95 else ""), flush=True)
                        worst.append((ratio, case))
    ratios = [ratio for ratio, _ in worst]
    print(f"{len(ratios)} cases, geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(worst)}")


if __name__ == "__main__":
    main()
