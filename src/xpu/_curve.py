"""Seconds as a function of work: what calibration keeps of one operation and dtype."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

__all__ = ["Curve"]

_TOLD = 1.5  # times the latency: from there on seconds tell of the work


class Curve:
    """Seconds as a function of work, in straight pieces between knots.

    Parameters
    ----------
    knots : sequence of (float, float)
        Work (operations or bytes) and seconds; work strictly ascending. Left of the first knot the
        time is the first knot's; right of the last one the last piece goes on.

    Examples
    --------
    >>> round(Curve([(0.0, 1e-6), (1000.0, 3e-6)]).at(500.0), 9)
    2e-06
    """

    __slots__ = ("_least", "_seconds", "_slopes", "_work", "knots")

    def __init__(self, knots: Sequence[tuple[float, float]]) -> None:
        self.knots = tuple((float(w), float(s)) for w, s in knots)
        pairs = list(zip(self.knots, self.knots[1:], strict=False))
        slopes = [(s1 - s0) / (w1 - w0) for (w0, s0), (w1, s1) in pairs]
        # Never predict less for more: noise may have put the last knot below the one before it.
        slopes.append(max(slopes[-1], 0.0) if slopes else 0.0)
        self._work = (0.0, *(w for w, _ in self.knots))
        self._seconds = (self.knots[0][1], *(s for _, s in self.knots))
        self._slopes = (0.0, *slopes)
        (first, latency), *more = self.knots
        rates = ((s - latency) / (w - first) for w, s in more if s > _TOLD * latency)
        self._least = min(rates, default=self._slopes[-1])

    def at(self, work: float) -> float:
        """Return the seconds for this much work (not negative)."""
        i = bisect_right(self._work, work) - 1
        return self._seconds[i] + self._slopes[i] * (work - self._work[i])

    @property
    def least(self) -> float:
        """Seconds an operation takes at the best rate of all, latency apart: what caches do not slow down."""
        return self._least

    def scaled(self, work: float, seconds: float = 1.0) -> Curve:
        """Return the curve stretched along either axis."""
        return Curve([(w * work, s * seconds) for w, s in self.knots])

    def between(self, other: Curve, share: float) -> Curve:
        """Return the curve a share of the way to another, in the logarithm of the seconds.

        Examples
        --------
        >>> narrow, wide = Curve([(1.0, 1e-6), (100.0, 2e-6)]), Curve([(1.0, 1e-6), (100.0, 8e-6)])
        >>> round(narrow.between(wide, 0.5).at(100.0), 9)
        4e-06
        """
        works = sorted({w for w, _ in (*self.knots, *other.knots)})
        return Curve([(w, self.at(w) ** (1.0 - share) * other.at(w) ** share) for w in works])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and self.knots == other.knots

    def __hash__(self) -> int:
        return hash(self.knots)

    def __repr__(self) -> str:
        return f"Curve({list(self.knots)!r})"
