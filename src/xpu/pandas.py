"""Lets pandas take xpu arrays and scalars for keys: ``import xpu.pandas`` once, `xpu run` does it by itself.

``frame[mask]`` asks whether the key is a mask by NumPy's class alone, ``frame.iloc[i]`` for an integer by its type.
Every key passes pandas' `apply_if_callable` first, and there it becomes NumPy's, read in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas.core import common

from xpu._block import Handle
from xpu._taken import taken

__all__ = ["apply_if_callable"]

_theirs = common.apply_if_callable


def apply_if_callable(maybe_callable: Any, obj: Any, **kwargs: Any) -> Any:
    """Return the key that a function makes of a frame, NumPy's for xpu's, or the key itself."""
    key = _theirs(maybe_callable, obj, **kwargs)
    return np.asarray(taken(key))[()] if isinstance(key, Handle) else key


common.apply_if_callable = apply_if_callable
