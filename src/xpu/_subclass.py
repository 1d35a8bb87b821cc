"""What a class derived from `xpu.ndarray` derives from: NumPy's own array, on the host.

NumPy's machinery for subclasses (views that keep the class, ``__array_finalize__``, ``__array_wrap__``,
``__array_ufunc__``, pickling) is large and exact, and such classes hold a user's own attributes, which no GPU
library knows. So ``class Signal(xpu.ndarray)`` makes a NumPy subclass (`xpu._array`), and this base adds only what
the two kinds of arrays need to meet.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from xpu._block import Handle, anchor, host_view, settle
from xpu._wrap import enclose, kinds
from xpu.errors import text

__all__ = ["BARE", "Subclassed", "SubclassedWithUfuncs", "based_on_numpy", "over"]

# NumPy's classes whose results are plain arrays. Another class means something by itself: a mask, a matrix's product.
BARE = frozenset({np.ndarray, np.memmap})


def over(memory: np.ndarray[Any, Any]) -> Any:
    """Return an xpu array over a NumPy array's memory; it stays on the host."""
    made = kinds.new_array()
    settle(made, host_view(memory, anchored=True))
    return made


def _bare(value: Any) -> Any:
    return anchor(value) if isinstance(value, Handle) else value


class Subclassed(np.ndarray[Any, Any]):
    """NumPy's ndarray, which also takes xpu's arrays for a buffer and `xpu.ndarray` for a class to be viewed as."""

    __module__ = "xpu"

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an array as `numpy.ndarray` does; a buffer may be an xpu array."""
        return super().__new__(cls, *map(_bare, args), **{name: _bare(value) for name, value in kwargs.items()})

    def view(self, *args: Any, **kwargs: Any) -> Any:
        """Return the same memory as another dtype or class; as `xpu.ndarray` it stays on the host."""
        if kinds.array not in (*args, *kwargs.values()):
            return super().view(*args, **kwargs)
        args = tuple(np.ndarray if a is kinds.array else a for a in args)
        kwargs = {name: np.ndarray if value is kinds.array else value for name, value in kwargs.items()}
        return over(super().view(*args, **kwargs))

    @property
    def _raw(self) -> NoReturn:
        """An unbound method of `xpu.ndarray` looks for this in its own arrays."""
        name = type(self).__name__
        problem = f"a method of ndarray itself was called on {name!r}, which is a NumPy class"
        raise TypeError(text("ndarray", problem, f"Call super().method(...) in {name}."))

    _home = _raw


class SubclassedWithUfuncs(Subclassed):
    """The base of a class that handles ufuncs itself, and calls ``super().__array_ufunc__`` on plain views."""

    __module__ = "xpu"

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        """Run NumPy's ufunc on the host; a plain array that comes back is an xpu array, as from any other call."""
        out = kwargs.get("out", ())
        if not any(isinstance(value, Handle) for value in (*inputs, *out)):
            return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)
        kwargs = {**kwargs, "out": tuple(map(_bare, out))} if out else kwargs
        made = super().__array_ufunc__(ufunc, method, *map(_bare, inputs), **kwargs)
        return enclose(made, [*inputs, *out])


def based_on_numpy(bases: tuple[type, ...], namespace: dict[str, Any]) -> tuple[type, ...]:
    """Return the bases of a user's class, with NumPy's array for xpu's."""
    others = [base for base in bases if base is not kinds.array]
    own = "__array_ufunc__" in namespace or any(hasattr(base, "__array_ufunc__") for base in others)
    base = SubclassedWithUfuncs if own else Subclassed
    return tuple(base if given is kinds.array else given for given in bases)
