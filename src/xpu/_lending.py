"""NumPy arrays lent to a function over xpu arrays for one call: NumPy in, NumPy out, writes included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend
from xpu._block import Handle, anchor, home, read, shared
from xpu._call import Call
from xpu._config import current, taking
from xpu._leaves import arrays_in, mapped
from xpu._op import host_only
from xpu._ops import creation
from xpu._transfer import lift
from xpu._wrap import kinds, own

__all__ = ["Lending", "lent"]

Host = np.ndarray[Any, Any]


def lent(array: Any, where: Backend | None) -> Any:
    """Return an xpu array for one call.

    NumPy memory is lent as it is where `where` is None (writes go to it), and copied once otherwise: on
    the host, or straight to a device. An xpu array is itself.
    """
    if isinstance(array, Handle):
        return array
    if where is None or host_only(array.dtype):
        return creation.asarray(array, copy=False)
    return own(array.copy() if where is HOST else lift(array, where), scalar=False)


class Lending:
    """The arguments of one call as xpu arrays.

    Parameters
    ----------
    args, kwargs
        As the user gave them.
    where : callable
        From an array to where it is lent (see `lent`).

    Attributes
    ----------
    arrays, given : list
        The arrays among the arguments, each once: the user's, and what the function gets.
    args, kwargs
        With the given ones in place.
    plain : bool
        There are arrays, and all are NumPy's: results become NumPy's.
    """

    def __init__(self, args: Any, kwargs: Any, where: Callable[[Any], Backend | None]) -> None:
        self.arrays = arrays_in(args, kwargs)
        self.plain = bool(self.arrays) and not any(isinstance(a, Handle) for a in self.arrays)
        made = {id(a): lent(a, where(a)) for a in self.arrays}
        self.given = [made[id(a)] for a in self.arrays]
        self.args = mapped(args, lambda a: made[id(a)])
        self.kwargs = mapped(kwargs, lambda a: made[id(a)])
        self._lent: dict[int, Host] = {}
        self._copies: dict[int, tuple[Host, Any]] = {}
        for array, given in zip(self.arrays, self.given, strict=True):
            if not isinstance(array, Handle):
                self._lent[id(given)] = array
                if where(array) is not None and not host_only(array.dtype):
                    self._copies[id(shared(given).block)] = (array, given)

    def call(self, function: Callable[..., Any]) -> Any:
        """Call a function; what it writes into lent copies is written back, what it returns is made plain."""
        if not self._copies:
            return self.returned(function(*self.args, **self.kwargs))
        written: set[int] = set()
        before = current().takes

        def noting(this: Call) -> Any:
            for target in this.targets:
                view = home(target) if isinstance(target, Handle) else None
                if view is not None and id(view.block) in self._copies:
                    written.add(id(view.block))
            return NotImplemented if before is None else before(this)

        try:
            with taking(noting):
                made = function(*self.args, **self.kwargs)
        finally:
            self._write_back(written)
        return self.returned(made)

    def write_back(self, given: Iterable[Any]) -> None:
        """Write lent copies that have been written back into the user's arrays."""
        self._write_back(id(shared(g).block) for g in given if isinstance(g, Handle))

    def _write_back(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            if block in self._copies:
                array, given = self._copies[block]
                np.copyto(array, read(given, HOST))

    def returned(self, made: Any) -> Any:
        """Return a function's result as the user gets it: an argument is the user's own array, a view lies in it."""
        return mapped(made, self._theirs) if self.plain else made

    def _theirs(self, array: Any) -> Any:
        if not isinstance(array, Handle):
            return array
        if id(array) in self._lent:
            return self._lent[id(array)]
        if isinstance(array, kinds.scalar):
            return np.asarray(read(array, HOST))[()]
        view = home(array)
        if view is not None and id(view.block) in self._copies:
            theirs, _ = self._copies[id(view.block)]
            if theirs.flags.c_contiguous and view.block.nbytes == theirs.nbytes:
                return np.ndarray(view.shape, view.dtype, theirs, view.offset, view.strides)
        return anchor(array)
