"""A million operations, and what they leave behind: Python memory, blocks, replicas.

Run ``python tools/leaks.py [--operations 1000000]``.
"""

import argparse
import gc
import tracemalloc

import numpy as np

import xpu
from xpu import _block


def work(device: str) -> None:
    """Ten operations: views, writes, reductions, moves."""
    with xpu.config(device=device):
        a = xpu.asarray(np.arange(64.0))
        b = a[1:] + a[:-1]
        b[::2] = 0.0
        b += xpu.sin(a[1:]).sum()
        c = a.reshape(2, 32)[0] * 2.0
        xpu.asnumpy(c)


def main() -> None:
    """Print the growth per device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_000_000)
    rounds = parser.parse_args().operations // 10
    for device in ("cpu", "pretend"):
        tracemalloc.start()
        for _ in range(rounds // 20):  # what is made once, such as tables that reach their size, is no growth
            work(device)
        gc.collect()
        blocks = len(_block._adopted), len(_block._replicated)
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(rounds):
            work(device)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - first
        tracemalloc.stop()
        now = len(_block._adopted), len(_block._replicated)
        print(f"{device}: {10 * rounds} operations, {grown} bytes grown, blocks {blocks} -> {now}", flush=True)


if __name__ == "__main__":
    main()
