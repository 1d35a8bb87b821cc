"""One array filtered by one kernel, as signals and images are, where the engines here are faster than SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from xpu.conv._compiled import WORTH
from xpu.conv._geometry import ConvGeometry, Pairs
from xpu.conv._plan import ConvPlan, execute, plan_conv

__all__ = ["correlate_one"]

Array = Any
Planner = Callable[[ConvGeometry], ConvPlan]

# In one dimension a transform piece by piece (`scipy.signal.oaconvolve`) is faster from about here on.
TAPS_1D = 128


def correlate_one(a: Array, kernel: Array, padding: Pairs, plan: Planner = plan_conv) -> Array | None:
    """Correlate with zeros around; what is not finite stays where it belongs, as in a direct sum.

    Parameters
    ----------
    a, kernel : numpy.ndarray
        Of one or two axes and one dtype.
    padding : tuple of (int, int)
        Zeros before and after each axis of ``a``.
    plan : callable, optional
        From a geometry to a plan: `plan_conv`, or `tuned_plan`, whose winner is taken whichever it is.

    Returns
    -------
    numpy.ndarray or None
        One element per place where the kernel lies within ``a`` and its zeros.  None where the arrays are too small to
        be worth it, the dtype is not float32 or float64, the kernel does not fit, the compiled kernels are not there
        (yet), or a signal's kernel is long.
    """
    if a.size * kernel.size < WORTH or a.ndim not in (1, 2) or (a.ndim == 1 and kernel.size > TAPS_1D):
        return None
    if a.dtype != kernel.dtype or a.dtype not in (numpy.float32, numpy.float64) or not a.dtype.isnative:
        return None
    if any(n + sum(p) < k for n, k, p in zip(a.shape, kernel.shape, padding, strict=True)):
        return None
    ones = (1,) * a.ndim
    g = ConvGeometry("forward", 1, 1, 1, 1, a.shape, kernel.shape, ones, ones, padding, "NCHW", a.dtype)
    chosen = plan(g)
    if not chosen.measured and chosen.engine not in ("planes", "compiled", "fft" if a.ndim == 2 else ""):
        return None
    return execute(chosen, numpy, a[None, None], kernel[None, None])[0, 0]
