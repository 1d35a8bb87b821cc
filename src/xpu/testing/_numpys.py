"""NumPy's assertions, taking xpu arrays: their values are compared on the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# fmt: off
import numpy.testing as theirs
from numpy.testing import (
    HAS_LAPACK64,
    HAS_REFCOUNT,
    IS_MUSL,
    IS_PYPY,
    IS_PYSTON,
    IS_WASM,
    IgnoreException,
    KnownFailureException,
    SkipTest,
    TestCase,
    assert_no_gc_cycles,
    assert_no_warnings,
    assert_raises,
    assert_raises_regex,
    assert_warns,
    break_cycles,
    build_err_msg,
    clear_and_catch_warnings,
    decorate_methods,
    jiffies,
    measure,
    memusage,
    rundocs,
    runstring,
    suppress_warnings,
    tempdir,
    temppath,
    verbose,
)

from xpu._backends import HOST
from xpu._block import Handle, read

__all__ = [
    "HAS_LAPACK64", "HAS_REFCOUNT", "IS_MUSL", "IS_PYPY", "IS_PYSTON", "IS_WASM", "IgnoreException",
    "KnownFailureException", "SkipTest", "TestCase", "assert_", "assert_allclose", "assert_almost_equal",
    "assert_approx_equal", "assert_array_almost_equal", "assert_array_almost_equal_nulp",
    "assert_array_compare", "assert_array_equal", "assert_array_less", "assert_array_max_ulp",
    "assert_equal", "assert_no_gc_cycles", "assert_no_warnings", "assert_raises", "assert_raises_regex",
    "assert_string_equal", "assert_warns", "break_cycles", "build_err_msg",
    "clear_and_catch_warnings", "decorate_methods", "jiffies", "measure", "memusage",
    "print_assert_equal", "rundocs", "runstring", "suppress_warnings", "tempdir", "temppath", "verbose",
]


def _on_host(value: Any) -> Any:
    if isinstance(value, Handle):
        return read(value, HOST)
    if type(value) in (list, tuple):
        return type(value)(map(_on_host, value))
    if type(value) is dict:
        return {key: _on_host(item) for key, item in value.items()}
    return value


def _taking_xpu_arrays(check: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(check)
    def checked(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # pytest shows the test's line
        return check(*map(_on_host, args), **{name: _on_host(value) for name, value in kwargs.items()})

    return checked


assert_ = _taking_xpu_arrays(theirs.assert_)
assert_allclose = _taking_xpu_arrays(theirs.assert_allclose)
assert_almost_equal = _taking_xpu_arrays(theirs.assert_almost_equal)
assert_approx_equal = _taking_xpu_arrays(theirs.assert_approx_equal)
assert_array_almost_equal = _taking_xpu_arrays(theirs.assert_array_almost_equal)
assert_array_almost_equal_nulp = _taking_xpu_arrays(theirs.assert_array_almost_equal_nulp)
assert_array_compare = _taking_xpu_arrays(theirs.assert_array_compare)
assert_array_equal = _taking_xpu_arrays(theirs.assert_array_equal)
assert_array_less = _taking_xpu_arrays(theirs.assert_array_less)
assert_array_max_ulp = _taking_xpu_arrays(theirs.assert_array_max_ulp)
assert_equal = _taking_xpu_arrays(theirs.assert_equal)
assert_string_equal = _taking_xpu_arrays(theirs.assert_string_equal)
print_assert_equal = _taking_xpu_arrays(theirs.print_assert_equal)
# fmt: on
