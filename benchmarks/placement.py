"""What choosing a device costs, and how far from the best the choices are.

Run ``python benchmarks/placement.py``. Three parts: the time of a decision and of profiling; recorded programs replayed
on four machines under every policy, against the best placement of the whole program in hindsight (a minimum cut);
and which programs decide that. No GPU is used: programs are recorded on this CPU, and times on the machines are those
their profiles predict. Every call of a program is priced with the profile's own CPU.
"""

import argparse
import contextlib
import io
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import xpu
from xpu import runner
from xpu._machine import shipped
from xpu._op import Work
from xpu._placement import Operand, Policy, decide
from xpu._program import Program, Recording
from xpu._program._cut import minimum_cut
from xpu._program._policies import Always, Greedy, Xpu
from xpu._program._replay import replay

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "programs"
MACHINES = ("h200", "rtx4090", "rtx4060-laptop", "gh200")
SIZES = {
    "conjugate_gradient": (40, 300, 1000),
    "fft_filter": (256, 4096, 262144),
    "fitting": (80, 2000),
    "heat": (16, 128, 768),
    "kalman": (60,),
    "kmeans": (60, 2000, 50000),
    "life": (16, 128, 1024),
    "lu": (24, 96),
    "mandelbrot": (60, 400),
    "monte_carlo": (400, 40000),
    "nbody": (8, 64, 400),
    "network": (32, 2048, 10000),
    "pca": (50, 1000, 20000),
    "records": (50, 1000, 20000),
    "sinkhorn": (20, 150, 900),
    "wave": (48, 400),
    "windows": (24, 300),
}
POLICIES = {"all CPU": lambda: Always("cpu"), "all GPU": lambda: Always("accelerator"), "greedy": Greedy, "xpu": Xpu}


def recorded(name: str, size: int) -> Program:
    """Record a program on the CPU."""
    with xpu.config(device="cpu"), Recording(f"{name} {size}") as recording, contextlib.redirect_stdout(io.StringIO()):
        runner.run_path(FOLDER / f"{name}.py", [str(size)])
    return recording.program()


def mean(values: list[float]) -> float:
    """Return the geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def median_of(run: object, calls: int, rounds: int = 25) -> float:
    """Return the median seconds of one call."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        taken.append((time.perf_counter() - start) / calls)
    return statistics.median(taken)


def decisions() -> None:
    """Print what a decision costs."""
    machine, work = shipped("h200"), Work("elementwise", np.dtype("f8"), 24e6, 1e6, "add")
    here, there = Operand(8_000_000, True, False), Operand(8_000_000, False, True)
    print("what a decision costs (medians of 25 rounds)")
    for title, operands in (("two operands on the host", [here, here]), ("one on each side", [here, there])):
        policy = Policy()
        spent = median_of(lambda o=operands, p=policy: decide(work, o, machine, p), 2000)
        print(f"  decide(), {title:28} {spent * 1e6:6.2f} us")
    small = np.ones(64)
    a, b = xpu.asarray(small), xpu.asarray(small)
    plain = median_of(lambda: np.add(small, small), 2000)
    gate_open = median_of(lambda: xpu.add(a, b), 2000)
    with xpu.profile():
        profiled = median_of(lambda: xpu.add(a, b), 200)
    print(f"  numpy.add of 64 elements               {plain * 1e6:6.2f} us")
    print(f"  xpu.add, no accelerator                {gate_open * 1e6:6.2f} us, {gate_open / plain:.2f}x NumPy's")
    print(f"  xpu.add under xpu.profile              {profiled * 1e6:6.2f} us, {profiled / gate_open:.1f}x without")


def beside_an_accelerator() -> None:
    """Print what a call on few host bytes costs while a GPU is in force (run with XPU_PRETEND=h200)."""
    small = np.ones(64)
    a = xpu.asarray(small)
    plain = median_of(lambda: np.add(small, small), 2000)
    short = median_of(lambda: xpu.add(a, a), 2000)
    print(f"  xpu.add of 64 elements, pretend GPU    {short * 1e6:6.2f} us, {short / plain:.2f}x NumPy's (short lane)")


def regret(programs: list[Program], worst: int) -> None:
    """Print the tables of regret."""
    rows = []
    for name in MACHINES:
        machine = shipped(name)
        for program in programs:
            best = minimum_cut(program, machine).seconds
            found = {title: replay(program, machine, make()).seconds for title, make in POLICIES.items()}
            rows.append((name, program.name, best, found))
    print(f"\n{len(programs)} programs; seconds over those of the best placement in hindsight, geometric means")
    print(
        f"{'machine':16}"
        + "".join(f"{t:>9}" for t in POLICIES)
        + f"{'worst xpu':>11}{'xpu over the better of all CPU, all GPU':>42}"
    )
    for name in (*MACHINES, "all"):
        mine = [r for r in rows if name in (r[0], "all")]
        means = [mean([f[t] / best for _, _, best, f in mine]) for t in POLICIES]
        either = [f["xpu"] / min(f["all CPU"], f["all GPU"]) for *_, f in mine]
        line = f"worst {max(either):.2f}, above 1.10 in {sum(e > 1.10 for e in either)} of {len(mine)}"
        top = max(f["xpu"] / best for _, _, best, f in mine)
        print(f"{name:16}" + "".join(f"{m:9.3f}" for m in means) + f"{top:11.2f}{line:>42}")
    greedy = [f["greedy"] / min(f["all CPU"], f["all GPU"]) for *_, f in rows]
    print(f"greedy over the better of the two: worst {max(greedy):.2f}, above 1.10 in {sum(g > 1.1 for g in greedy)}")
    near = [r for r in rows if min(r[3]["all CPU"], r[3]["greedy"]) > 1.02 * r[2]]
    print(
        f"where the CPU alone is not the answer ({len(near)} of {len(rows)}): greedy "
        f"{mean([f['greedy'] / b for _, _, b, f in near]):.3f}, xpu {mean([f['xpu'] / b for _, _, b, f in near]):.3f}"
    )
    print(
        f"\nthe {worst} farthest from the best\n{'machine':16}{'program':26}{'best':>12}"
        + "".join(f"{t:>9}" for t in POLICIES)
    )
    for name, program, best, found in sorted(rows, key=lambda r: -r[3]["xpu"] / r[2])[:worst]:
        ratios = "".join(f"{found[t] / best:9.2f}" for t in POLICIES)
        print(f"{name:16}{program:26}{best * 1e3:9.3f} ms{ratios}")


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("decisions", "pretend", "regret"))
    parser.add_argument("--worst", type=int, default=12)
    options = parser.parse_args()
    if options.only in (None, "decisions"):
        print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}, xpu {xpu.__version__}")
        decisions()
    if options.only == "pretend":
        beside_an_accelerator()
    if options.only in (None, "regret"):
        programs = [recorded(name, size) for name, sizes in SIZES.items() for size in sizes]
        regret(programs, options.worst)


if __name__ == "__main__":
    main()
