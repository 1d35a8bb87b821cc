"""Rows of `xpu.ndimage` and `xpu.signal`: SciPy's functions on the host, cupyx's on the GPU.

What cupyx lacks is data here, read off its source (`tests/filters` repeats that); such a call runs on
the host with that as its reason. This module imports nothing of SciPy: the two namespaces do, on
their first use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpu._op import Op, Shaped, Work
from xpu._ops._make import Function

__all__ = ["LACKING", "MISSING", "FilterFunction", "filter_function", "host_function"]

# Functions that cupyx.scipy 14.2 does not have.
MISSING = {
    "ndimage": frozenset(
        ["distance_transform_bf", "distance_transform_cdt", "geometric_transform", "vectorized_filter", "watershed_ift"]
    ),
    "signal": frozenset(
        [
            "bessel",
            "besselap",
            "closest_STFT_dual_window",
            "czt",
            "czt_points",
            "envelope",
            "find_peaks_cwt",
            "firwin_2d",
            "remez",
            "zoom_fft",
        ]
    ),
}

# Keywords of SciPy 1.17 that cupyx's function of the same name lacks.
LACKING: Mapping[str, frozenset[str]] = {
    "ndimage.gaussian_filter1d": frozenset({"radius"}),
    "ndimage.generic_filter": frozenset({"extra_arguments", "extra_keywords"}),
    "ndimage.generic_filter1d": frozenset({"extra_arguments", "extra_keywords"}),
    "signal.chirp": frozenset({"complex"}),
    "signal.choose_conv_method": frozenset({"measure"}),
    "signal.hilbert2": frozenset({"axes"}),
    "signal.lombscargle": frozenset({"weights", "floating_mean"}),
}


class FilterFunction(Function):
    """A function of SciPy that runs where it finishes first."""

    __slots__ = ()

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """SciPy's documentation, with a line on placement."""
        lane = "never on the GPU" if self.op.gpu is None else f"on the GPU through {self.op.gpu}"
        return f"xpu.{self.op.name}: as scipy.{self.op.name}; {lane}.\n\n{inspect.getdoc(self.op.host) or ''}"


def filter_function(
    path: str, host: Callable[..., Any], *, arrays: tuple[int, ...] = (0,), taps: float = 9.0, kind: str = "filter"
) -> Function:
    """Make a public function of a filter.

    Parameters
    ----------
    path : str
        Path below ``xpu`` and ``scipy``: ``"ndimage.sobel"``.
    host : callable
        SciPy's function, or one of ours with its signature.
    arrays : tuple of int, optional
        Positions of its array arguments.
    taps : float, optional
        Operations per element; the size of the second operand counts instead where there is one.
    kind : str, optional
        Cost class.

    Returns
    -------
    Function
        The public function.
    """
    space, _, name = path.partition(".")
    names = _parameters(host)
    writes = (names.index("output"),) if "output" in names else ()
    gpu = None if name in MISSING[space] else f"cupyx.scipy.{path}"
    op = Op(
        path,
        kind,
        host,
        gpu,
        arrays=arrays,
        writes=writes,
        gaps=LACKING.get(path, frozenset()),
        weight=taps,
        count=_by_taps,
        ulp=256,
    )
    return FilterFunction(op)


def _parameters(host: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(host).parameters)
    except ValueError:  # compiled, without a signature
        return []


def host_function(path: str, host: Callable[..., Any]) -> Function:
    """Make a public function that only the host runs: it designs, or gives Python objects."""
    return FilterFunction(Op(path, "host", host, None, arrays=()))


def _by_taps(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Count one multiply-add per element and tap; an FFT bounds what a large kernel costs."""
    first = operands[0]
    taps = float(operands[1].size) if len(op.arrays) > 1 and len(operands) > 1 else op.weight
    size = keywords.get("size")
    if isinstance(size, int):
        taps = max(taps, float(size) ** len(first.shape))
    return Work(op.kind, first.dtype, 2.0 * first.nbytes, 2.0 * first.size * min(taps, _FFT_TAPS))


_FFT_TAPS = 200.0  # an FFT of any practical length costs about as much as this many taps
