"""Arguments of `xpu.nn` as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from xpu._block import Handle, shaped
from xpu._ops.creation import asarray
from xpu.errors import text

__all__ = ["Layout", "Padding", "Size", "array", "arrays", "dtype_of", "numbers", "shape_of"]

Size = int | Sequence[int]
Padding = int | Sequence[int] | Sequence[tuple[int, int]] | Literal["same", "valid"]
Layout = Literal["NCHW", "NHWC"]


def array(value: Any) -> Any:
    """Return an array of any library, or None, as it is, and anything else as an xpu array."""
    return value if value is None or isinstance(value, Handle) or hasattr(value, "dtype") else asarray(value)


def arrays(*values: Any) -> tuple[Any, ...]:
    """Return the arguments as arrays, without the last one if it was not given."""
    made = tuple(map(array, values))
    if any(value is None for value in made[:-1]):
        raise TypeError(text("nn", "an operand is None", "Give arrays; only a bias may be left out."))
    return made[:-1] if made[-1] is None else made


def numbers(name: str, value: Any, refused: str) -> Any:
    """Return an array whose dtype is of none of these kinds (NumPy's letters)."""
    made = array(value)
    kind = None if made is None else dtype_of(made)
    if kind is None or kind.kind in refused + "OSUMmT":
        problem = "x is None" if kind is None else f"x has dtype {kind} and shape {shape_of(made)}"
        raise TypeError(text(f"nn.{name}", problem, "Give real numbers." if refused == "c" else "Give floats."))
    return made


def shape_of(value: Any) -> tuple[int, ...]:
    """Return an array's shape."""
    return shaped(value).shape if isinstance(value, Handle) else tuple(value.shape)


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return an array's dtype."""
    return shaped(value).dtype if isinstance(value, Handle) else np.dtype(value.dtype)
