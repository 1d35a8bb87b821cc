"""How well the calibrated machine predicts: predicted against measured time of calls never timed before.

    python benchmarks/model.py [--seconds 10] [--calls 1500] [--machine FILE] [--misses]

Calibrates this machine first (nothing is saved), then times calls on the host whose sizes, and for part
of them whose dtypes and operations, calibration did not time, and prints the share predicted to within
30 %. Times are of warm calls at rest, as calibration takes them: the least of several, those interrupted
by other programs left out, in three rounds over all calls. How often a call's rounds agree to within
30 % says how much of the rest is the machine's own doing. Calls below 20 microseconds are not counted.
"""

from __future__ import annotations

import argparse
import itertools
import random
import timeit
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import xpu
from xpu._calibrate._host import operands
from xpu._calibrate._probes import Probe, probes, values
from xpu._calibrate._timing import Clock
from xpu._machine import Machine, load
from xpu._op import OPS, Op, Shaped, Work
from xpu._placement import Operand, Policy, decide
from xpu._processor import Curve, loop_dtype

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

    def run(self) -> object:
        """Call it."""
        return self.op.host(*self.args)


class Result(NamedTuple):
    """A call with its predicted time and those measured in each round."""

    call: Call
    predicted: float
    rounds: tuple[float, ...]

    @property
    def measured(self) -> float:
        """The least."""
        return min(self.rounds)

    @property
    def agree(self) -> bool:
        """Whether the rounds do."""
        return max(self.rounds) <= (1 + WITHIN) * min(self.rounds)

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def counted(group: str, op: Op, code: str, size: int, args: tuple[Any, ...]) -> Call:
    """Return a call with its work counted as dispatch counts it."""
    work = op.work([Shaped(a.shape, a.dtype) for a in operands(args)], {})
    return Call(group, op, code, size, args, work)


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
        if probe.code in machine.cpu.curves.get(probe.op.name, {}):
            size = random_.choice(sizes_of(probe))
            calls.append(counted("other sizes", probe.op, probe.code, size, probe.make(size)))
    return calls


def other_dtypes(machine: Machine, random_: random.Random) -> list[Call]:
    """Calls of timed operations on dtypes that calibration never times."""
    calls = []
    for name in machine.cpu.curves:
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


# Operations that calibration never times: the rates of their cost class predict them.
_UNTIMED: dict[str, Callable[[int, str], tuple[Any, ...]]] = {
    "argpartition": lambda n, c: (values(n, c), n // 2),
    "unique_values": lambda n, c: (values(n, c),),
    "delete": lambda n, c: (values(n, c), n // 2),
    "insert": lambda n, c: (values(n, c), n // 2, 0.5),
    "append": lambda n, c: (values(n, c), values(n, c, 1)),
    "column_stack": lambda n, c: ([values(n, c), values(n, c, 1)],),
    "correlate": lambda n, c: (values(n, c), values(15, c, 1)),
    "nanmedian": lambda n, c: (values(n, c),),
    "isneginf": lambda n, c: (values(n, c),),
    "nancumprod": lambda n, c: (values(n, c),),
    "i0": lambda n, c: (values(n, c),),
    "nanpercentile": lambda n, c: (values(n, c), 25),
    "unwrap": lambda n, c: (values(n, c),),
    "linalg.vecdot": lambda n, c: (values(n, c), values(n, c, 1)),
    "histogram_bin_edges": lambda n, c: (values(n, c), 20),
}


def untimed_operations(machine: Machine, random_: random.Random) -> list[Call]:
    """Calls of operations that have no curve of their own."""
    return [
        counted("other operations", OPS[name], code, size, make(size, code))
        for name, make in _UNTIMED.items()
        if name not in machine.cpu.curves
        for code in ("f8", "f4")
        for size in random_.sample(SIZES, 3)
    ]


def held_out(machine: Machine, count: int) -> list[Call]:
    """Return a fixed random choice of held-out calls, in random order."""
    random_ = random.Random(5)
    calls: list[Call] = []
    for _ in range(3):
        calls += timed_operations(machine, random_) + other_dtypes(machine, random_)
    random_.shuffle(calls)
    calls = calls[:count] + untimed_operations(machine, random_)
    random_.shuffle(calls)
    return calls


def measure(machine: Machine, calls: Sequence[Call]) -> list[Result]:
    """Time every call in each of `ROUNDS` rounds over all of them."""
    clock = Clock()
    times: dict[int, list[float]] = {}
    with np.errstate(all="ignore"):
        for round_ in range(ROUNDS):
            for i, call in enumerate(calls):
                if machine.cpu.seconds(call.work) < 2 * LONGEST and (not round_ or i in times):
                    seconds = clock.time(call.run)
                    if seconds < LONGEST:
                        times.setdefault(i, []).append(seconds)
    results = [Result(calls[i], machine.cpu.seconds(calls[i].work), tuple(t)) for i, t in times.items()]
    return [r for r in results if r.measured > SHORTEST]


def share(flags: Sequence[bool]) -> str:
    """Return a share as text."""
    return f"{100 * sum(flags) / len(flags):6.1f} %" if flags else "       -"


def report(results: Sequence[Result], misses: bool) -> None:
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
    if misses:
        for r in sorted(results, key=lambda r: abs(np.log(r.ratio)), reverse=True)[:60]:
            name = f"{r.call.op.name} {r.call.code} {r.call.size}"
            print(f"  {r.ratio:6.2f}  {name:36} {r.measured * 1e6:9.0f} us")


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


def main() -> None:
    """Calibrate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for calibration")
    parser.add_argument("--calls", type=int, default=1500, help="held-out calls")
    parser.add_argument("--machine", help="a machine file to judge instead of a fresh calibration")
    parser.add_argument("--misses", action="store_true", help="list the worst predictions")
    options = parser.parse_args()
    machine = load(options.machine) if options.machine else xpu.calibrate(seconds=options.seconds, save=False)
    rows = sum(len(by_dtype) for by_dtype in machine.cpu.curves.values())
    print(f"NumPy {np.__version__}, {machine.cpu.title}; {rows} curves of {len(machine.cpu.curves)} operations")
    report(measure(machine, held_out(machine, options.calls)), options.misses)
    print(f"a full decision with two operands: {decision_speed(machine) * 1e6:.2f} us (median)")


if __name__ == "__main__":
    main()
