"""How arrays meet the rest of Python: indexing keys, and NumPy's two protocols."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._block import Handle, devices_of, shaped
from xpu._config import current
from xpu._device import CPU
from xpu._dispatch import call
from xpu._gate import gate
from xpu._op import OPS, Op
from xpu._ops import rest
from xpu._ops._make import UFunc, public
from xpu._short import TOO_MUCH
from xpu._taken import taken
from xpu._windows import window_on
from xpu._wrap import host_call, kinds, own

__all__ = ["array_function", "array_ufunc", "listed", "read_index"]

_CONVERTERS = frozenset({np.atleast_1d, np.atleast_2d, np.atleast_3d})
_BASIC = (int, slice, type(Ellipsis), type(None), np.integer)


def _is_basic(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return all(isinstance(p, _BASIC) and not isinstance(p, (bool, np.bool_)) for p in parts)


def read_index(x: Any, key: Any) -> Any:
    """Return ``x[key]``: a NumPy scalar for a full integer index, a view for a basic key, else a copy."""
    if current().stays:
        known = window_on(rest.item_view.op, (x, key), {})
        if known is not TOO_MUCH:
            return known
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(p, Handle) and not shaped(p).shape for p in parts):
        parts = tuple(_plain_integer(p) for p in parts)
        key = parts if isinstance(key, tuple) else parts[0]
    if any(isinstance(p, list) for p in parts):
        parts = tuple(listed(p) if isinstance(p, list) else p for p in parts)
        key = parts if isinstance(key, tuple) else parts[0]
    if isinstance(key, (str, list)):
        return rest.item_view(x, key)
    if not parts and not shaped(x).shape:
        return x if isinstance(x, kinds.scalar) else own(np.asarray(taken(x))[()], scalar=True)
    if not _is_basic(key):
        return rest.item_get(x, key)
    if len(parts) == len(shaped(x).shape) and parts and all(isinstance(p, (int, np.integer)) for p in parts):
        return _element(x, key)
    return rest.item_view(x, key)


def listed(part: list[Any]) -> Any:
    """Return a list that indexes as an array; an empty one holds integers. Names of fields stay a list."""
    made = np.asarray(part)
    if not made.size:
        return made.astype(np.intp)
    return made if made.dtype.kind in "biu" else part


def _plain_integer(part: Any) -> Any:
    """A 0-d integer array indexes like an integer; its value has to be known on the host."""
    if isinstance(part, Handle) and not shaped(part).shape and shaped(part).dtype.kind in "iu":
        return int(taken(part))
    return part


def _element(x: Any, key: Any) -> Any:
    """Read one element: a host read of a few bytes."""
    if CPU in devices_of(x):
        return taken(x, shaped(x).dtype.itemsize)[key]
    return np.asarray(taken(rest.item_view(x, (*key, ...) if isinstance(key, tuple) else (key, ...))))[()]


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NEP 13: ``numpy.add(x, y)`` with an xpu array runs xpu's function of that name."""
    out = kwargs.get("out")
    if isinstance(out, tuple):
        kwargs["out"] = out[0] if len(out) == 1 else out
    if gate.open:
        return host_call(ufunc if method == "__call__" else getattr(ufunc, method), inputs, kwargs)
    op = OPS.get(ufunc.__name__)
    if op is None or op.host is not ufunc:  # scipy.special, numba: a ufunc xpu has no row for
        return call(Op(ufunc.__name__, "host", getattr(ufunc, method), None, arrays=()), inputs, kwargs)
    function = public(op.name)
    assert isinstance(function, UFunc)
    return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)


def array_function(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NEP 18: ``numpy.sum(x)`` with an xpu array runs xpu's function, or NumPy's on host values.

    What converts gives NumPy's arrays, as ``numpy.asarray`` does: SciPy hands what a user's function returned to C
    code by ``numpy.atleast_1d``.
    """
    if func in _CONVERTERS:
        return func(*[np.array(x) if isinstance(x, Handle) else x for x in args])
    if gate.open:
        return host_call(func, args, kwargs)
    path = f"{func.__module__}.{func.__name__}".removeprefix("numpy").lstrip(".")
    op = OPS.get(path) or OPS.get(func.__name__)
    if op is None or (op.host is not func and getattr(op.host, "__wrapped__", None) is not func):
        op = Op(path, "host", func, None, arrays=())
    return call(op, args, kwargs)
