"""Where bytes move: copies between the host and a device, permitted, counted, and told apart when they fail.

`_block` decides what has to move; only this file calls a backend's `upload` and `download`. A transfer is counted
once it is done, so a failed one costs nothing in a profile; an upload that fails leaves the host's bytes as they were,
and a download that fails leaves the device's.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend, now
from xpu._backends._lost import lose, lost
from xpu._config import current
from xpu._device import CPU, Device
from xpu._trace import Transfer, user_line
from xpu.errors import DeviceLostError, TransferError, TransferWarning, text, warn_user

__all__ = ["FailedTransfer", "download", "ledger", "lift", "lower", "permit", "upload"]

Raw = Any
Host = np.ndarray[Any, Any]


class FailedTransfer(TransferError):
    """A copy that the device's library could not make (not one that a setting forbids)."""


class _Ledger(threading.local):
    """Bytes, transfers and, while somebody listens, seconds of this thread so far; dispatch takes differences."""

    nbytes = 0
    count = 0
    seconds = 0.0


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


class _Timed:
    """Times one copy for who listens, and counts it once it is done."""

    __slots__ = ("_before", "_nbytes", "_source", "_target", "_where")

    def __init__(self, where: Backend, source: Device, target: Device, nbytes: int) -> None:
        self._where, self._source, self._target, self._nbytes = where, source, target, nbytes
        self._before = (0.0, 0.0)
        if current().recorders:
            self._before = (now(HOST), 0.0) if self._queued() else (now(where), where.seconds())

    def _queued(self) -> bool:
        """Whether nobody waits for the copy: it is a pipeline's, on a stream of its own."""
        return getattr(self._where, "staging", None) is not None

    def done(self) -> None:
        """Count it."""
        ledger.nbytes += self._nbytes
        ledger.count += bool(self._nbytes)
        recorders = current().recorders
        if not recorders or not self._nbytes:
            return
        start, before = self._before
        taken = math.nan if self._queued() else self._where.seconds() - before
        ledger.seconds += 0.0 if taken != taken else taken
        transfer = Transfer(start, taken, self._nbytes, str(self._source), str(self._target), user_line())
        for recorder in recorders:
            recorder.moved(transfer)


def upload(target: Backend, root: Raw, host: Host) -> None:
    """Copy flat host bytes into a root on a device.

    Raises
    ------
    FailedTransfer
        If the library cannot; the host's bytes are as they were. Out of memory and a lost device go through as the
        backend raised them: dispatch knows what to do.
    """
    copy = _Timed(target, CPU, target.device, host.nbytes)
    try:
        target.upload(root, host)
    except (*target.out_of_memory, *target.lost):
        raise
    except target.failures as error:
        raise FailedTransfer(_told(host.nbytes, CPU, target.device, error)) from error
    copy.done()


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
    if device in lost:
        raise DeviceLostError(_gone(device, host.nbytes, lost[device]))
    try:
        copy = _Timed(source, device, CPU, host.nbytes)
        source.download(root, host)
    except source.lost as error:
        lose(device, str(error))
        raise DeviceLostError(_gone(device, host.nbytes, str(error))) from error
    except (*source.out_of_memory, *source.failures) as error:
        if isinstance(error, DeviceLostError):
            raise
        raise FailedTransfer(_told(host.nbytes, device, CPU, error)) from error
    copy.done()


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
    compact = raw if raw.flags.c_contiguous else source.compact(raw)
    permit(compact.nbytes, source.device, CPU)
    host = np.empty(raw.shape, raw.dtype)
    root = source.view(
        source.root(compact), source.offset(source.root(compact), compact), (compact.nbytes,), (1,), np.dtype(np.uint8)
    )
    download(source, root, host.reshape(-1).view(np.uint8))
    return host
