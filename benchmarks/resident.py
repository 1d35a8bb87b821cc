"""What xpu adds to a call on arrays that lie on a device already, in microseconds of this thread.

Run ``python benchmarks/resident.py``. The device is the pretend one, and what it takes to play it
(`PretendBackend.run`) is measured beside and left out, so what remains is xpu's own: finding the operands, deciding,
wrapping the result. On a real GPU the library's call comes on top, and the comparison with CuPy alone is
`benchmarks/gpu_acceptance.py`.
"""

import statistics
import time

import xpu
from xpu._backends import backend
from xpu._backends._pretend import PretendBackend
from xpu._device import parse

CALLS, ROUNDS = 500, 15


class Outside:
    """Seconds spent outside the device."""

    def __init__(self, monkey: type[PretendBackend]) -> None:
        self.inside = 0.0
        run = monkey.run

        def timed(*args):
            began = time.thread_time()
            try:
                return run(*args)
            finally:
                self.inside += time.thread_time() - began

        monkey.run = timed

    def per_call(self, call) -> float:
        """Return the median over rounds of the microseconds per call."""
        found = []
        for _ in range(ROUNDS + 1):
            self.inside = 0.0
            began = time.thread_time()
            for _ in range(CALLS):
                call()
            found.append((time.thread_time() - began - self.inside) / CALLS)
        return 1e6 * statistics.median(found[1:])  # the first warms up


def main() -> None:
    """Print the table."""
    outside = Outside(PretendBackend)
    backend(parse("pretend"))
    size = 10**4
    with xpu.config(device="pretend"):
        x, y = xpu.ones(size) + 1, xpu.ones(size) + 2
    calls = {
        "x + y": lambda: x + y,
        "x + 1": lambda: x + 1,
        "x *= 1": lambda: x.__imul__(1),
        "exp(x)": lambda: xpu.exp(x),
        "x.sum()": lambda: x.sum(),
        "x @ y": lambda: x @ y,
        "where(x > 1, x, y)": lambda: xpu.where(x > 1, x, y),
        "x[1:]": lambda: x[1:],
    }
    print(f"xpu {xpu.__version__}; microseconds beside the device's own call, operands of {size} float64 there")
    print(f"{'':20} {'forced':>8} {'auto':>8}")
    for name, call in calls.items():
        row = []
        for device in ("pretend", "auto"):
            with xpu.config(device=device):
                row.append(outside.per_call(call))
        print(f"{name:20} {row[0]:8.1f} {row[1]:8.1f}")


if __name__ == "__main__":
    main()
