"""Drawn calls (`tests/each/drawn_calls.py`) on the emulated card; `run.py campaign` starts this.

Goes on where the record ends. A call on which the card and NumPy differ is printed with its seed and kept in the
record, and so is every call of which xpu ran a part on the CPU: of that part this says nothing about the card.
Functions whose answers are free on a GPU (`FREE` in `tests/each/test_drawn_calls.py`) run only where they are named.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "each"))
import drawn_calls
from test_drawn_calls import FREE

import xpu
from xpu._running import forget_refusals

NAMES = [name for name in drawn_calls.NAMES if name not in FREE]


def _difference(name: str, seed: int) -> str:
    forget_refusals()  # what failed once would not be tried again
    try:
        return drawn_calls.difference(name, seed, ("cuda",))
    except RuntimeError as error:
        return repr(error)


def tried(name: str, seed: int) -> tuple[str, list[str]]:
    """Make one call twice, the second time recorded; return how it differed, and why xpu went to the CPU for it."""
    found = _difference(name, seed)
    with xpu.profile() as record:
        again = _difference(name, seed)
    return found or again, sorted({f"{e.op}: {e.reason}" for e in record.events if e.device == "cpu"})


def _go_on(name: str, asked: Any, record: dict[str, Any]) -> None:
    first, started = record["calls"].get(name, 0), time.monotonic()
    before = len(record["differences"]), len(record["on_the_cpu"])
    for seed in range(first, asked.seeds):
        found, elsewhere = tried(name, seed)
        if found:
            print(f"{name}, seed {seed}: {found}", flush=True)
            record["differences"].append([name, seed, found])
        if elsewhere:
            record["on_the_cpu"].append([name, seed, elsewhere])
    record["calls"][name] = max(first, asked.seeds)
    asked.record.write_text(json.dumps(record, indent=1))
    if first < asked.seeds:
        different, moved = len(record["differences"]) - before[0], len(record["on_the_cpu"]) - before[1]
        seconds = time.monotonic() - started
        done = f"{name}: {asked.seeds - first} calls, {different} different, {moved} on the CPU"
        print(f"{done}, {seconds:.0f} s", flush=True)


def main() -> int:
    """Make the calls, function by function; say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="calls per function")
    parser.add_argument("--names", nargs="+", default=NAMES, metavar="NAME", help="instead of all")
    parser.add_argument("--record", type=Path, default=Path("emulated.json"), help="where to go on, and what was found")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no other function after so long")
    asked = parser.parse_args()
    empty: dict[str, Any] = {"calls": {}, "differences": [], "on_the_cpu": []}
    record = json.loads(asked.record.read_text()) if asked.record.exists() else empty
    warnings.simplefilter("ignore")  # NumPy's, of what is drawn
    np.seterr(all="ignore")
    end = time.monotonic() + 60 * asked.minutes
    for name in asked.names:
        if time.monotonic() < end:
            _go_on(name, asked, record)
    calls, differences, elsewhere = record["calls"], record["differences"], record["on_the_cpu"]
    print(
        f"{len(calls)} of {len(NAMES)} functions, {sum(calls.values())} calls in all: "
        f"{len(differences)} differences, {len(elsewhere)} calls that ran on the CPU, in whole or in part"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
