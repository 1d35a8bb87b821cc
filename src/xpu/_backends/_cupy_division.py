"""Python's floor division and remainder of floats, as NumPy computes them, as CuPy ufuncs.

CuPy's own are ``floor(a / b)`` and ``a - floor(a / b) * b``: ``1.0 // 0.1`` is 10 there and 9 in NumPy, and
``2.0 % inf`` is NaN there. The remainder that IEEE 754 defines (`fmod`) is exact, and NumPy starts from it
(``npy_divmod``), as Python does.

NOT RUN ON A GPU: the kernels were compiled for the host and compared with NumPy there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

__all__ = ["DIVISIONS", "UFUNCS"]

_PREAMBLE = """
template<typename T> __device__ T xpu_remainder(T a, T b) {
    T mod = fmod(a, b);
    if (b == T(0)) return mod;
    if (mod == T(0)) return copysign(T(0), b);
    return (b < T(0)) != (mod < T(0)) ? mod + b : mod;
}
template<typename T> __device__ T xpu_floor_divide(T a, T b) {
    if (b == T(0)) return a / b;
    T mod = fmod(a, b), quotient = (a - mod) / b;
    if (mod != T(0) && (b < T(0)) != (mod < T(0))) quotient -= T(1);
    if (quotient == T(0)) return copysign(T(0), a / b);
    T whole = floor(quotient);
    return quotient - whole > T(0.5) ? whole + T(1) : whole;
}
"""


def _ufunc(name: str) -> Any:
    types = {"e": "float", "f": "float", "d": "double"}  # NumPy's halves are divided as singles
    loops = tuple((f"{c}{c}->{c}", f"out0 = {name}<{t}>(in0, in1)") for c, t in types.items())
    return cupy._core.create_ufunc(name, loops, preamble=_PREAMBLE)


UFUNCS: dict[str, Any] = {"floor_divide": _ufunc("xpu_floor_divide"), "remainder": _ufunc("xpu_remainder")}
_floor_divide, _remainder = UFUNCS["floor_divide"], UFUNCS["remainder"]


def _of_floats(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the result is real and floating: then it is not CuPy's."""
    named = kwargs.get("dtype")
    if named is not None:
        return bool(np.dtype(named).kind == "f")
    return any(isinstance(a, float) or (hasattr(a, "dtype") and a.dtype.kind == "f") for a in args[:2])


def floor_divide(*args: Any, **kwargs: Any) -> Any:
    """Return NumPy's ``a // b``."""
    return (_floor_divide if _of_floats(args, kwargs) else cupy.floor_divide)(*args, **kwargs)


def remainder(*args: Any, **kwargs: Any) -> Any:
    """Return NumPy's ``a % b``."""
    return (_remainder if _of_floats(args, kwargs) else cupy.remainder)(*args, **kwargs)


def divmod(*args: Any, **kwargs: Any) -> Any:
    """Return NumPy's ``divmod(a, b)``; with ``out`` or ``dtype``, CuPy's refusals."""
    if kwargs or len(args) > 2 or not _of_floats(args, kwargs):
        return cupy.divmod(*args, **kwargs)
    return _floor_divide(*args), _remainder(*args)


DIVISIONS: dict[str, Callable[..., Any]] = {"floor_divide": floor_divide, "remainder": remainder, "divmod": divmod}
