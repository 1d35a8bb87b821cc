"""Copies in, compute and copies out on three CUDA streams, through page-locked staging buffers.

Written from CuPy's documentation and source; NOT RUN ON A GPU. Streams are non-blocking ones, because
others wait for the legacy null stream. A source in page-locked memory must not change before its copy
has ended, so a buffer goes back to the pool only after its event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import cupy
import numpy as np

from xpu._pipeline._staging import StagingPool

__all__ = ["StreamLanes", "locked_memory"]

T = TypeVar("T")
Raw = Any


def locked_memory(nbytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return page-locked bytes. Not from CuPy's pool, which rounds sizes up to a power of two."""
    memory = cupy.cuda.PinnedMemoryPointer(cupy.cuda.PinnedMemory(nbytes), 0)
    return np.frombuffer(memory, np.uint8, nbytes)


class StreamLanes:
    """Lanes of one CUDA device (see `xpu._pipeline._lanes.Lanes`).

    While a lane runs, `CupyBackend.upload` and `download` hand their copies to `upload` and `download`
    here, so the rest of xpu moves bytes as ever.
    """

    def __init__(self, owner: Any, pool: StagingPool) -> None:
        self._owner = owner
        self._on = owner.cuda_device
        self._pool = pool
        with self._on:
            self._streams = {name: cupy.cuda.Stream(non_blocking=True) for name in ("up", "compute", "down")}
        self._spans: list[tuple[str, Any, Any]] = []
        # Buffers in flight: the event of the copy's end, the buffer, and where a download goes.
        self._flying: deque[tuple[Any, Any, Any]] = deque()

    def run(self, lane: str, after: Any, work: Callable[[], T]) -> tuple[T, Any]:
        """Queue `work` on the lane's stream."""
        stream = self._streams[lane]
        before = self._owner.staging
        with self._on, stream:
            if after is not None:
                stream.wait_event(after)
            begin = stream.record()
            self._owner.staging = None if lane == "compute" else self
            try:
                result = work()
            finally:
                self._owner.staging = before
            end = stream.record()
        self._spans.append((lane, begin, end))
        return result, end

    def upload(self, root: Raw, host: np.ndarray[Any, Any]) -> bool:
        """Queue a copy in; False where no buffer is left."""
        buffer = self._pool.take(host.nbytes)
        if buffer is None:
            return False
        stream = cupy.cuda.get_current_stream()
        locked = buffer[: host.nbytes]
        locked[...] = host
        root[: host.nbytes].set(locked, stream=stream)
        self._flying.append((stream.record(), buffer, None))
        return True

    def download(self, root: Raw, host: np.ndarray[Any, Any]) -> bool:
        """Queue a copy out; `host` is filled once its mark is finished."""
        buffer = self._pool.take(host.nbytes)
        if buffer is None:
            return False
        stream = cupy.cuda.get_current_stream()
        root[: host.nbytes].get(stream=stream, out=buffer[: host.nbytes], blocking=False)
        self._flying.append((stream.record(), buffer, host))
        return True

    def here(self) -> Any:
        """Return an event on the caller's stream."""
        with self._on:
            return cupy.cuda.get_current_stream().record()

    def finish(self, mark: Any) -> None:
        """Wait for a mark; fill what was downloaded, give buffers back, and order the caller's stream after it."""
        mark.synchronize()
        waiting: deque[tuple[Any, Any, Any]] = deque()
        while self._flying:
            event, buffer, host = self._flying.popleft()
            if not event.done:
                waiting.append((event, buffer, host))
                continue
            if host is not None:
                host[...] = buffer[: host.nbytes]
            self._pool.give(buffer)
        self._flying = waiting

    def busy(self) -> dict[str, float]:
        """Return the seconds between the first and the last event of each piece of work, per lane."""
        found = dict.fromkeys(self._streams, 0.0)
        for lane, begin, end in self._spans:
            found[lane] += cupy.cuda.get_elapsed_time(begin, end) / 1e3
        return found

    def close(self) -> None:
        """Wait for every stream, fill every download, give buffers back."""
        with self._on:
            for stream in self._streams.values():
                self.finish(stream.record())
