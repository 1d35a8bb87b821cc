"""The class of `ndarray`: calling it, asking what it knows, and deriving from it mean what they mean in NumPy."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable
from functools import cache, wraps
from types import FunctionType, new_class
from typing import Any

import numpy as np

from xpu._block import Handle, anchor
from xpu._subclass import Subclassed, based_on_numpy, over
from xpu._wrap import kinds, own
from xpu.errors import text

__all__ = ["Arrays"]


class _New:
    """``__new__`` of the metaclass, which makes classes; of the class it is NumPy's, for ``ndarray.__new__(cls, 3)``.

    An ``ndarray.__new__`` in the class itself would be called for every result.
    """

    def __get__(self, instance: Any, owner: type) -> Any:
        return _new_class if instance is None else _new_array

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(text("ndarray", "__new__ cannot be set", "Derive a class."))


def _new_class(meta: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> type:
    """Make `ndarray` and `scalar`; a user's subclass is one of NumPy's array (`_subclass`)."""
    if kinds.scalar is Handle or kinds.array not in bases:
        return ABCMeta.__new__(meta, name, bases, namespace, **kwargs)
    return new_class(name, based_on_numpy(bases, namespace), kwargs, lambda body: body.update(namespace))


def _new_array(cls: type, *args: Any, **kwargs: Any) -> Any:
    if issubclass(cls, np.ndarray):
        base: Any = Subclassed if issubclass(cls, Subclassed) else np.ndarray
        return base.__new__(cls, *args, **kwargs)
    return _constructed(*args, **kwargs)


_found = type.__getattribute__
_METHODS = frozenset(dir(np.ndarray))
_PROTOCOLS = frozenset({"__array_ufunc__", "__array_function__"})  # NumPy asks the class for them, for every call


@cache
def _unbound(ours: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a method as a subclass calls it, ``ndarray.__getitem__(self, key)``: its instances are NumPy arrays."""

    @wraps(ours)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) is np.ndarray:
            self = over(self)
        if isinstance(self, Handle):
            return ours(self, *args, **kwargs)
        base = Subclassed if isinstance(self, Subclassed) else np.ndarray
        return getattr(base, name)(self, *args, **kwargs)

    return method


class Arrays(ABCMeta):
    """Lets NumPy's own arrays count as arrays: libraries hand them out, and scripts ask."""

    __new__ = _New()

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """NumPy's constructor; xpu itself makes handles by `kinds.new_array`, which is faster."""
        return _constructed(*args, **kwargs) if cls is kinds.array else type.__call__(cls, *args, **kwargs)

    def __getattribute__(cls, name: str) -> Any:
        """Return an attribute of the class; instances and operators do not pass here."""
        found = _found(cls, name)
        if name in _PROTOCOLS or type(found) is not FunctionType or name not in _METHODS:
            return found
        return _unbound(found, name)

    def __getattr__(cls, name: str) -> Any:
        """What only subclasses call, such as ``ndarray.__array_wrap__``, is NumPy's."""
        return getattr(np.ndarray, name)

    def __instancecheck__(cls, instance: Any) -> bool:
        kind = type(instance)
        if cls is kinds.array:  # a scalar is none, as in NumPy
            return kind is cls or isinstance(instance, np.ndarray)
        return type.__instancecheck__(cls, instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return type.__subclasscheck__(cls, subclass) or (cls is kinds.array and issubclass(subclass, np.ndarray))


def _constructed(
    shape: Any, dtype: Any = float, buffer: Any = None, offset: int = 0, strides: Any = None, order: Any = None
) -> Any:
    """Return a new array, or one over the memory of a buffer."""
    memory = anchor(buffer) if isinstance(buffer, Handle) else buffer
    raw: Any = np.ndarray(shape, dtype, memory, offset, strides, order)
    return own(raw, scalar=False) if buffer is None else over(raw)
