"""How well the calibrated machine predicts: predicted against measured time of calls never timed before.

    python benchmarks/model.py [--seconds 10] [--calls 700] [--limit 60] [--seed 5] [--settle 2]
                               [--machine FILE] [--misses] [--learning]

Calibrates this machine first (nothing is saved), then times calls on the host whose sizes, and for part
of them whose dtypes, operations and shapes, calibration did not time, and prints the share predicted to
within 30 %. Calls are timed as they run for a user whose call placement left on the host: through the
host backend's `run`, which writes large results into memory used before (`xpu._memory`). For the group
"other dtypes" the curves of those dtypes are taken out of the machine first.

Times are of warm calls at rest. Warm: the call has run for two milliseconds (`--settle`) before it is timed,
for caches come to keep its operands only after several calls; with `--settle 0` it has run once, and what
is timed is in part how the operands of other calls leave the third cache. At rest, as calibration takes
them: the least of several, those interrupted by
other programs left out, as those while the core was slower than its best by more than 15 % (a neighbour
on the same physical core takes a third of its speed for seconds; a fixed piece of arithmetic around each
sample tells). Passes over all calls go on until each was timed three times at rest, or the time is up;
what was never at rest is not counted, and how many that were is printed. How often three passes agree to
within 30 % says how much of the rest is the machine's own doing. Calls below 20 microseconds are not
counted. `--learning` prints what learning from observed times costs a program, and nothing else.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import random
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import xpu
import xpu.fft
from xpu._backends import HOST
from xpu._calibrate._host import operands
from xpu._calibrate._probes import Probe, probes, values
from xpu._calibrate._timing import Clock, Timed, settle_memory
from xpu._curve import Curve
from xpu._donors import loop_dtype
from xpu._machine import Machine, load
from xpu._op import OPS, Op, Shaped, Work
from xpu._placement import Operand, Policy, decide

SHORTEST = 20e-6
LONGEST = 0.06
WITHIN = 0.30
ROUNDS = 3
SIZES = (700, 1500, 3000, 6000, 10_000, 20_000, 50_000, 100_000, 200_000, 400_000, 750_000, 1_500_000, 3_000_000)
SIDES = (10, 24, 40, 80, 100, 200, 300, 400)
SMOOTH_SIDES = (20, 40, 60, 80, 160, 240, 480, 1000)
# Smooth lengths: a transform whose length has a large prime factor is another algorithm.
SMOOTH_SIZES = (800, 1536, 3000, 6000, 10_000, 20_000, 50_000, 100_000, 200_000, 400_000, 750_000)
OTHER_DTYPES = ("i2", "u2", "u4", "u8", "i1")


class Call(NamedTuple):
    """One held-out call."""

    group: str
    op: Op
    code: str
    size: int
    args: tuple[Any, ...]
    work: Work
    keywords: Mapping[str, Any] = {}

    def run(self) -> object:
        """Call it as dispatch does on the host."""
        return HOST.run(self.op.host, self.args, self.keywords, self.work)


class Result(NamedTuple):
    """A call with its predicted time and those measured at rest."""

    call: Call
    predicted: float
    rounds: tuple[float, ...]

    @property
    def measured(self) -> float:
        """The middle one."""
        return float(np.median(self.rounds))

    @property
    def agree(self) -> bool:
        """Whether the rounds do."""
        return max(self.rounds) <= (1 + WITHIN) * min(self.rounds)

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def counted(group: str, op: Op, code: str, size: int, args: tuple[Any, ...], **keywords: Any) -> Call:
    """Return a call with its work counted as dispatch counts it."""
    work = op.work([Shaped(a.shape, a.dtype) for a in operands(args)], keywords)
    return Call(group, op, code, size, args, work, keywords)


def sizes_of(probe: Probe) -> Sequence[int]:
    """Return sizes at which calibration does not time this probe."""
    if probe.op.name.startswith("fft."):
        return SMOOTH_SIDES if probe.op.name.endswith("2") else SMOOTH_SIZES
    if probe.op.name == "outer":
        return tuple(int(n**0.5) for n in SIZES)
    return SIDES if max(probe.sizes) <= 4096 else SIZES


def timed_operations(machine: Machine, random_: random.Random) -> list[Call]:
    """Calls of operations and dtypes that calibration timed, at other sizes."""
    calls = []
    for probe in probes():
        if probe.code in machine.cpu.curves.get(probe.loop, {}):
            size = random_.choice(sizes_of(probe))
            calls.append(counted("other sizes", probe.op, probe.code, size, probe.make(size), **probe.keywords))
    return calls


def other_dtypes(machine: Machine, random_: random.Random) -> list[Call]:
    """Calls of timed operations on dtypes that calibration never times."""
    calls = []
    for name in machine.cpu.curves:
        if name not in OPS:  # a variant
            continue
        op = OPS[name]
        host: Any = op.host
        if not isinstance(host, np.ufunc) or host.signature is not None or name == "ldexp":
            continue
        for code in OTHER_DTYPES:
            size = random_.choice(SIZES)
            args = tuple(values(size, code, i) for i in range(host.nin))
            if loop_dtype(name, np.dtype(code)) != code:  # computed in floating point: stay in its range
                if name in _NOT_FOR_INTEGERS:
                    continue
                args = tuple((a % 9 + 1).astype(code) for a in args)
            try:
                with np.errstate(all="ignore"):
                    host(*(a[:1] for a in args))
            except TypeError:
                continue
            calls.append(counted("other dtypes", op, code, size, args))
    return calls


_NOT_FOR_INTEGERS = frozenset({"arcsin", "arccos", "arctanh"})  # their domain holds two integers


def _smooth(size: int) -> int:
    """Return the side of a square of about this size, without large prime factors."""
    return min(SMOOTH_SIDES, key=lambda side: abs(side * side - size))


# Operations that calibration never times: others predict them.
_UNTIMED: dict[str, Callable[[int, str], tuple[Any, ...]]] = {
    "append": lambda n, c: (values(n, c), values(n, c, 1)),
    "argwhere": lambda n, c: (values(n, "b1"),),
    "copy": lambda n, c: (values(n, c),),
    "correlate": lambda n, c: (values(n, c), values(15, c, 1)),
    "cumulative_prod": lambda n, c: (0.999 + values(n, c) / 500,),
    "cumulative_sum": lambda n, c: (values(n, c),),
    "fft.fftn": lambda n, c: (values((_smooth(n), _smooth(n)), c),),
    "fft.fftshift": lambda n, c: (values(n, c),),
    "fft.ifft": lambda n, c: (values(n, "c16" if c == "f8" else "c8"),),
    "fft.ifft2": lambda n, c: (values((_smooth(n), _smooth(n)), "c16" if c == "f8" else "c8"),),
    "fft.hfft": lambda n, c: (values(2 ** n.bit_length() + 1, "c16" if c == "f8" else "c8"),),
    "fft.ihfft": lambda n, c: (values(2 ** n.bit_length(), c),),
    "hstack": lambda n, c: ([values(n, c), values(n, c, 1)],),
    "isneginf": lambda n, c: (values(n, c),),
    "isposinf": lambda n, c: (values(n, c),),
    "linalg.cross": lambda n, c: (values((n, 3), c), values((n, 3), c, 1)),
    "linalg.matrix_norm": lambda n, c: (values((math.isqrt(n),) * 2, c),),
    "linalg.matmul": lambda n, c: tuple(values((math.isqrt(n) // 4 + 1,) * 2, c, i) for i in (0, 1)),
    "linalg.outer": lambda n, c: (values(math.isqrt(n), c), values(math.isqrt(n), c, 1)),
    "linalg.vecdot": lambda n, c: (values(n, c), values(n, c, 1)),
    "nancumprod": lambda n, c: (0.999 + values(n, c) / 500,),
    "nanquantile": lambda n, c: (values(n, c), 0.75),
    "tensordot": lambda n, c: tuple(values((math.isqrt(n) // 4 + 1,) * 2, c, i) for i in (0, 1)),
    "union1d": lambda n, c: (values(n, c), values(n, c, 1)),
    "unique_counts": lambda n, c: (values(n, c),),
    "unique_values": lambda n, c: (values(n, c),),
    "vstack": lambda n, c: ([values(n, c), values(n, c, 1)],),
}


def untimed_operations(machine: Machine, random_: random.Random) -> list[Call]:
    """Calls of operations that have no curve of their own."""
    return [
        counted("other operations", OPS[name], code, size, make(size, code))
        for name, make in _UNTIMED.items()
        if name not in machine.cpu.curves
        for code in ("f8", "f4")
        for size in random_.sample(SIZES, 2)
    ]


_SHAPES = ((30, 5000), (500, 500), (3000, 60), (40_000, 8), (400_000, 3))


def other_shapes() -> list[Call]:
    """Calls on two dimensions that calibration times on one: broadcast operands, and sums along an axis."""
    calls = []
    for rows, columns in _SHAPES:
        for code in ("f8", "f4"):
            whole, row, column = values((rows, columns), code), values(columns, code), values((rows, 1), code)
            for name in ("add", "multiply", "maximum", "less"):
                calls.append(counted("other shapes", OPS[name], code, whole.size, (whole, row)))
                calls.append(counted("other shapes", OPS[name], code, whole.size, (column, row)))
            for name in ("sum", "max", "mean"):
                calls += [counted("other shapes", OPS[name], code, whole.size, (whole,), axis=a) for a in (0, 1)]
    return calls


def without(machine: Machine, codes: Sequence[str]) -> Machine:
    """Return the machine as if calibration had not timed these dtypes (casts apart)."""
    curves = {
        op: {c: curve for c, curve in rows.items() if c not in codes or op == "astype"}
        for op, rows in machine.cpu.curves.items()
    }
    cpu = dataclasses.replace(machine.cpu, curves=curves, corrections={}, _found={})
    return dataclasses.replace(machine, cpu=cpu)


def held_out(machine: Machine, count: int, seed: int = 5) -> list[Call]:
    """Return a random choice of held-out calls, in random order, the same for a seed and a set of curves."""
    random_ = random.Random(seed)
    calls: list[Call] = []
    for _ in range(3):
        calls += timed_operations(machine, random_) + other_dtypes(machine, random_)
    random_.shuffle(calls)
    calls = calls[:count] + untimed_operations(machine, random_) + other_shapes()
    random_.shuffle(calls)
    return calls


def measure(machine: Machine, calls: Sequence[Call], limit: float, settle: float) -> tuple[list[Result], int]:
    """Time calls in passes until each was timed `ROUNDS` times at rest; return also how many never were."""
    settle_memory()
    clock = Clock(best=float(machine.extra.get("pace", "inf")))
    blind = without(machine, OTHER_DTYPES)
    predicted = [(blind if c.group == "other dtypes" else machine).cpu.seconds(c.work) for c in calls]
    times: dict[int, list[Timed]] = {i: [] for i, p in enumerate(predicted) if SHORTEST / 4 < p < 2 * LONGEST}
    open_ = list(times)
    begun = time.monotonic()
    with np.errstate(all="ignore"):
        while open_ and time.monotonic() - begun < limit:
            for i in open_:
                timed = clock.measure(calls[i].run, settle=settle)
                if clock.quiet(timed.pace):
                    times[i].append(timed)
                if time.monotonic() - begun > limit:
                    break
            open_ = [i for i in open_ if len(times[i]) < ROUNDS and not any(t.seconds > LONGEST for t in times[i])]
    results = []
    for i, found in times.items():
        rest = tuple(t.seconds for t in found if clock.quiet(t.pace))  # its best may have been seen later
        if len(rest) >= 2:
            results.append(Result(calls[i], predicted[i], rest))
    print(f"pace {clock.best * 1e6:.2f} us; calibrated at {float(machine.extra.get('pace', 'nan')) * 1e6:.2f} us")
    return [r for r in results if r.measured > SHORTEST], len(times) - len(results)


def share(flags: Sequence[bool]) -> str:
    """Return a share as text."""
    return f"{100 * sum(flags) / len(flags):6.1f} %" if flags else "       -"


def report(results: Sequence[Result], never: int, misses: bool) -> None:
    """Print the table."""

    def near(ratio: float) -> bool:
        return 1 - WITHIN <= ratio <= 1 + WITHIN

    print(f"{'':28}{'calls':>6}{'within 30 %':>13}{'median ratio':>14}{'rounds agree':>14}{'of those, within':>18}")
    rows: list[tuple[str, list[Result]]] = [("all", list(results))]
    rows += [(g, [r for r in results if r.call.group == g]) for g in dict.fromkeys(r.call.group for r in results)]
    kinds = sorted({r.call.op.kind for r in results})
    rows += [(f"  {k}", [r for r in results if r.call.op.kind == k]) for k in kinds]
    edges = (0, 10_000, 60_000, 300_000, 1_000_000, 10_000_000)
    for low, high in itertools.pairwise(edges):
        chosen = [r for r in results if r.call.op.kind == "elementwise" and low <= r.call.size < high]
        rows.append((f"  elementwise from {low:,}", chosen))
    for title, members in rows:
        if not members:
            continue
        ratios = [r.ratio for r in members]
        again = [r.agree for r in members]
        steady = [near(r.ratio) for r in members if r.agree]
        middle = f"{float(np.median(ratios)):.2f}"
        columns = f"{share([near(r) for r in ratios]):>13}{middle:>14}{share(again):>14}{share(steady):>18}"
        print(f"{title:28}{len(members):>6}{columns}")
    print(f"never timed twice at rest: {never} calls")
    if misses:
        for r in sorted(results, key=lambda r: abs(np.log(r.ratio)), reverse=True)[:90]:
            name = f"{r.call.work.loop} {r.call.code} {r.call.size}"
            print(f"  {r.ratio:6.2f}  {name:36} {r.measured * 1e6:9.0f} us  {r.call.work.loops:8.0f} {r.agree}")


def decision_speed(machine: Machine) -> float:
    """Return the seconds of one full decision with two operands, both devices priced by curves."""
    gpu = xpu._machine.shipped("h200")
    card = gpu.accelerator
    assert card is not None
    curves = {"add": {"f8": Curve([(1.0, 1e-5), (1e6, 2e-5), (1e8, 6e-4)])}}
    card = type(card)(card.title, card.memory, card.classes, curves)
    both = Machine("both", "", machine.cpu, card, gpu.to_device, gpu.to_host)
    work = Work("elementwise", np.dtype("f8"), 24e6, 1e6, "add")
    operand = [Operand(8_000_000, True, False)] * 2
    timer = timeit.Timer("d(w, o, m, p)", globals={"d": decide, "w": work, "o": operand, "m": both, "p": Policy()})
    return float(np.median(timer.repeat(15, 5000))) / 5000


_LEARNING = """
import statistics, time
import xpu
from xpu._backends import automatic, machine_for
from xpu._learn import learner

