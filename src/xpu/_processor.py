"""What a device and a link are, as numbers, and the time they predict for one call or one transfer.

Two descriptions stand side by side. A *cost class* (`Rates`) is a roofline: latency, bandwidth,
arithmetic rate. A *curve* (`Curve`) belongs to one operation and one dtype: seconds at a few sizes,
measured by calibration, straight lines between. A curve bends where the data leave a cache, which no
single bandwidth can. Where there is a curve, or one can be made of others (`_donors`), it decides; where
there is none, the class does.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpu._curve import Curve
from xpu._donors import curve_for, known_loop
from xpu._op import ROW, ROWS, Work, bucket

_CACHE = (
    1.5e-11  # seconds to move a byte through a second-level cache and its loop: 60 to 100 GB/s on processors of 2020
)

__all__ = ["Curve", "Link", "Processor", "Rates", "width"]


def width(dtype: np.dtype[Any]) -> str:
    """Return the arithmetic width class of a dtype: f2, f4 or f8."""
    size = dtype.itemsize // 2 if dtype.kind == "c" else dtype.itemsize
    return "f8" if size >= 8 else "f4" if size >= 4 else "f2"


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
    loops : dict
        `Curve` of bytes of a row -> seconds to start an inner loop over it, per cost class (or per operation
        where it differs): what a row costs on top of its elements.
    corrections : dict
        Factors learned from observed times, by `bucket`; empty in a frozen machine.
    """

    title: str
    memory: int
    classes: Mapping[str, Rates]
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    streams: Mapping[str, Curve] = field(default_factory=dict)
    loops: Mapping[str, Curve] = field(default_factory=dict)
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
        kind, dtype, nbytes, ops, op, loops, size, share, variant = work
        try:
            curve = self._found[work.loop if variant else op, dtype.char]
        except KeyError:
            curve = self.curve(work)
        if curve is None:
            predicted = self._roofline(work)
        elif variant and known_loop(self.curves, work.loop, dtype):  # timed just so, in rows of this length
            predicted = curve.at(ops)
            loops = max(0.0, loops - ops / ROW) if variant == ROWS else loops
        elif share == 1.0:
            predicted = curve.at(ops)
        else:
            # The memory traffic shrinks, from caches as well; arithmetic does not.
            arithmetic = curve.least * ops - _CACHE * nbytes / share
            predicted = max(curve.at(ops * share), self.launch(work) + arithmetic)
        if kind in self.streams:
            predicted = max(predicted, self.streams[kind].at(nbytes))
        if loops and self.loops:
            row = self.loops.get(op) or self.loops.get(kind)
            predicted += 0.0 if row is None else loops * row.at(size)
        if self.corrections:
            predicted *= self.corrections.get(bucket(work), 1.0)
        return predicted

    def _roofline(self, work: Work) -> float:
        """Latency plus the slower of memory and arithmetic (Williams et al., CACM 52(4), 2009)."""
        rates = self.classes[work.kind]
        rate = rates.rate.get(width(work.dtype)) or rates.rate["f8"]
        return rates.latency + max(work.bytes / rates.bandwidth, work.ops / rate)

    def curve(self, work: Work) -> Curve | None:
        """Return the curve for a call: its own, else one made of those most like it, else None."""
        key = (work.loop, work.dtype.char)
        if key not in self._found:
            self._found[key] = curve_for(self.curves, work.loop, work.dtype)
        return self._found[key]


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
