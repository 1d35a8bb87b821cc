"""The curve of a call that calibration did not time: made of curves that it did.

An operation may do the work of another one, or of several in a row (NumPy writes many in Python); a
dtype may run in another one's loop after a cast, or in a loop like that of another width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpu._curve import Curve
from xpu._op import OPS, Op, Shaped

__all__ = ["RECIPES", "curve_for", "known_loop", "loop_dtype"]

Curves = Mapping[str, Mapping[str, Curve]]

# What an operation consists of: (how often, operation, dtype or "" for the operand's). One alone that is
# counted alike is the same work.
_ALIKE = {
    **dict.fromkeys(("append", "hstack", "vstack", "block"), "concatenate"),
    **dict.fromkeys(("resize", "trim_zeros", "copy"), "flatten"),
    **dict.fromkeys(("fft.fftshift", "fft.ifftshift"), "roll"),
    **dict.fromkeys(("vecdot", "linalg.vecdot"), "vdot"),
    **dict.fromkeys(("unique_values", "union1d"), "unique"),
    **dict.fromkeys(("dot", "inner", "linalg.matmul", "tensordot", "linalg.tensordot"), "matmul"),
    **dict.fromkeys(("vecmat",), "matvec"),
    **dict.fromkeys(("fft.ihfft", "fft.irfft"), "fft.rfft"),
    "fft.fftn": "fft.fft2",
    "fft.ifft": "fft.fft",
    "fft.ifft2": "fft.fft2",
    "fft.ifftn": "fft.fft2",
    **dict.fromkeys(("fft.irfft2", "fft.irfftn", "fft.rfftn"), "fft.rfft2"),
    "correlate": "convolve",
    "cumulative_sum": "cumsum",
    "cumulative_prod": "cumprod",
    "linalg.cross": "cross",
    "linalg.outer": "outer",
    "linalg.trace": "trace",
    "nancumprod": "nancumsum",
    "nanquantile": "nanpercentile",
    "ndarray.sort": "sort",
    "ndarray.partition": "partition",
    "unique_all": "unique_inverse",
}
RECIPES: dict[str, tuple[tuple[float, str, str], ...]] = {
    **{op: ((1.0, donor, ""),) for op, donor in _ALIKE.items()},
    "isneginf": ((1.0, "isinf", ""), (1.0, "signbit", ""), (1.0, "logical_and", "b1")),
    "isposinf": ((1.0, "isinf", ""), (1.0, "signbit", ""), (1.0, "invert", "b1"), (1.0, "logical_and", "b1")),
    "argwhere": ((1.0, "nonzero", ""), (0.5, "flatten", "i8")),
    "fft.hfft": ((1.0, "fft.irfft", ""), (1.0, "conjugate", "")),
    "linalg.matrix_norm": ((1.0, "square", ""), (1.0, "sum", "")),
    "unique_counts": ((1.0, "unique", ""), (1.0, "not_equal", ""), (1.0, "nonzero", "b1"), (1.0, "diff", "i8")),
    "setdiff1d": ((2.0, "unique", ""), (1.0, "isin", "")),
    "linalg.cond": ((1.0, "linalg.svdvals", ""),),
    "linalg.matrix_rank": ((1.0, "linalg.svdvals", ""),),
    "linalg.tensorinv": ((1.0, "linalg.inv", ""),),
    "linalg.tensorsolve": ((1.0, "linalg.solve", ""),),
}
# Kinds of dtype whose loops cost about the same.
_LIKE = {"i": "i", "u": "i", "b": "b", "f": "f", "c": "c"}
_VECTORISED = 0.7e-9  # seconds per element, of 8 bytes, from cache
# They carry elements from one place to another, whatever these mean.
_MOVES = frozenset({"take", "getitem", "concatenate", "stack", "roll", "repeat", "tile", "copyto", "flatten"})
# Integers with a sign take longer to divide than those without, whatever their width.
_DIVISIONS = frozenset({"floor_divide", "remainder", "fmod", "divmod"})
_BY_ELEMENT = frozenset({"elementwise", "reduction", "scan", "copy", "gather", "creation"})
_SIZES = (1, *(4**k for k in range(4, 13)))


def curve_for(curves: Curves, op: str, dtype: np.dtype[Any]) -> Curve | None:
    """Return the curve of an operation on a dtype, made of others where it was not timed.

    Parameters
    ----------
    curves : mapping
        What was timed: `Curve` of operations -> seconds per row name and dtype.
    op : str
        Row name, or that of a variant of its inner loop: ``"maximum:number"``.
    dtype : numpy.dtype
        The widest among the operands.

    Returns
    -------
    Curve or None
        None where nothing is known that is like it.
    """
    loop = known_loop(curves, op, dtype)
    op, _, _ = op.partition(":")  # without a curve the variant is taken for the loop that there is one of
    rows = curves.get(loop or op)
    if rows:
        found = _of_rows(curves, rows, op, dtype)
        lender, _, _ = (loop or op).partition(":")
        return found if found is None or lender == op else _later(found, curves, op, lender, dtype)
    recipe = RECIPES.get(op)
    row = OPS.get(op)
    if recipe is None or row is None:
        return None
    parts = []
    for often, name, code in recipe:
        other = np.dtype(code or dtype)
        curve = curve_for(curves, name, other)
        if curve is None:
            return None
        parts.append((often, OPS[name], other, curve))
    often, donor, _, curve = parts[0]
    if len(parts) == 1 and often == 1.0 and (donor.kind, donor.weight) == (row.kind, row.weight):
        return curve  # counted alike
    return _sum(row, dtype, parts)


_SAME_LOOPS = {
    **dict.fromkeys(("minimum:number", "fmax:number", "fmin:number"), "maximum:number"),
    "mean:rows": "sum:rows", "min:rows": "max:rows",
}


def known_loop(curves: Curves, loop: str, dtype: np.dtype[Any]) -> str | None:
    """Return the name of the curves of an inner loop (`Work.loop`), its own or those of the same; None without."""
    if loop in curves:
        return loop
    same = _SAME_LOOPS.get(loop)
    casts = dtype.kind not in "fc" and loop == "mean:rows"  # integers are converted first
    return same if same in curves and not casts else None


def _later(curve: Curve, curves: Curves, op: str, lender: str, dtype: np.dtype[Any]) -> Curve:
    """Return the curve of another operation's loop, with what this one takes to start: ``mean`` more than ``sum``."""
    own, theirs = curve_for(curves, op, dtype), curve_for(curves, lender, dtype)
    if own is None or theirs is None:
        return curve
    more = max(0.0, own.knots[0][1] - theirs.knots[0][1])
    return Curve([(work, seconds + more) for work, seconds in curve.knots])


