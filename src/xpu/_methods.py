"""NumPy's array methods, one line each, over the public functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._block import Handle, anchor, home, shaped
from xpu._flags import allow_writing, forbid_writing
from xpu._gate import gate
from xpu._hot import method
from xpu._ops import creation, rest
from xpu._ops import elementwise as ew
from xpu._taken import taken

__all__ = ["Methods"]


def _reshape(x: Any, *shape: Any, **kwargs: Any) -> Any:
    return rest.reshape(x, *((shape,) if len(shape) > 1 else shape), **kwargs)


def _transpose(x: Any, *axes: Any) -> Any:
    return rest.transpose(x, *((axes,) if len(axes) > 1 else axes))


def _copy(x: Any, order: str = "C") -> Any:
    """The method's order differs from `numpy.copy`'s."""
    return creation.copy(x, order=order)


_view = method(rest.dtype_view, "view", "Return the same bytes as another dtype.")


def _is_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, (Handle, np.ndarray))


class Methods(Handle):
    """What `ndarray` inherits: methods that only call a function with the array first."""

    __slots__ = ()

    all = method(rest.all, "all", "Return True where all elements are.")
    any = method(rest.any, "any", "Return True where any element is.")
    argmax = method(rest.argmax, "argmax", "Return index of the maximum.")
    argmin = method(rest.argmin, "argmin", "Return index of the minimum.")
    argpartition = method(rest.argpartition, "argpartition", "Return indices that would partition.")
    argsort = method(rest.argsort, "argsort", "Return indices that would sort.")
    choose = method(rest.choose, "choose", "Choose from arrays by index.")
    clip = method(rest.clip, "clip", "Limit the values.")
    conj = method(ew.conjugate, "conj", "Return complex conjugate.")
    conjugate = method(ew.conjugate, "conjugate", "Return complex conjugate.")
    copy = method(_copy, "copy", "Return a copy.")
    cumprod = method(rest.cumprod, "cumprod", "Return cumulative product.")
    cumsum = method(rest.cumsum, "cumsum", "Return cumulative sum.")
    diagonal = method(rest.diagonal, "diagonal", "Return a diagonal, a view.")
    dot = method(rest.dot, "dot", "Return dot product.")
    max = method(rest.max, "max", "Return maximum.")
    mean = method(rest.mean, "mean", "Return mean.")
    min = method(rest.min, "min", "Return minimum.")
    nonzero = method(rest.nonzero, "nonzero", "Return indices of nonzero elements.")
    prod = method(rest.prod, "prod", "Return product.")
    ravel = method(rest.ravel, "ravel", "Return one axis; a view where that is possible.")
    repeat = method(rest.repeat, "repeat", "Repeat elements.")
    round = method(rest.round, "round", "Round.")
    searchsorted = method(rest.searchsorted, "searchsorted", "Return where elements would be inserted.")
    sort = method(rest.sort_in_place, "sort", "Sort in place.")
    partition = method(rest.partition_in_place, "partition", "Partition in place.")
    squeeze = method(rest.squeeze, "squeeze", "Return without axes of length one, a view.")
    std = method(rest.std, "std", "Return standard deviation.")
    sum = method(rest.sum, "sum", "Return sum.")
    swapaxes = method(rest.swapaxes, "swapaxes", "Return two axes swapped, a view.")
    take = method(rest.take, "take", "Return elements by index.")
    trace = method(rest.trace, "trace", "Return sum of a diagonal.")
    var = method(rest.var, "var", "Return variance.")
    flatten = method(rest.flat_copy, "flatten", "Return one axis, always a copy.")
    tobytes = method(rest.tobytes, "tobytes", "Return the elements as bytes.")
    getfield = method(rest.field_view, "getfield", "Return a field of the bytes, a view.")
    astype = method(rest.cast, "astype", "Cast to another dtype.")
    fill = method(rest.fill, "fill", "Set every element.")
    reshape = method(_reshape, "reshape", "Return a view of another shape where that is possible, else a copy.")
    transpose = method(_transpose, "transpose", "Return a view with permuted axes.")

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        """Return the same bytes as another dtype, or as an array of another class."""
        if _is_class(dtype):
            dtype, type = None, dtype
        if type is None or issubclass(type, Handle):
            return _view(self) if dtype is None else _view(self, dtype)
        host = anchor(self)  # NumPy's own subclasses, such as `recarray`, live on the host
        return host.view(type=type) if dtype is None else host.view(dtype, type)

    def compress(self, condition: Any, *args: Any, **kwargs: Any) -> Any:
        """Return selected slices."""
        return rest.compress(condition, self, *args, **kwargs)

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """Set elements by flat index, in place: all of them, or none where an index is out of bounds."""
        rest.put(self, indices, values, mode)

    def byteswap(self, inplace: bool = False) -> Any:
        """Swap the bytes of each element."""
        made = rest.byteswap(self)
        if not inplace:
            return made
        rest.item_set(self, ..., made)
        return self

    def resize(self, *shape: Any, refcheck: bool = True) -> None:
        """Change shape and size in place."""
        made = rest.resize(self, shape[0] if len(shape) == 1 else shape)
        if made.size > shaped(self).size:
            rest.item_set(made.reshape(-1), slice(shaped(self).size, None), 0)
        self._raw = made._raw
        if gate.accelerated:
            self._home = home(made)

    def tofile(self, *args: Any, **kwargs: Any) -> None:
        """Write the elements to a file."""
        np.asarray(taken(self)).tofile(*args, **kwargs)

    def dump(self, file: Any) -> None:
        """Pickle the values to a file."""
        np.asarray(taken(self)).dump(file)

    def dumps(self) -> bytes:
        """Pickle the values to bytes."""
        return np.asarray(taken(self)).dumps()

    def setfield(self, value: Any, dtype: Any, offset: int = 0) -> None:
        """Set a field of the bytes."""
        rest.item_set(rest.field_view(self, dtype, offset), ..., value)

    def setflags(self, write: bool | None = None, align: bool | None = None, uic: bool | None = None) -> None:
        """Set memory flags; what is not only ``write=False`` keeps the array on the host from then on."""
        if gate.accelerated and write is not None and not write and align is None and uic is None:
            forbid_writing(self)
            return
        if gate.accelerated and write and align is None and uic is None and allow_writing(self):
            return
        anchor(self).setflags(write=write, align=align, uic=uic)
