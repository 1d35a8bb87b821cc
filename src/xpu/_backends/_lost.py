"""Devices that stopped answering in this process, and why: they are not asked again.

A CUDA context that met a sticky error, hung at its first probe, or was inherited through a fork cannot be mended from
inside the process. Arrays with a replica elsewhere go on; the user is told once.
"""

from __future__ import annotations

from xpu._device import Device
from xpu.errors import DeviceWarning, text, warn_user

__all__ = ["find", "lose", "lost"]

lost: dict[Device, str] = {}
_told: set[Device] = set()


def lose(device: Device, why: str) -> None:
    """Do not use a device any more."""
    lost.setdefault(device, why)


def find(device: Device) -> None:
    """Use a device again (a test that took it away gives it back)."""
    lost.pop(device, None)
    _told.discard(device)


def tell(device: Device) -> str:
    """Return the reason for placement; warn the first time."""
    if device not in _told:
        _told.add(device)
        problem = f"{device} was lost ({lost[device]})"
        warn_user(DeviceWarning(text("devices", problem, "The CPU computes from now on; a new process may use it.")))
    return f"{device} was lost"
