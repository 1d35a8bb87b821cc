"""Random programs of views, in-place writes and moves, for as long as asked: the long run of the state machine.

Run ``python tools/fuzz.py --seeds 0 1 2 --programs 1000``. It prints the steps taken per seed; a program on which xpu
and NumPy differ stops it with the shrunk program.
"""

import argparse
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "each"))
from test_programs_of_views import Programs

STEPS = 0


class Counted(Programs):
    """The programs of the test suite, their steps counted."""

    @invariant()
    def count(self) -> None:
        """Runs after every step."""
        global STEPS
        STEPS += 1


def main() -> None:
    """Run the programs of every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--length", type=int, default=50, help="steps of one program, at most")
    asked = parser.parse_args()
    chosen = settings(
        max_examples=asked.programs,
        stateful_step_count=asked.length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    for number in asked.seeds:
        before, start = STEPS, time.perf_counter()
        seed(number)(run_state_machine_as_test)(Counted, settings=chosen)
        print(f"seed {number}: {STEPS - before} steps, {time.perf_counter() - start:.0f} s, no difference", flush=True)


if __name__ == "__main__":
    main()
