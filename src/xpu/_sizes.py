"""The same call at another size, and the size from which a device pays: pure arithmetic over shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from xpu._op import Op, Shaped

__all__ = ["Sized", "break_even", "elements", "resized"]

_PER_OCTAVE = 2  # samples per doubling: a crossing between two of them is found by bisection
_OCTAVES = 40


class Sized(NamedTuple):
    """A call at some size.

    Attributes
    ----------
    shapes : tuple of Shaped
        Its operands.
    keywords : dict
        Its keywords, sizes in them adapted.
    """

    shapes: tuple[Shaped, ...]
    keywords: Mapping[str, Any]

    @property
    def elements(self) -> int:
        """Elements of the largest operand."""
        return elements(self.shapes)


def elements(shapes: Sequence[Shaped]) -> int:
    """Return the elements of the largest operand."""
    return max((s.size for s in shapes), default=0)


def resized(op: Op, shapes: Sequence[Shaped], keywords: Mapping[str, Any], factor: float) -> Sized:
    """Return the call with about `factor` times the elements, of the same proportions.

    Every axis longer than one grows alike, so that operands that fitted together still do. A
    convolution grows by its batch, a filter by its image: kernels keep their size.

    Parameters
    ----------
    op : Op
        The row.
    shapes : sequence of Shaped
        Its operands.
    keywords : dict
        Its keywords.
    factor : float
        How many times the elements of the largest operand.

    Returns
    -------
    Sized
        Shapes and keywords.

    Examples
    --------
    >>> import numpy as np
    >>> from xpu._op import OPS
    >>> square = Shaped((100, 100), np.dtype("f8"))
    >>> [s.shape for s in resized(OPS["matmul"], [square, square], {}, 4.0).shapes]
    [(200, 200), (200, 200)]
    """
    if op.kind == "conv":
        return _more_images(op, shapes, keywords, factor)
    moving = shapes[:1] if op.kind == "filter" else shapes
    largest = max(moving, key=lambda s: s.size, default=None)
    if largest is None:
        return Sized(tuple(shapes), keywords)
    long = [n for n in largest.shape if n > 1]
    if not long:  # one element: its last axis grows
        made = [Shaped((*s.shape[:-1], _length(1, factor)), s.dtype) if s.shape else s for s in moving]
        return Sized((*made, *shapes[len(made) :]), keywords)
    side = factor ** (1.0 / len(long))
    made = [Shaped(tuple(_length(n, side) if n > 1 else n for n in s.shape), s.dtype) for s in moving]
    return Sized((*made, *shapes[len(made) :]), keywords)


def _length(n: int, side: float) -> int:
    return max(1, round(n * side))


def _more_images(op: Op, shapes: Sequence[Shaped], keywords: Mapping[str, Any], factor: float) -> Sized:
    """Return a convolution with `factor` times the batch."""
    gradient = op.name.rpartition("_")[2]
    batched = {"input": (1,), "weight": (0, 1)}.get(gradient, (0,))
    rank = int(op.name.partition("conv")[2].removeprefix("_transpose")[0])
    made = list(shapes)
    for i in batched:
        shape = made[i].shape if len(made[i].shape) == rank + 2 else (1, *made[i].shape)
        made[i] = Shaped((_length(shape[0], factor), *shape[1:]), made[i].dtype)
    if "input_size" in keywords:
        size = tuple(keywords["input_size"])
        keywords = {**keywords, "input_size": (made[1].shape[0], *size[-rank - 1 :])}
    return Sized(tuple(made), keywords)


def break_even(
    op: Op,
    shapes: Sequence[Shaped],
    keywords: Mapping[str, Any],
    wins: Callable[[Sized], bool],
    memory: float = math.inf,
) -> Sized | None:
    """Return the smallest size from which `wins` holds for it and all larger ones.

    Parameters
    ----------
    op, shapes, keywords
        The call.
    wins : callable
        Whether a device wins at a size.
    memory : float, optional
        Bytes that the operands and as much again for results must fit in; larger calls are not asked about.

    Returns
    -------
    Sized or None
        None if `wins` does not hold at the largest size, or nothing can grow.
    """
    now = elements(shapes)
    if not now:
        return None
    steps = range(_OCTAVES * _PER_OCTAVE + 1)
    found: tuple[float, Sized] | None = None
    lost = 0.0
    for step in steps:
        factor = 2.0 ** (step / _PER_OCTAVE) / now
        sized = resized(op, shapes, keywords, factor)
        if 2 * sum(s.nbytes for s in sized.shapes) > memory:
            break
        if not wins(sized):
            lost, found = factor, None
        elif found is None:
            found = factor, sized
    if found is None or not lost:
        return None if found is None else found[1]
    factor, best = found
    while factor / lost > 1.0 + 1e-3:
        middle = math.sqrt(lost * factor)
        sized = resized(op, shapes, keywords, middle)
        if wins(sized):
            factor, best = middle, sized
        else:
            lost = middle
    return best
