"""One call, taken apart: which arguments are operands, which are written, and how to replace them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._accounts import Kind
from xpu._backends import HOST, Backend, backend_of
from xpu._block import Handle, shaped
from xpu._op import Op, Shaped
from xpu._subclass import BARE
from xpu._transfer import lift

__all__ = ["Call"]

Raw = Any


class Call:
    """One call, taken apart: its operands in order and what it writes."""

    __slots__ = ("args", "foreign", "handles", "kind", "kwargs", "op", "operands", "seconds", "targets")

    def __init__(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.op = op
        self.args = args
        self.kwargs = kwargs
        self.operands: list[Any] = []
        self.kind: Kind | None = None  # which record its results belong to, once placement was asked
        self.seconds = 0.0  # what its function took, once it ran on the host
        self.foreign = ""  # the class of an argument that NumPy's protocols handle, such as a data frame
        for i, value in enumerate(args):
            self._collect(value, strange=op.kind == "elementwise" and i in op.arrays)
        for value in kwargs.values():
            self._collect(value)
        self.handles: list[Handle] = [o for o in self.operands if isinstance(o, Handle)]
        written = [args[i] for i in op.writes if i < len(args)]
        out = kwargs.get("out")
        written += out if isinstance(out, tuple) else [out]
        written.append(kwargs.get("output"))  # SciPy's word for it
        self.targets: list[Any] = [w for w in written if isinstance(w, (Handle, np.ndarray))]

    def _collect(self, value: Any, *, strange: bool = False) -> None:
        """Note what is an operand; `strange`: what is no number either would be computed with by Python."""
        if isinstance(value, Handle):
            self.operands.append(value)
        elif type(value) in (tuple, list):
            if len(value) < _LONG or isinstance(value[0], (Handle, np.ndarray)):
                for v in value:
                    self._collect(v, strange=strange)
        elif not isinstance(value, _PLAIN):
            if backend_of(value) is not None:
                self.operands.append(value)
                if isinstance(value, np.ndarray) and type(value) not in BARE:
                    self.foreign = type(value).__name__  # a mask, a matrix's product: no GPU library knows them
            elif strange or hasattr(value, "__array__") or hasattr(value, "__array_ufunc__"):
                self.foreign = type(value).__name__

    def without_out(self) -> Call:
        """Return the call with a result of its own."""
        return Call(self.op, self.args, {name: value for name, value in self.kwargs.items() if name != "out"})

    def shapes(self) -> list[Shaped]:
        """Shapes and dtypes of all operands."""
        return [shaped(o) if isinstance(o, Handle) else Shaped(o.shape, o.dtype) for o in self.operands]

    def replaced(self, fetch: Callable[[Any], Any], where: Backend) -> tuple[list[Any], dict[str, Any]]:
        """Return arguments with every operand replaced by a raw array on `where`."""
        array_like = where is not HOST
        args = [self._swap(v, fetch, where, array_like and i in self.op.arrays) for i, v in enumerate(self.args)]
        kwargs = {}
        for name, value in self.kwargs.items():
            raw = self._swap(value, fetch, where, array_like and name in self.op.names)
            if array_like and name in self.op.names and self.op.names.index(name) == len(args):
                args.append(raw)  # CuPy names its first parameters differently
            else:
                kwargs[name] = raw
        return args, kwargs

    def _swap(self, value: Any, fetch: Callable[[Any], Any], where: Backend, array_like: bool) -> Any:
        if isinstance(value, Handle):
            return fetch(value)
        if isinstance(value, _PLAIN):
            return value
        if backend_of(value) is not None:
            return fetch(value)
        if type(value) in (tuple, list):
            if array_like and not self.op.sequence:
                return lift(np.asarray(value), where)
            if len(value) < _LONG or isinstance(value[0], (Handle, np.ndarray)):
                return type(value)([self._swap(v, fetch, where, array_like) for v in value])
        return value


_PLAIN = (int, float, complex, str, bytes, type(None), slice, type(Ellipsis), np.generic, np.dtype, type)
_LONG = 64  # a longer sequence is data, not a list of arrays, unless it starts with one
