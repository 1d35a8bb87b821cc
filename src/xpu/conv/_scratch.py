"""Memory for intermediate values, kept by each thread for its next call: fresh memory costs page faults."""

from __future__ import annotations

import threading
from typing import Any

import numpy

__all__ = ["forget", "scratch"]

Array = Any

# A thread keeps pieces of up to this many bytes, one for each use.
KEEP = 1 << 25
_OWN = threading.local()


def scratch(items: int, use: str, dtype: numpy.dtype[Any]) -> Array:
    """Return uninitialised memory, this thread's own from the call before where it is large enough.

    Parameters
    ----------
    items : int
        Elements.
    use : str
        What for; memory for two uses never overlaps, memory for one use in one thread always does.
    dtype : numpy.dtype
        Element type.

    Returns
    -------
    numpy.ndarray
        One-dimensional, contiguous.

    Examples
    --------
    >>> scratch(3, "an example", numpy.dtype("f4")).shape
    (3,)
    """
    size = items * dtype.itemsize
    if size > KEEP:
        return numpy.empty(items, dtype=dtype)
    kept: dict[str, Array] = _OWN.__dict__.setdefault("kept", {})
    if use not in kept or kept[use].nbytes < size:
        kept[use] = numpy.empty(size, dtype=numpy.uint8)
    view: Array = kept[use][:size].view(dtype)
    return view


def forget() -> None:
    """Give back what this thread keeps."""
    _OWN.__dict__.clear()
