"""Functions that add the array API standard's parameters to NumPy's, or that write if asked to: made of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._block import Handle, shaped
from xpu._ops import rest
from xpu._ops.creation import asarray
from xpu._wrap import kinds
from xpu.errors import text

__all__ = ["argsort", "clip", "nan_to_num", "sort"]


def sort(
    a: Any,
    /,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """Return a sorted copy.

    Parameters
    ----------
    a : array_like
        What to sort.
    axis : int or None, optional
        Axis along which to sort; None sorts the flattened array.
    kind, order
        As in `numpy.sort`.
    stable : bool, optional
        Keep the order of equal elements.
    descending : bool, optional
        Largest first (the array API standard's addition).

    Returns
    -------
    ndarray
        Of the dtype and shape of `a`.

    Examples
    --------
    >>> import xpu
    >>> xpu.sort([3, 1, 2], descending=True).tolist()
    [3, 2, 1]
    """
    made = rest.sort(a, axis, **_given(kind=kind, order=order, stable=stable))
    return rest.flip(made, -1 if axis is None else axis) if descending else made


def argsort(
    a: Any,
    /,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """Return the indices that would sort; see `sort`.

    Examples
    --------
    >>> import xpu
    >>> xpu.argsort([1, 3, 3, 2], descending=True, stable=True).tolist()
    [1, 2, 3, 0]
    """
    keywords = _given(kind=kind, order=order, stable=stable)
    if not descending:
        return rest.argsort(a, axis, **keywords)
    # Sorting the reversed array and reversing the result keeps equal elements in their order.
    if axis is None:
        a, axis = rest.ravel(a), -1
    reversed_order = rest.argsort(rest.flip(a, axis), axis, **keywords)
    return rest.flip(reversed_order.shape[axis] - 1 - reversed_order, axis)


def clip(x: Any, /, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
    """Limit values to an interval.

    Parameters
    ----------
    x : array_like
        The values.
    min, max : array_like, optional
        The bounds; None leaves that side open. NumPy's names `a_min` and `a_max` are taken too.
    out : ndarray, optional
        Where to write.
    **kwargs
        `where`, `dtype` and the like, for `numpy.clip`.

    Returns
    -------
    ndarray
        Of the broadcast shape.

    Examples
    --------
    >>> import xpu
    >>> xpu.clip([1, 5, 9], 2, 6).tolist()
    [2, 5, 6]
    """
    low, high = kwargs.pop("a_min", min), kwargs.pop("a_max", max)
    return rest.clip(x, low, high, **_given(out=out), **kwargs)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replace NaN and infinities by numbers.

    Parameters
    ----------
    x : array_like
        The values.
    copy : bool, optional
        False writes into `x`.
    nan, posinf, neginf : array_like, optional
        What stands for them: 0, and the largest and the least number of the dtype, if omitted.

    Returns
    -------
    ndarray
        Of the dtype and shape of `x`; `x` itself where `copy` is False.

    Raises
    ------
    ValueError
        If `copy` is False and `x` is no array.

    Examples
    --------
    >>> import xpu
    >>> xpu.nan_to_num([1.0, xpu.nan], nan=-1.0).tolist()
    [1.0, -1.0]
    """
    keywords = _given(nan=nan, posinf=posinf, neginf=neginf)
    if copy:
        return rest.nan_to_num(x, **keywords)
    if isinstance(x, kinds.scalar) or not isinstance(x, (Handle, np.ndarray)):
        raise ValueError(text("nan_to_num", f"copy=False, but a {type(x).__name__} is no array", "Use copy=True."))
    kind = shaped(x).dtype if isinstance(x, Handle) else x.dtype
    if kind.kind in "fc":
        rest.copyto(x, rest.nan_to_num(x, **keywords))  # a row that says what it writes
    made = asarray(x, copy=False)
    return made if made.ndim else made[()]


def _given(**keywords: Any) -> dict[str, Any]:
    """Leave out what was not given, so that a default never counts as a gap of the GPU library."""
    return {name: value for name, value in keywords.items() if value is not None}