def _sum(row: Op, dtype: np.dtype[Any], parts: Sequence[tuple[float, Op, np.dtype[Any], Curve]]) -> Curve:
    """Return the curve of an operation that runs these one after another."""
    knots = []
    for size in _SIZES:
        seconds = sum(often * curve.at(_operations(op, size, other)) for often, op, other, curve in parts)
        knots.append((_operations(row, size, dtype), seconds))
    return Curve(knots)


def _operations(op: Op, size: int, dtype: np.dtype[Any]) -> float:
    square = op.kind in ("linalg", "matmul")
    half = op.kind == "fft" and op.name.endswith(("irfft", "hfft")) and not op.name.endswith("ihfft")
    shape = (max(1, math.isqrt(size)),) * 2 if square else (size + half,)  # half a spectrum of a smooth length
    return op.work([Shaped(shape, dtype)] * max(1, len(op.arrays)), {}).ops


def _of_rows(curves: Curves, rows: Mapping[str, Curve], op: str, dtype: np.dtype[Any]) -> Curve | None:
    own = rows.get(f"{dtype.kind}{dtype.itemsize}")
    if own is not None:
        return own
    loop = loop_dtype(op, dtype)
    row = OPS.get(op)
    weight = row.weight if row is not None else 1.0
    weighed = weight if row is None or row.kind in _BY_ELEMENT else 0.0
    known = {code: rows[code] for code in rows if code[0] == loop.kind} if op in _DIVISIONS else rows
    curve = _nearest(known or rows, loop, weighed, moves=op in _MOVES and loop.kind in "biufc")
    if row is not None and row.kind == "fft" and dtype.kind == "c":
        real = np.empty(0, dtype).real.dtype  # of which it makes complex numbers first
        curve = rows.get(f"{real.kind}{real.itemsize}") or curve or _nearest(rows, real, 0.0)
    if curve is None or loop == dtype:
        return curve
    cast, factor = _cast(curves, op, dtype, loop), _on_whole_numbers(curves, rows, op, loop, weight)
    (_, latency), *_ = curve.knots
    return Curve([(ops, latency + factor * (t - latency + cast * ops / weight)) for ops, t in curve.knots])


_MOST = 4.0  # times the loop on fractions: beyond, a disturbed sample is likelier


