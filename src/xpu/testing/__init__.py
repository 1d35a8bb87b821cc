"""Testing numerical code on every device: NumPy's assertions, and xpu's own kit.

`assert_agrees` runs one call on every device and compares; `arrays`, `dtypes`, `shapes` and `op_calls`
are Hypothesis strategies; `faults` makes the pretend GPU misbehave; the pytest plugin gives the fixture
``xpu_device``. NumPy's ``assert_*`` take xpu arrays too. Nothing here imports Hypothesis or pytest
before it is used. ``docs/testing.md`` is the guide.
"""

from typing import Any

import numpy.testing

from xpu.testing._agreement import assert_agrees, available_devices, on_every_device
from xpu.testing._budgets import budget, budgets
from xpu.testing._faults import faults
from xpu.testing._numpys import *  # noqa: F403 - NumPy's own list of names
from xpu.testing._numpys import __all__ as _numpys_names
from xpu.testing._strategies import arrays, dtypes, op_calls, shapes

__all__ = [
    "arrays",
    "assert_agrees",
    "available_devices",
    "budget",
    "budgets",
    "dtypes",
    "faults",
    "on_every_device",
    "op_calls",
    "shapes",
]
__all__ += _numpys_names

# About how NumPy was built, and for its own suite; some exist in some versions only.
_NUMPYS_OWN = frozenset(
    {
        "BLAS_SUPPORTS_FPE",
        "IS_64BIT",
        "IS_EDITABLE",
        "IS_INSTALLED",
        "NOGIL_BUILD",
        "NUMPY_ROOT",
        "check_support_sve",
        "extbuild",
        "overrides",
        "run_threaded",
    }
)


def __getattr__(name: str) -> Any:
    if name in _NUMPYS_OWN:
        return getattr(numpy.testing, name)
    message = f"module 'xpu.testing' has no attribute {name!r}"
    raise AttributeError(message, name=name)
