"""Discrete Fourier transforms: ``numpy.fft`` where it finishes first."""

from typing import Any

import numpy as np

from xpu._ops.creation import to_device
from xpu._ops.fourier import (
    fft,
    fft2,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifft2,
    ifftn,
    ifftshift,
    ihfft,
    irfft,
    irfft2,
    irfftn,
    rfft,
    rfft2,
    rfftn,
)
from xpu._wrap import wrap

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]


def fftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """Return the sample frequencies of `fft`, as `numpy.fft.fftfreq`.

    Parameters
    ----------
    n : int
        Window length in samples.
    d : float, optional
        Sample spacing.
    dtype : dtype, optional
        A floating dtype (the array API standard's addition).
    device : str or Device, optional
        Pins the result there.

    Returns
    -------
    ndarray
        Shape ``(n,)``, cycles per unit of `d`.

    Examples
    --------
    >>> import xpu
    >>> xpu.fft.fftfreq(4)
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    return _finish(np.fft.fftfreq(n, d), dtype, device, "fft.fftfreq")


def rfftfreq(n: int, /, d: float = 1.0, *, dtype: Any = None, device: Any = None) -> Any:
    """Return the sample frequencies of `rfft`, as `numpy.fft.rfftfreq`; see `fftfreq`.

    Examples
    --------
    >>> import xpu
    >>> xpu.fft.rfftfreq(4)
    array([0.  , 0.25, 0.5 ])
    """
    return _finish(np.fft.rfftfreq(n, d), dtype, device, "fft.rfftfreq")


def _finish(frequencies: Any, dtype: Any, device: Any, name: str) -> Any:
    made = wrap(frequencies if dtype is None else frequencies.astype(dtype))
    return made if device is None else to_device(made, device, function=name)
