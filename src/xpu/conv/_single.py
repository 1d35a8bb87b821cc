"""Arrays filtered by one kernel, as signals and images are: the plan, where an engine here beats a plain loop."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy

from xpu.conv import _threads
from xpu.conv._background import ready
from xpu.conv._engine import Rates, allowance
from xpu.conv._geometry import ConvGeometry, Pairs, Sizes
from xpu.conv._plan import ConvPlan, plan_conv
from xpu.conv._rates import in_force

__all__ = ["ONE_KERNEL", "TYPES", "plan_one"]

Planner = Callable[[ConvGeometry], ConvPlan]

# The engines that are made for one channel.
ONE_KERNEL = ("planes", "compiled", "overlap", "fft")
TYPES = frozenset(map(numpy.dtype, ("f4", "f8", "c8", "c16")))


def plan_one(
    shape: Sizes,
    kernel: Sizes,
    padding: Pairs,
    dtype: numpy.dtype[numpy.generic],
    *,
    lines: int = 1,
    tuned: Planner | None = None,
) -> ConvPlan | None:
    """Plan the correlation of arrays with one kernel, with zeros around.

    What is not finite stays where it belongs, as in a direct sum. SciPy's functions for the same job hold spectra of
    the whole result, so twice the workspace of other plans is allowed.

    Parameters
    ----------
    shape, kernel : tuple of int
        One to three axes each.
    padding : tuple of (int, int)
        Zeros before and after each axis.
    dtype : numpy.dtype
        Of both.
    lines : int, optional
        Arrays of that shape.
    tuned : callable, optional
        `tuned_plan`: its measured winner is taken, whichever it is.

    Returns
    -------
    ConvPlan or None
        None where the dtype is no native float32, float64, complex64 or complex128, or the kernel does not fit.

    Examples
    --------
    >>> plan_one((1000,), (5,), ((2, 2),), numpy.dtype("f4")).geometry.result_shape
    (1, 1, 1000)
    """
    g = _geometry(shape, kernel, padding, dtype, lines)
    if g is None:
        return None
    if tuned is not None:
        return tuned(g)
    threads = _threads.count()
    return _planned(g, threads, in_force(threads, _threads.available()), ready())


@functools.lru_cache(maxsize=4096)
def _planned(g: ConvGeometry, threads: int, rates: Rates, ready: bool) -> ConvPlan:
    """Plan; the rates, the threads and what is compiled are what the answer depends on."""
    return plan_conv(g, engines=ONE_KERNEL, workspace_limit=2 * allowance(g), rates=rates)


@functools.lru_cache(maxsize=1024)
def _geometry(
    shape: Sizes, kernel: Sizes, padding: Pairs, dtype: numpy.dtype[numpy.generic], lines: int
) -> ConvGeometry | None:
    if dtype not in TYPES or not 1 <= len(shape) <= 3 or 0 in (*shape, *kernel):
        return None
    if any(n + sum(p) < k for n, k, p in zip(shape, kernel, padding, strict=True)):
        return None
    ones = (1,) * len(shape)
    return ConvGeometry("forward", lines, 1, 1, 1, shape, kernel, ones, ones, padding, "NCHW", dtype)
