"""A million operations, and what they leave behind: Python memory, blocks, replicas.

Run ``python tools/leaks.py [--operations 1000000] [--device cpu] [--where]``.
"""

import argparse
import gc
import tracemalloc
from array import array
from itertools import repeat

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


def repeated(times: int, device: str, reading: "array[int]") -> None:
    """Do the work so many times, then write down bytes traced, arrays that have a block, blocks with replicas."""
    for _ in repeat(None, times):
        work(device)
    gc.collect()
    reading[1], reading[2] = len(_block._adopted), len(_block._replicated)
    reading[0] = tracemalloc.get_traced_memory()[0]


def main() -> None:
    """Print the growth per device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--device", nargs="+", default=["cpu", "pretend"])
    parser.add_argument("--where", action="store_true", help="name the lines that grew (this adds bytes of its own)")
    asked = parser.parse_args()
    rounds = asked.operations // 10
    # Room for the readings is made beforehand: a number made while tracing would be counted itself.
    first, last = array("q", [0] * 3), array("q", [0] * 3)
    for device in asked.device:
        tracemalloc.start()
        # What is made once is no growth: tables that reach their size, counts beyond the integers that Python keeps.
        repeated(max(500, rounds // 20), device, last)
        before = tracemalloc.take_snapshot() if asked.where else None
        repeated(1, device, first)
        repeated(rounds, device, last)
        grown = last[0] - first[0]
        after = tracemalloc.take_snapshot() if asked.where else None
        tracemalloc.stop()
        blocks = f"{first[1:].tolist()} -> {last[1:].tolist()}"
        print(f"{device}: {10 * rounds} operations, {grown} bytes grown, blocks {blocks}", flush=True)
        if before and after:
            for line in [line for line in after.compare_to(before, "lineno") if line.size_diff][:20]:
                print(f"  {line}")


if __name__ == "__main__":
    main()
