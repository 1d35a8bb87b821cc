"""Batches: structures of arrays, on the host or on a device, and back.

A batch belongs to whoever gets it: arrays are copied on every device, so that a function that writes into
its batch changes nobody else's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from xpu._backends import HOST, Backend, backend_of
from xpu._block import Handle, devices_of, evict, read
from xpu._config import config, current
from xpu._device import CPU
from xpu._ops import creation
from xpu._transfer import FailedTransfer, lift, lower
from xpu._wrap import kinds, own
from xpu.errors import FallbackError, FallbackWarning, text, warn_user

__all__ = ["Full", "NoRoom", "brought_back", "nbytes_of", "on_device", "on_host"]

Raw = Any
Full = Literal["wait", "settle", "raise"]


class NoRoom(Exception):
    """The device has no memory for a batch now; it may have when others are done."""


def mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """Apply `change` to every array of a batch."""
    if isinstance(batch, Mapping):
        return {key: mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        items = [mapped(value, change) for value in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        given = [field.name for field in dataclasses.fields(batch) if field.init]
        return dataclasses.replace(batch, **{name: mapped(getattr(batch, name), change) for name in given})
    return change(batch) if isinstance(batch, (Handle, np.ndarray)) or backend_of(batch) is not None else batch


def on_host(batch: Any) -> Any:
    """Return a batch whose arrays are xpu's, and copies."""
    return mapped(batch, lambda a: creation.copy(a) if isinstance(a, Handle) else creation.asarray(a))


def on_device(batch: Any, target: Backend, full: Full) -> Any:
    """Return a batch whose arrays are xpu's, copies, and on a device.

    Parameters
    ----------
    batch : object
        Arrays, in tuples, lists, dictionaries and dataclasses.
    target : Backend
        The device's.
    full : {"wait", "settle", "raise"}
        Where the device has no memory: raise `NoRoom`; make room, and leave on the host, aloud, what does not fit even
        then or cannot be copied; or raise whatever is raised.

    Raises
    ------
    NoRoom
        If the device has no memory, for ``"wait"``.
    FallbackError
        If an array would stay on the host and ``on_fallback="raise"`` forbids it.
    """

    def change(array: Any) -> Any:
        if isinstance(array, Handle):
            if target.device in devices_of(array):
                with config(device=str(target.device)):
                    return creation.copy(array)
            array = read(array, HOST)
        if array.dtype.kind not in "biufc":
            return on_host(array)
        return _lifted(np.asarray(array), target, full)

    return mapped(batch, change)


def _lifted(host: np.ndarray[Any, Any], target: Backend, full: Full) -> Any:
    if full == "raise":
        return own(lift(host, target), scalar=False)
    failed: Exception | None = None
    try:
        return own(lift(host, target) if full == "wait" else _with_room_made(host, target), scalar=False)
    except target.out_of_memory as error:
        if full == "wait":
            raise NoRoom from error
        failed = error
    except FailedTransfer as error:
        failed = error
    why = f"{type(failed).__name__}: {failed}"
    problem = f"a batch of shape {host.shape} could not be copied to {target.device} ({why})"
    rule = current().on_fallback
    if rule == "raise":
        raise FallbackError(text("pipeline", problem, "on_fallback='raise' forbids the CPU.")) from failed
    if rule == "warn":
        warn_user(FallbackWarning(text("pipeline", f"{problem} and stays on the host", "Make batches smaller.")))
    return on_host(host)


def _with_room_made(host: np.ndarray[Any, Any], target: Backend) -> Raw:
    """Copy to the device; short of memory, let replicas go that are valid elsewhere too."""
    for wanted in (float(host.nbytes), float("inf")):
        try:
            return lift(host, target)
        except target.out_of_memory:
            evict(target.device, wanted)
            target.release()
    return lift(host, target)


def brought_back(result: Any, target: Backend) -> Any:
    """Return what a function made of a batch, its arrays on the host."""

    def change(array: Any) -> Any:
        if not isinstance(array, Handle) or CPU in devices_of(array):
            return array
        return own(lower(read(array, target), target), scalar=isinstance(array, kinds.scalar))

    return mapped(result, change)


def nbytes_of(batch: Any) -> int:
    """Return the bytes of all arrays of a batch."""
    total = 0

    def count(array: Any) -> Any:
        nonlocal total
        total += array.nbytes
        return array

    mapped(batch, count)
    return total
