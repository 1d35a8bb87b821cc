"""Convolution of signals and images on the host: `scipy.signal`'s results, by whichever way is fastest.

`scipy.signal`'s direct loops take about 9 ns a tap, `scipy.ndimage`'s about one, the compiled kernels of `xpu.conv`
less than 0.05, and an FFT costs the same whatever the kernel (`benchmarks/filter_sweep.py` compares them on any
machine). The result is SciPy's to rounding, in the precision of the operands; integers, objects, and results with
infinities or NaN where SciPy may choose an FFT are SciPy's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage, signal

from xpu import conv
from xpu._config import current
from xpu.errors import text

__all__ = [
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "fast",
    "fftconvolve",
    "oaconvolve",
    "plan_within",
    "run_lines",
]

Array = np.ndarray[Any, Any]
Pairs = tuple[tuple[int, int], ...]

_MODES = frozenset(["full", "same", "valid"])
_BOUNDARIES = {"fill": "constant", "pad": "constant", "wrap": "wrap", "circular": "wrap", "symm": "symmetric"}
_BOUNDARIES |= {"symmetric": "symmetric"}
# Multiplications of a signal that `numpy.convolve` has done before a plan is found.
_FEW = 100_000
# Taps for which SciPy never chooses an FFT for a signal.
_DIRECT = 31
# Seconds that a plan's call takes beside its engine's work.
_CALL = 25e-6


def plan_within(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    padding: Pairs,
    dtype: np.dtype[Any],
    seconds: float | None,
    lines: int = 1,
) -> conv.ConvPlan | None:
    """Plan a correlation; None where no engine of `xpu.conv` is predicted to need less than these seconds.

    Under ``autotune`` the plan is the measured one, whatever is predicted.
    """
    tuned = conv.tuned_plan if current().autotune else None
    plan = conv.plan_one(shape, kernel, padding, dtype, lines=lines, tuned=tuned)
    if plan is None or (not plan.measured and seconds is not None and plan.seconds[0][1] + _CALL > seconds):
        return None
    return plan


def run_lines(plan: conv.ConvPlan, a: Array, kernel: Array) -> Array:
    """Run a plan of `plan_within` on ``a`` of shape ``(lines, *shape)``."""
    made: Array = conv.execute(plan, np, a[:, None], kernel[None, None])[:, 0]
    return made


def _flipped(kernel: Array) -> Array:
    return kernel[(slice(None, None, -1),) * kernel.ndim]


def _finite(a: Array) -> bool:
    """Return True if all elements are finite; mostly their sum says so."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.add.reduce(a, axis=None))) or bool(np.isfinite(a).all())


def _seconds(a: Array, kernel: Array) -> float:
    """Predict `numpy.convolve` in one dimension, else `scipy.ndimage.convolve`."""
    kind = 4.0 if a.dtype.kind == "c" else 1.0
    taps = kernel.size
    if a.ndim > 1:
        return 20e-6 + a.size * (6.0 + 0.8 * taps) * kind * 1e-9
    if taps <= 11 and kind == 1.0:
        return 3e-6 + a.size * (0.6 + 0.22 * taps) * 1e-9
    return 3e-6 + a.size * (14.0 + 0.014 * a.itemsize * taps + 0.3 * (taps % 32)) * 1e-9


