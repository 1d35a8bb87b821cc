"""Types for annotations: NumPy's own."""

# fmt: off
from numpy.typing import (
    ArrayLike,
    DTypeLike,
    NBitBase,
    NDArray,
)

__all__ = [
    "ArrayLike", "DTypeLike", "NBitBase", "NDArray",
]
# fmt: on
