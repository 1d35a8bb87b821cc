"""From a row to a public function: what `elementwise(...)`, `function(...)` and `view(...)` return.

They are callable objects, as NumPy's own functions are, so that each carries its row, NumPy's
signature and its documentation without a hand-written copy of either.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends._base import follow
from xpu._block import Handle
from xpu._dispatch import call
from xpu._gate import gate
from xpu._op import OPS, Count, Op, by_outer, by_reading
from xpu._ops._gaps import KEYWORDS, MISSING
from xpu._short import TOO_MUCH, of_few_bytes
from xpu._wrap import NUMBERS, enclose, host_call, kinds

__all__ = ["Function", "UFunc", "elementwise", "function", "numpy_function", "view"]


class Function:
    """A NumPy function that runs where it finishes first."""

    __slots__ = ("__weakref__", "_bare", "op")

    def __init__(self, op: Op) -> None:
        self.op = op
        # NumPy's function without its dispatch by type (NEP 18), which costs as much again as a small call.
        self._bare: Any = getattr(op.host, "_implementation", op.host)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        if gate.open:
            return host_call(self._bare, args, kwargs, self.op.host)
        return call(self.op, args, kwargs)

    @property
    def __name__(self) -> str:
        return self.op.name.rpartition(".")[2]

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.op.host)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """NumPy's documentation, with a line on placement."""
        lane = "never on the GPU" if self.op.gpu is None else f"on the GPU through cupy.{self.op.gpu}"
        theirs = inspect.getdoc(self.op.host) or ""
        return f"xpu.{self.op.name}: as numpy.{self.op.name}; {lane} (cost class {self.op.kind}).\n\n{theirs}"

    def __repr__(self) -> str:
        return f"<xpu function {self.op.name}>"

    def __eq__(self, other: object) -> bool:
        """NumPy's function is equal: NEP 13 and 18 hand it to classes that keep a table of functions."""
        host: object = self.op.host
        return other is host or (isinstance(other, Function) and other.op.host is host)

    def __hash__(self) -> int:
        return hash(self.op.host)

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return public, (self.op.name,)


