"""Meeting dask: sizes, chunk type, function look-ups and serialisers for xpu's arrays, and a device per worker.

Dask loads `register` in every process through the entry point group ``dask.sizeof``, the one that it always reads. The
rest is registered as soon as the modules that hold the tables are imported. Without any registration (xpu on the path,
but not installed) dask falls back to NumPy's protocols and to pickle.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from xpu import _backends, _dask_wire
from xpu._after_import import after_import
from xpu._array import ndarray
from xpu._block import shaped
from xpu._config import set_config
from xpu._device import Device, parse
from xpu._ops import creation, rest
from xpu._scalar import scalar
from xpu.errors import FallbackWarning, text, warn_user

__all__ = ["DevicePerWorker", "register", "register_arrays"]


def register(sizeof: Any) -> None:
    """Register with dask (the entry point).

    Parameters
    ----------
    sizeof : dask.utils.Dispatch
        Dask's table of sizes.
    """
    sizeof.register((ndarray, scalar), _size)
    after_import("dask.array.core", lambda: _attempt(register_arrays))
    after_import("distributed.protocol.serialize", lambda: _attempt(_dask_wire.register))


def _attempt(registration: Callable[[], None]) -> None:
    """Register, or say that this dask's tables are not where they were: its import must not fail for it."""
    try:
        registration()
    except (ImportError, AttributeError, TypeError) as error:
        problem = f"this dask is not known ({type(error).__name__}: {error}); arrays fall back to NumPy's protocols"
        warn_user(FallbackWarning(text("dask", problem, "Please report it with the versions of dask and xpu.")))


def _size(array: Any) -> int:
    """Return the bytes of the elements, wherever they are: nothing moves."""
    return shaped(array).nbytes


def register_arrays() -> None:
    """Make xpu's arrays chunks of ``dask.array``: chunk type, concatenate, tensordot, take, einsum, empty."""
    dispatch: Any = importlib.import_module("dask.array.dispatch")
    chunks: Any = importlib.import_module("dask.array.chunk_types")
    chunks.register_chunk_type(ndarray)
    dispatch.concatenate_lookup.register(ndarray, rest.concatenate)
    dispatch.tensordot_lookup.register(ndarray, rest.tensordot)
    dispatch.take_lookup.register(ndarray, rest.take)
    dispatch.einsum_lookup.register(ndarray, rest.einsum)
    dispatch.empty_lookup.register(ndarray, creation.empty)


class DevicePerWorker:
    """Sets the device of each dask worker process; for ``client.register_worker_callbacks``.

    Parameters
    ----------
    devices : sequence of str, optional
        One per worker, taken in turn by the worker's name where that is a number (as in a
        LocalCluster). By default the GPUs of the worker's machine, and automatic choice where there
        are none.

    Raises
    ------
    DeviceError
        If a name is no device (a ``ValueError``).

    Examples
    --------
    >>> from xpu.dask import DevicePerWorker
    >>> DevicePerWorker(["cuda:0", "cuda:1"]).choose(3)
    Device('cuda:1')
    """

    def __init__(self, devices: Sequence[str] | None = None) -> None:
        self.devices = None if devices is None else [d if d == "auto" else parse(d, "dask") for d in devices]

    def choose(self, worker: Any) -> Device | str:
        """Return the device of the worker of that name."""
        devices: Sequence[Device | str] | None = self.devices
        if devices is None:
            devices = [d for d in _backends.devices() if d.kind == "cuda"] or ["auto"]
        number = int(str(worker)) if str(worker).isdecimal() else sum(map(ord, str(worker)))
        return devices[number % len(devices)]

    def __call__(self, dask_worker: Any) -> None:
        """Set this worker process's device (distributed calls this once per worker)."""
        set_config(device=str(self.choose(dask_worker.name)))
