"""Times on a GPU, taken by the GPU: CuPy events around a batch of calls, and timed transfers.

Not run on a GPU yet. Events are read on the device's own clock, so neither the host's queueing nor its
clock enters, and a caller that does not want to wait can come back for the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from xpu._device import Device

__all__ = ["Events", "Lap", "copy_seconds", "lap", "pinned_array"]


class Lap:
    """Two events around some work; the answer comes when the device has passed the second."""

    __slots__ = ("_end", "_start")

    def __init__(self) -> None:
        self._start = cupy.cuda.Event()
        self._end = cupy.cuda.Event()
        self._start.record()

    def stop(self) -> None:
        """Mark the end of the work."""
        self._end.record()

    def seconds(self) -> float | None:
        """Return the seconds between the marks; None while the device is not there yet."""
        if not self._end.done:
            return None
        return float(cupy.cuda.get_elapsed_time(self._start, self._end)) * 1e-3


def lap() -> Lap:
    """Mark the start of some work on the current stream."""
    return Lap()


class Events:
    """Times calls on one GPU."""

    def __init__(self, device: Device) -> None:
        self._device = cupy.cuda.Device(device.index)

    def time(self, call: Callable[[], object], number: int = 10, rounds: int = 3) -> tuple[float, float]:
        """Return the seconds of the first, cold call on top of a warm one, and of a warm one.

        Parameters
        ----------
        call : callable
            What to time; it launches work on the current stream.
        number : int, optional
            Calls per round: their launches overlap as they do in a program.
        rounds : int, optional
            Rounds; the least counts.
        """
        with self._device:
            cold = self._round(call, 1)
            self._round(call, 1)
            warm = min(self._round(call, number) for _ in range(rounds))
        return max(0.0, cold - warm), warm

    @staticmethod
    def _round(call: Callable[[], object], number: int) -> float:
        stream = cupy.cuda.get_current_stream()
        stream.synchronize()
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record(stream)
        for _ in range(number):
            call()
        end.record(stream)
        end.synchronize()
        return float(cupy.cuda.get_elapsed_time(start, end)) * 1e-3 / number


def pinned_array(nbytes: int) -> np.ndarray[Any, Any]:
    """Return page-locked host bytes, from which the GPU copies without a detour."""
    memory = cupy.cuda.alloc_pinned_memory(nbytes)
    return np.frombuffer(memory, np.uint8, nbytes)


def copy_seconds(events: Events, nbytes: int, *, pinned: bool) -> tuple[float, float]:
    """Return the seconds to copy so many bytes to the GPU and back."""
    here = pinned_array(nbytes) if pinned else np.zeros(nbytes, np.uint8)
    there = cupy.empty(nbytes, np.uint8)
    _, up = events.time(lambda: there.set(here), 3)
    _, down = events.time(lambda: there.get(out=here), 3)
    return up, down
