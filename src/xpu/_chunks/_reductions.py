"""Reductions in pieces: side by side along an axis that stays, combined along one that goes.

Means and variances are combined by counts, means and sums of squared deviations (Chan, Golub and
LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979): no
difference of large squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpu._chunks._scheme import Cut, Part, Scheme, bound
from xpu._op import Op, Shaped

__all__ = ["REDUCTIONS", "reduction"]

# Rows that combine by a universal function of their own results.
_COMBINED = {
    "sum": "add",
    "nansum": "add",
    "count_nonzero": "add",
    "prod": "multiply",
    "nanprod": "multiply",
    "max": "maximum",
    "amax": "maximum",
    "min": "minimum",
    "amin": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}
_MOMENTS = {"mean": "mean", "var": "var", "std": "std"}
_EXTREMES = {"argmax": "max", "argmin": "min"}
REDUCTIONS = frozenset({*_COMBINED, *_MOMENTS, *_EXTREMES, "ptp"})
_KNOWN = {"a", "axis", "keepdims", "dtype", "ddof", "correction"}


def reduction(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut any axis; an array reduced whole may be read as one axis."""
    given = bound(op, args, keywords)
    if given is None or set(given) - _KNOWN or len(shapes) != 1:
        return []
    shape, dtype = shapes[0]
    axes = _axes(given.get("axis"), len(shape))
    if axes is None or (op.name in _EXTREMES and len(axes) not in (1, len(shape))):
        return []
    keep = bool(given.get("keepdims", False))
    kept = [n for axis, n in enumerate(shape) if axis not in axes]
    out = math.prod(kept) * max(8, dtype.itemsize)
    made = []
    for axis, n in enumerate(shape):
        if n < 2:
            continue
        if axis not in axes:
            place = axis if keep else sum(other not in axes for other in range(axis))
            made.append(Scheme(f"axis {axis}", n, (Cut(axis),), out, axis=place))
        else:
            combined = _combined(op.name, given, axes, shape, axis, dtype)
            if combined is not None:
                made.append(combined._replace(out=float(out)))
    if len(axes) == len(shape) > 1 and not keep:
        flat = _combined(op.name, {**given, "axis": None}, (0,), (math.prod(shape),), 0, dtype)
        if flat is not None:
            made.append(flat._replace(out=float(out), what="all elements", flat=True))
    return made


def _axes(axis: Any, ndim: int) -> tuple[int, ...] | None:
    if axis is None:
        return tuple(range(ndim))
    several = axis if isinstance(axis, tuple) else (axis,)
    if not all(isinstance(a, (int, np.integer)) and -ndim <= a < ndim for a in several):
        return None
    found = tuple(int(a) % ndim for a in several)
    return found if len(set(found)) == len(found) else None


def _combined(
    name: str,
    given: Mapping[str, Any],
    axes: tuple[int, ...],
    shape: tuple[int, ...],
    axis: int,
    dtype: np.dtype[Any],
) -> Scheme | None:
    """Return the scheme of an axis that is reduced; None where pieces do not add up to the whole."""
    count = math.prod(shape[a] for a in axes)
    options = {name: given[name] for name in ("axis", "keepdims", "dtype") if name in given}
    scheme = Scheme(f"axis {axis}", shape[axis], (Cut(axis),), 0.0)
    if name in _COMBINED:
        return scheme._replace(gather=_COMBINED[name])
    if name == "ptp":
        return scheme._replace(gather="spread", parts=(("max", options), ("min", options)))
    if name in _EXTREMES:
        whole = given.get("axis") is None
        if whole and axis:  # an index into the flat array counts rows of the first axis
            return None
        detail = {
            "stride": math.prod(shape[1:]) if whole else 1,
            "best": name,
            "squeeze": () if given.get("keepdims") else axes,
        }
        kept = {**options, "keepdims": True}
        parts: tuple[Part, ...] = ((_EXTREMES[name], kept), (name, kept))
        return scheme._replace(gather="place of the best", parts=parts, detail=detail)
    return _moments(name, given, scheme, count, dtype, options)


def _moments(
    name: str,
    given: Mapping[str, Any],
    scheme: Scheme,
    count: int,
    dtype: np.dtype[Any],
    options: dict[str, Any],
) -> Scheme | None:
    ddof = given.get("ddof", given.get("correction", 0))
    asked = np.dtype(given["dtype"]) if "dtype" in given else dtype if dtype.kind in "fc" else np.dtype(np.float64)
    if asked.kind not in "fc" or not isinstance(ddof, (int, float, np.integer)) or count - ddof <= 0:
        return None
    real = np.dtype(f"f{asked.itemsize // 2}") if asked.kind == "c" and name != "mean" else asked
    inside = {**options, "dtype": np.dtype(np.float32) if asked == np.float16 else asked}
    parts: tuple[Part, ...] = (("mean", inside),) if name == "mean" else (("mean", inside), ("var", inside))
    rows = count // scheme.length  # elements that one row adds to each result
    return scheme._replace(gather=name, parts=parts, detail={"rows": rows, "ddof": ddof, "dtype": real})
