"""Scalar functions as CUDA kernels: `cupy.vectorize` first, numba-cuda second, whole arrays last.

NOT RUN ON A GPU. Without one, the translation to CUDA C and its compilation for sm_90 are tested.
`cupy.vectorize` translates the function's source and takes CuPy's own functions only, so the function
is copied with its references replaced.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import textwrap
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._kernels._code import host_twin, mutates_arguments
from xpu._kernels._numba import with_compiled_callees

__all__ = ["kernel", "numba_twin", "translatable", "twin"]

Raw = Any

# CuPy's names for functions of `math` that it spells otherwise, and those whose meaning differs.
_ALIASES = {
    "pow": "power",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "atan2": "arctan2",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "fabs": "absolute",
}
_OTHERWISE = frozenset({"remainder", "frexp", "modf", "ldexp", "gcd", "lcm", "floor", "ceil", "trunc"})
_SPECIAL = {"erf": "erf", "erfc": "erfc", "gamma": "gamma", "lgamma": "gammaln"}
_REFUSALS = (
    TypeError,
    ValueError,
    NotImplementedError,
    AttributeError,
    KeyError,
    IndexError,
    OSError,
    SyntaxError,
    ImportError,
    AssertionError,
)


def twin(f: Any) -> Any:
    """Return a copy of a scalar function that refers to CuPy where it refers to NumPy, xpu or math."""
    cupy: Any = importlib.import_module("cupy")
    functions = _math_on(cupy)

    def swap(value: Any) -> Any:
        if value is math:
            return functions
        if isinstance(value, types.ModuleType) and value.__name__ in ("numpy", "xpu"):
            return cupy
        if isinstance(value, types.BuiltinFunctionType) and value.__module__ == "math":
            return getattr(functions, value.__name__, value)
        if value is abs:
            return cupy.absolute
        host = getattr(getattr(value, "op", None), "host", value)
        return getattr(cupy, host.__name__, value) if isinstance(host, np.ufunc) else value

    made = host_twin(f, swap)
    made.__defaults__ = None  # every argument is given; the translator takes no defaults
    return made


def _math_on(cupy: Any) -> types.SimpleNamespace:
    """Return the functions and constants of `math`, as CuPy's ufuncs."""
    special: Any = importlib.import_module("cupyx.scipy.special")
    found = {name: getattr(math, name) for name in ("pi", "e", "tau", "inf", "nan")}
    for name in dir(math):
        ufunc = getattr(cupy, _ALIASES.get(name, name), None)
        if isinstance(ufunc, cupy.ufunc) and name not in _OTHERWISE:
            found[name] = ufunc
    found.update({name: getattr(special, theirs) for name, theirs in _SPECIAL.items()})
    return types.SimpleNamespace(**found)


def translatable(f: Any) -> str:
    """Say why `cupy.vectorize` would not translate a function as Python means it; empty where it would.

    It makes ``and`` and ``or`` yield truth values, where Python yields one of the operands.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(f)))
    except (OSError, SyntaxError, TypeError) as error:
        return f"its source is not to be had ({type(error).__name__})"
    if any(isinstance(node, ast.Lambda) for node in ast.walk(tree)):
        return "it is a lambda, whose source is not to be had by itself"
    tests = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            tests |= {id(inner) for inner in ast.walk(node.test)}
    for node in ast.walk(tree):
        if isinstance(node, ast.BoolOp) and id(node) not in tests:
            return f"line {node.lineno} uses the value of 'and' or 'or'"
    return ""


def kernel(f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any]) -> Callable[..., Raw]:
    """Return a function over CuPy arrays that applies `f` to their elements.

    Parameters
    ----------
    f : function
        Of scalars.
    inputs : tuple of dtype
        One per argument.
    result : dtype
        Of the result.

    Returns
    -------
    callable
        Tries each way once, remembers the first that works, and raises TypeError with every reason
        if none does (then the host computes).
    """
    ways: list[Callable[..., Raw]] = []
    reasons: list[str] = []
    refused = translatable(f)
    makers = (
        (_by_cupy, refused),
        (_by_cupy_in_64_bits, refused),
        (_by_numba, ""),
        (_by_whole_arrays, _why_not_whole(f)),
    )

    def run(*args: Raw) -> Raw:
        if ways:
            return _cast(ways[0](*args), result)
        for maker, reason in makers:
            try:
                if reason:
                    raise TypeError(reason)
                way = maker(f, inputs, result)
                made = _cast(way(*args), result)
            except _REFUSALS as error:
                reasons.append(f"{maker.__name__.removeprefix('_by_')}: {error}")
                continue
            ways.append(way)
            return made
        message = "no way to run it on the GPU: " + "; ".join(reasons)
        raise TypeError(message)

    return run


def _cast(made: Raw, result: np.dtype[Any]) -> Raw:
    return made if made.dtype == result else made.astype(result)


def _by_cupy(f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any]) -> Callable[..., Raw]:
    cupy: Any = importlib.import_module("cupy")
    made: Callable[..., Raw] = cupy.vectorize(twin(f))
    return made


def _by_cupy_in_64_bits(f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any]) -> Callable[..., Raw]:
    """Widen the arguments: the translator refuses branches of different widths, and literals are 64 bits wide."""
    narrow = _by_cupy(f, inputs, result)
    wide = [np.dtype({"f": "f8", "c": "c16", "i": "i8", "u": "u8"}.get(d.kind, d)) for d in inputs]

    def run(*args: Raw) -> Raw:
        return narrow(*(a.astype(d) for a, d in zip(args, wide, strict=True)))

    return run


def _by_numba(f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any]) -> Callable[..., Raw]:
    cupy: Any = importlib.import_module("cupy")
    numba: Any = importlib.import_module("numba")
    signature = numba.from_dtype(result)(*(numba.from_dtype(d) for d in inputs))
    made = numba.vectorize([signature], target="cuda")(numba_twin(f))

    def run(*args: Raw) -> Raw:
        return cupy.asarray(made(*(cupy.asarray(a) for a in args)))

    return run


def numba_twin(f: Any) -> Any:
    """Return a copy of a scalar function that numba's CUDA compiler takes: what it calls are device functions."""
    cuda: Any = importlib.import_module("numba.cuda")
    return with_compiled_callees(host_twin(f), cuda.jit(device=True))


def _why_not_whole(f: Any) -> str:
    return "it has in-place operators" if mutates_arguments(f) else ""


def _by_whole_arrays(f: Any, inputs: tuple[np.dtype[Any], ...], result: np.dtype[Any]) -> Callable[..., Raw]:
    cupy: Any = importlib.import_module("cupy")
    whole = twin(f)

    def run(*args: Raw) -> Raw:
        arrays = cupy.broadcast_arrays(*(cupy.asarray(a) for a in args))
        if arrays[0].size == 1:
            message = "one element: a branch on it would not show that f takes scalars only"
            raise TypeError(message)
        return cupy.broadcast_to(cupy.asarray(whole(*arrays)), arrays[0].shape).copy()

    return run
