"""Calls whose pieces are independent: elementwise operations, matrix products, Fourier transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpu._chunks._scheme import Cut, Scheme, bound, scaled
from xpu._op import Op, Shaped

__all__ = ["PRODUCTS", "TRANSFORMS", "is_pointwise", "passes", "pointwise", "product", "transform"]

# Not universal functions, and yet each element of the result depends on one of each operand.
_POINTWISE = frozenset(
    [
        "angle",
        "around",
        "astype",
        "clip",
        "fix",
        "i0",
        "isclose",
        "iscomplex",
        "isneginf",
        "isposinf",
        "isreal",
        "nan_to_num",
        "round",
        "sinc",
        "where",
    ]
)


def is_pointwise(op: Op) -> bool:
    """Return True where an element of the result depends on one element of each operand."""
    if op.kind == "elementwise" and isinstance(op.host, np.ufunc):
        return True
    return op.name in _POINTWISE or op.name.startswith(("vectorize(", "fuse("))


def pointwise(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut any axis of the result; what has no such axis, or one of length 1, goes along whole."""
    if "where" in keywords:
        return []
    try:
        shape = np.broadcast_shapes(*(s.shape for s in shapes))
    except ValueError:  # the ordinary path says so
        return []
    outputs = op.host.nout if isinstance(op.host, np.ufunc) else 1
    out = math.prod(shape) * max(s.dtype.itemsize for s in shapes) * outputs
    return [
        Scheme(f"axis {axis}", n, tuple(_along(s.shape, axis - len(shape)) for s in shapes), out, axis=axis)
        for axis, n in enumerate(shape)
        if n > 1
    ]


def _along(shape: tuple[int, ...], axis: int) -> Cut | None:
    """Cut an operand along an axis counted from the end."""
    place = len(shape) + axis
    return None if place < 0 or shape[place] == 1 else Cut(place)


# ----------------------------------------------------------------------------- products

PRODUCTS = frozenset({"matmul", "dot", "linalg.matmul"})


