"""How the kernels are compiled, so that numba's cache on the disk can be trusted.

numba names machine code after a function's qualified name, its argument types and a number that every process counts
anew.  Code that several processes wrote meets in a later one, and of two equal names the linker keeps the first.  So
helpers that differ in what they close over alone must differ in their names, or one runs in the other's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import types

__all__ = ["given", "helper", "kernel", "revision"]


def helper(function: Callable[..., Any], *built_from: int) -> Any:
    """Compile a function that kernels call; ``built_from`` holds the numbers that it closes over."""
    function.__qualname__ = "_".join([function.__qualname__, *map(str, built_from)])
    return numba.njit(function, nogil=True, error_model="numpy")


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep its code on the disk."""
    return numba.njit(function, nogil=True, cache=True, error_model="numpy")


def given(kind: Any) -> Any:
    """Return the type of an array that a kernel reads: it takes what may be written, and what may not."""
    return types.Array(kind, 1, "C", readonly=True)


def revision(*files: str) -> str:
    """Return a digest of source files.

    numba's cache on disk looks at the file and the bytecode of the outermost function alone.  A kernel
    that has this in its closure is compiled anew when a file it is made from changes.
    """
    digest = hashlib.sha256()
    for file in (__file__, *files):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()
