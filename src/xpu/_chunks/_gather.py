"""From the results of pieces to the result of the call, piece by piece: nothing is kept that is not needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from xpu._chunks._scheme import Scheme, scaled

__all__ = ["Gather", "gather_for"]

Host = np.ndarray[Any, Any]


class Gather(Protocol):
    """Takes results in order."""

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Take the results of one piece, on the host: rows `low` to `high`."""

    def finish(self) -> Any:
        """Return the whole result."""


class Placed:
    """Side by side along an axis, in arrays made for the first piece or given by the user."""

    def __init__(self, scheme: Scheme, into: Host | None = None) -> None:
        self._axis, self._length, self._into = scheme.axis, scheme.length, into
        self._whole: list[Host] = []
        self._several: type[Any] | None = None

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Copy a piece to its place."""
        (given,) = parts
        pieces = given if isinstance(given, (tuple, list)) else [given]
        if not self._whole:
            self._several = type(given) if isinstance(given, (tuple, list)) else None
            if self._into is not None:
                self._whole = [self._into]
            else:
                self._whole = [np.empty(scaled(p.shape, self._axis, self._length), p.dtype) for p in pieces]
        key = (slice(None),) * self._axis + (slice(low, high),)
        for whole, piece in zip(self._whole, pieces, strict=True):
            whole[key] = piece

    def finish(self) -> Any:
        """Return the arrays."""
        return self._whole[0] if self._several is None else tuple(self._whole)


class Combined:
    """Combined by a universal function in the order of a balanced tree, as NumPy's own pairwise sums."""

    def __init__(self, combine: np.ufunc) -> None:
        self._combine = combine
        self._waiting: list[tuple[int, Any]] = []
        self._dtype: np.dtype[Any] | None = None

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Combine with earlier results of as many pieces."""
        (part,) = map(np.asarray, parts)
        if part.dtype == np.float16:
            self._dtype, part = part.dtype, part.astype(np.float32)
        level = 0
        while self._waiting and self._waiting[-1][0] == level:
            part, level = self._combine(self._waiting.pop()[1], part), level + 1
        self._waiting.append((level, part))

    def finish(self) -> Any:
        """Combine what is left."""
        result = self._waiting.pop()[1]
        while self._waiting:
            result = self._combine(self._waiting.pop()[1], result)
        return np.asarray(result) if self._dtype is None else np.asarray(result).astype(self._dtype)


class Spread:
    """Largest less smallest."""

    def __init__(self) -> None:
        self._most, self._least = Combined(np.maximum), Combined(np.minimum)

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Take a largest and a smallest value."""
        self._most.take(low, high, parts[:1])
        self._least.take(low, high, parts[1:])

    def finish(self) -> Any:
        """Return the difference."""
        return np.subtract(self._most.finish(), self._least.finish())


class Moments:
    """Mean, and sum of squared deviations from it."""

    def __init__(self, name: str, scheme: Scheme) -> None:
        self._name, self._detail = name, scheme.detail
        self._count = 0
        self._total = Combined(np.add)
        self._mean: Any = 0.0
        self._squares: Any = 0.0

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Take a mean, and a variance if one is asked for."""
        count = (high - low) * self._detail["rows"]
        mean = np.asarray(parts[0])
        mean = mean.astype(np.result_type(mean, np.float64))
        both = self._count + count
        with np.errstate(invalid="ignore", over="ignore"):
            self._total.take(low, high, [mean * count])
            if len(parts) > 1:
                apart = mean - self._mean
                self._mean = self._mean + apart * (count / both)
                within = np.asarray(parts[1], np.float64) * count
                between = np.abs(apart) ** 2 * (self._count * (count / both))
                self._squares = within if not self._count else self._squares + within + between
        self._count = both

    def finish(self) -> Any:
        """Return mean, variance or standard deviation."""
        if self._name == "mean":
            found = self._total.finish() / self._count
        else:
            found = self._squares / (self._count - self._detail["ddof"])
            found = np.sqrt(found) if self._name == "std" else found
        return np.asarray(found).astype(self._detail["dtype"])


class PlaceOfTheBest:
    """The first index of the largest or smallest value; NaN counts as the best, as in NumPy."""

    def __init__(self, scheme: Scheme) -> None:
        self._choose: Callable[..., Any] = np.argmax if scheme.detail["best"] == "argmax" else np.argmin
        self._stride = scheme.detail["stride"]
        self._squeeze = scheme.detail["squeeze"]
        self._best: tuple[Any, Any] | None = None

    def take(self, low: int, high: int, parts: Sequence[Any]) -> None:
        """Take the best values of a piece and their indices there."""
        value, index = np.asarray(parts[0]), np.asarray(parts[1]) + low * self._stride
        if self._best is not None:
            values = np.stack([self._best[0], value])
            which = self._choose(values, axis=0)[None]
            value = np.take_along_axis(values, which, 0)[0]
            index = np.take_along_axis(np.stack([self._best[1], index]), which, 0)[0]
        self._best = value, index

    def finish(self) -> Any:
        """Return the indices."""
        assert self._best is not None
        return np.squeeze(self._best[1], axis=self._squeeze)


def gather_for(scheme: Scheme, into: Host | None = None) -> Gather:
    """Return what puts a scheme's results together; `into` is the user's ``out=``."""
    if scheme.gather == "place":
        return Placed(scheme, into)
    if scheme.gather == "spread":
        return Spread()
    if scheme.gather == "place of the best":
        return PlaceOfTheBest(scheme)
    if scheme.gather in ("mean", "var", "std"):
        return Moments(scheme.gather, scheme)
    combine: np.ufunc = getattr(np, scheme.gather)
    return Combined(combine)
