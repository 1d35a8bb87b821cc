"""NumPy's powers, logarithms, signs and reciprocals of complex numbers, as CuPy ufuncs.

CuPy raises to a power by ``exp(b * log(a))``, which is NaN where ``a`` is 0 and off for whole ``b``; it scales by a
real number as by a complex one, which makes NaN of infinities. NumPy starts from the cases below (``npy_cpow``,
``nc_log1p`` and their kin).

NOT RUN ON A GPU: the kernels were compiled for the host and compared with NumPy there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

__all__ = ["OF_COMPLEX", "UFUNCS", "either"]

_PREAMBLE = """
template<typename T> __device__ complex<T> xpu_times(complex<T> a, complex<T> b) {
    return complex<T>(a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real());
}
template<typename T> __device__ complex<T> xpu_log(complex<T> a) {
    complex<T> made = log(a);
    return isinf(a.real()) || isinf(a.imag()) ? complex<T>(T(1) / T(0), made.imag()) : made;  // beside NaN, too
}
template<typename T> __device__ complex<T> xpu_power(complex<T> a, complex<T> b) {
    const T nan = T(0) / T(0);
    if (b.real() == T(0) && b.imag() == T(0)) return complex<T>(T(1), T(0));
    if (a.real() == T(0) && a.imag() == T(0)) {
        return b.real() > T(0) ? complex<T>(T(0), T(0)) : complex<T>(nan, nan);
    }
    if (b.imag() == T(0) && b.real() > T(-100) && b.real() < T(100) && b.real() == floor(b.real())) {
        int n = b.real() < T(0) ? int(-b.real()) : int(b.real());
        complex<T> made(T(1), T(0)), square = a;
        if (b.real() > T(0) && n <= 3) {
            made = a;
            for (int i = 1; i < n; ++i) made = xpu_times(a, made);
            return made;
        }
        for (;; square = xpu_times(square, square)) {
            if (n & 1) made = xpu_times(made, square);
            n >>= 1;
            if (!n) break;
        }
        return b.real() < T(0) ? complex<T>(T(1), T(0)) / made : made;
    }
    return exp(xpu_times(b, xpu_log(a)));
}
template<typename T> __device__ complex<T> xpu_scaled(complex<T> a, T factor) {
    return complex<T>(a.real() * factor, a.imag() * factor);
}
template<typename T> __device__ complex<T> xpu_log2(complex<T> a) {
    return xpu_scaled(xpu_log(a), T(1.4426950408889634));
}
template<typename T> __device__ complex<T> xpu_log10(complex<T> a) {
    return xpu_scaled(xpu_log(a), T(0.4342944819032518));
}
template<typename T> __device__ complex<T> xpu_log1p(complex<T> a) {
    T real = a.real() + T(1);
    return complex<T>(log(hypot(real, a.imag())), atan2(a.imag(), real));
}
template<typename T> __device__ complex<T> xpu_exp2(complex<T> a) {
    return exp(xpu_scaled(a, T(0.6931471805599453)));
}
template<typename T> __device__ complex<T> xpu_reciprocal(complex<T> a) {
    if (fabs(a.imag()) <= fabs(a.real())) {
        T ratio = a.imag() / a.real(), size = a.real() + a.imag() * ratio;
        return complex<T>(T(1) / size, -ratio / size);
    }
    T ratio = a.real() / a.imag(), size = a.real() * ratio + a.imag();
    return complex<T>(ratio / size, T(-1) / size);
}
template<typename T> __device__ complex<T> xpu_sign(complex<T> a) {
    T size = hypot(a.real(), a.imag());
    if (size == T(0)) return complex<T>(T(0), T(0));
    if (!isinf(size)) return complex<T>(a.real() / size, a.imag() / size);
    if (isinf(a.real()) && isinf(a.imag())) return complex<T>(T(0) / T(0), T(0) / T(0));
    if (isinf(a.real())) return complex<T>(copysign(T(1), a.real()), T(0));
    return complex<T>(T(0), copysign(T(1), a.imag()));
}
"""


def _ufunc(name: str, operands: int, codes: str = "FD") -> Any:
    names = ", ".join(f"in{i}" for i in range(operands))
    loops = tuple((f"{code * operands}->{code}", f"out0 = {name}({names})") for code in codes)
    return cupy._core.create_ufunc(name, loops, preamble=_PREAMBLE)


def _is_complex(value: Any) -> bool:
    return isinstance(value, complex) or (hasattr(value, "dtype") and value.dtype.kind == "c")


def either(name: str, ours: Any) -> Callable[..., Any]:
    """Return a function that takes our ufunc where the result is complex, else CuPy's."""

    def called(*args: Any, **kwargs: Any) -> Any:
        named = kwargs.get("dtype")
        chosen = any(map(_is_complex, args[: ours.nin])) if named is None else np.dtype(named).kind == "c"
        return (ours if chosen else getattr(cupy, name))(*args, **kwargs)

    return called


_ONE = ("exp2", "log", "log10", "log1p", "log2", "reciprocal", "sign")
UFUNCS: dict[str, Any] = {
    "float_power": _ufunc("xpu_power", 2, "D"),
    "power": _ufunc("xpu_power", 2),
    **{name: _ufunc(f"xpu_{name}", 1) for name in _ONE},
}
OF_COMPLEX: dict[str, Callable[..., Any]] = {name: either(name, ours) for name, ours in UFUNCS.items()}
