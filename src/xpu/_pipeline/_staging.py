"""Page-locked staging buffers: reused, and never more than a share of the host's memory.

A copy from page-locked memory runs at the link's full rate and by itself; locked pages are lost to
everybody else, so there is a limit, beyond which copies go the ordinary way.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["StagingPool", "host_memory"]

Buffer = np.ndarray[Any, np.dtype[np.uint8]]
_SHARE = 0.1
_GRAIN = 1 << 16


def host_memory() -> int:
    """Return the host's memory in bytes (a guess of 8 GiB where the system does not say)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30


class StagingPool:
    """Buffers of page-locked memory.

    Parameters
    ----------
    allocate : callable
        From a number of bytes to a flat uint8 array of locked memory.
    limit : int, optional
        Bytes that may be locked at once; by default a tenth of the host's memory.

    Attributes
    ----------
    locked, peak : int
        Bytes locked now, and at most so far.

    Examples
    --------
    >>> pool = StagingPool(lambda n: np.empty(n, np.uint8), limit=1 << 20)
    >>> first = pool.take(1000)
    >>> pool.give(first)
    >>> pool.take(2000) is first
    True
    """

    def __init__(self, allocate: Callable[[int], Buffer], limit: int | None = None) -> None:
        self.limit = int(host_memory() * _SHARE) if limit is None else limit
        self.locked = self.peak = 0
        self._allocate = allocate
        self._free: list[Buffer] = []
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Buffer | None:
        """Return a buffer of at least `nbytes`, or None if that would lock more than the limit."""
        with self._lock:
            fitting = [b for b in self._free if nbytes <= b.nbytes]
            if fitting:
                best = min(fitting, key=lambda b: b.nbytes)
                self._free = [b for b in self._free if b is not best]
                return best
            size = -(-max(nbytes, 1) // _GRAIN) * _GRAIN
            while self._free and self.locked + size > self.limit:  # too small ones make room
                self.locked -= self._free.pop(0).nbytes
            if self.locked + size > self.limit:
                return None
            buffer = self._allocate(size)
            self.locked += size
            self.peak = max(self.peak, self.locked)
            return buffer

    def give(self, buffer: Buffer) -> None:
        """Take a buffer back; whoever gives it has seen its copy end."""
        with self._lock:
            self._free.append(buffer)

    def clear(self) -> None:
        """Unlock every buffer that nobody uses."""
        with self._lock:
            self.locked -= sum(b.nbytes for b in self._free)
            self._free.clear()
