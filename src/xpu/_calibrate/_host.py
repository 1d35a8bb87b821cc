"""Timing the host: every probe at growing sizes, and the streams of main memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._calibrate._fit import Sample, Series, Streams
from xpu._calibrate._probes import Probe, values
from xpu._calibrate._timing import Clock
from xpu._op import Shaped
from xpu._processor import Curve

__all__ = ["STREAM_SIZES", "Memory", "operands", "time_probe"]

STREAM_SIZES = (1 << 14, 1 << 17, 1 << 19, 1 << 21, 1 << 23)  # elements of 8 bytes: 128 KiB to 64 MiB
_LONGEST = 1.2e-3  # seconds of one call after which a probe grows no further
_COMMON = ("f8", "f4")  # for other dtypes a shorter look has to do: there are many
# A factorisation gains speed with size for long: its small cases say little about its large ones.
_LONGEST_OF = {"linalg": 8e-3, "matmul": 5e-3, "sort": 2.5e-3, "fft": 2.5e-3}
_ENOUGH = 0.03  # seconds after which a probe grows no further: there are a thousand of them


def operands(args: tuple[Any, ...]) -> list[np.ndarray[Any, Any]]:
    """Return the arrays among the arguments, as dispatch collects them."""
    flat: list[Any] = []
    for a in args:
        flat.extend(a if isinstance(a, (list, tuple)) else [a])
    return [a for a in flat if isinstance(a, np.ndarray)]


def written(result: object) -> int:
    """Return the bytes of fresh results."""
    if isinstance(result, np.ndarray):
        return result.nbytes
    if isinstance(result, (tuple, list)):
        return sum(written(r) for r in result)
    return 0


def time_probe(probe: Probe, clock: Clock) -> Series:
    """Time one probe at growing sizes until a call takes milliseconds."""
    samples: list[Sample] = []
    function = probe.op.host
    longest = _LONGEST_OF.get(probe.op.kind, _LONGEST if probe.code in _COMMON else _LONGEST / 3)
    begun = clock.read()
    for size in probe.sizes:
        args = probe.make(size)
        arrays = operands(args)
        work = probe.op.work([Shaped(a.shape, a.dtype) for a in arrays], {})
        if _expected(samples, work.ops) > 2 * longest:
            break
        with np.errstate(all="ignore"):
            result = function(*args)
            seconds = clock.time(lambda args=args: function(*args))  # type: ignore[misc]
        read = sum(a.nbytes for a in arrays)
        samples.append(Sample(size, work.ops, work.bytes, read, written(result), seconds))
        if seconds > longest or clock.read() - begun > max(_ENOUGH, 5 * longest):
            break
    return Series(probe.op.name, probe.op.kind, probe.code, samples)


def _expected(samples: list[Sample], ops: float) -> float:
    """Guess the seconds of a larger call, so that none takes long."""
    if len(samples) < 2:
        return 0.0
    a, b = samples[-2:]
    return b.seconds + max(0.0, b.seconds - a.seconds) / max(b.ops - a.ops, 1.0) * (ops - b.ops)


class Memory:
    """Times main memory: reading, and reading and writing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: dict[int, float] = {}
        self._written: dict[int, float] = {}

    def run(self) -> None:
        """Time every size; of several rounds the least times count."""
        for size in STREAM_SIZES:
            data = values(size, "f8")
            read = self._clock.time(lambda d=data: d.max(), 0.02)  # type: ignore[misc]
            both = self._clock.time(lambda d=data: np.negative(d), 0.05)  # type: ignore[misc]
            read = self._read[data.nbytes] = min(read, self._read.get(data.nbytes, read))
            written = max(both - read, 0.25 * read)
            self._written[data.nbytes] = min(written, self._written.get(data.nbytes, written))

    def streams(self) -> Streams | None:
        """Return what was measured; None before `run`."""
        if not self._read:
            return None
        return Streams(Curve(list(self._read.items())), Curve(list(self._written.items())))
