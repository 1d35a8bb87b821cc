"""Lets scikit-learn's searches take xpu arrays for the values of a parameter: ``import xpu.sklearn`` once.

`xpu run` does it by itself. ``GridSearchCV(estimator, {"C": xpu.logspace(-3, 3, 7)})`` asks whether the values are an
instance of NumPy's class or a sequence; this file adds xpu's class to what its module takes for sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.model_selection import _search

from xpu._array import ndarray

__all__: list[str] = []

_search.Sequence = (Sequence, ndarray)  # `isinstance` takes a tuple for one of its classes
