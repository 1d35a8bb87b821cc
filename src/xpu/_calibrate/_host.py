"""Timing the host: every probe at growing sizes, and the streams of main memory."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from xpu._backends import HOST
from xpu._calibrate._fit import Sample, Series
from xpu._calibrate._probes import Probe, values
from xpu._calibrate._roofline import Streams
from xpu._calibrate._timing import WAITING, Clock, Timed
from xpu._curve import Curve
from xpu._op import Shaped, Work

__all__ = ["STREAM_BYTES", "Loops", "Memory", "looks_far", "operands", "time_probe"]

# Bytes read and written, closely where caches end; no powers of two, as in `_probes`.
STREAM_BYTES = tuple(
    1000 * k for k in (16, 50, 130, 250, 370, 500, 750, 1_000, 1_500, 2_100, 3_000, 4_300, 6_000, 8_500)
) + tuple(1_000_000 * k for k in (12, 17, 24, 34, 48, 96))
_LONGEST = 5e-4  # seconds of one call after which a probe grows no further
# Of rows (no power of two: addresses would collide), and of all of them: they stay in the second cache.
_WIDTHS, _ELEMENTS = (4, 500), 48_000
# Of that: for the other dtypes a shorter look has to do, for there are many.
_SHARE = {"f8": 1.0, "f4": 0.5, **dict.fromkeys(("i1", "i2", "u2", "u4", "u8", "c8"), 0.1)}
# A factorisation gains speed with size for long: its small cases say little about its large ones.
_LONGEST_OF = {"linalg": 5e-3, "matmul": 3e-3, "sort": 2.5e-3, "fft": 6e-3, "gather": 3e-3}
# Times that, where there is time for a far look.
_FAR = {"fft": 3.0, "gather": 5.0, "elementwise": 6.0, "reduction": 6.0, "linalg": 3.0}
_COMPARISONS = ("equal", "greater", "greater_equal", "less_equal", "not_equal")  # write bytes, as `less` does
Array = np.ndarray[Any, Any]
_ENOUGH = 0.02  # seconds after which a probe grows no further: there are a thousand of them
_CALLS = 5  # about so many for a sample of a long call
# Seconds of calls before one of so many bytes is timed: a shared cache keeps what has come several times. (A maximum of
# a megabyte: 80 us at once, 43 after half a millisecond, 35 after two, 31 after ten.)
_SETTLE, _IN_CACHE, _BEYOND = 1e-3, 400_000, 64_000_000
_SURPRISE = 2.0  # times the expected time
_LEARNT = 30_000  # elements: branches that depend on fewer values are foreseen when the same values come again


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
    spent, held = 0.0, 0.0
    for size in probe.sizes:
        enough = longest if size > _LEARNT or max(probe.sizes) <= _LEARNT else max(longest, _LONGEST)
        if _expected(samples, size) > 2 * enough:
            break
        args = probe.make(size)
        arrays = operands(args)
        work = probe.op.work([Shaped(a.shape, a.dtype) for a in arrays], probe.keywords)
        fresh: list[int] = []

        def call(args: tuple[Any, ...] = args, work: Work = work, fresh: list[int] = fresh) -> None:
            result = run(function, args, probe.keywords, work)
            if not fresh:
                fresh.append(written(result))

        with np.errstate(all="ignore"):
            settle, expected = _SETTLE if _IN_CACHE < work.bytes < _BEYOND else 0.0, _expected(samples, size)
            seconds, pace = clock.measure(call, settle=settle)
            if expected and seconds > _SURPRISE * expected:  # disturbed, or a cache has ended: it decides how to go on
                seconds, pace = min((seconds, pace), clock.measure(call, settle=settle))
        read = sum(a.nbytes for a in arrays)
        counted = read + fresh[0]
        samples.append(Sample(size, work.ops, work.bytes, read, fresh[0], seconds, pace))
        if not held and counted > _IN_CACHE:  # buffers of a fixed size count for nothing
            held = _held(function, args, counted, probe.keywords)
        spent += _CALLS * seconds
        if seconds > enough or spent > max(_ENOUGH, 5 * longest):
            break
    if samples and not held:
        held = _held(function, args, counted, probe.keywords)
    return Series(probe.loop, probe.op.kind, probe.code, samples, held or 1.0)


def _held(
    function: Callable[..., Any], args: tuple[Any, ...], counted: int, keywords: Mapping[str, Any] | None = None
) -> float:
    """Return the bytes that a call has at once, temporaries too, over those of its operands and results; 1 or more."""
    if isinstance(function, np.ufunc) or tracemalloc.is_tracing():  # somebody else's
        return 1.0
    tracemalloc.start()
    try:
        with np.errstate(all="ignore"):
            function(*args, **(keywords or {}))
        total = sum(a.nbytes for a in operands(args)) + tracemalloc.get_traced_memory()[1]
        return max(1.0, total / max(1, counted))
    finally:
        tracemalloc.stop()


def _expected(samples: list[Sample], size: int) -> float:
    """Guess the seconds of a larger call, so that none takes long: operations grow as a power of the size."""
    if len(samples) < 2:
        return 0.0
    a, b = samples[-2:]
    power = math.log(b.ops / a.ops) / math.log(b.size / a.size)
    growth = (b.seconds - a.seconds) / max(b.ops - a.ops, 1.0)
    more: float = b.ops * ((size / b.size) ** power - 1.0)
    return b.seconds + max(0.0, growth) * more


_OF_ROWS = 0.4  # power of the pace: rows of broadcast operands were seen to take longer by it, those of sums not at all


class Loops:
    """Times what an inner loop costs on top of its elements: rows, against as many elements in one piece."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[tuple[str, int], list[Timed]] = {}

    def run(self) -> None:
        """Time a broadcast sum and reductions along the last axis; of several rounds at rest a low one counts."""
        for width in _WIDTHS:
            rows, row = values((_ELEMENTS // width, width), "f4"), values(width, "f4")
            for kind, ufunc in (("elementwise", np.add), ("less", np.less)):
                room = np.empty(rows.shape, ufunc(row[:1], row[:1]).dtype)
                self._compare(kind, rows, partial(ufunc, rows, row, room), partial(ufunc, rows, row[0], room))
            for kind, reduce in (("reduction", np.sum), ("max", np.max), ("min", np.min)):
                self._compare(kind, rows, partial(reduce, rows, axis=1), partial(reduce, rows))

    def _compare(self, kind: str, rows: Array, in_rows: Callable[[], object], in_one: Callable[[], object]) -> None:
        one, more = self._clock.measure(in_one), self._clock.measure(in_rows)
        extra = max(1e-10, (more.seconds - one.seconds) / len(rows))
        self._found.setdefault((kind, rows[0].nbytes), []).append(Timed(extra, max(one.pace, more.pace)))

    def curves(self) -> dict[str, Curve]:
        """Return per cost class, or operation where it differs, bytes of a row -> seconds on top."""
        kinds = dict.fromkeys(kind for kind, _ in self._found)
        found = {
            kind: Curve(sorted((n, self._clock.typical(v, _OF_ROWS)) for (k, n), v in self._found.items() if k == kind))
            for kind in kinds
        }
        return {**found, **{name: found["less"] for name in _COMPARISONS if "less" in found}}


class Memory:
    """Times caches and main memory: reading, and reading as much as is written, to a fresh result."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._data = np.full(STREAM_BYTES[-1] // 8, 0.5)
        self._found: dict[tuple[bool, int], list[Timed]] = {}

    def run(self) -> None:
        """Time every size; of several rounds at rest a low one counts: neighbours use the same caches at times."""
        for total in (8, *STREAM_BYTES):
            for writes in (False, True):
                data = self._data[: max(1, total // (16 if writes else 8))]
                call = partial(np.negative if writes else np.max, data)
                timed = self._clock.measure(call, 2e-4, 2 * _SETTLE if total > _IN_CACHE else 0.0)
                self._found.setdefault((writes, total), []).append(timed)

    def streams(self) -> Streams | None:
        """Return what was measured; None before `run`."""
        return Streams(self._curve(False), self._curve(True)) if self._found else None

    def _curve(self, writes: bool) -> Curve:
        latency = self._clock.typical(self._found[writes, 8])
        knots, least = [(0.0, 0.0)], 0.0
        for total in STREAM_BYTES:
            least = max(least, self._clock.typical(self._found[writes, total], WAITING) - latency)
            knots.append((float(total), least))
        return Curve(knots)
