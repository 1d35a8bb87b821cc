"""Wrapping raw arrays in handles, and the short path of a call while the gate is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from xpu._block import Handle, host_view, settle
from xpu._gate import gate
from xpu._op import Op

__all__ = ["enclose", "host_call", "kinds", "own", "wrap"]

Raw = Any


class _Kinds:
    """The two classes results are wrapped in, and what makes empty handles: calling a class is NumPy's constructor."""

    array: type[Handle] = Handle
    scalar: type[Handle] = Handle
    new_array: Callable[[], Any] = Handle
    new_scalar: Callable[[], Any] = Handle
    both: frozenset[type[Handle]] = frozenset()


kinds = _Kinds()


# ----------------------------------------------------------------------------- the gate is open


def host_call(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run on the host at once: the gate is open, every handle holds a NumPy array."""
    both = kinds.both
    raws = []
    for value in args:
        kind = type(value)
        if kind in both:
            value = value._raw
        elif kind not in _PLAIN and not (kind is tuple and _is_plain(value)):
            return _host_call(op, args, kwargs)
        raws.append(value)
    if kwargs and not _is_plain(kwargs.values()):
        return _host_call(op, args, kwargs)
    result = op.host(*raws, **kwargs)
    if type(result) is np.ndarray:
        for value, raw in zip(args, raws, strict=True):
            if raw is result:
                return value
        handle = kinds.new_array()
    elif isinstance(result, np.generic):
        handle = kinds.new_scalar()
    else:
        return enclose(result, [v for v in args if isinstance(v, Handle)])
    handle._raw = result
    return handle


def _is_plain(values: Iterable[Any]) -> bool:
    for value in values:  # noqa: SIM110  # a generator would cost as much again
        if type(value) not in _PLAIN and not (type(value) is tuple and _is_plain(value)):
            return False
    return True


def _host_call(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for arguments of any kind: sequences of arrays, foreign arrays, keywords."""
    inputs: list[Any] = []
    raw_args = [_bare(a, inputs) for a in args]
    raw_kwargs = {k: _bare(v, inputs) for k, v in kwargs.items()} if kwargs else kwargs
    return enclose(op.host(*raw_args, **raw_kwargs), inputs)


_PLAIN = frozenset({int, float, complex, bool, str, type(None), slice, type, np.dtype})


def _bare(value: Any, inputs: list[Any]) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Handle):
        inputs.append(value)
        return value._raw
    if isinstance(value, np.ndarray):
        inputs.append(value)
    elif kind is tuple or kind is list:
        for item in value:
            if type(item) not in _PLAIN:
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
            elif np.may_share_memory(result, given):
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


def own(raw: Raw, *, scalar: bool) -> Any:
    """Wrap a raw array that nobody else shares."""
    handle = kinds.new_scalar() if scalar else kinds.new_array()
    handle._raw = raw
    if gate.accelerated:  # before that, hot paths may share its bytes without a word
        handle._home = None
    return handle
