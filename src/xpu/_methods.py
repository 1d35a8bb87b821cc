"""NumPy's array methods, one line each, over the public functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpu._backends import HOST
from xpu._block import Handle, anchor, home, read, shaped
from xpu._gate import gate
from xpu._ops import creation, rest
from xpu._ops import elementwise as ew

__all__ = ["Methods"]


class Methods(Handle):
    """What `ndarray` inherits: methods that only call a function with the array first."""

    __slots__ = ()

    def all(self, *args: Any, **kwargs: Any) -> Any:
        """Return True where all elements are."""
        return rest.all(self, *args, **kwargs)

    def any(self, *args: Any, **kwargs: Any) -> Any:
        """Return True where any element is."""
        return rest.any(self, *args, **kwargs)

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        """Return index of the maximum."""
        return rest.argmax(self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        """Return index of the minimum."""
        return rest.argmin(self, *args, **kwargs)

    def argpartition(self, *args: Any, **kwargs: Any) -> Any:
        """Return indices that would partition."""
        return rest.argpartition(self, *args, **kwargs)

    def argsort(self, *args: Any, **kwargs: Any) -> Any:
        """Return indices that would sort."""
        return rest.argsort(self, *args, **kwargs)

    def choose(self, *args: Any, **kwargs: Any) -> Any:
        """Choose from arrays by index."""
        return rest.choose(self, *args, **kwargs)

    def clip(self, *args: Any, **kwargs: Any) -> Any:
        """Limit the values."""
        return rest.clip(self, *args, **kwargs)

    def conj(self, *args: Any, **kwargs: Any) -> Any:
        """Return complex conjugate."""
        return ew.conjugate(self, *args, **kwargs)

    def conjugate(self, *args: Any, **kwargs: Any) -> Any:
        """Return complex conjugate."""
        return ew.conjugate(self, *args, **kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        """Return a copy."""
        return creation.copy(self, *args, **kwargs)

    def cumprod(self, *args: Any, **kwargs: Any) -> Any:
        """Return cumulative product."""
        return rest.cumprod(self, *args, **kwargs)

    def cumsum(self, *args: Any, **kwargs: Any) -> Any:
        """Return cumulative sum."""
        return rest.cumsum(self, *args, **kwargs)

    def diagonal(self, *args: Any, **kwargs: Any) -> Any:
        """Return a diagonal, a view."""
        return rest.diagonal(self, *args, **kwargs)

    def dot(self, *args: Any, **kwargs: Any) -> Any:
        """Return dot product."""
        return rest.dot(self, *args, **kwargs)

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """Return maximum."""
        return rest.max(self, *args, **kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """Return mean."""
        return rest.mean(self, *args, **kwargs)

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """Return minimum."""
        return rest.min(self, *args, **kwargs)

    def nonzero(self, *args: Any, **kwargs: Any) -> Any:
        """Return indices of nonzero elements."""
        return rest.nonzero(self, *args, **kwargs)

    def prod(self, *args: Any, **kwargs: Any) -> Any:
        """Return product."""
        return rest.prod(self, *args, **kwargs)

    def put(self, *args: Any, **kwargs: Any) -> Any:
        """Set elements by flat index, in place."""
        return rest.put(self, *args, **kwargs)

    def ravel(self, *args: Any, **kwargs: Any) -> Any:
        """Return one axis; a view where that is possible."""
        return rest.ravel(self, *args, **kwargs)

    def repeat(self, *args: Any, **kwargs: Any) -> Any:
        """Repeat elements."""
        return rest.repeat(self, *args, **kwargs)

    def round(self, *args: Any, **kwargs: Any) -> Any:
        """Round."""
        return rest.round(self, *args, **kwargs)

    def searchsorted(self, *args: Any, **kwargs: Any) -> Any:
        """Return where elements would be inserted."""
        return rest.searchsorted(self, *args, **kwargs)

    def sort(self, *args: Any, **kwargs: Any) -> Any:
        """Sort in place."""
        return rest.sort_in_place(self, *args, **kwargs)

    def partition(self, *args: Any, **kwargs: Any) -> Any:
        """Partition in place."""
        return rest.partition_in_place(self, *args, **kwargs)

    def squeeze(self, *args: Any, **kwargs: Any) -> Any:
        """Return without axes of length one, a view."""
        return rest.squeeze(self, *args, **kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Any:
        """Return standard deviation."""
        return rest.std(self, *args, **kwargs)

    def sum(self, *args: Any, **kwargs: Any) -> Any:
        """Return sum."""
        return rest.sum(self, *args, **kwargs)

    def swapaxes(self, *args: Any, **kwargs: Any) -> Any:
        """Return two axes swapped, a view."""
        return rest.swapaxes(self, *args, **kwargs)

    def take(self, *args: Any, **kwargs: Any) -> Any:
        """Return elements by index."""
        return rest.take(self, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """Return sum of a diagonal."""
        return rest.trace(self, *args, **kwargs)

    def var(self, *args: Any, **kwargs: Any) -> Any:
        """Return variance."""
        return rest.var(self, *args, **kwargs)

    def flatten(self, *args: Any, **kwargs: Any) -> Any:
        """Return one axis, always a copy."""
        return rest.flat_copy(self, *args, **kwargs)

    def tobytes(self, *args: Any, **kwargs: Any) -> Any:
        """Return the elements as bytes."""
        return rest.tobytes(self, *args, **kwargs)

    def view(self, *args: Any, **kwargs: Any) -> Any:
        """Return the same bytes as another dtype."""
        return rest.dtype_view(self, *args, **kwargs)

    def getfield(self, *args: Any, **kwargs: Any) -> Any:
        """Return a field of the bytes, a view."""
        return rest.field_view(self, *args, **kwargs)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """Cast to another dtype."""
        return rest.cast(self, *args, **kwargs)

    def compress(self, condition: Any, *args: Any, **kwargs: Any) -> Any:
        """Return selected slices."""
        return rest.compress(condition, self, *args, **kwargs)

    def byteswap(self, inplace: bool = False) -> Any:
        """Swap the bytes of each element."""
        made = rest.byteswap(self)
        if not inplace:
            return made
        rest.item_set(self, ..., made)
        return self

    def fill(self, value: Any) -> None:
        """Set every element."""
        rest.fill(self, value)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Return a view of another shape where that is possible, else a copy."""
        return (
            rest.reshape(self, shape[0] if len(shape) == 1 else shape, **kwargs)
            if shape
            else rest.reshape(self, **kwargs)
        )

    def transpose(self, *axes: Any) -> Any:
        """Return a view with permuted axes."""
        return rest.transpose(self, *(axes if len(axes) < 2 else (axes,)))

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
        np.asarray(read(self, HOST)).tofile(*args, **kwargs)

    def dump(self, file: Any) -> None:
        """Pickle the values to a file."""
        np.asarray(read(self, HOST)).dump(file)

    def dumps(self) -> bytes:
        """Pickle the values to bytes."""
        return np.asarray(read(self, HOST)).dumps()

    def setfield(self, value: Any, dtype: Any, offset: int = 0) -> None:
        """Set a field of the bytes."""
        rest.item_set(rest.field_view(self, dtype, offset), ..., value)

    def setflags(self, write: bool | None = None, align: bool | None = None, uic: bool | None = None) -> None:
        """Set memory flags; the array stays on the host from then on."""
        anchor(self).setflags(write=write, align=align, uic=uic)
