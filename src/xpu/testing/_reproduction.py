"""A failed comparison as a program: text that can be pasted into a fresh interpreter and fails there again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xpu._block import Handle

__all__ = ["literal", "name_of", "program"]


def name_of(function: Callable[..., Any]) -> str:
    """Return how the program calls a function."""
    op = getattr(function, "op", None)
    return f"xpu.{op.name}" if op is not None else getattr(function, "__name__", repr(function))


def _home_of(function: Callable[..., Any]) -> str:
    """Return the line that imports a function of the user's; empty where it cannot be imported."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    if getattr(function, "op", None) is not None or module in (None, "__main__") or not name.isidentifier():
        return ""
    return f"    from {module} import {name}\n"


def program(function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
    """Return the lines that repeat a call of `assert_agrees`.

    Parameters
    ----------
    function : callable
        What was compared.
    args : tuple
        Its arguments.
    keywords : dict
        Its keywords, and those of `assert_agrees` that are not the default.

    Returns
    -------
    str
        Indented Python. A function made inside another (a lambda) cannot be imported: its name stands for it.
    """
    words = [name_of(function), *map(literal, args), *(f"{k}={literal(v)}" for k, v in keywords.items())]
    call = f"    xpu.testing.assert_agrees({', '.join(words)})"
    return f"    import numpy, xpu.testing\n{_home_of(function)}{call}"


def literal(value: Any) -> str:
    """Return Python text that makes a value again, to the bit for arrays of numbers (the payload of NaN apart)."""
    if isinstance(value, (np.ndarray, Handle)):
        return _array(np.asarray(value))
    if isinstance(value, np.dtype):
        return f"numpy.dtype({value.str!r})"
    if isinstance(value, np.generic):
        return f"{_array(np.asarray(value))}[()]"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if isinstance(value, complex):
        return f"complex({literal(value.real)}, {literal(value.imag)})"
    if type(value) is tuple:
        return f"({''.join(literal(v) + ', ' for v in value)})"
    if type(value) is list:
        return f"[{', '.join(map(literal, value))}]"
    if callable(value):
        return name_of(value)
    return repr(value)


def _array(host: np.ndarray[Any, Any]) -> str:
    """Numbers go through the real type of their parts: the text of a complex NaN is no Python."""
    flat, dtype = np.ascontiguousarray(host).reshape(-1), host.dtype
    if dtype.kind == "c":
        flat = flat.view(np.dtype(f"{dtype.byteorder}f{dtype.itemsize // 2}"))
    numbers = ", ".join(map(_number, flat.tolist()))
    made = f"numpy.array([{numbers}], dtype={flat.dtype.str!r})"
    if dtype.kind == "c":
        made += f".view({dtype.str!r})"
    fortran = host.ndim > 1 and host.flags.f_contiguous and not host.flags.c_contiguous
    return f"{made}.reshape({host.shape})" + (".copy(order='F')" if fortran else "")


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        sign = "-" if math.copysign(1.0, value) < 0 else ""
        return f"{sign}numpy.{'nan' if math.isnan(value) else 'inf'}"
    return repr(value)
