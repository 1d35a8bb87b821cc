"""What a backend is: the few things xpu needs from an array library on one device.

A *raw* array is the library's own (``numpy.ndarray``, ``cupy.ndarray``, the pretend device's). A
*root* is a flat raw array of bytes over one whole allocation, from which any view can be built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from xpu._device import Device
from xpu._op import Op, Work

__all__ = ["Backend", "NotAsNumpy", "Raw", "follow"]

Raw = Any


class NotAsNumpy(Exception):
    """The library would not give NumPy's answer for these values; the text is the reason to record."""


class Backend(Protocol):
    """One device, seen through one array library."""

    device: Device
    raw_type: type
    out_of_memory: tuple[type[Exception], ...]
    lost: tuple[type[Exception], ...]
    failures: tuple[type[Exception], ...]

    @property
    def survives_fork(self) -> bool:
        """Whether a process forked now could use the device."""

    def function(self, op: Op) -> Callable[..., Any] | None:
        """Return the library's function for a row, or None."""

    def run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], work: Work) -> Any:
        """Call it on raw operands that are all here."""

    def allocate(self, nbytes: int) -> Raw:
        """Return an uninitialised root."""

    def root(self, raw: Raw) -> Raw:
        """Return the root of the allocation a raw array lies in."""

    def offset(self, root: Raw, raw: Raw) -> int:
        """Return the bytes from the start of `root` to the first element of `raw`."""

    def view(
        self, root: Raw, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype[Any]
    ) -> Raw:
        """Return the raw array at `offset` in `root`."""

    def upload(self, root: Raw, host: np.ndarray[Any, Any]) -> None:
        """Copy host bytes into a root."""

    def download(self, root: Raw, host: np.ndarray[Any, Any]) -> None:
        """Copy a root into host bytes."""

    def compact(self, raw: Raw) -> Raw:
        """Return a contiguous copy (C order), made on the device."""

    def holds(self, raw: Raw) -> bool:
        """Return True for a raw array that lies here."""

    def shares(self, raw: Raw, other: Raw) -> bool:
        """Return True if both lie in one allocation."""

    def seconds(self) -> float:
        """Return this device's clock, after all its queued work is done."""

    def release(self) -> None:
        """Give cached memory back."""


def follow(path: str, module: Any) -> Any | None:
    """Return the object at a dotted path below a module, or None."""
    found = module
    for part in path.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found
