"""Timing the host: every probe at growing sizes, and the streams of main memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from xpu._backends import HOST
from xpu._calibrate._fit import Sample, Series, Streams
from xpu._calibrate._probes import Probe, values
from xpu._calibrate._timing import Clock
from xpu._curve import Curve
from xpu._op import Shaped

__all__ = ["STREAM_SIZES", "Loops", "Memory", "looks_far", "operands", "time_probe"]

STREAM_SIZES = (1 << 14, 1 << 17, 1 << 19, 1 << 21, 1 << 23)  # elements of 8 bytes: 128 KiB to 64 MiB
_LONGEST = 5e-4  # seconds of one call after which a probe grows no further
_WIDTHS, _ELEMENTS = (4, 500), 32000  # of rows (not a power of two: addresses would collide), and of all of them
# Of that: for the other dtypes a shorter look has to do, for there are many.
_SHARE = {"f8": 1.0, "f4": 0.5, **dict.fromkeys(("i1", "i2", "u2", "u4", "u8", "c8"), 0.1)}
# A factorisation gains speed with size for long: its small cases say little about its large ones.
_LONGEST_OF = {"linalg": 5e-3, "matmul": 3e-3, "sort": 2.5e-3, "fft": 6e-3, "gather": 3e-3}
# Times that, where there is time for a far look.
_FAR = {"fft": 3.0, "gather": 5.0, "elementwise": 6.0, "reduction": 6.0, "linalg": 3.0}
_COMPARISONS = ("equal", "greater", "greater_equal", "less_equal", "not_equal")  # write bytes, as `less` does
Array = np.ndarray[Any, Any]
_NONE: dict[str, Any] = {}
_ENOUGH = 0.02  # seconds after which a probe grows no further: there are a thousand of them


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


def looks_far(probe: Probe) -> bool:
    """Return True if larger calls tell more than smaller ones extrapolated.

    What NumPy writes in Python has temporaries, which outgrow the caches before the operands do; random
    access and transforms are slower by far once they have left them.
    """
    return probe.code in ("f8", "f4") and probe.op.kind in _FAR and not isinstance(probe.op.host, np.ufunc)


def time_probe(probe: Probe, clock: Clock, *, far: bool = False) -> Series:
    """Time one probe at growing sizes until a call takes milliseconds, or several times that."""
    samples: list[Sample] = []
    function, run = probe.op.host, HOST.run  # as a call runs that placement left on the host
    longest = _LONGEST_OF.get(probe.op.kind, _LONGEST * _SHARE.get(probe.code, 0.25))
    if far:
        longest *= _FAR.get(probe.op.kind, 1.0)
    begun = clock.read()
    for size in probe.sizes:
        args = probe.make(size)
        arrays = operands(args)
        work = probe.op.work([Shaped(a.shape, a.dtype) for a in arrays], {})
        if _expected(samples, work.ops) > 2 * longest:
            break
        with np.errstate(all="ignore"):
            result = function(*args)
            seconds, pace = clock.measure(lambda a=args, w=work: run(function, a, _NONE, w))  # type: ignore[misc]
        read = sum(a.nbytes for a in arrays)
        samples.append(Sample(size, work.ops, work.bytes, read, written(result), seconds, pace))
        if seconds > longest or clock.read() - begun > max(_ENOUGH, 5 * longest):
            break
    return Series(probe.op.name, probe.op.kind, probe.code, samples)


def _expected(samples: list[Sample], ops: float) -> float:
    """Guess the seconds of a larger call, so that none takes long."""
    if len(samples) < 2:
        return 0.0
    a, b = samples[-2:]
    return b.seconds + max(0.0, b.seconds - a.seconds) / max(b.ops - a.ops, 1.0) * (ops - b.ops)


class Loops:
    """Times what an inner loop costs on top of its elements: rows, against as many elements in one piece."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds: dict[str, dict[int, float]] = {}

    def run(self) -> None:
        """Time a broadcast sum and reductions along the last axis; of several rounds the mean counts."""
        for width in _WIDTHS:
            rows, row = values((_ELEMENTS // width, width), "f8"), values(width, "f8")
            for kind, ufunc in (("elementwise", np.add), ("less", np.less)):
                room = np.empty(rows.shape, ufunc(row[:1], row[:1]).dtype)
                self._compare(kind, rows, partial(ufunc, rows, row, room), partial(ufunc, rows, rows, room))
            for kind, reduce in (("reduction", np.sum), ("max", np.max), ("min", np.min)):
                self._compare(kind, rows, partial(reduce, rows, axis=1), partial(reduce, rows))

    def _compare(self, kind: str, rows: Array, in_rows: Callable[[], object], in_one: Callable[[], object]) -> None:
        extra = max(1e-10, (self._clock.time(in_rows) - self._clock.time(in_one)) / len(rows))
        known = self._seconds.setdefault(kind, {})
        known[rows[0].nbytes] = math.sqrt(extra * known.get(rows[0].nbytes, extra))

    def curves(self) -> dict[str, Curve]:
        """Return per cost class, or operation where it differs, bytes of a row -> seconds on top."""
        found = {kind: Curve(sorted(known.items())) for kind, known in self._seconds.items()}
        return {**found, **{name: found["less"] for name in _COMPARISONS if "less" in found}}


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
            room = np.empty_like(data)  # a thread's fresh memory is not a program's: glibc gives it back at once
            read = self._clock.time(lambda d=data: d.max(), 0.01)  # type: ignore[misc]
            both = self._clock.time(lambda d=data, r=room: np.negative(d, r), 0.01)  # type: ignore[misc]
            read = self._read[data.nbytes] = min(read, self._read.get(data.nbytes, read))
            written = max(both - read, 0.25 * read)
            self._written[data.nbytes] = min(written, self._written.get(data.nbytes, written))

    def streams(self) -> Streams | None:
        """Return what was measured; None before `run`."""
        if not self._read:
            return None
        return Streams(Curve(list(self._read.items())), Curve(list(self._written.items())))
