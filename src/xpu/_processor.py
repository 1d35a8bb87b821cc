"""What a device and a link are, as numbers, and the time they predict for one call or one transfer.

Two descriptions stand side by side. A *cost class* (`Rates`) is a roofline: latency, bandwidth,
arithmetic rate. A *curve* (`Curve`) belongs to one operation and one dtype: seconds at a few sizes,
measured by calibration, straight lines between. A curve bends where the data leave a cache, which no
single bandwidth can. Where there is a curve it decides; where there is none, the class does.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpu._op import OPS, Work

__all__ = ["Curve", "Link", "Processor", "Rates", "width"]


def width(dtype: np.dtype[Any]) -> str:
    """Return the arithmetic width class of a dtype: f2, f4 or f8."""
    size = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    return "f8" if size >= 8 else "f4" if size >= 4 else "f2"


class Curve:
    """Seconds as a function of work, in straight pieces between knots.

    Parameters
    ----------
    knots : sequence of (float, float)
        Work (operations or bytes) and seconds; work strictly ascending. Left of the first knot the
        time is the first knot's; right of the last one the last piece goes on.

    Examples
    --------
    >>> round(Curve([(0.0, 1e-6), (1000.0, 3e-6)]).at(500.0), 9)
    2e-06
    """

    __slots__ = ("_seconds", "_slopes", "_work", "knots")

    def __init__(self, knots: Sequence[tuple[float, float]]) -> None:
        self.knots = tuple((float(w), float(s)) for w, s in knots)
        pairs = list(zip(self.knots, self.knots[1:], strict=False))
        slopes = [(s1 - s0) / (w1 - w0) for (w0, s0), (w1, s1) in pairs]
        # Never predict less for more: noise may have put the last knot below the one before it.
        slopes.append(max(slopes[-1], 0.0) if slopes else 0.0)
        self._work = (0.0, *(w for w, _ in self.knots))
        self._seconds = (self.knots[0][1], *(s for _, s in self.knots))
        self._slopes = (0.0, *slopes)

    def at(self, work: float) -> float:
        """Return the seconds for this much work (not negative)."""
        i = bisect_right(self._work, work) - 1
        return self._seconds[i] + self._slopes[i] * (work - self._work[i])

    def scaled(self, work: float, seconds: float = 1.0) -> Curve:
        """Return the curve stretched along either axis."""
        return Curve([(w * work, s * seconds) for w, s in self.knots])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and self.knots == other.knots

    def __hash__(self) -> int:
        return hash(self.knots)

    def __repr__(self) -> str:
        return f"Curve({list(self.knots)!r})"


@dataclass(frozen=True, slots=True)
class Rates:
    """One cost class on one device.

    Attributes
    ----------
    latency : float
        Seconds a call takes however small its operands (launch, dispatch in the library).
    bandwidth : float
        Bytes a second, reads and writes together.
    rate : dict
        Operations a second by arithmetic width: ``"f2"``, ``"f4"``, ``"f8"``.
    warmup : float
        Seconds that the first call of a kind takes on top (compiling, building a plan); 0 if unknown.
    """

    latency: float
    bandwidth: float
    rate: Mapping[str, float]
    warmup: float = 0.0


@dataclass(frozen=True, slots=True)
class Processor:
    """A device.

    Attributes
    ----------
    title : str
        Its name.
    memory : int
        Its memory in bytes.
    classes : dict
        `Rates` per cost class.
    curves : dict
        `Curve` of operations -> seconds per row name and dtype, for example
        ``curves["sin"]["f8"]``; empty where the device was not calibrated.
    streams : dict
        `Curve` of bytes -> seconds per cost class: the least time that much memory traffic takes.
    corrections : dict
        Factors learned from observed times, by `bucket`; empty in a frozen machine.
    """

    title: str
    memory: int
    classes: Mapping[str, Rates]
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    streams: Mapping[str, Curve] = field(default_factory=dict)
    corrections: MutableMapping[tuple[str, str, int], float] = field(default_factory=dict, compare=False)
    _found: dict[tuple[str, str], Curve | None] = field(default_factory=dict, compare=False, repr=False)

    def launch(self, work: Work) -> float:
        """Seconds before the device starts."""
        curve = self.curve(work)
        return self.classes[work.kind].latency if curve is None else curve.knots[0][1]

    def compute(self, work: Work) -> float:
        """Seconds of the work itself: the slower of memory and arithmetic (the roofline model)."""
        return max(0.0, self.seconds(work) - self.launch(work))

    def seconds(self, work: Work) -> float:
        """Predict the seconds of one warm call whose operands are all here."""
        key = (work.op, work.dtype.char)
        found = self._found
        curve = found[key] if key in found else self.curve(work)
        predicted = self._roofline(work) if curve is None else curve.at(work.ops)
        if self.streams and work.kind in self.streams:
            predicted = max(predicted, self.streams[work.kind].at(work.bytes))
        if self.corrections:
            predicted *= self.corrections.get(bucket(work), 1.0)
        return predicted

    def _roofline(self, work: Work) -> float:
        """Latency plus the slower of memory and arithmetic (Williams et al., CACM 52(4), 2009)."""
        rates = self.classes[work.kind]
        rate = rates.rate.get(width(work.dtype)) or rates.rate["f8"]
        return rates.latency + max(work.bytes / rates.bandwidth, work.ops / rate)

    def curve(self, work: Work) -> Curve | None:
        """Return the curve for a call: its dtype's, else that of the dtype most like it, else None."""
        key = (work.op, work.dtype.char)
        if key not in self._found:
            self._found[key] = self._like(work)
        return self._found[key]

    def _like(self, work: Work) -> Curve | None:
        rows = self.curves.get(work.op) or self.curves.get(_RELATIVES.get(work.op, ""))
        if not rows:
            return None
        dtype = loop_dtype(work.op, work.dtype)
        weight = OPS[work.op].weight if work.op in OPS else 1.0
        curve = self._nearest(rows, dtype, weight)
        if curve is None or dtype == work.dtype:
            return curve
        return Curve([(ops, t + self._cast(work) * ops / weight) for ops, t in curve.knots])

    def _nearest(self, rows: Mapping[str, Curve], dtype: np.dtype[Any], weight: float) -> Curve | None:
        """Return the curve of this dtype, or one made of that of the dtype most like it."""
        kind, size = dtype.kind, dtype.itemsize
        if f"{kind}{size}" in rows:
            return rows[f"{kind}{size}"]
        near = [c for c in rows if _LIKE.get(c[0], c[0]) == _LIKE.get(kind, kind)]
        if not near:
            return None
        best = min(near, key=lambda c: (abs(math.log2(int(c[1:]) / size)), c[0] != kind, -int(c[1:])))
        curve = rows[best]
        # Vector units and memory work by the byte: half the width is half the time for the same
        # elements. A loop that takes longer per element is not vectorised, and width is no matter.
        vectorised = _per_element(curve, weight) < _VECTORISED
        return curve.scaled(int(best[1:]) / size) if vectorised else curve

    def _cast(self, work: Work) -> float:
        """Return the seconds per element to bring the operands into the dtype of the loop."""
        rows = self.curves.get("astype", {})
        row = rows.get("i1" if work.dtype.itemsize == 1 else "i4")
        operands = getattr(getattr(np, work.op), "nin", 1)
        return 0.0 if row is None else max(0.0, _per_element(row, 1.0)) * operands