x = xpu.ones(60_000)
x = x + 1.0

def program():
    begun = time.perf_counter()
    for _ in range(1500):
        (x + 2.0) * x
    return time.perf_counter() - begun

machine = machine_for(automatic.get())
program()
ratios = []
for _ in range(15):
    off = program()
    learner.start(machine)
    on = program()
    learner.stop()
    ratios.append(on / (0.5 * (off + program())))
print(f"a program while xpu learns: {statistics.median(ratios):.4f} of its time otherwise ({learner.samples} samples)")
"""


def learning() -> None:
    """Print what learning costs a program on arrays of half a megabyte, with the pretend device in force."""
    environment = {**os.environ, "XPU_PRETEND": "h200", "XPU_DEVICE": "auto"}
    done = subprocess.run([sys.executable, "-c", _LEARNING], env=environment, capture_output=True, text=True)
    print(done.stdout.strip() or done.stderr)


def main() -> None:
    """Calibrate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for calibration")
    parser.add_argument("--calls", type=int, default=700, help="held-out calls of timed operations")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for timing them")
    parser.add_argument("--seed", type=int, default=5, help="of the choice of held-out calls")
    parser.add_argument("--settle", type=float, default=2.0, help="milliseconds of calls before one is timed")
    parser.add_argument("--machine", help="a machine file to judge instead of a fresh calibration")
    parser.add_argument("--misses", action="store_true", help="list the worst predictions")
    parser.add_argument("--learning", action="store_true", help="print the cost of learning alone")
    options = parser.parse_args()
    if options.learning:
        learning()
        return
    machine = load(options.machine) if options.machine else xpu.calibrate(seconds=options.seconds, save=False)
    rows = sum(len(by_dtype) for by_dtype in machine.cpu.curves.values())
    print(f"NumPy {np.__version__}, {machine.cpu.title}; {rows} curves of {len(machine.cpu.curves)} operations")
    calls = held_out(machine, options.calls, options.seed)
    results, never = measure(machine, calls, options.limit, options.settle / 1e3)
    report(results, never, options.misses)
    print(f"a full decision with two operands: {decision_speed(machine) * 1e6:.2f} us (median)")


if __name__ == "__main__":
    main()
