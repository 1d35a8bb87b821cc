"""Lets the functions of the library `einops` take xpu arrays: ``import xpu.einops`` once, `xpu run` does it by itself.

einops knows the array classes of its time. Each has a backend in a table that this file adds a row to; where nothing is
registered, ``einops.array_api`` takes xpu arrays as it takes those of every conforming namespace.
"""

from __future__ import annotations

import importlib
from typing import Any

from einops import _backends

from xpu._block import Handle

__all__ = ["Backend"]


class Backend(_backends.NumpyBackend):  # type: ignore[misc]  # einops has no annotations
    """einops' NumPy backend, calling xpu."""

    framework_name = "xpu"

    def __init__(self) -> None:
        self.np = importlib.import_module("xpu")

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Return True for xpu's arrays and scalars."""
        return isinstance(tensor, Handle)
