"""How a call falls into pieces, as plain data: what each piece reads, and how results come together."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from xpu._op import Op

__all__ = ["Cut", "Part", "Scheme", "bound", "scaled"]

Part = tuple[str, Mapping[str, Any]]


class Cut(NamedTuple):
    """Which rows of one operand a piece reads.

    Rows ``low`` to ``high`` of the result need rows ``low * step - before`` to
    ``(high - 1) * step - before + reach`` of the operand: more than their own where a filter looks at
    neighbours. What lies outside the operand is left out, or taken from its other end.

    Attributes
    ----------
    axis : int
        The operand's axis that is cut.
    step, before, reach : int
        As above.
    wrap : bool
        Whether the operand goes round.
    """

    axis: int
    step: int = 1
    before: int = 0
    reach: int = 1
    wrap: bool = False

    def rows(self, low: int, high: int) -> tuple[int, int]:
        """Return the bounds of the rows, before anything is left out."""
        start = low * self.step - self.before
        return start, (high - 1) * self.step - self.before + self.reach


class Scheme(NamedTuple):
    """One way to cut a call.

    Attributes
    ----------
    what : str
        What is cut, for the reader of a reason: ``"axis 0"``, ``"the batch"``.
    length : int
        Rows that can be told apart.
    cuts : tuple of (Cut or None)
        Per operand; None where it goes along whole and is sent once.
    out : float
        Bytes of the result; per piece where `gather` is not ``"place"``.
    gather : str
        ``"place"`` side by side, or a way of combining (see `_gather`).
    axis : int
        The result's axis along which pieces are placed.
    spare : float
        Bytes a library needs beside operands and result, as a share of them.
    parts : tuple of (str, dict)
        Rows to call on each piece instead of the call itself, with their keywords.
    crop : bool
        Whether the rows that belong to neighbours are cut off a piece's result.
    adjust : str
        The keyword that differs from piece to piece: ``"padding"`` or ``"input_size"``.
    flat : bool
        Whether operands are read as one axis.
    panels : tuple of (int, int, int)
        A second cut: operand, its axis, and its length; the result's last axis is cut with it.
    detail : dict
        What `gather` needs to know.
    """

    what: str
    length: int
    cuts: tuple[Cut | None, ...]
    out: float
    gather: str = "place"
    axis: int = 0
    spare: float = 0.0
    parts: tuple[Part, ...] = ()
    crop: bool = False
    adjust: str = ""
    flat: bool = False
    panels: tuple[int, int, int] | None = None
    detail: Mapping[str, Any] = {}


def bound(op: Op, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a call's arguments by name, without those left at "nothing given"; None if they do not fit."""
    try:
        found = inspect.signature(op.host).bind(*args, **keywords).arguments
    except (TypeError, ValueError):
        return None
    given = {name: value for name, value in found.items() if value is not None and value is not np._NoValue}
    if given.get("where") is True:
        del given["where"]
    return given


def scaled(shape: tuple[int, ...], axis: int, length: int) -> tuple[int, ...]:
    """Return a shape with another length along one axis."""
    return (*shape[:axis], length, *shape[axis + 1 :])