def fast(a: Array, b: Array, mode: str) -> Array | None:
    """Convolve by the fastest way here, None where there is none; ``a`` is the larger one unless mode is "same"."""
    if a.ndim == 1 and a.size * b.size < _FEW:
        return np.convolve(a, b, mode)  # type: ignore[call-overload, no-any-return]
    if mode == "full":
        padding = [(n - 1, n - 1) for n in b.shape]
    elif mode == "valid":
        padding = [(0, 0)] * a.ndim
    else:
        # The middle of the full result: it loses (n - 1) // 2 elements in front.
        padding = [(n - 1 - (n - 1) // 2, (n - 1) // 2) for n in b.shape]
    plain = a.ndim == 1 or (mode == "same" and all(n % 2 for n in b.shape))
    plan = plan_within(a.shape, b.shape, tuple(padding), a.dtype, _seconds(a, b) if plain else None)
    if plan is not None:
        made: Array = run_lines(plan, a[None], _flipped(b))[0]
        return made
    if not plain:
        return None
    if a.ndim == 1:
        return np.convolve(a, b, mode)  # type: ignore[call-overload, no-any-return]
    centred: Array = ndimage.convolve(a, b, mode="constant")  # as SciPy centres "same"
    return centred


def _ours(a: Array, b: Array, mode: Any) -> bool:
    """Return True where one of our ways is open: one floating dtype, as many axes, nothing empty."""
    return (
        a.ndim == b.ndim > 0
        and a.dtype == b.dtype
        and a.dtype in conv.TYPES
        and a.dtype.isnative
        and a.size > 0
        and b.size > 0
        and isinstance(mode, str)
        and mode in _MODES
    )


def _convolved(a: Array, b: Array, mode: str) -> Array | None:
    """Return the convolution where a way of ours is faster than SciPy's and all of it is finite."""
    if mode == "valid" and any(m < n for m, n in zip(a.shape, b.shape, strict=True)):
        if any(m > n for m, n in zip(a.shape, b.shape, strict=True)):
            return None  # neither fits into the other: SciPy says so
        a, b = b, a
    if a.size < b.size:
        if mode == "same":
            return None
        a, b = b, a
    made = fast(a, b, mode)
    if made is None or (a.ndim == 1 and b.size <= _DIRECT):
        return made
    return made if _finite(made) else None


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.convolve`; `method` other than "auto" is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    made = _convolved(a, b, mode) if method == "auto" and _ours(a, b, mode) else None
    return signal.convolve(a, b, mode, method) if made is None else made


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """As `scipy.signal.fftconvolve`; along some axes only it is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    made = _convolved(a, b, mode) if axes is None and _ours(a, b, mode) else None
    return signal.fftconvolve(a, b, mode, axes) if made is None else made


def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """As `scipy.signal.oaconvolve`; along some axes only it is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    made = _convolved(a, b, mode) if axes is None and _ours(a, b, mode) else None
    return signal.oaconvolve(a, b, mode, axes) if made is None else made


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.correlate`; `method` other than "auto" is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    made = None
    if method == "auto" and _ours(a, b, mode):
        swapped = mode == "valid" and any(m < n for m, n in zip(a.shape, b.shape, strict=True))
        made = None if swapped else _convolved(a, _flipped(b).conj(), mode)
    return signal.correlate(a, b, mode, method) if made is None else made


def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """As `scipy.signal.convolve2d`."""
    a, b = np.asarray(in1), np.asarray(in2)
    _refuse_empty("signal.convolve2d", a, b, boundary)
    made = _filtered2d(a, b, mode, boundary, fillvalue) if a.ndim == 2 and _ours(a, b, mode) else None
    return signal.convolve2d(a, b, mode, boundary, fillvalue) if made is None else made


def _filtered2d(a: Array, b: Array, mode: str, boundary: Any, fillvalue: Any) -> Array | None:
    """Convolve in two dimensions; SciPy's loops are direct too, so that infinities and NaN need no care."""
    padding = _BOUNDARIES.get(boundary) if isinstance(boundary, str) else None
    if padding is None or any(m < n for m, n in zip(a.shape, b.shape, strict=True)):
        return None
    if mode == "valid" or (padding == "constant" and np.ndim(fillvalue) == 0 and fillvalue == 0):
        return fast(a, b, mode)
    filled = {"constant_values": fillvalue} if padding == "constant" else {}
    low, high = ([n - 1 for n in b.shape],) * 2
    if mode == "same":
        low, high = [n - 1 - (n - 1) // 2 for n in b.shape], [(n - 1) // 2 for n in b.shape]
    wide = np.pad(a, list(zip(low, high, strict=True)), mode=padding, **filled)  # type: ignore[call-overload]
    return fast(wide, b, "valid")


def _refuse_empty(name: str, a: Array, b: Array, boundary: Any) -> None:
    """Refuse what ends the process in SciPy 1.17: there is no element that a boundary could repeat."""
    if not (a.size and b.size) and isinstance(boundary, str) and _BOUNDARIES.get(boundary, "constant") != "constant":
        problem = f"in1 has shape {a.shape}, in2 {b.shape}: boundary={boundary!r} has no element to repeat"
        raise ValueError(text(name, problem, "Give arrays with elements, or boundary='fill'."))


def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """As `scipy.signal.correlate2d`."""
    a, b = np.asarray(in1), np.asarray(in2)
    _refuse_empty("signal.correlate2d", a, b, boundary)
    made = None
    # "same" is centred otherwise than `convolve2d` centres it where the kernel is even.
    if a.ndim == 2 and _ours(a, b, mode) and (mode != "same" or all(n % 2 for n in b.shape)):
        made = _filtered2d(a, _flipped(b).conj(), mode, boundary, fillvalue)
    return signal.correlate2d(a, b, mode, boundary, fillvalue) if made is None else made
