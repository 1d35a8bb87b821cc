"""Wrapping raw arrays in handles, and the short path of a call while the gate is open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends._numpy import run_here
from xpu._block import Handle, home, host_view, settle, shaped
from xpu._gate import gate

__all__ = ["NUMBERS", "PLAIN", "as_scalar", "enclose", "holds_none", "host_call", "kinds", "own", "wrap"]

Raw = Any


class _Kinds:
    """The two classes results are wrapped in, and what makes empty handles: calling a class is NumPy's constructor."""

    array: type[Handle] = Handle
    scalar: type[Handle] = Handle
    new_array: Callable[[], Any] = Handle
    new_scalar: Callable[[], Any] = Handle
    both: frozenset[type[Handle]] = frozenset()
    known: frozenset[type] = frozenset()  # both, and all that holds no array


kinds = _Kinds()

_NUMPY, _GENERIC = np.ndarray, np.generic  # globals of this file: one look-up less on the hot path
_may_share: Any = getattr(np.may_share_memory, "_implementation", np.may_share_memory)  # asks no class of the user
# Values that NumPy takes as they are, and that cannot hold an array.
_CODES = "?bhilqBHILQefdgFDG"
NUMBERS: frozenset[type] = frozenset({int, float, complex, bool, *(np.dtype(code).type for code in _CODES)})
PLAIN: frozenset[type] = NUMBERS | {str, type(None), slice, type, np.dtype}


# ----------------------------------------------------------------------------- the gate is open


def host_call(
    bare: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], host: Callable[..., Any] | None = None
) -> Any:
    """Run NumPy's function at once: the gate is open, every handle holds a NumPy array.

    Parameters
    ----------
    bare : callable
        NumPy's function, without its dispatch by type if it has one: nothing foreign is given to it.
    args, kwargs
        The user's arguments.
    host : callable, optional
        NumPy's function with its dispatch, for foreign arguments, if that is another.

    Returns
    -------
    object
        Arrays and scalars in handles.
    """
    both = kinds.both
    named: Any = kwargs
    for value in kwargs.values():
        if type(value) not in PLAIN:
            named = _bare_keywords(kwargs)
            if named is None:
                return _host_call(host or bare, args, kwargs)
            break
    if len(args) == 1 and type(args[0]) in both:  # the loop below, for what most calls are
        raw = args[0]._raw
        result = bare(raw, **named) if named else bare(raw)
        if result is raw:
            return args[0]
    else:
        raws = []
        for value in args:
            kind = type(value)
            if kind in both:
                value = value._raw
            elif kind not in PLAIN and not (kind is tuple and holds_none(value)):
                if (kind is not list and kind is not tuple) or not kinds.known.issuperset(map(type, value)):
                    return _host_call(host or bare, args, kwargs)
                value = kind([v._raw if type(v) in both else v for v in value])
            raws.append(value)
        result = bare(*raws, **named) if named else bare(*raws)
        if type(result) is _NUMPY:
            for raw in raws:
                if raw is result:
                    return args[[id(r) for r in raws].index(id(result))]
    if type(result) is _NUMPY:
        if named is not kwargs:
            for name, raw in named.items():
                if raw is result:
                    return kwargs[name]
        handle = kinds.new_array()
    elif isinstance(result, _GENERIC):
        handle = kinds.new_scalar()
    else:
        return enclose(result, [v for v in (*args, *kwargs.values()) if type(v) in both])
    handle._raw = result
    return handle


def holds_none(values: tuple[Any, ...]) -> bool:
    """Return True for a tuple without arrays; what begins with an integer is a shape, axes or an index."""
    return not values or type(values[0]) is int or PLAIN.issuperset(map(type, values))


def _bare_keywords(kwargs: dict[str, Any]) -> dict[str, Any] | None:
    """Return keywords with handles replaced by what they hold: the same object without any, None if others may."""
    named = kwargs
    for name, value in kwargs.items():
        kind = type(value)
        if kind in kinds.both:
            if named is kwargs:
                named = dict(kwargs)
            named[name] = value._raw
        elif kind not in PLAIN and not (kind is tuple and holds_none(value)):
            return None
    return named


def _host_call(host: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for arguments of any kind: nested sequences, foreign arrays."""
    inputs: list[Any] = []
    raw_args = [_bare(a, inputs) for a in args]
    raw_kwargs = {k: _bare(v, inputs) for k, v in kwargs.items()} if kwargs else kwargs
    return enclose(run_here(host, raw_args, raw_kwargs), inputs)


def _bare(value: Any, inputs: list[Any]) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, Handle):
        inputs.append(value)
        return value._raw
    if isinstance(value, np.ndarray):
        inputs.append(value)
    elif kind is tuple or kind is list:
        for item in value:
            if type(item) not in PLAIN:
                return kind([_bare(v, inputs) for v in value])
    return value


def enclose(result: Any, inputs: list[Any]) -> Any:
    """Wrap what NumPy returned; a result that is an input, or lies in foreign memory, stays that."""
    kind = type(result)
    if kind is np.ndarray:
        for given in inputs:
            if isinstance(given, Handle):
                if given._raw is result:
                    return given
            elif _may_share(result, given):
                handle = kinds.new_array()
                settle(handle, host_view(result, anchored=True))
                return handle
        return wrap(result)
    if isinstance(result, np.generic):
        return wrap(result)
    if isinstance(result, (tuple, list)):
        items = [enclose(r, inputs) for r in result]
        return kind(*items) if hasattr(result, "_fields") else kind(items)
    return result


def wrap(raw: Raw) -> Any:
    """Wrap a raw array whose sharing is not known yet (see `xpu._block.Handle`)."""
    handle = kinds.new_scalar() if isinstance(raw, np.generic) else kinds.new_array()
    handle._raw = raw
    return handle


def as_scalar(made: Any) -> Any:
    """Return a scalar where something that only scalars went into made a 0-d array."""
    if type(made) is not kinds.array or shaped(made).shape:
        return made
    handle = kinds.new_scalar()
    raw, handle._home = made._raw, home(made)
    if isinstance(raw, np.ndarray):
        raw, handle._home = raw[()], None
    handle._raw = raw
    return handle


def own(raw: Raw, *, scalar: bool) -> Any:
    """Wrap a raw array that nobody else shares."""
    handle = kinds.new_scalar() if scalar else kinds.new_array()
    handle._raw = raw
    if gate.accelerated:  # before that, hot paths may share its bytes without a word
        handle._home = None
    return handle
