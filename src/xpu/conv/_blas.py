"""NumPy's BLAS with one thread, so that the engines can divide their work among threads of their own.

Matrix products of a few hundred columns are too small for a BLAS to divide, and OpenBLAS serves one
divided product at a time.  An engine therefore gives every thread of `xpu.conv._threads` blocks of
its own, and the BLAS must not divide them again.  OpenBLAS has a function for that but no header in
Python; it is found among the libraries that NumPy's extension module is linked to.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["limited", "limiter"]

# As NumPy's wheels, conda and the distributions name OpenBLAS's functions.
_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
_LOCK = threading.Lock()


@functools.cache
def limiter() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return OpenBLAS's functions that get and set its threads, ``None`` where NumPy has another BLAS.

    Examples
    --------
    >>> found = limiter()
    >>> found is None or found[0]() >= 1
    True
    """
    extension = importlib.import_module("numpy.linalg._umath_linalg")
    try:
        library = ctypes.CDLL(extension.__file__)
    except OSError:
        return None
    for name in _NAMES:
        if hasattr(library, name.format("set_num_threads")):
            get, put = (getattr(library, name.format(verb)) for verb in ("get_num_threads", "set_num_threads"))
            get.restype, put.argtypes, put.restype = ctypes.c_int, [ctypes.c_int], None
            return get, put
    return None


class _Users:
    """How many blocks are inside `limited`, and the number of threads to give back after the last."""

    count = 0
    before = 1


@contextlib.contextmanager
def limited() -> Iterator[bool]:
    """Give NumPy's BLAS one thread inside the ``with`` block; yields whether that was possible.

    Blocks may overlap in several threads: the first one takes the threads, the last one gives them back.

    Examples
    --------
    >>> with limited() as alone:
    ...     alone == (limiter() is not None)
    True
    """
    found = limiter()
    if found is None:
        yield False
        return
    get, put = found
    with _LOCK:
        if not _Users.count:
            _Users.before = get()
            put(1)
        _Users.count += 1
    try:
        yield True
    finally:
        with _LOCK:
            _Users.count -= 1
            if not _Users.count:
                put(_Users.before)
