"""Arguments of `xpu.nn` as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from xpu._block import Handle, shaped
from xpu._ops.creation import asarray

__all__ = ["Layout", "Padding", "Size", "array", "arrays", "dtype_of", "shape_of"]

Size = int | Sequence[int]
Padding = int | Sequence[int] | Sequence[tuple[int, int]] | Literal["same", "valid"]
Layout = Literal["NCHW", "NHWC"]


def array(value: Any) -> Any:
    """Return an array of any library, or None, as it is, and anything else as an xpu array."""
    return value if value is None or isinstance(value, Handle) or hasattr(value, "dtype") else asarray(value)


def arrays(*values: Any) -> tuple[Any, ...]:
    """Return the arguments as arrays, without the last one if it was not given."""
    made = tuple(map(array, values))
    return made[:-1] if made[-1] is None else made


def shape_of(value: Any) -> tuple[int, ...]:
    """Return an array's shape."""
    return shaped(value).shape if isinstance(value, Handle) else tuple(value.shape)


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return an array's dtype."""
    return shaped(value).dtype if isinstance(value, Handle) else np.dtype(value.dtype)
