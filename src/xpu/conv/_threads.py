"""How many threads a convolution may use on the CPU, and the pool that runs them.

The engines share one pool of Python threads whose work releases the interpreter lock.  numba's own
pools are not used: its default layer ends the process when two threads enter it, and the OpenMP
layer does so after a fork.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

__all__ = ["available", "count", "limit", "run_all"]

_LIMIT: ContextVar[int | None] = ContextVar("xpu_conv_threads", default=None)
_POOL: list[ThreadPoolExecutor] = []


def available() -> int:
    """Return the number of processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def count() -> int:
    """Return the number of threads in force: the limit, ``OMP_NUM_THREADS``, or the processors.

    Examples
    --------
    >>> with limit(1):
    ...     count()
    1
    """
    chosen = _LIMIT.get()
    if chosen is None:
        text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        chosen = int(text) if text.isdigit() and int(text) else available()
    return min(chosen, available())


@contextlib.contextmanager
def limit(threads: int) -> Iterator[None]:
    """Limit the threads of the convolutions called inside the ``with`` block."""
    if threads < 1:
        message = f"xpu.conv: threads={threads} is below 1. Give the number of threads to use."
        raise ValueError(message)
    token = _LIMIT.set(threads)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def _forget() -> None:
    """Drop the pool in a forked child, where its threads do not exist."""
    _POOL.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_all(work: Callable[[int, int], object], parts: int) -> None:
    """Call ``work(part, parts)`` for every part, the first one in this thread.

    Parameters
    ----------
    work : callable
        Releases the interpreter lock for most of its time.
    parts : int
        Number of parts; all but one go to the pool.
    """
    if parts <= 1:
        work(0, 1)
        return
    if not _POOL:
        _POOL.append(ThreadPoolExecutor(available(), thread_name_prefix="xpu-conv"))
    others = [_POOL[0].submit(work, part, parts) for part in range(1, parts)]
    work(0, parts)
    for other in others:
        other.result()
