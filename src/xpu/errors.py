"""Everything xpu raises or warns with, and the one builder of its messages.

It stands apart so that every other file can import it, and so that one test can read all messages.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable

__all__ = [
    "CheckError",
    "ConfigError",
    "DeviceError",
    "DeviceLostError",
    "DeviceWarning",
    "FallbackError",
    "FallbackWarning",
    "MachineFileError",
    "MachineFileWarning",
    "TransferError",
    "TransferWarning",
    "XpuError",
    "XpuWarning",
]

_PACKAGE = os.path.dirname(__file__)


class XpuError(Exception):
    """Base of every error that is xpu's own; NumPy's mistakes keep NumPy's exception types."""


class ConfigError(XpuError, ValueError):
    """A setting, or a value for it, that xpu does not know."""


class DeviceError(XpuError, ValueError):
    """A device that does not exist on this machine, or cannot hold what was asked of it."""


class DeviceLostError(XpuError, RuntimeError):
    """A device stopped answering and held the only copy of some arrays."""


class TransferError(XpuError, RuntimeError):
    """A transfer between devices where ``on_transfer="raise"`` forbids it, or one that failed."""


class FallbackError(XpuError, RuntimeError):
    """A GPU call that failed and would run on the CPU, where ``on_fallback="raise"`` forbids it."""


class CheckError(XpuError, AssertionError):
    """The devices disagree on a result, found by ``check="both"``."""


class MachineFileError(XpuError, ValueError):
    """A machine file with a missing, foreign or physically absurd field."""


class XpuWarning(UserWarning):
    """Base of xpu's warnings."""


class DeviceWarning(XpuWarning):
    """A GPU was asked for, or is there, but cannot be used; the CPU computes instead."""


class FallbackWarning(XpuWarning):
    """A call failed on the GPU and ran on the CPU (given once per kind of call)."""


class TransferWarning(XpuWarning):
    """A transfer happened under ``on_transfer="warn"``."""


class MachineFileWarning(XpuWarning):
    """A machine file was set aside."""


def text(function: str, problem: str, remedy: str = "") -> str:
    """Build a message: which public function, what is wrong with which values, what to do.

    Parameters
    ----------
    function : str
        Public name without the package, for example ``"add"``.
    problem : str
        One clause that shows the offending values.
    remedy : str, optional
        One sentence that says what to do.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> text("to_device", "no device 'gpu'", "Valid: cpu, cuda:0.")
    "xpu.to_device: no device 'gpu'. Valid: cpu, cuda:0."
    """
    return f"xpu.{function}: {problem}." + (f" {remedy}" if remedy else "")


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint with the names closest to a misspelt one, or an empty string."""
    import difflib  # only for someone who mistyped: import xpu stays cheap

    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def warn_user(warning: XpuWarning) -> None:
    """Warn at the line of the user's code: the first frame outside this package."""
    frame = sys._getframe(1)
    level = 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
        level += 1
    warnings.warn(warning, stacklevel=level)
