"""Copies in, compute and copies out on three CUDA streams, through page-locked staging buffers.

Written from CuPy's documentation and source; NOT RUN ON A GPU. Streams are non-blocking ones, because
others wait for the legacy null stream. A source in page-locked memory must not change before its copy
has ended, so a buffer goes back to the pool only after its event.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import cupy
import numpy as np
from cupy_backends.cuda.api.runtime import CUDARuntimeError

from xpu._backends._lost import lose
from xpu._pipeline._staging import StagingPool
from xpu.errors import DeviceLostError, text

__all__ = ["StreamLanes", "locked_memory", "staging_pool"]

T = TypeVar("T")
Raw = Any
_CUDA_OUT_OF_MEMORY = 2


def locked_memory(nbytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return page-locked bytes. Not from CuPy's pool, which rounds sizes up to a power of two."""
    memory = cupy.cuda.PinnedMemoryPointer(cupy.cuda.PinnedMemory(nbytes), 0)
    return np.frombuffer(memory, np.uint8, nbytes)


@functools.lru_cache(maxsize=1)
def staging_pool() -> StagingPool:
    """Return the process's staging buffers: one pool for all its GPUs, so that the share of locked memory holds.

    Under unified addressing (every 64-bit platform) locked memory counts as locked for all contexts
    (CUDA driver API, ``cuMemHostAlloc``).
    """
    return StagingPool(locked_memory)


class StreamLanes:
    """Lanes of one CUDA device (see `xpu._pipeline._lanes.Lanes`).

    While a lane runs, `CupyBackend.upload` and `download` hand their copies to `upload` and `download`
    here, so the rest of xpu moves bytes as ever.
    """

    def __init__(self, owner: Any, pool: StagingPool) -> None:
        self._owner = owner
        self._pool = pool
        with owner.here():
            self._streams = {name: cupy.cuda.Stream(non_blocking=True) for name in ("up", "compute", "down")}
        # Events of work whose time is not read yet, and the seconds read so far.
        self._spans: deque[tuple[str, Any, Any]] = deque()
        self._worked = dict.fromkeys(self._streams, 0.0)
        # Buffers in flight: the event of the copy's end, the buffer, and where a download goes.
        self._flying: deque[tuple[Any, Any, Any]] = deque()

    def run(self, lane: str, after: Any, work: Callable[[], T]) -> tuple[T, Any]:
        """Queue `work` on the lane's stream."""
        stream = self._streams[lane]
        before = self._owner.staging
        with self._owner.here(), stream:
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
        buffer = self._buffer(host.nbytes)
        if buffer is None:
            return False
        stream = cupy.cuda.get_current_stream()
        locked = buffer[: host.nbytes]
        locked[...] = host
        with self._given_back(buffer):
            root[: host.nbytes].set(locked, stream=stream)
            self._flying.append((stream.record(), buffer, None))
        return True

    def download(self, root: Raw, host: np.ndarray[Any, Any]) -> bool:
        """Queue a copy out; `host` is filled once its mark is finished."""
        buffer = self._buffer(host.nbytes)
        if buffer is None:
            return False
        stream = cupy.cuda.get_current_stream()
        with self._given_back(buffer):
            root[: host.nbytes].get(stream=stream, out=buffer[: host.nbytes], blocking=False)
            self._flying.append((stream.record(), buffer, host))
        return True

    @contextmanager
    def _given_back(self, buffer: Any) -> Iterator[None]:
        """Return a region in which a copy is queued; a buffer whose copy was refused is free again."""
        try:
            yield
        except CUDARuntimeError:
            self._pool.give(buffer)
            raise

    def _buffer(self, nbytes: int) -> Any:
        """Return a staging buffer; None where the pool or the system has none left."""
        try:
            return self._pool.take(nbytes)
        except CUDARuntimeError as error:
            if error.status != _CUDA_OUT_OF_MEMORY:
                raise
            return None

    def here(self) -> Any:
        """Return an event on the caller's stream."""
        with self._owner.here():
            return cupy.cuda.get_current_stream().record()

    def finish(self, mark: Any) -> None:
        """Wait for a mark; fill what was downloaded, give buffers back, and order the caller's stream after it.

        Raises
        ------
        DeviceLostError
            If the device stopped answering: an error of a kernel shows where somebody waits for it.
        """
        try:
            with self._owner.here():
                self._finish(mark)
        except self._owner.lost as error:
            device = self._owner.device
            lose(device, str(error))
            problem = f"{device} was lost ({error}), and with it the batches on their way"
            raise DeviceLostError(text("pipeline", problem, "Restart the process.")) from error

    def _finish(self, mark: Any) -> None:
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
        self._add_up()

    def _add_up(self) -> None:
        """Read the times of work that is done, and let its events go."""
        while self._spans and self._spans[0][2].done:
            lane, begin, end = self._spans.popleft()
            self._worked[lane] += cupy.cuda.get_elapsed_time(begin, end) / 1e3

    def busy(self) -> dict[str, float]:
        """Return the seconds between the first and the last event of each piece of work, per lane."""
        self._add_up()
        return dict(self._worked)

    def close(self) -> None:
        """Wait for every stream, fill every download, give buffers back."""
        for stream in self._streams.values():
            with self._owner.here():
                mark = stream.record()
            self.finish(mark)