class UFunc(Function):
    """A NumPy universal function, with its methods."""

    __slots__ = ("_host", "_others", "_several")

    def __init__(self, op: Op) -> None:
        super().__init__(op)
        self._host: Any = op.host
        self._others = self.nin - 1 if self.nin < 3 else None
        self._several = self.nout > 1

    def __call__(self, x: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run it; arrays and numbers alone, while everything is on the host, are the hot path."""
        if not gate.open:
            if gate.ajar and not kwargs and len(args) == self._others:
                made = of_few_bytes(self.op, x, *args)
                if made is not TOO_MUCH:
                    return made
            return call(self.op, (x, *args), kwargs)
        if len(args) != self._others or type(x) not in kinds.both:
            return host_call(self._host, (x, *args), kwargs)
        if not args:
            given: tuple[Any, ...] = (x._raw,)
        else:
            other = args[0]
            if type(other) in kinds.both:
                other = other._raw
            elif type(other) not in NUMBERS:
                return host_call(self._host, (x, other), kwargs)
            given = (x._raw, other)
        if not kwargs:
            raw = self._host(*given)
        else:
            out: Any = kwargs.get("out")
            if len(kwargs) > 1 or type(out) not in kinds.both or self._several:
                return host_call(self._host, (x, *args), kwargs)
            self._host(*given, out._raw)
            return out
        if type(raw) is _NUMPY:
            result = kinds.new_array()
        elif isinstance(raw, _GENERIC):
            result = kinds.new_scalar()
        else:
            return enclose(raw, [])
        result._raw = raw
        return result

    def _method(self, name: str, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        path = f"{self.op.name}.{name}"
        op = OPS.get(path)
        if op is None:
            gpu = f"{self.op.gpu}.{name}" if self.op.gpu in _REDUCIBLE and name == "reduce" else None
            writes = (0,) if name == "at" else ()
            op = Op(
                path,
                kind,
                getattr(self._host, name),
                gpu,
                arrays=(0, 1) if name == "outer" else (0,),
                writes=writes,
                gaps=frozenset({"where", "initial"}),
                count=by_outer if name == "outer" else by_reading if name == "reduce" else None,
            )
            OPS[path] = op
        return host_call(op.host, args, kwargs) if gate.open else call(op, args, kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method."""
        return self._method("reduce", "reduction", args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method."""
        return self._method("accumulate", "scan", args, kwargs)

    def reduceat(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method."""
        return self._method("reduceat", "scan", args, kwargs)

    def outer(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method."""
        return self._method("outer", "elementwise", args, kwargs)

    def at(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method: unbuffered, in place."""
        return self._method("at", "gather", args, kwargs)

    def resolve_dtypes(self, *args: Any, **kwargs: Any) -> Any:
        """As the NumPy ufunc's method."""
        return self._host.resolve_dtypes(*args, **kwargs)

    @property
    def nin(self) -> int:
        """Number of inputs."""
        return int(self._host.nin)

    @property
    def nout(self) -> int:
        """Number of outputs."""
        return int(self._host.nout)

    @property
    def nargs(self) -> int:
        """Number of inputs and outputs."""
        return int(self._host.nargs)

    @property
    def ntypes(self) -> int:
        """Number of type combinations."""
        return int(self._host.ntypes)

    @property
    def types(self) -> list[str]:
        """Type combinations."""
        return list(self._host.types)

    @property
    def identity(self) -> Any:
        """The reduction's identity, or None."""
        return self._host.identity

    @property
    def signature(self) -> str | None:
        """The core signature of a generalised ufunc."""
        signature: str | None = self._host.signature
        return signature

    @property
    def __signature__(self) -> inspect.Signature:
        def parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
            return inspect.Parameter(name, kind, default=default)

        names = ["x"] if self.nin == 1 else [f"x{i + 1}" for i in range(self.nin)]
        parameters = [parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names]
        parameters.append(parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, None))
        for name, default in (
            ("where", True),
            ("casting", "same_kind"),
            ("order", "K"),
            ("dtype", None),
            ("subok", True),
        ):
            parameters.append(parameter(name, inspect.Parameter.KEYWORD_ONLY, default))
        if self.signature is not None:
            parameters.append(parameter("axis", inspect.Parameter.KEYWORD_ONLY, -1))
        return inspect.Signature(parameters)

    def __repr__(self) -> str:
        return repr(self._host)


_NUMPY, _GENERIC = np.ndarray, np.generic

# CuPy implements `reduce` for these only (cupy/_core/_kernel.pyx, v14.2).
_REDUCIBLE = frozenset({"add", "multiply"})

_PUBLIC: dict[str, Function] = {}


def public(name: str) -> Function:
    """Return the public function of a row, by its path below ``xpu`` (how functions are pickled)."""
    found = _PUBLIC.get(name)
    return follow(name, importlib.import_module("xpu")) if found is None else found  # type: ignore[return-value]


def numpy_function(name: str) -> Callable[..., Any]:
    """Return NumPy's function of that path, or one that says that this NumPy has none."""
    found = follow(name, np)
    if found is not None:
        return found  # type: ignore[no-any-return]

    def absent(*args: Any, **kwargs: Any) -> Any:
        message = f"xpu.{name}: NumPy {np.__version__} has no such function; upgrade NumPy."
        raise NotImplementedError(message)

    return absent


def _row(name: str, kind: str, fields: dict[str, Any]) -> Op:
    host = fields.pop("host", None) or numpy_function(name)
    gpu = fields.pop("gpu", None if name in MISSING else name)
    op = Op(name, kind, host, gpu, gaps=fields.pop("gaps", KEYWORDS.get(name, frozenset())), **fields)
    OPS[name] = op
    return op


def elementwise(name: str, dtypes: str = "numeric", *, weight: float = 1.0, ulp: float = 0.0, **fields: Any) -> UFunc:
    """Make a universal function from a row.

    Parameters
    ----------
    name : str
        NumPy's name.
    dtypes : str, optional
        Category of dtypes it takes (the array API standard's words).
    weight : float, optional
        Operations per element.
    ulp : float, optional
        Rounding budget between devices.
    **fields
        Further fields of `Op`.

    Returns
    -------
    UFunc
        The public function.
    """
    host: Any = fields.get("host") or numpy_function(name)
    arrays = tuple(range(host.nin))
    writes = tuple(range(host.nin, host.nin + host.nout))
    fields.setdefault("gaps", KEYWORDS.get(name, frozenset()) | {"where"})  # no CuPy ufunc has it
    made = UFunc(
        _row(
            name,
            fields.pop("kind", "elementwise"),
            dict(fields, arrays=arrays, writes=writes, dtypes=dtypes, weight=weight, ulp=ulp),
        )
    )
    _PUBLIC[name] = made
    return made


def function(name: str, kind: str, count: Count | None = None, **fields: Any) -> Function:
    """Make a public function from a row of cost class `kind`; `fields` are those of `Op`."""
    made = Function(_row(name, kind, dict(fields, count=count)))
    _PUBLIC[name] = made
    return made


def view(name: str, **fields: Any) -> Function:
    """Make a function whose result is a view: it stays where its operand is."""
    return function(name, "copy", **{"view": True, "keeps_0d": True, **fields})


def is_array(value: Any) -> bool:
    """Return True for xpu's arrays and scalars."""
    return isinstance(value, Handle)
