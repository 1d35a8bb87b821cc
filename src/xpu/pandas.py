"""Lets pandas take xpu arrays for keys: ``import xpu.pandas`` once, `xpu run` does it by itself.

``frame[mask]`` asks whether the key is a mask by NumPy's class alone; anything else names columns. Every key passes
pandas' `apply_if_callable` first, and there an xpu array becomes a NumPy array, read in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas.core import common

from xpu._array import ndarray

__all__ = ["apply_if_callable"]

_theirs = common.apply_if_callable


def apply_if_callable(maybe_callable: Any, obj: Any, **kwargs: Any) -> Any:
    """Return the key that a function makes of a frame, NumPy's array for an xpu array, or the key itself."""
    key = _theirs(maybe_callable, obj, **kwargs)
    return np.asarray(key) if isinstance(key, ndarray) else key


common.apply_if_callable = apply_if_callable
