"""Scalar functions compiled for the host by numba, one loop per combination of dtypes.

numba is imported on first need. It has no vector math library (its support for SVML ended with
llvmlite 0.45), so it wins for branches, loops and arithmetic, not for long chains of exp and sin.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["compiled", "widened", "with_compiled_callees"]


def widened(seen: np.dtype[Any], inferred: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of a kernel's result.

    Parameters
    ----------
    seen : dtype
        What a call with the first elements returned: NumPy's rule, which knows one branch only.
    inferred : dtype
        What the compiler found over all branches. It takes literals for 64 bits wide.

    Returns
    -------
    dtype
        `seen`, unless another branch returns another kind of number; then what both promote to.

    Examples
    --------
    >>> widened(np.dtype("f4"), np.dtype("f8"))
    dtype('float32')
    >>> widened(np.dtype("i8"), np.dtype("f8"))
    dtype('float64')
    """
    return seen if seen.kind == inferred.kind else np.result_type(seen, inferred)


def compiled(
    f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any], *, fixed: bool
) -> tuple[Callable[..., Any] | None, str]:
    """Compile a scalar function into a NumPy universal function.

    Parameters
    ----------
    f : function
        Of scalars, referring to NumPy and math only.
    inputs : tuple of dtype
        One per argument.
    result : dtype
        Of the result.
    fixed : bool
        The user gave `result`; otherwise the compiler may widen it (see `widened`).

    Returns
    -------
    tuple of callable or None, and str
        The universal function, or why there is none.
    """
    try:
        numba: Any = importlib.import_module("numba")
        errors: Any = importlib.import_module("numba.core.errors")
        support: Any = importlib.import_module("numba.np.numpy_support")
    except (ImportError, OSError) as error:
        return None, f"numba does not import ({error})"
    try:
        types = tuple(numba.from_dtype(d) for d in inputs)
        inner = numba.njit(error_model="numpy")(with_compiled_callees(f, numba.njit(error_model="numpy")))
        inner.compile(types)
        inferred = np.dtype(support.as_dtype(inner.overloads[types].signature.return_type))
        if fixed and inferred.kind == "c" != result.kind:
            return None, f"its complex numbers are not of dtype {result}"  # a cast would drop the imaginary part
        if not fixed:
            result = widened(result, inferred)
        return numba.vectorize([numba.from_dtype(result)(*types)])(inner.py_func), ""
    except (errors.NumbaError, TypeError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
        lines = str(error).strip().splitlines() or [""]
        return None, f"numba refuses it ({type(error).__name__}: {lines[0]})"


def with_compiled_callees(f: Any, compiler: Callable[[Any], Any]) -> Any:
    """Compile the Python functions that a twin calls (its scope is ours to change), and return the twin."""
    scope = f.__globals__
    for name, value in list(scope.items()):
        if callable(value) and hasattr(value, "__code__") and value is not f:
            scope[name] = compiler(with_compiled_callees(value, compiler))
    for cell in f.__closure__ or ():
        value = cell.cell_contents
        if callable(value) and hasattr(value, "__code__"):
            cell.cell_contents = compiler(with_compiled_callees(value, compiler))
    return f
