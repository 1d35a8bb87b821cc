"""Hypothesis strategies for arrays and calls, built on Hypothesis's own for NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xpu._op import OPS, Op

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["arrays", "dtypes", "op_calls", "shapes"]

_CATEGORIES = {
    "all": "?bhilBHILfdFD",
    "numeric": "bhilBHILfdFD",
    "real": "bhilBHILfd",
    "integer": "bhilBHIL",
    "integer or boolean": "?bhilBHIL",
    "floating": "fdFD",
    "real floating": "fd",
    "boolean": "?",
    "complex floating": "FD",
}


def dtypes(category: str = "numeric") -> SearchStrategy[np.dtype[Any]]:
    """Return a strategy for dtypes of one of the array API standard's categories.

    Parameters
    ----------
    category : str, optional
        ``"all"``, ``"numeric"``, ``"real"``, ``"integer"``, ``"integer or boolean"``, ``"floating"``,
        ``"real floating"``, ``"complex floating"`` or ``"boolean"``.

    Returns
    -------
    SearchStrategy
        Of `numpy.dtype`; the first ones are the ones a failure shrinks to.

    Raises
    ------
    ValueError
        If there is no such category.
    """
    from hypothesis import strategies as st

    if category not in _CATEGORIES:
        message = f"xpu.testing.dtypes: no category {category!r}. Valid: {', '.join(_CATEGORIES)}."
        raise ValueError(message)
    return st.sampled_from([np.dtype(c) for c in _CATEGORIES[category]])


def shapes(*, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 6) -> SearchStrategy[Any]:
    """Return a strategy for shapes, empty and one-element axes among them.

    Parameters
    ----------
    min_dims, max_dims : int, optional
        Bounds of the number of axes.
    min_side, max_side : int, optional
        Bounds of an axis's length.

    Returns
    -------
    SearchStrategy
        Of tuples of int.
    """
    from hypothesis.extra import numpy as hnp

    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def arrays(
    dtype: Any = None, shape: Any = None, *, elements: Any = None, special: bool = True
) -> SearchStrategy[np.ndarray[Any, Any]]:
    """Return a strategy for NumPy arrays to hand to `assert_agrees`.

    Parameters
    ----------
    dtype : dtype or strategy, optional
        Element type; `dtypes("numeric")` if omitted.
    shape : int, tuple or strategy, optional
        Shape; `shapes()` if omitted.
    elements : strategy, optional
        Values; by default every value of the dtype, small ones more often.
    special : bool, optional
        False leaves out infinities, NaN and subnormals.

    Returns
    -------
    SearchStrategy
        Of `numpy.ndarray`.

    Examples
    --------
    >>> from hypothesis import given
    >>> import numpy, xpu
    >>> @given(xpu.testing.arrays("f8", (3,)))
    ... def test_negative(a):
    ...     xpu.testing.assert_agrees(xpu.negative, a)
    >>> test_negative()
    """
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    def with_dtype(kind: np.dtype[Any]) -> Any:
        values = elements
        if values is None and kind.kind in "fc":
            options = {"allow_infinity": special, "allow_nan": special, "allow_subnormal": special}
            values = hnp.from_dtype(kind, **options)
        return hnp.arrays(kind, shapes() if shape is None else shape, elements=values)

    if dtype is None:
        return dtypes().flatmap(with_dtype)
    return dtype.flatmap(with_dtype) if isinstance(dtype, st.SearchStrategy) else with_dtype(np.dtype(dtype))


def op_calls(op: Any) -> SearchStrategy[tuple[np.ndarray[Any, Any], ...]]:
    """Return a strategy for arguments of a row: arrays of its dtypes whose shapes broadcast.

    Parameters
    ----------
    op : callable or str
        A public elementwise function, reduction, scan or sort of xpu, or its name.

    Returns
    -------
    SearchStrategy
        Of tuples of `numpy.ndarray`, for ``assert_agrees(function, *arguments)``.

    Raises
    ------
    ValueError
        If there is no such row, or its arguments are more than arrays.
    """
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp

    row: Op | None = OPS.get(op) if isinstance(op, str) else getattr(op, "op", None)
    if row is None or row.kind not in ("elementwise", "reduction", "scan", "sort") or row.sequence:
        message = f"xpu.testing.op_calls: no calls can be drawn for {op!r}; try an elementwise function or reduction."
        raise ValueError(message)
    count, category = len(row.arrays), row.dtypes if row.dtypes in _CATEGORIES else "real"
    if count == 1:
        return st.tuples(arrays(dtypes(category)))
    shapes_ = hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, max_side=5, min_side=0)
    drawn = st.tuples(dtypes(category), shapes_)
    return drawn.flatmap(lambda both: st.tuples(*[arrays(both[0], shape) for shape in both[1].input_shapes]))
