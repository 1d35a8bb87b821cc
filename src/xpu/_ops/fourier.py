"""Fast Fourier transforms: one row each."""

from __future__ import annotations

from xpu._op import by_fft
from xpu._ops._make import Function, function


def _transform(name: str) -> Function:
    return function(f"fft.{name}", "fft", by_fft, dtypes="floating", ulp=256)


fft = _transform("fft")
fft2 = _transform("fft2")
fftn = _transform("fftn")
hfft = _transform("hfft")
ifft = _transform("ifft")
ifft2 = _transform("ifft2")
ifftn = _transform("ifftn")
ihfft = _transform("ihfft")
irfft = _transform("irfft")
irfft2 = _transform("irfft2")
irfftn = _transform("irfftn")
rfft = _transform("rfft")
rfft2 = _transform("rfft2")
rfftn = _transform("rfftn")
fftshift = function("fft.fftshift", "copy")
ifftshift = function("fft.ifftshift", "copy")
