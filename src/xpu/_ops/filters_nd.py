"""`scipy.ndimage`'s convolutions on the host: through an engine of `xpu.conv` where that is predicted to be faster.

The boundary is laid around the array (zeros are not: an engine knows them), any origin and even kernels are a matter
of how much on which side. SciPy adds up in double precision, the engines in the array's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import ndimage

from xpu import conv
from xpu._ops.filters_host import fast, plan_within, run_lines

__all__ = ["convolve", "convolve1d", "correlate", "correlate1d"]

Array = np.ndarray[Any, Any]

_PADS = {"reflect": "symmetric", "mirror": "reflect", "nearest": "edge", "wrap": "wrap", "constant": "constant"}
_PADS |= {"grid-mirror": "symmetric", "grid-wrap": "wrap", "grid-constant": "constant"}
# Multiplications that SciPy has done before a plan is found.
_FEW = 30_000


def _taken(a: Array, kernel: Array, output: Any, mode: Any, cval: Any, origins: list[int]) -> bool:
    """Return True for what the engines do; SciPy is left to say what is wrong with the rest."""
    return (
        a.dtype in conv.TYPES
        and a.dtype.isnative
        and (kernel.dtype.kind in "fiu" or (kernel.dtype.kind == "c" == a.dtype.kind and kernel.dtype in conv.TYPES))
        and isinstance(mode, str)
        and mode in _PADS
        and np.ndim(cval) == 0
        and isinstance(cval, (int, float, np.number))
        and all(-(n // 2) <= o <= (n - 1) // 2 for n, o in zip(kernel.shape, origins, strict=True))
        and (output is None or _fits(output, a))
    )


def _fits(output: Any, a: Array) -> bool:
    """Return True for an array of the right shape and type, or that type."""
    if isinstance(output, np.ndarray):
        return bool(output.shape == a.shape and output.dtype == a.dtype)
    return isinstance(output, (type, np.dtype)) and np.dtype(output) == a.dtype


def _by_plan(a: Array, kernel: Array, mode: str, cval: Any, origins: list[int], seconds: float) -> Array | None:
    """Correlate along the last axes, as many as the kernel has; None where SciPy's loop is predicted faster."""
    outer, lengths = a.shape[: a.ndim - kernel.ndim], a.shape[a.ndim - kernel.ndim :]
    if any(m < n for m, n in zip(lengths, kernel.shape, strict=True)):
        return None
    before = [n // 2 + o for n, o in zip(kernel.shape, origins, strict=True)]
    around = tuple((b, n - 1 - b) for n, b in zip(kernel.shape, before, strict=True))
    lines = a.size // math.prod(lengths)
    laid = _PADS[mode] != "constant" or cval != 0
    if laid:
        seconds -= 30e-6 + 1e-9 * a.nbytes
    plan = plan_within(lengths, kernel.shape, around, a.dtype, seconds, lines)
    if plan is None:
        return None
    if laid:
        filled = {"constant_values": cval} if _PADS[mode] == "constant" else {}
        a = np.pad(a, ((0, 0),) * len(outer) + around, mode=_PADS[mode], **filled)  # type: ignore[call-overload]
        lengths, around = a.shape[len(outer) :], ((0, 0),) * kernel.ndim
        plan = plan_within(lengths, kernel.shape, around, a.dtype, None, lines)
        assert plan is not None  # the same convolution with its zeros laid around
    made = run_lines(plan, a.reshape((lines, *lengths)), kernel.astype(a.dtype))
    return made.reshape((*outer, *made.shape[1:]))


def _given(made: Array, output: Any) -> Any:
    if not isinstance(output, np.ndarray):
        return made
    output[...] = made
    return output


def _all_axes(input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any, flip: bool) -> Any:
    """Correlate along all axes; None where SciPy is to do it."""
    a, kernel = np.asarray(input), np.asarray(weights)
    if axes is not None or a.ndim != kernel.ndim:
        return None
    if a.ndim == 1 and np.ndim(origin) == 0:
        return _one_axis(a, kernel, -1, output, mode, cval, origin, flip)
    if a.size * kernel.size < _FEW:
        return None
    origins = [origin] * a.ndim if np.ndim(origin) == 0 else list(origin)
    if len(origins) != a.ndim or not all(isinstance(o, (int, np.integer)) for o in origins):
        return None
    if flip:
        kernel = kernel[(slice(None, None, -1),) * kernel.ndim]
        origins = [-o - (1 - n % 2) for o, n in zip(origins, kernel.shape, strict=True)]
    elif kernel.dtype.kind == "c":
        kernel = kernel.conj()
    if not _taken(a, kernel, output, mode, cval, origins):
        return None
    kind = 4.0 if a.dtype.kind == "c" else 1.0
    made = _by_plan(a, kernel, mode, cval, origins, 10e-6 + a.size * (6.0 + 0.8 * kernel.size) * kind * 1e-9)
    return None if made is None else _given(made, output)


def _one_axis(input: Any, weights: Any, axis: Any, output: Any, mode: Any, cval: Any, origin: Any, flip: bool) -> Any:
    """Correlate along one axis; None where SciPy is to do it."""
    a, kernel = np.asarray(input), np.asarray(weights)
    if kernel.ndim != 1 or not a.size * kernel.size or not isinstance(origin, (int, np.integer)):
        return None
    if not isinstance(axis, (int, np.integer)) or not -a.ndim <= axis < a.ndim:
        return None
    if flip:
        kernel = kernel[::-1]
        origin = -origin - (1 - len(kernel) % 2)
    elif kernel.dtype.kind == "c":
        kernel = kernel.conj()
    if not _taken(a, kernel, output, mode, cval, [int(origin)]):
        return None
    if a.ndim == 1 and _PADS[mode] == "constant" and cval == 0 == origin and len(kernel) % 2 and len(a) >= len(kernel):
        # The middle of the full convolution.
        centred = fast(a, kernel[::-1].astype(a.dtype), "same")
        if centred is not None:
            return _given(centred, output)
    if a.size * kernel.size < _FEW:
        return None
    kind = 4.0 if a.dtype.kind == "c" else 1.0
    moved = np.moveaxis(a, axis, -1)
    seconds = 10e-6 + a.size * (2.0 + 0.35 * len(kernel)) * kind * 1e-9
    if moved is not a and not moved.flags.c_contiguous:
        seconds -= 4e-9 * a.size  # the copies into lines and back
    made = _by_plan(moved, kernel, mode, cval, [int(origin)], seconds)
    return None if made is None else _given(np.ascontiguousarray(np.moveaxis(made, -1, axis)), output)


def correlate(
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
    made = _all_axes(input, weights, output, mode, cval, origin, axes, flip=False)
    if made is not None:
        return made
    if axes is None and _one_line(input, weights, mode, origin):
        return ndimage.correlate1d(input, weights, -1, output, mode, cval, origin)
    return ndimage.correlate(_apart(input), weights, output, mode, cval, origin, **_named(axes))


def convolve(
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
    made = _all_axes(input, weights, output, mode, cval, origin, axes, flip=True)
    if made is not None:
        return made
    if axes is None and _one_line(input, weights, mode, origin):
        return ndimage.convolve1d(input, weights, -1, output, mode, cval, origin)
    return ndimage.convolve(_apart(input), weights, output, mode, cval, origin, **_named(axes))


def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """As `scipy.ndimage.correlate1d`."""
    made = _one_axis(input, weights, axis, output, mode, cval, origin, flip=False)
    return ndimage.correlate1d(input, weights, axis, output, mode, cval, origin) if made is None else made


def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> Any:
    """As `scipy.ndimage.convolve1d`."""
    made = _one_axis(input, weights, axis, output, mode, cval, origin, flip=True)
    return ndimage.convolve1d(input, weights, axis, output, mode, cval, origin) if made is None else made


def _one_line(input: Any, weights: Any, mode: Any, origin: Any) -> bool:
    """Return True for a line, which SciPy's functions of one axis do up to five times faster."""
    kernel = np.asarray(weights)
    one = np.ndim(input) == kernel.ndim == 1 and kernel.size > 0 and isinstance(mode, str)
    return bool(one and isinstance(origin, int) and -(kernel.size // 2) <= origin <= (kernel.size - 1) // 2)


def _apart(input: Any) -> Any:
    """Return the array; a copy where all of it is one element, which SciPy's loops take for the boundary."""
    a = np.asarray(input)
    return a.copy() if a.size > 1 and not any(a.strides) else a


def _named(axes: Any) -> dict[str, Any]:
    return {} if axes is None else {"axes": axes}  # SciPy < 1.16 has no such parameter