def _on_whole_numbers(curves: Curves, rows: Mapping[str, Curve], op: str, loop: np.dtype[Any], weight: float) -> float:
    """Return the time of this loop on integers, cast included, over that on fractions and the cast; 1 if unknown.

    Branches of ``modf``, ``arccosh``, ``log10`` go another way, or become foreseeable. What one integer dtype that was
    timed shows holds for the others, those that run in a loop of the same width first.
    """
    timed = [np.dtype(code) for code in rows if code[0] in "iub"]
    casting = [(dtype, other) for dtype in timed if (other := loop_dtype(op, dtype)) != dtype]
    if not casting:
        return 1.0
    dtype, other = min(casting, key=lambda pair: abs(math.log2(pair[1].itemsize / loop.itemsize)))
    fractions = _nearest(rows, other, weight)
    if fractions is None:
        return 1.0
    made = _per_element(fractions, weight) + _cast(curves, op, dtype, other)
    measured = _per_element(rows[f"{dtype.kind}{dtype.itemsize}"], weight)
    return min(_MOST, max(1 / _MOST, measured / made)) if made > 0 and measured > 0 else 1.0


def _nearest(rows: Mapping[str, Curve], dtype: np.dtype[Any], weight: float, *, moves: bool = False) -> Curve | None:
    """Return the curve of this dtype, or one made of those most like it (for what `moves` elements: in width)."""
    kind, size = dtype.kind, dtype.itemsize
    if f"{kind}{size}" in rows:
        return rows[f"{kind}{size}"]
    near = [c for c in rows if moves or _LIKE[c[0]] == _LIKE.get(kind, kind)]
    if kind in "iub" and not near:
        near = [c for c in rows if c[0] in "iub"]
    if not near:
        return None

    def preference(code: str) -> tuple[float, bool, int]:
        return abs(math.log2(int(code[1:]) / size)), code[0] != kind, -int(code[1:])

    best = min(near, key=preference)
    known = int(best[1:])
    if known == size:
        return rows[best]
    narrower = [c for c in near if int(c[1:]) < size]
    wider = [c for c in near if int(c[1:]) > size]
    if narrower and wider:
        return _between(rows, min(narrower, key=preference), min(wider, key=preference), size, weight)
    # Half the width is half the time where the loop is vectorised. A loop that takes longer per element
    # is not, and width is no matter.
    curve = rows[best]
    return curve.scaled(known / size) if weight and _per_element(curve, weight) < _VECTORISED else curve


def _between(rows: Mapping[str, Curve], low: str, high: str, size: int, weight: float) -> Curve:
    """Return the curve of a width between two that were timed.

    Vectorised loops work by the byte, others by the element. What the wide loop takes in a cache over the narrow one,
    an element, says which: all of their widths' ratio, or nothing of it. By so much each is read at the bytes, not the
    elements, of the width between, so that all three leave a cache together.
    """
    few, many = int(low[1:]), int(high[1:])
    share = math.log2(size / few) / math.log2(many / few)
    ratios = [_per_element(rows[code], weight or 1.0) for code in (low, high)]
    bytewise = math.log(ratios[1] / ratios[0]) / math.log(many / few) if weight and min(ratios) > 0 else 0.0
    bytewise = min(1.0, max(0.0, bytewise))
    narrow, wide = (rows[code].scaled((width / size) ** bytewise) for code, width in ((low, few), (high, many)))
    return narrow.between(wide, share)


def _cast(curves: Curves, op: str, dtype: np.dtype[Any], loop: np.dtype[Any]) -> float:
    """Return the seconds per element to bring the operands into the dtype of the loop."""
    rows = curves.get("astype", {})
    # Half precision is computed in software; unsigned words of 8 bytes have no instruction to convert them.
    own = f"{dtype.kind}{dtype.itemsize}"
    near = {2: (own, "u1", "i1"), 4: ("u2", "i4")}.get(loop.itemsize, (own, "i4") if dtype.itemsize >= 4 else ("i4",))
    row = next((rows[code] for code in near if code in rows), rows.get("i4"))
    operands = getattr(getattr(np, op), "nin", 1)
    return 0.0 if row is None else max(0.0, _per_element(row, 1.0)) * operands


def _per_element(curve: Curve, weight: float) -> float:
    """Return the seconds an element adds while the data lie in cache."""
    return (curve.at(32768 * weight) - curve.at(1.0)) / 32768


def loop_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which a universal function computes: ``sin`` of int16 runs in float32.

    Examples
    --------
    >>> loop_dtype("sin", np.dtype("i2")), loop_dtype("add", np.dtype("i2"))
    (dtype('float32'), dtype('int16'))
    """
    host: Any = getattr(np, name, None)
    if isinstance(host, np.ufunc) and host.signature is None:
        try:
            found = host.resolve_dtypes((dtype,) * host.nin + (None,) * host.nout)[0]
        except TypeError:  # it does not take this dtype
            return dtype
        return found if isinstance(found, np.dtype) else dtype
    return dtype
