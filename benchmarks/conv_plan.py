"""What the plans pick against what is measured: for the cases of `convolution.py`, every engine in turn.

    python benchmarks/conv_plan.py [--threads 1 2] [--cases 3x3 ...] [--kinds forward input weight]

Prints, per case, the engine the prediction picks, the one that is fastest when measured, and how much
slower the pick is; then every engine's predicted and measured milliseconds.  Nothing is kept on disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from convolution_worker import CASES, Case
from xpu import conv
from xpu.conv import _autotune, _background, _onednn_library


def geometry_of(case: Case, kind: str) -> conv.ConvGeometry:
    rank = len(case.x) - 2
    return conv.conv_geometry("conv", rank, case.x, case.w, "f4", "f4", **case.options).with_(kind=kind)


def show(case: Case, kind: str) -> float:
    """Print one case and return the time of the picked engine over that of the fastest."""
    plan = conv.plan_conv(geometry_of(case, kind))
    seconds = _autotune.measure(plan)
    best = min(seconds, key=lambda name: seconds[name])
    loss = seconds[plan.engine] / seconds[best]
    cells = []
    for name, predicted in plan.seconds:
        measured = f"{seconds[name] * 1e3:.2f}" if name in seconds else "-"
        cells.append(f"{name} {predicted * 1e3:.2f}/{measured}")
    print(f"| {case.name} {kind} | {plan.engine} | {best} | {loss:.2f} | {', '.join(cells)} |", flush=True)
    return loss


def compare(threads: int, cases: list[Case], kinds: list[str]) -> None:
    """Print the table of one number of threads, which the process was started with."""
    _background.wait()
    _onednn_library.problem()
    print(f"\nthreads: {threads}; milliseconds predicted/measured\n")
    print("| case | picked | fastest | picked / fastest | engines |\n|---|---|---|---:|---|")
    losses = [show(case, kind) for case in cases for kind in kinds]
    right = sum(loss < 1.05 for loss in losses)
    print(f"\nwithin 5 % of the fastest: {right} of {len(losses)}; most lost {max(losses):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cases", nargs="+", default=[""], help="parts of the names of the cases to run")
    parser.add_argument("--kinds", nargs="+", default=["forward"], choices=["forward", "input", "weight"])
    asked = parser.parse_args()
    for threads in asked.threads:
        count = str(threads)
        if os.environ.get("OMP_NUM_THREADS") == os.environ.get("OPENBLAS_NUM_THREADS") == count:
            cases = [case for case in CASES if any(part in case.name for part in asked.cases)]
            compare(threads, cases, asked.kinds)
            continue
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)
        again = [sys.executable, __file__, "--threads", count, "--cases", *asked.cases, "--kinds", *asked.kinds]
        subprocess.run(again, env={**os.environ, **limits}, check=True)


if __name__ == "__main__":
    main()
