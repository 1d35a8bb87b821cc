"""How an array travels between dask's processes: its bytes as frames of the message, neither pickled nor copied.

Both ends need the serialisers before the first array arrives, and distributed has no entry point for them. Dask loads
`xpu._dask` in every process through the entry point for sizes; from there `register` runs when distributed is imported,
in workers too, so nothing has to be set up on them. Where xpu lies on the path but is not installed there are no
entry points, and arrays are pickled (protocol 5: frames beside the pickle, one copy at the receiver).

The bytes are NumPy's to describe: distributed's own serialiser of `numpy.ndarray` makes the header. What is on an
accelerator is copied to the host first, as everything else that Python reads: it counts in profiles, ``on_transfer``
applies, and the replica on the accelerator stays valid.
"""

from __future__ import annotations

import importlib
import weakref
from typing import Any

import numpy as np

from xpu._array import ndarray
from xpu._backends._numpy import alone
from xpu._ops import creation
from xpu._scalar import scalar
from xpu._taken import taken
from xpu._wrap import wrap

__all__ = ["register"]

Host = np.ndarray[Any, Any]

# Memory that was handed out as a frame and may come back without having travelled (in the same process).
_lent: weakref.WeakValueDictionary[int, Host] = weakref.WeakValueDictionary()


def register() -> None:
    """Register the serialisers in distributed's tables."""
    protocol: Any = importlib.import_module("distributed.protocol.serialize")
    for kind in (ndarray, scalar):
        protocol.dask_serialize.register(kind, _pack)
        protocol.dask_deserialize.register(kind, _unpack)


def _pack(array: ndarray) -> tuple[dict[str, Any], list[Any]]:
    """Return the header and the frames of an array; the frames are its memory on the host."""
    protocol: Any = importlib.import_module("distributed.protocol.serialize")
    host = np.asarray(taken(array))
    header, frames = protocol.dask_serialize.dispatch(np.ndarray)(host)
    for frame in frames:
        memory: Any = frame.obj if isinstance(frame, memoryview) else None
        if isinstance(memory, np.ndarray):
            _lent[id(memory)] = memory
    return {"numpy": header, "scalar": isinstance(array, scalar)}, frames


def _unpack(header: dict[str, Any], frames: list[Any]) -> ndarray:
    """Return the array over the frames' memory, which belongs to it alone once it has travelled."""
    protocol: Any = importlib.import_module("distributed.protocol.serialize")
    host = protocol.dask_deserialize.dispatch(np.ndarray)(header["numpy"], frames)
    if header["scalar"]:
        return wrap(host[()])  # type: ignore[no-any-return]
    if any(isinstance(frame, memoryview) and id(frame.obj) in _lent for frame in frames):
        return creation.asarray(host)  # type: ignore[no-any-return]
    return wrap(alone(host))  # type: ignore[no-any-return]
