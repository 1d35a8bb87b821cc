"""What a scalar Python function refers to, read off its bytecode: may a compiler have it, and has it changed.

A compiler freezes globals and closures, knows other random streams than NumPy's, and swallows side
effects. So only functions that refer to nothing but arithmetic are compiled; for others the reason is
said. Bytecode is always there, while source is not (interactive sessions).
"""

from __future__ import annotations

import builtins
import dis
import math
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xpu._block import Handle

__all__ = ["Captured", "captured", "host_twin", "mutates_arguments", "why_not"]

Scalar = Callable[..., Any]

_BUILTINS = frozenset({"abs", "bool", "complex", "float", "int", "max", "min", "range"})
_CONSTANTS = (bool, int, float, complex, np.generic, type(None))
# Instructions that make or change objects, import, yield, or write outside the function.
_REFUSED = {
    "STORE_GLOBAL": "it assigns to a global",
    "STORE_DEREF": "it assigns to a variable of an enclosing function",
    "DELETE_GLOBAL": "it deletes a global",
    "IMPORT_NAME": "it imports a module",
    "MAKE_FUNCTION": "it defines a function",
    "YIELD_VALUE": "it is a generator",
    "STORE_ATTR": "it sets an attribute",
    "STORE_SUBSCR": "it writes to an element",
    "BINARY_SUBSCR": "it indexes",
    "BUILD_LIST": "it builds a list",
    "BUILD_MAP": "it builds a dictionary",
    "BUILD_SET": "it builds a set",
    "BUILD_STRING": "it builds a string",
    "FORMAT_VALUE": "it formats a string",
    "SETUP_WITH": "it has a with block",
    "BEFORE_WITH": "it has a with block",
    "PUSH_EXC_INFO": "it handles exceptions",
    "RAISE_VARARGS": "it raises exceptions",
}


class Captured(NamedTuple):
    """The values a function refers to, outside itself: compiled code holds until one changes."""

    names: tuple[str, ...]
    values: tuple[Any, ...]

    def same(self, other: Captured) -> bool:
        """Return True if every value is still the same object, or an equal constant."""
        if self.names != other.names:
            return False
        pairs = zip(self.values, other.values, strict=True)
        return all(a is b or (type(a) is type(b) and isinstance(a, _CONSTANTS) and a == b) for a, b in pairs)


_ABSENT = object()


def _cells(f: Any) -> dict[str, Any]:
    cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def _look_up(f: Any, name: str) -> Any:
    return f.__globals__.get(name, getattr(builtins, name, _ABSENT))


def captured(f: Any) -> Captured:
    """Return what the function refers to now (and what the functions it calls refer to)."""
    names: list[str] = []
    values: list[Any] = []
    for name, value in _references(f):
        names.append(name)
        values.append(value)
        if isinstance(value, types.FunctionType) and value is not f:
            inner = captured(value)
            names += [f"{name}.{n}" for n in inner.names]
            values += inner.values
    return Captured(tuple(names), tuple(values))


def _references(f: Any) -> Iterator[tuple[str, Any]]:
    cells = _cells(f)
    for step in dis.get_instructions(f):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield step.argval, _look_up(f, step.argval)
        elif step.opname == "LOAD_DEREF":
            yield step.argval, cells.get(step.argval, _ABSENT)


def why_not(f: Any) -> str:
    """Say why a function is not compiled; empty where it may be.

    Parameters
    ----------
    f : object
        What the user gave.

    Returns
    -------
    str
        One clause.
    """
    if not isinstance(f, types.FunctionType):
        return f"it is no Python function but a {type(f).__name__}"
    if f.__code__.co_flags & 0x2AC:  # *args, **kwargs, generators and coroutines (inspect.CO_*)
        return "it takes *args or **kwargs, or is a generator or coroutine"
    if f.__code__.co_kwonlyargcount or not f.__code__.co_argcount:
        return "it has keyword-only arguments, or none at all"
    found = _why_not_its_code(f)
    if found:
        return found
    for name, value in _references(f):
        if isinstance(value, types.FunctionType) and value is not f:
            inner = why_not(value)
            if inner:
                return f"it calls {name}: {inner}"
    return ""


def _why_not_its_code(f: Any) -> str:
    cells = _cells(f)
    holder: Any = _ABSENT
    for step in dis.get_instructions(f):
        if step.opname in _REFUSED:
            return _REFUSED[step.opname]
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            if holder is _ABSENT:
                return f"it uses the attribute .{step.argval}"
            name = f"{holder.__name__}.{step.argval}"
            if not _known(getattr(holder, step.argval, _ABSENT)):
                return f"it uses {name}"
        holder = _ABSENT
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"):
            is_cell = step.opname == "LOAD_DEREF"
            value = cells.get(step.argval, _ABSENT) if is_cell else _look_up(f, step.argval)
            if _is_library(value):
                holder = value
            elif not (_known(value) or isinstance(value, types.FunctionType)) or _is_other_builtin(value):
                return f"it uses {step.argval}"
    return ""


def _is_other_builtin(value: Any) -> bool:
    return getattr(value, "__module__", None) == "builtins" and value.__name__ not in _BUILTINS


def _is_library(value: Any) -> bool:
    return value is math or value is np or (isinstance(value, types.ModuleType) and value.__name__ == "xpu")


def _known(value: Any) -> bool:
    """Return True for constants, builtins, functions of math, and ufuncs (NumPy's or xpu's)."""
    if isinstance(value, Handle):
        return False
    if isinstance(value, (*_CONSTANTS, np.ufunc)) or isinstance(_host(value), np.ufunc):
        return True
    if isinstance(value, types.BuiltinFunctionType):
        return value.__module__ in ("math", "builtins")
    return isinstance(value, type) and value.__module__ == "builtins"


def _host(value: Any) -> Any:
    """Return NumPy's function behind one of xpu's."""
    return getattr(getattr(value, "op", None), "host", value)


def host_twin(f: Any, replace: Callable[[Any], Any] | None = None) -> Any:
    """Return a copy of `f` that refers to NumPy where it refers to xpu.

    Parameters
    ----------
    f : function
        A function that `why_not` let through.
    replace : callable, optional
        What else to replace among the values it refers to (from value to value).

    Returns
    -------
    function
        A new function over the same code.
    """
    swap = replace or _to_numpy
    names = {name: swap(value) for name, value in _references(f) if value is not _ABSENT and value is not f}
    for name, value in names.items():
        if isinstance(value, types.FunctionType):
            names[name] = host_twin(value, replace)
    cells = tuple(types.CellType(names.get(name, value)) for name, value in _cells(f).items())
    scope = {**names, "__builtins__": builtins}
    twin = types.FunctionType(f.__code__, scope, f.__name__, f.__defaults__, cells or None)
    if _look_up(f, f.__name__) is f:
        scope[f.__name__] = twin
    twin.__module__ = f.__module__
    return twin


def _to_numpy(value: Any) -> Any:
    return np if isinstance(value, types.ModuleType) and value.__name__ == "xpu" else _host(value)


def mutates_arguments(f: Any) -> bool:
    """Return True if the function has in-place operators, which would write to whole arrays."""
    return any(
        step.opname.startswith("INPLACE") or (step.opname == "BINARY_OP" and step.argrepr.endswith("="))
        for step in dis.get_instructions(f)
    )
