"""Where bytes move: copies between the host and a device, permitted, counted, and told apart when they fail.

`_block` decides what has to move; only this file calls a backend's `upload` and `download`. A transfer is counted
once it is done, so a failed one costs nothing in a profile; an upload that fails leaves the host's bytes as they were,
and a download that fails leaves the device's.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend
from xpu._backends._lost import lose, lost
from xpu._config import current
from xpu._device import CPU, Device
from xpu.errors import DeviceLostError, TransferError, TransferWarning, text, warn_user

__all__ = ["FailedTransfer", "download", "ledger", "lift", "lower", "permit", "upload"]

Raw = Any
Host = np.ndarray[Any, Any]


class FailedTransfer(TransferError):
    """A copy that the device's library could not make (not one that a setting forbids)."""


class _Ledger(threading.local):
    """Bytes and transfers of this thread so far; dispatch takes differences."""

    nbytes = 0
    count = 0


ledger = _Ledger()


def permit(nbytes: int, source: Device, target: Device) -> None:
    """Enforce ``on_transfer``, before anything is allocated or moved."""
    rule = current().on_transfer
    if rule != "allow" and nbytes:
        problem = f"{nbytes} bytes would move from {source} to {target}"
        if rule == "raise":
            remedy = "Keep the operands on one device, or leave the on_transfer='raise' region."
            raise TransferError(text("config(on_transfer=...)", problem, remedy))
        warn_user(TransferWarning(text("config(on_transfer=...)", problem)))


def _count(nbytes: int) -> None:
    ledger.nbytes += nbytes
    ledger.count += bool(nbytes)
    for recorder in current().recorders:
        recorder.moved(nbytes)


def upload(target: Backend, root: Raw, host: Host) -> None:
    """Copy flat host bytes into a root on a device.

    Raises
    ------
    FailedTransfer
        If the library cannot; the host's bytes are as they were. Out of memory and a lost device go through as the
        backend raised them: dispatch knows what to do.
    """
    try:
        target.upload(root, host)
    except (*target.out_of_memory, *target.lost):
        raise
    except target.failures as error:
        raise FailedTransfer(_told(host.nbytes, CPU, target.device, error)) from error
    _count(host.nbytes)


def download(source: Backend, root: Raw, host: Host) -> None:
    """Copy a root on a device into flat host bytes.

    Raises
    ------
    FailedTransfer
        If the library cannot; what is on the device is as it was.
    DeviceLostError
        If the device does not answer any more.
    """
    device = source.device
    try:
        if device in lost:
            raise DeviceLostError(_gone(device, host.nbytes, lost[device]))
        source.download(root, host)
    except source.lost as error:
        lose(device, str(error))
        raise DeviceLostError(_gone(device, host.nbytes, str(error))) from error
    except (*source.out_of_memory, *source.failures) as error:
        if isinstance(error, DeviceLostError):
            raise
        raise FailedTransfer(_told(host.nbytes, device, CPU, error)) from error
    _count(host.nbytes)


def _told(nbytes: int, source: Device, target: Device, error: Exception) -> str:
    problem = f"{nbytes} bytes could not be copied from {source} to {target} ({type(error).__name__}: {error})"
    return text("config(on_transfer=...)", problem, f"They are still whole on {source}.")


def _gone(device: Device, nbytes: int, why: str) -> str:
    return text(
        "asnumpy", f"{device} was lost ({why}) and held the only copy of {nbytes} bytes", "Restart the process."
    )


def lift(host: Host, target: Backend) -> Raw:
    """Copy a host array to a device; the copy belongs to nobody yet."""
    if target is HOST:
        return host
    permit(host.nbytes, CPU, target.device)
    root = target.allocate(host.nbytes)
    contiguous = np.ascontiguousarray(host)
    upload(target, root, contiguous.reshape(-1).view(np.uint8))
    return target.view(root, 0, host.shape, contiguous.reshape(host.shape).strides, host.dtype)


def lower(raw: Raw, source: Backend) -> Host:
    """Copy a device array to a new host array."""
    if source is HOST:
        return raw  # type: ignore[no-any-return]
    compact = source.compact(raw)
    permit(compact.nbytes, source.device, CPU)
    host = np.empty(raw.shape, raw.dtype)
    root = source.view(
        source.root(compact), source.offset(source.root(compact), compact), (compact.nbytes,), (1,), np.dtype(np.uint8)
    )
    download(source, root, host.reshape(-1).view(np.uint8))
    return host
