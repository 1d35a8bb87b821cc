"""How far two devices may differ: the published table of rounding budgets."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._op import OPS

__all__ = ["budget", "budgets", "ulps_apart"]

# Elementary functions: CUDA's documented maximum error (CUDA C++ Programming Guide, "Mathematical
# Functions") plus NumPy's own of up to 4, rounded up.
_ELEMENTARY = 8.0
_EXACT = 0.0
# Made of more than one rounded step, each of which a GPU library may take in another order or with a fused
# multiply-add; among complex numbers so are products, quotients and magnitudes.
_STEPS = frozenset(
    {"bartlett", "blackman", "corrcoef", "cov", "geomspace", "hamming", "hanning", "histogram", "interp"}
)
_STEPS |= {"interp", "kaiser", "linspace", "logspace", "nanpercentile", "nanquantile", "percentile", "quantile"}
_COMPLEX_STEPS = frozenset({"absolute", "cross", "divide", "kron", "multiply", "outer", "linalg.outer", "reciprocal"})
_COMPLEX_STEPS |= {"sign", "square"}
# A function of the user's chains operations; each adds its rounding.
_UNKNOWN = 64.0


def budget(function: Any, dtype: Any = None) -> float:
    """Return the rounding budget between devices, in units in the last place of the result.

    Parameters
    ----------
    function : callable or str
        A public function of xpu, or its name; any other callable gets the budget of a chain.
    dtype : dtype, optional
        Of the operands: complex products round more than once.

    Returns
    -------
    float
        Units in the last place; 0 for operations that IEEE 754 rounds correctly.

    Examples
    --------
    >>> import xpu
    >>> xpu.testing.budget(xpu.add), xpu.testing.budget("linalg.svd") > 0
    (0.0, True)
    >>> xpu.testing.budget(xpu.multiply), xpu.testing.budget(xpu.multiply, "c16")
    (0.0, 8.0)
    """
    op = OPS.get(function) if isinstance(function, str) else getattr(function, "op", None)
    if op is None:
        return _UNKNOWN
    if op.ulp:
        return float(op.ulp)
    if op.kind in ("reduction", "scan", "matmul", "linalg", "fft", "conv", "filter"):
        return _UNKNOWN
    if op.kind == "elementwise" and op.weight > 1:
        return _ELEMENTARY
    several = op.name in _STEPS or (op.name in _COMPLEX_STEPS and dtype is not None and np.dtype(dtype).kind == "c")
    return _ELEMENTARY if several else _EXACT


def budgets() -> dict[str, float]:
    """Return the whole table: the budget of every row, by name."""
    return {name: budget(name) for name in sorted(OPS)}


def ulps_apart(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], floor: float) -> float:
    """Return the largest distance of two arrays of one floating dtype, in units in the last place.

    Where the signs of infinities or the places of NaN differ the distance is infinite. `floor` is the
    magnitude below which a unit does not shrink any more: sums cancel, and what is left of their
    terms' rounding must be measured by the terms.
    """
    if got.dtype.kind == "c":
        return max(ulps_apart(got.real, expected.real, floor), ulps_apart(got.imag, expected.imag, floor))
    finite = np.isfinite(expected)
    if not np.array_equal(np.where(finite, 0, got), np.where(finite, 0, expected), equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    one, other = got[finite], expected[finite]
    if not np.isfinite(one).all():
        return float("inf")
    largest = np.nextafter(np.finfo(other.dtype).max, 0, dtype=other.dtype)  # beyond it a unit overflows
    least = np.asarray(min(floor, float(largest)), other.dtype)
    unit = np.spacing(np.clip(np.abs(other), least, largest))
    with np.errstate(over="ignore"):  # opposite ends of the range are infinitely far apart
        return float(np.max(np.abs(one - other) / unit))
