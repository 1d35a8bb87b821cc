"""Convolution of signals and images on the host: SciPy's results, by whichever of its engines is fastest.

`scipy.signal`'s direct loops take about 9 ns a tap, `scipy.ndimage`'s about 0.5, the compiled kernels of `xpu.conv`
less than 0.05, and an FFT costs the same whatever the kernel (`benchmarks/filters.py` prints these on any machine).
The result is SciPy's to rounding, in the precision of the operands; integers, objects, and inputs with infinities or
NaN where SciPy may choose an FFT take SciPy's own function.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy import fft, ndimage, signal

from xpu import conv
from xpu._config import current

__all__ = ["convolve", "convolve2d", "correlate", "correlate2d", "nd_convolve", "nd_correlate"]

Array = np.ndarray[Any, Any]

# Taps from which an FFT beats `scipy.ndimage`'s direct loop, and (in one dimension) `numpy.convolve`.
_FFT_TAPS = 100
_FFT_TAPS_1D = 64
_PADS = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
_PADS |= {"grid-mirror": "symmetric", "grid-wrap": "wrap", "grid-constant": "constant"}
_BOUNDARIES = {"fill": "constant", "pad": "constant", "wrap": "wrap", "circular": "wrap", "symm": "symmetric"}
_BOUNDARIES |= {"symmetric": "symmetric"}


def _tractable(*arrays: Array) -> bool:
    """Return True for finite floating arrays: an FFT would spread a NaN over the whole result."""
    return all(a.dtype.kind in "fc" and a.dtype.itemsize >= 4 * (1 + (a.dtype.kind == "c")) for a in arrays) and all(
        a.dtype not in (np.longdouble, np.clongdouble) and _finite(a) for a in arrays
    )


def _finite(a: Array) -> bool:
    """Return True if all elements are finite; mostly their sum says so."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(a.sum())) or bool(np.isfinite(a).all())


def _flipped(kernel: Array) -> Array:
    return kernel[(slice(None, None, -1),) * kernel.ndim]


# ----------------------------------------------------------------------------- scipy.signal


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.convolve`; `method` other than "auto" is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    if method != "auto" or not _filters(a, b, mode):
        return signal.convolve(a, b, mode, method)
    if mode == "valid" and any(m < n for m, n in zip(a.shape, b.shape, strict=True)):
        if any(m > n for m, n in zip(a.shape, b.shape, strict=True)):
            return signal.convolve(a, b, mode)  # neither fits into the other: SciPy says so
        a, b = b, a
    direct = _direct(a, b, mode) if a.size >= b.size else None
    if direct is not None:
        return direct
    if mode == "same" and a.ndim > 1 and b.size < _FFT_TAPS and all(n % 2 for n in b.shape):
        made: Array = ndimage.convolve(a, b, mode="constant")  # centred as SciPy centres "same"
        return made
    made = _full(a, b) if a.size >= b.size else _full(b, a)
    return _cropped(made, a.shape, b.shape, mode)


def _direct(a: Array, kernel: Array, mode: str) -> Array | None:
    """Convolve by an engine of `xpu.conv`, None where it has none that is faster than the others here."""
    full = [(n - 1, n - 1) for n in kernel.shape]
    if mode == "valid":
        full = [(0, 0)] * a.ndim
    elif mode == "same":
        # The middle of the full result: it loses (n - 1) // 2 elements in front.
        full = [(n - 1 - (n - 1) // 2, (n - 1) // 2) for n in kernel.shape]
    return _by_plan(a, _flipped(kernel), tuple(full))


def _by_plan(a: Array, kernel: Array, padding: tuple[tuple[int, int], ...]) -> Array | None:
    """Correlate by an engine of `xpu.conv`: the measured one under ``autotune``, else the predicted one."""
    return conv.correlate_one(a, kernel, padding, conv.tuned_plan if current().autotune else conv.plan_conv)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.correlate`; `method` other than "auto" is SciPy's own."""
    a, b = np.asarray(in1), np.asarray(in2)
    swapped = mode == "valid" and any(m < n for m, n in zip(a.shape, b.shape, strict=False))
    if method != "auto" or swapped or not _filters(a, b, mode):
        return signal.correlate(a, b, mode, method)
    return convolve(a, _flipped(b).conj(), mode)


def convolve2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """As `scipy.signal.convolve2d`."""
    a, b = np.asarray(in1), np.asarray(in2)
    padding = _BOUNDARIES.get(boundary) if isinstance(boundary, str) else None
    plain = padding == "constant" and np.ndim(fillvalue) == 0 and fillvalue == 0
    if plain and mode in ("full", "same", "valid") and a.ndim == b.ndim == 2:
        # SciPy's loops are direct too, so that infinities and NaN need no care.
        within = mode != "valid" or all(m >= n for m, n in zip(a.shape, b.shape, strict=True))
        direct = _direct(a, b, mode) if within and b.size else None
        if direct is not None:
            return direct
    if padding is None or a.ndim != 2 or not _filters(a, b, mode) or mode == "valid":
        return signal.convolve2d(a, b, mode, boundary, fillvalue)
    if plain:
        return convolve(a, b, mode)
    around = [(n - 1, n - 1) for n in b.shape]
    if padding != "constant" and any(n - 1 > m for m, n in zip(a.shape, b.shape, strict=True)):
        return signal.convolve2d(a, b, mode, boundary, fillvalue)
    filled = {"constant_values": fillvalue} if padding == "constant" else {}
    wide = np.pad(a, around, mode=padding, **filled)  # type: ignore[call-overload]
    full = _direct(wide, b, "valid")
    if full is None:
        full = _cropped(_full(wide, b), wide.shape, b.shape, "valid")
    return full if mode == "full" else _centred(full, a.shape)


