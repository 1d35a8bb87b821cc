"""Drawn calls of every function that can run on a GPU, ten thousand per function and device.

Run ``python tools/examples.py --record examples.json``. It makes the calls of `tests/each/drawn_calls.py`, whose first
hundred are in the test suite, goes on where the record ends, and stops after ``--minutes``. A call on which a device
and NumPy differ is printed with its seed and kept in the record; `drawn_calls.draw(name, seed)` makes it again.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "each"))
import drawn_calls

AT_ONCE = 500


def main() -> int:
    """Go on, function by function, five hundred calls at a time; say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, default=Path("examples.json"), help="where to go on, and what was found")
    parser.add_argument("--examples", type=int, default=10_000, help="calls per function and device")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--only", nargs="+", default=drawn_calls.NAMES, metavar="NAME")
    asked = parser.parse_args()
    record = json.loads(asked.record.read_text()) if asked.record.exists() else {"calls": {}, "differences": []}
    end = time.monotonic() + 60 * asked.minutes
    warnings.simplefilter("ignore")  # NumPy's, of what is drawn
    np.seterr(all="ignore")
    calls, differences = record["calls"], record["differences"]
    for name in asked.only:
        while calls.get(name, 0) < asked.examples and time.monotonic() < end:
            first = calls.get(name, 0)
            last = min(first + AT_ONCE, asked.examples)
            for seed in range(first, last):
                found = drawn_calls.difference(name, seed)
                if found:
                    print(f"{name}, seed {seed}: {found}", flush=True)
                    differences.append([name, seed, found])
            calls[name] = last
            asked.record.write_text(json.dumps(record))
    done = sum(n >= asked.examples for n in calls.values())
    print(
        f"{done} of {len(drawn_calls.NAMES)} functions with {asked.examples} calls on each of "
        f"{', '.join(drawn_calls.DEVICES)}; {sum(calls.values())} calls in all; {len(differences)} differences"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