def _per_element(curve: Curve, weight: float) -> float:
    """Return the seconds an element adds while the data lie in cache."""
    return (curve.at(32768 * weight) - curve.at(1.0)) / 32768


# Operations that do the same work as another one, counted alike.
_RELATIVES = {
    **dict.fromkeys(("append", "hstack", "vstack", "dstack", "column_stack", "block"), "concatenate"),
    **dict.fromkeys(("delete", "insert", "resize", "trim_zeros"), "flatten"),
    **dict.fromkeys(("vecdot", "linalg.vecdot"), "vdot"),
    **dict.fromkeys(("unique_values", "union1d", "unique_counts"), "unique"),
    **dict.fromkeys(("fft.ihfft",), "fft.rfft"),
    **dict.fromkeys(("fft.hfft",), "fft.irfft"),
    "argpartition": "partition",
    "correlate": "convolve",
    "linalg.matmul": "matmul",
    "linalg.outer": "outer",
    "nancumprod": "nancumsum",
    "nanmedian": "median",
    "nanpercentile": "percentile",
    "nanquantile": "quantile",
    "ndarray.sort": "sort",
    "ndarray.partition": "partition",
    "unique_inverse": "argsort",
    "isneginf": "isinf",
    "isposinf": "isinf",
}
# Kinds of dtype whose loops cost about the same.
_LIKE = {"i": "i", "u": "i", "b": "i", "f": "f", "c": "c"}
_VECTORISED = 0.7e-9  # seconds per element, of 8 bytes, from cache


def loop_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which a universal function computes: ``sin`` of int16 runs in float32.

    Examples
    --------
    >>> loop_dtype("sin", np.dtype("i2")), loop_dtype("add", np.dtype("i2"))
    (dtype('float32'), dtype('int16'))
    """
    host: Any = getattr(np, name, None)
    if isinstance(host, np.ufunc):
        for signature in host.types:
            if np.can_cast(dtype, signature[0]):
                return np.dtype(signature[0])
    return dtype


def bucket(work: Work) -> tuple[str, str, int]:
    """Return what a learned factor is kept for: operation, dtype, size to a factor of eight."""
    return work.op, work.dtype.char, math.frexp(work.ops)[1] // 3


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of the connection between host and accelerator."""

    latency: float
    bandwidth: float
    pinned_bandwidth: float

    def seconds(self, nbytes: float, *, pinned: bool = False) -> float:
        """Predict the seconds of one transfer of `nbytes` from pageable or pinned host memory."""
        if nbytes <= 0:
            return 0.0
        return self.latency + nbytes / (self.pinned_bandwidth if pinned else self.bandwidth)
