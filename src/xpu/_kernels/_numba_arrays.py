"""xpu arrays as arguments of functions that numba compiled (`numba.njit` and its kin).

Numba asks an argument of an unknown class for its ``_numba_type_``. The type given here is numba's own array type in
everything but how the argument is taken apart: the compiled code reads and writes the host's memory itself, so the
array stays on the host from then on.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import boxing, types
from numba.core.datamodel import models, register_default
from numba.extending import lower_cast, unbox

from xpu._block import Handle, anchor, shaped
from xpu._wrap import kinds
from xpu.errors import text

__all__ = ["HostArray", "type_of"]


class HostArray(types.Array):
    """The numba type of an xpu array."""

    def plain(self) -> Any:
        """Return the numba type of the NumPy array behind it."""
        return types.Array(self.dtype, self.ndim, self.layout, readonly=not self.mutable, aligned=self.aligned)


register_default(HostArray)(models.ArrayModel)


@unbox(HostArray)  # type: ignore[untyped-decorator]
def _take_apart(numba_type: HostArray, value: Any, context: Any) -> Any:
    """Generate the code that takes the host's array out of the argument."""
    api = context.pyapi
    host = api.call_method(value, "_numba_host_", ())
    native = boxing.unbox_array(numba_type.plain(), host, context)
    api.decref(host)  # the compiled code holds its own reference
    return native


@lower_cast(HostArray, types.Array)  # type: ignore[untyped-decorator]
@lower_cast(types.Array, HostArray)  # type: ignore[untyped-decorator]
def _as_it_is(context: Any, builder: Any, given: Any, wanted: Any, value: Any) -> Any:
    """Between the two types nothing changes: one layout in memory."""
    return value


def type_of(array: Handle) -> Any:
    """Return the numba type of an xpu array or scalar.

    Parameters
    ----------
    array : ndarray or scalar
        The argument.

    Returns
    -------
    numba.types.Type
        `HostArray` for an array, numba's scalar type for a scalar.

    Raises
    ------
    AttributeError
        For a complex scalar, which numba would take apart without asking it for its value.
    """
    if isinstance(array, kinds.scalar):
        dtype = shaped(array).dtype
        if dtype.kind == "c":
            raise AttributeError(text("numba", f"cannot take a scalar of dtype {dtype}", "Pass complex(x)."))
        return numba.typeof(np.empty((), dtype)[()])
    host = numba.typeof(anchor(array))
    return HostArray(host.dtype, host.ndim, host.layout, readonly=not host.mutable, aligned=host.aligned)
