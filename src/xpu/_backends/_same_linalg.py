"""NumPy's answers in linear algebra, where CuPy's differ: names of results, real eigenvalues, refused dtypes.

Read in CuPy 14.2 (``cupy/linalg``): decompositions return plain tuples, ``eig`` and ``eigvals`` are complex whatever
they find, and ``eigh`` takes float16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends._base import NotAsNumpy
from xpu._op import Op

__all__ = ["linear"]

Raw = Any

_TUPLES = frozenset({"linalg.eig", "linalg.eigh", "linalg.qr", "linalg.slogdet", "linalg.svd"})
_GENERAL = frozenset({"linalg.eig", "linalg.eigvals"})
_TAKE_HALF = frozenset({"linalg.eigh", "linalg.eigvalsh"})


def linear(op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, adapted where its results differ from NumPy's in kind.

    Parameters
    ----------
    op : Op
        A row of kind ``"linalg"``.
    function : callable
        The library's function, over raw arrays.

    Returns
    -------
    callable
        `function` itself where nothing differs.
    """
    if op.name in _TAKE_HALF:
        function = _refusing_half(op, function)
    if op.name in _GENERAL:
        function = _real_where_numpys_are(function)
    return _named(op, function) if op.name in _TUPLES else function


def _named(op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a tuple of results NumPy's names (``.S``, ``.eigenvalues``)."""
    kind = type(op.host(np.eye(1)))

    @functools.wraps(function, updated=())
    def named(*args: Any, **kwargs: Any) -> Any:
        made = function(*args, **kwargs)
        plain = not isinstance(made, tuple) or "raw" in (*args[1:], kwargs.get("mode"))  # `qr`: no names in NumPy
        return made if plain else kind(*made)

    return named


def _real_where_numpys_are(function: Callable[..., Any]) -> Callable[..., Any]:
    """Drop imaginary parts of a real matrix's eigenvalues if all are zero, as NumPy does (one synchronisation)."""

    @functools.wraps(function, updated=())
    def narrowed(a: Raw, *args: Any, **kwargs: Any) -> Any:
        made = function(a, *args, **kwargs)
        values = made[0] if isinstance(made, tuple) else made
        if a.dtype.kind == "c" or values.dtype.kind != "c" or bool((values.imag != 0).any()):
            return made
        return tuple(m.real.copy() for m in made) if isinstance(made, tuple) else made.real.copy()

    return narrowed


def _refusing_half(op: Op, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function, updated=())
    def refusing(a: Raw, *args: Any, **kwargs: Any) -> Any:
        if a.dtype == np.float16:
            message = f"{op.name} of float16"
            raise NotAsNumpy(message)
        return function(a, *args, **kwargs)

    return refusing
