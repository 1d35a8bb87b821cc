"""Handing arrays to C: NumPy's own, on host memory (``ndarray.ctypes`` keeps an array there)."""

# fmt: off
from numpy.ctypeslib import (
    as_array,
    as_ctypes,
    as_ctypes_type,
    c_intp,
    load_library,
    ndpointer,
)

__all__ = [
    "as_array", "as_ctypes", "as_ctypes_type", "c_intp", "load_library", "ndpointer",
]
# fmt: on
