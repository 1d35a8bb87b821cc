"""`vectorize`: a scalar Python function as an elementwise kernel on every device.

It is NumPy's class, so everything that `numpy.vectorize` takes works; what cannot be compiled runs as
NumPy runs it, and `reason` says why. A compiled kernel is a row like any other operation's, so it is
placed, moved, recorded and explained like one.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends import HOST
from xpu._block import Handle, devices_of, read, shaped
from xpu._config import current
from xpu._device import CPU
from xpu._dispatch import call
from xpu._gate import gate
from xpu._kernels import _cuda, _numba
from xpu._kernels._code import Captured, captured, host_twin, mutates_arguments, why_not
from xpu._op import Op, Shaped, host_only
from xpu._wrap import host_call

__all__ = ["vectorize"]

Raw = Any
Dtypes = tuple[np.dtype[Any], ...]

# Up to so many elements in all, on the host, a kernel is not worth a compiler's second.
_FEW = 1000
# Operations that a call of a mathematical function counts for.
_CALL_WEIGHT = 20.0


class vectorize(np.vectorize):
    """A scalar Python function as an elementwise kernel.

    On the host numba compiles it, on a GPU CuPy does; the first call with new dtypes pays for that.
    Kernels compute as arrays do: division by zero gives infinity, a value outside a function's domain
    NaN, and integers wrap at 64 bits, where Python would raise. Fewer than 1000 elements in all, on
    the host, run as NumPy runs them.

    Parameters
    ----------
    pyfunc, otypes, doc, excluded, cache, signature
        As for `numpy.vectorize`. With `excluded` or `signature` nothing is compiled.

    Attributes
    ----------
    reason : str
        Why the last call was not compiled; empty if it was.

    Notes
    -----
    The result's dtype is that of the first element's result (NumPy's rule), widened where another
    branch returns another kind of number. Arithmetic on the host may be wider than the result.

    Examples
    --------
    >>> import xpu
    >>> @xpu.vectorize
    ... def soft(x, limit):
    ...     if x > limit:
    ...         return x - limit
    ...     if x < -limit:
    ...         return x + limit
    ...     return 0.0
    >>> soft(xpu.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    """

    reason = ""
    _kernel: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the function to the elements of the broadcast arguments."""
        f: Any = self.pyfunc
        if f is np._NoValue:  # used as a decorator with arguments
            return super().__call__(*args, **kwargs)
        if self._kernel is None or not self._kernel.current():
            self._kernel = _Kernel(self)
        inputs, self.reason = self._kernel.inputs(args, kwargs)
        if self.reason:
            return self._plain(args, kwargs)
        return self._kernel.run(inputs)

    def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it as NumPy does, one Python call per element."""
        op = Op(f"vectorize({_name(self.pyfunc)})", "host", super().__call__, None, keeps_0d=True)
        return host_call(op.host, args, kwargs) if gate.open else call(op, args, kwargs)


class _Kernel:
    """What is known and compiled for one function, as long as what it refers to stays the same."""

    def __init__(self, owner: Any) -> None:
        f = owner.pyfunc
        self.f = f
        self.why = _why_not(owner)
        self.captured = Captured((), ()) if self.why else captured(f)
        self.parameters = () if self.why else tuple(inspect.signature(f).parameters.values())
        self.fixed = None if self.why or owner.otypes is None else np.dtype(owner.otypes[0])
        self.seen = 0
        self.results: dict[Dtypes, np.dtype[Any]] = {}
        self.hosts: dict[Dtypes, Callable[..., Raw]] = {}
        self.gpus: dict[Dtypes, Callable[..., Raw]] = {}
        self.whys: dict[Dtypes, str] = {}
        arrays = tuple(range(len(self.parameters)))
        weight = 1.0 if self.why else _weight(f)
        self.op = Op(
            f"vectorize({_name(f)})", "elementwise", self.apply, "self", arrays=arrays, weight=weight, keeps_0d=True
        )

    def current(self) -> bool:
        """Return True while the compiled code says what the function says."""
        return bool(self.why) or captured(self.f).same(self.captured)

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], str]:
        """Return one operand per parameter, or why the call cannot be compiled."""
        if self.why:
            return [], self.why
        found, why = self._bound(args, kwargs)
        if why:
            return [], why
        operands = [a if isinstance(a, (Handle, np.ndarray)) else np.asarray(a)[()] for a in found]
        metas = [shaped(o) if isinstance(o, Handle) else Shaped(o.shape, o.dtype) for o in operands]
        elements = int(np.prod(np.broadcast_shapes(*(m.shape for m in metas))))
        dtypes = tuple(m.dtype for m in metas)
        why = self._why_not_these(operands, dtypes, elements)
        if not why and dtypes not in self.results:
            self._learn(operands, dtypes)
            why = self.whys.get(dtypes, "")
        return operands, why

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], str]:
        given = list(args)
        for parameter in self.parameters[len(args) :]:
            if parameter.name in kwargs:
                given.append(kwargs[parameter.name])
            elif parameter.default is not inspect.Parameter.empty:
                given.append(parameter.default)
        unknown = set(kwargs) - {p.name for p in self.parameters[len(args) :]}
        if unknown or len(given) != len(self.parameters):
            return [], "its arguments do not fit its parameters"  # NumPy says what is wrong
        return given, ""

    def _why_not_these(self, operands: list[Any], dtypes: Dtypes, elements: int) -> str:
        if not elements:
            return "there are no elements"
        for operand, dtype in zip(operands, dtypes, strict=True):
            if isinstance(operand, np.ndarray) and type(operand) is not np.ndarray:
                return f"an argument is a {type(operand).__name__}"
            if dtype.kind not in "biufc" or dtype.char == "e" or host_only(dtype) or dtype == np.uint64:
                return f"dtype {dtype} is not compiled"  # compilers take uint64 with a literal for int64 or float64
        if dtypes in self.whys:
            return self.whys[dtypes]
        at_home = current().device in ("auto", "cpu") and all(
            CPU in devices_of(o) for o in operands if isinstance(o, Handle)
        )
        if dtypes not in self.results and at_home and self.seen + elements <= _FEW:
            self.seen += elements
            return f"{self.seen} elements so far are not worth a compiler"
        return ""

    def _learn(self, operands: list[Any], dtypes: Dtypes) -> None:
        """Find the result's dtype and compile for the host; or say why not."""
        result = self.fixed
        if result is None:
            with np.errstate(all="ignore"):
                first = np.asarray(self.f(*map(_first, operands)))
            result = first.dtype
            if first.ndim or result.kind not in "biufc":
                self.whys[dtypes] = f"it returns {first.dtype} of shape {first.shape}, not one number"
                return
        made, why = _numba.compiled(host_twin(self.f), dtypes, result, fixed=self.fixed is not None)
        if made is None:
            self.whys[dtypes] = why
            whole = self._by_whole_arrays(operands, result)
            if whole is None:
                return
            made = whole
            del self.whys[dtypes]
        else:
            result = np.dtype(made.types[0].rpartition(">")[2])  # type: ignore[attr-defined]
        self.results[dtypes] = result
        self.hosts[dtypes] = made

    def _by_whole_arrays(self, operands: list[Any], result: np.dtype[Any]) -> Callable[..., Raw] | None:
        """Without a compiler, a function without branches may take whole arrays; tried on two elements."""
        if mutates_arguments(self.f):
            return None
        twin = host_twin(self.f, _whole)

        def whole(*args: Raw) -> Raw:
            arrays = list(np.broadcast_arrays(*args))
            if arrays[0].size == 1:
                arrays = [np.concatenate([a.reshape(1)] * 2) for a in arrays]
                shape: tuple[int, ...] = np.broadcast_shapes(*(np.shape(a) for a in args))
                return _spread(twin(*arrays), (2,), result)[:1].reshape(shape)
            return _spread(twin(*arrays), arrays[0].shape, result)

        pair = [np.concatenate([np.reshape(_first(o), 1)] * 2) for o in operands]
        try:
            whole(*pair)
        except (TypeError, ValueError, AttributeError):
            return None
        return whole

    def run(self, inputs: list[Any]) -> Any:
        """Run it through the one path of every operation."""
        args = tuple(inputs)
        return host_call(self.op.host, args, {}) if gate.open else call(self.op, args, {})

    def apply(self, *raws: Raw) -> Raw:
        """Run on raw arrays of one library, all in one place."""
        dtypes = tuple(np.asarray(r).dtype if isinstance(r, np.generic) else r.dtype for r in raws)
        if all(isinstance(r, (np.ndarray, np.generic)) for r in raws):
            with np.errstate(all="ignore"):
                return np.asarray(self.hosts[dtypes](*raws))
        if dtypes not in self.gpus:
            self.gpus[dtypes] = _cuda.kernel(self.f, dtypes, self.results[dtypes])
        return self.gpus[dtypes](*raws)


def _name(f: Any) -> str:
    return str(getattr(f, "__name__", type(f).__name__))


def _why_not(owner: Any) -> str:
    if owner.signature is not None:
        return "it has a signature"
    if owner.excluded:
        return "it has excluded arguments"
    if owner.otypes is not None and (len(owner.otypes) != 1 or np.dtype(owner.otypes[0]).char not in "?bhilqBHILQfdFD"):
        return f"otypes {owner.otypes!r} are not one numeric dtype"
    return why_not(owner.pyfunc)


def _weight(f: Any) -> float:
    """Estimate operations per element from the bytecode."""
    weight = 0.0
    for step in dis.get_instructions(f):
        if step.opname.startswith("CALL"):
            weight += _CALL_WEIGHT
        elif step.opname.startswith(("BINARY", "COMPARE", "UNARY")):
            weight += 1.0
    return max(1.0, weight)


def _first(operand: Any) -> Any:
    """Return the first element on the host: of a device array a few bytes are read."""
    if isinstance(operand, Handle):
        index = (0,) * len(shaped(operand).shape)
        return np.asarray(read(operand, HOST))[()] if not index else operand[index]  # type: ignore[index]
    return operand.reshape(-1)[0] if operand.ndim else operand[()]


def _whole(value: Any) -> Any:
    """Replace functions of numbers by NumPy's of arrays."""
    if getattr(value, "__name__", "") in ("math", "xpu") and hasattr(value, "pi"):
        return np
    return getattr(getattr(value, "op", None), "host", value)


def _spread(made: Any, shape: tuple[int, ...], result: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if np.iscomplexobj(made) and result.kind != "c":
        message = f"its complex numbers are not of dtype {result}"
        raise TypeError(message)
    return np.array(np.broadcast_to(made, shape), result)
