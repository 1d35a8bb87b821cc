"""Kernels on the host: `vectorize` and `fuse` against NumPy, at 10^6 elements.

    python benchmarks/kernels.py

Rounds are interleaved; the ratio printed is the median of the ratios of a round, so noise hits both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import xpu

ROUNDS = 31
SIZE = 10**6


@xpu.vectorize
def branchy(x: float, y: float) -> float:
    t = x * y + 1.0
    if t > 2.0:
        return t * x - y * 0.5
    if x < 0:
        return abs(x) - y
    return (x + y) * (x - y) / (1 + x * x)


def branchy_arrays(x: Any, y: Any) -> Any:
    t = x * y + 1.0
    return np.where(t > 2.0, t * x - y * 0.5, np.where(x < 0, np.abs(x) - y, (x + y) * (x - y) / (1 + x * x)))


def smooth(x: Any, y: Any) -> Any:
    r = np.sqrt(x * x + y * y)
    return np.where(r > 1, (x - y) / (r + 1), r * 2 - 0.5 * x + y * y)


def each(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratio(theirs: Callable[[], Any], ours: Callable[[], Any]) -> tuple[float, float, float]:
    ours()
    readings = [(each(theirs), each(ours)) for _ in range(ROUNDS)]
    return (
        statistics.median(a / b for a, b in readings),
        statistics.median(a for a, _ in readings),
        statistics.median(b for _, b in readings),
    )


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'expression':44}{'NumPy':>10}{'xpu':>10}{'ratio':>8}")
    for dtype in ("f8", "f4"):
        x, y = rng.normal(size=(2, SIZE)).astype(dtype)
        a, b = xpu.asarray(x), xpu.asarray(y)
        np.testing.assert_allclose(xpu.asnumpy(branchy(a, b)), branchy_arrays(x, y), rtol=1e-4, atol=1e-4)
        u, v = rng.normal(size=(2, 4 * SIZE)).astype(dtype)
        c, d = xpu.asarray(u), xpu.asarray(v)
        fused = xpu.fuse(smooth)
        np.testing.assert_array_equal(xpu.asnumpy(fused(c, d)), smooth(u, v))
        cases = {
            f"vectorize, branchy, {dtype}": (lambda x=x, y=y: branchy_arrays(x, y), lambda a=a, b=b: branchy(a, b)),
            f"fuse, fourteen operations, 4 x as many, {dtype}": (
                lambda u=u, v=v: smooth(u, v),
                lambda c=c, d=d, f=fused: f(c, d),
            ),
        }
        for name, (theirs, ours) in cases.items():
            found, numpys, xpus = ratio(theirs, ours)
            print(f"{name:44}{numpys * 1e3:7.2f} ms{xpus * 1e3:7.2f} ms{found:8.2f}")


if __name__ == "__main__":
    main()
