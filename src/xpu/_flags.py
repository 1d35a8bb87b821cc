"""``x.flags`` of an array that is in a block: what NumPy says of such an array, and what may be set of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xpu._block import Handle, View, anchor, settle, shared

__all__ = ["Flags", "allow_writing", "forbid_writing"]

_SETTABLE = {"WRITEABLE": "write", "W": "write", "ALIGNED": "align", "A": "align"}


def forbid_writing(handle: Handle) -> None:
    """Make an array read-only where it is: nothing moves, and the array may move later."""
    view = shared(handle)
    if view.block.anchored:
        anchor(handle).setflags(write=False)
        return
    _settle_anew(handle, view, readonly=True)


def allow_writing(handle: Handle) -> bool:
    """Let an array that has memory of its own be written again; False if it has none."""
    view = shared(handle)
    if view.block.anchored or view.derived:
        return False
    _settle_anew(handle, view, readonly=False)
    return True


def _settle_anew(handle: Handle, view: View, *, readonly: bool) -> None:
    shown = View(view.block, view.shape, view.strides, view.dtype, view.offset, readonly=readonly)
    shown.derived = view.derived
    settle(handle, shown)


class Flags:
    """Memory flags, by attribute and by NumPy's names in capitals.

    Parameters
    ----------
    flags : numpy.flagsobj
        Of an array without memory that is laid out alike.
    owns : bool
        Whether it has memory of its own.
    change : callable
        ``setflags``.
    """

    __slots__ = ("_change", "_flags", "_owns")

    def __init__(self, flags: Any, owns: bool, change: Callable[..., None]) -> None:
        self._flags = flags
        self._owns = owns
        self._change = change

    @property
    def writeable(self) -> bool:
        """Whether the elements may be written."""
        return self["WRITEABLE"]

    @writeable.setter
    def writeable(self, value: bool) -> None:
        self["WRITEABLE"] = value

    @property
    def aligned(self) -> bool:
        """Whether elements lie at multiples of their size."""
        return self["ALIGNED"]

    @aligned.setter
    def aligned(self, value: bool) -> None:
        self["ALIGNED"] = value

    @property
    def owndata(self) -> bool:
        """Whether it has memory of its own."""
        return self._owns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._flags, name)

    def __getitem__(self, name: str) -> bool:
        return self._owns if name in ("OWNDATA", "O") else bool(self._flags[name])

    def __setitem__(self, name: str, value: bool) -> None:
        if name in _SETTABLE:
            self._change(**{_SETTABLE[name]: value})
            if value:  # what these flags were read off cannot be told so
                return
        self._flags[name] = value  # NumPy says what is wrong with any other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._flags).replace("OWNDATA : False", f"OWNDATA : {self._owns}")