def correlate2d(in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0) -> Any:
    """As `scipy.signal.correlate2d`."""
    a, b = np.asarray(in1), np.asarray(in2)
    if a.ndim != 2 or mode != "full" or not _filters(a, b, mode):
        return signal.correlate2d(a, b, mode, boundary, fillvalue)  # centring differs from convolve2d's
    return convolve2d(a, _flipped(b).conj(), mode, boundary, fillvalue)


def _filters(a: Array, b: Array, mode: str) -> bool:
    """Return True where one of our ways is open: floats, a kernel that fits, nothing empty."""
    if a.ndim != b.ndim or not a.ndim or not a.size or not b.size or mode not in ("full", "same", "valid"):
        return False
    return a.dtype == b.dtype and _tractable(a, b)


def _full(a: Array, kernel: Array) -> Array:
    """Return the full convolution."""
    if a.ndim == 1 and kernel.size < _FFT_TAPS_1D:
        return np.convolve(a, kernel)
    if a.ndim == 1 or kernel.size >= _FFT_TAPS:
        return _by_fft(a, kernel, "full")
    wide = np.pad(a, [(n - 1, n - 1) for n in kernel.shape])
    made: Array = ndimage.convolve(wide, kernel, mode="constant")
    # `ndimage.convolve` centres its kernel at n // 2.
    starts = [n - 1 - n // 2 for n in kernel.shape]
    return made[tuple(slice(s, s + m - n + 1) for s, m, n in zip(starts, wide.shape, kernel.shape, strict=True))].copy()


def _by_fft(a: Array, kernel: Array, mode: str) -> Array:
    """Convolve by FFT on all cores; in one dimension by overlapping pieces, which stay in the cache."""
    with fft.set_workers(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1):
        made: Array = (signal.oaconvolve if a.ndim == 1 else signal.fftconvolve)(a, kernel, mode)
    return made


def _cropped(full: Array, a: tuple[int, ...], b: tuple[int, ...], mode: str) -> Array:
    if mode == "full":
        return full
    shape = a if mode == "same" else tuple(m - n + 1 for m, n in zip(a, b, strict=True))
    return _centred(full, shape)


def _centred(full: Array, shape: tuple[int, ...]) -> Array:
    """Return the middle of an array, as SciPy centres it: a copy, so that the rest can go."""
    starts = [(m - n) // 2 for m, n in zip(full.shape, shape, strict=True)]
    return full[tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))].copy()


# ----------------------------------------------------------------------------- scipy.ndimage


def nd_correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """As `scipy.ndimage.correlate`."""
    a, kernel = np.asarray(input), np.asarray(weights)
    ours = (
        (kernel.size >= _FFT_TAPS or a.ndim == 2)
        and axes is None
        and a.ndim == kernel.ndim
        and isinstance(mode, str)
        and mode in _PADS
        and np.ndim(origin) == 0
        and origin == 0
        and all(m >= n for m, n in zip(a.shape, kernel.shape, strict=True))
        and kernel.dtype.kind in "fiu"
        and a.dtype.kind == "f"
        and (output is None or getattr(output, "dtype", None) in (np.float32, np.float64))
    )
    if not ours or kernel.size * a.size < conv.WORTH:
        return ndimage.correlate(input, weights, output, mode, cval, origin, **_given(axes))
    around = [(n // 2, n - 1 - n // 2) for n in kernel.shape]
    filled = {"constant_values": cval} if _PADS[mode] == "constant" else {}
    wide = np.pad(a, around, mode=_PADS[mode], **filled)  # type: ignore[call-overload]
    made = _by_plan(wide, kernel.astype(a.dtype), ((0, 0),) * a.ndim)
    if made is None:
        if kernel.size < _FFT_TAPS or not _tractable(a):
            return ndimage.correlate(input, weights, output, mode, cval, origin, **_given(axes))
        made = _by_fft(wide, _flipped(kernel).astype(a.dtype), "valid")
    if output is None:
        return made.astype(a.dtype, copy=False)
    output[...] = made
    return output


def nd_convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> Any:
    """As `scipy.ndimage.convolve`."""
    kernel = np.asarray(weights)
    if all(n % 2 for n in kernel.shape) and np.ndim(origin) == 0 and origin == 0:
        return nd_correlate(input, _flipped(kernel), output, mode, cval, axes=axes)
    return ndimage.convolve(input, weights, output, mode, cval, origin, **_given(axes))


def _given(axes: Any) -> dict[str, Any]:
    return {} if axes is None else {"axes": axes}  # SciPy < 1.16 has no such parameter