def product(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut the rows of the left factor, the columns of the right one, both, the sum, or a batch."""
    if keywords or len(shapes) != 2 or not shapes[0].shape or not shapes[1].shape:
        return []
    (a, b), size = (s.shape for s in shapes), max(s.dtype.itemsize for s in shapes)
    if len(a) > 2 or len(b) > 2:
        return [] if op.name == "dot" else _batch(a, b, size)
    if a[-1] != b[0]:
        return []
    rows = a[0] if len(a) == 2 else 1
    columns = b[1] if len(b) == 2 else 1
    out = rows * columns * size
    made = []
    if len(a) == 2:
        made.append(Scheme("the rows of the left factor", rows, (Cut(0), None), out))
    if len(b) == 2:
        made.append(Scheme("the columns of the right factor", columns, (None, Cut(1)), out, axis=len(a) - 1))
    if len(a) == 2 and len(b) == 2:
        both = "the rows of the left factor and the columns of the right one"
        made.append(Scheme(both, rows, (Cut(0), None), out, panels=(1, 1, columns)))
    made.append(Scheme("the axis summed over", a[-1], (Cut(len(a) - 1), Cut(0)), out, gather="add"))
    return made


def _batch(a: tuple[int, ...], b: tuple[int, ...], size: int) -> list[Scheme]:
    axes = max(len(a), len(b)) - 2
    leading = np.broadcast_shapes(a[:-2], b[:-2])
    cuts = tuple(None if len(s) - 2 < axes or s[0] == 1 else Cut(0) for s in (a, b))
    columns = b[-1] if len(b) > 1 else 1
    out = math.prod(leading) * (a[-2] if len(a) > 1 else 1) * columns * size
    return [Scheme("the batch", leading[0], cuts, out)] if leading[0] > 1 else []


# ----------------------------------------------------------------------------- Fourier transforms

_ALONG = {"fft.fft": 1, "fft.ifft": 1, "fft.rfft": 1, "fft.irfft": 1, "fft.hfft": 1, "fft.ihfft": 1}
# Several axes: the transform of the last axis, and that of the others.
_TOGETHER = {
    "fft.fft2": ("fft.fft", "fft.fft"),
    "fft.fftn": ("fft.fft", "fft.fft"),
    "fft.ifft2": ("fft.ifft", "fft.ifft"),
    "fft.ifftn": ("fft.ifft", "fft.ifft"),
    "fft.rfft2": ("fft.rfft", "fft.fft"),
    "fft.rfftn": ("fft.rfft", "fft.fft"),
    "fft.irfft2": ("fft.irfft", "fft.ifft"),
    "fft.irfftn": ("fft.irfft", "fft.ifft"),
}
TRANSFORMS = frozenset(_ALONG) | frozenset(_TOGETHER)
_WORKSPACE = 1.0  # cuFFT's, as a share of operand and result


def transform(op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]) -> list[Scheme]:
    """Cut an axis that is not transformed."""
    found = _axes(op, args, keywords, shapes)
    if found is None:
        return []
    axes, lengths = found
    shape, dtype = transformed(op.name, shapes[0], axes, lengths)
    out = math.prod(shape) * dtype.itemsize
    first = shapes[0].shape
    return [
        Scheme(f"axis {axis}", n, (Cut(axis),), out, axis=axis, spare=_WORKSPACE)
        for axis, n in enumerate(first)
        if n > 1 and axis not in axes
    ]


def passes(
    op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]
) -> list[tuple[str, dict[str, Any], Shaped]]:
    """Return a transform of several axes as transforms along one axis after another.

    Each is a row's name, its keywords and its operand. Real transforms come first, and inverse real
    ones last, as in NumPy (`numpy/fft/_pocketfft.py`).
    """
    found = _axes(op, args, keywords, shapes)
    if op.name not in _TOGETHER or found is None or len(found[0]) < 2:
        return []
    last, others = _TOGETHER[op.name]
    norm = {} if keywords.get("norm") is None else {"norm": keywords["norm"]}
    steps = [(last, -1)] + [(others, i) for i in range(len(found[0]) - 2, -1, -1)]
    if last == "fft.irfft":
        steps = steps[1:] + steps[:1]
    made, given = [], shapes[0]
    for name, i in steps:
        axis, n = found[0][i], found[1][i]
        made.append((name, {"axis": axis, "n": n, **norm}, given))
        given = Shaped(*transformed(name, given, (axis,), (n,)))
    return made


def _axes(
    op: Op, args: tuple[Any, ...], keywords: dict[str, Any], shapes: Sequence[Shaped]
) -> tuple[tuple[int, ...], tuple[int | None, ...]] | None:
    """Return the axes that are transformed and the lengths asked for."""
    given = bound(op, args, keywords)
    shape = shapes[0].shape
    if given is None or len(shapes) != 1 or not shape or "out" in given:
        return None
    if op.name in _ALONG:
        axes: tuple[Any, ...] = (given.get("axis", -1),)
        lengths: tuple[Any, ...] = (given.get("n"),)
    else:
        asked = tuple(given.get("s", ()))
        default = range(-2, 0) if op.name.endswith("2") else range(-len(asked or shape), 0)
        axes = tuple(given.get("axes", default))
        lengths = asked or (None,) * len(axes)
    whole = all(isinstance(axis, (int, np.integer)) and -len(shape) <= axis < len(shape) for axis in axes)
    if not whole or len(lengths) != len(axes):
        return None
    found = tuple(int(axis) % len(shape) for axis in axes)
    return (found, lengths) if len(set(found)) == len(found) else None


def transformed(
    name: str, given: Shaped, axes: tuple[int, ...], lengths: tuple[int | None, ...]
) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of a transform's result (of the largest it may be)."""
    shape = given.shape
    to_real = "irfft" in name or name == "fft.hfft"
    half = "rfft" in name or name == "fft.ihfft"
    for i, (axis, length) in enumerate(zip(axes, lengths, strict=True)):
        n = shape[axis] if length is None or length < 0 else int(length)
        if i == len(axes) - 1 and to_real:
            n = 2 * (shape[axis] - 1) if length is None else n
        elif i == len(axes) - 1 and half:
            n = n // 2 + 1
        shape = scaled(shape, axis, n)
    single = given.dtype.char in "fFe"
    return shape, np.dtype(("f4" if single else "f8") if to_real else ("c8" if single else "c16"))
