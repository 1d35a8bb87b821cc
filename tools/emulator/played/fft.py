"""cuFFT's plans, by NumPy."""

from types import ModuleType
from typing import Any

import numpy as np

from played import memory

C2C, R2C, C2R, Z2Z, D2Z, Z2D = 0x29, 0x2A, 0x2C, 0x69, 0x6A, 0x6C
FORWARD, INVERSE = -1, 1
RESULT = {C2C: "F", R2C: "F", C2R: "f", Z2Z: "D", D2Z: "D", Z2D: "d"}


class CuFFTError(RuntimeError):
    """What CuPy catches by this name."""


class _Plan:
    gpus = None
    work_area = None

    def check_output_array(self, a: Any, out: Any) -> None:
        """Trust CuPy with the shape."""


class Plan1d(_Plan):
    """Transforms along the last axis."""

    def __init__(self, nx: int, fft_type: int, batch: int, *, devices: Any = None, out: Any = None) -> None:
        self.nx, self.fft_type, self.batch = nx, fft_type, batch

    def get_output_array(self, a: Any) -> Any:
        """Return an array for the result."""
        import cupy

        length = self.nx // 2 + 1 if self.fft_type in (R2C, D2Z) else self.nx
        return cupy.empty((*a.shape[:-1], length), RESULT[self.fft_type])

    def fft(self, a: Any, out: Any, direction: int) -> None:
        """Transform; the inverse is not divided by its length."""
        x = memory.of(a)
        if self.fft_type in (R2C, D2Z):
            result = np.fft.rfft(x, self.nx)
        elif self.fft_type in (C2R, Z2D):
            result = np.fft.irfft(x, self.nx, norm="forward")
        else:
            result = np.fft.fft(x) if direction == FORWARD else np.fft.ifft(x, norm="forward")
        memory.of(out)[...] = result


class PlanNd(_Plan):
    """Transforms over the last axes, or over the first ones of an array in Fortran order."""

    def __init__(
        self, shape, inembed, istride, idist, onembed, ostride, odist, fft_type, batch, order, last_axis, last_size
    ):
        self.shape, self.fft_type, self.order, self.istride = shape, fft_type, order, istride
        self.last_axis, self.last_size = last_axis, last_size

    def get_output_array(self, a: Any, order: str = "C") -> Any:
        """Return an array for the result."""
        import cupy

        shape = list(a.shape)
        if self.fft_type in (R2C, D2Z, C2R, Z2D):
            shape[self.last_axis] = self.last_size
        return cupy.empty(shape, RESULT[self.fft_type], order=order)

    def fft(self, a: Any, out: Any, direction: int) -> None:
        """Transform; the inverse is not divided by its length."""
        x, count = memory.of(a), len(self.shape)
        axes = tuple(range(x.ndim - count, x.ndim) if self.istride == 1 else range(count))
        if self.fft_type in (R2C, D2Z):
            result = np.fft.rfftn(x, axes=axes)
        elif self.fft_type in (C2R, Z2D):
            result = np.fft.irfftn(x, [out.shape[i] for i in axes], axes, norm="forward")
        else:
            result = np.fft.fftn(x, axes=axes) if direction == FORWARD else np.fft.ifftn(x, axes=axes, norm="forward")
        memory.of(out)[...] = result


def module() -> ModuleType:
    """Return what takes the place of `cupy.cuda.cufft`."""
    made = ModuleType("cupy.cuda.cufft")
    kinds = {"C2C": C2C, "R2C": R2C, "C2R": C2R, "Z2Z": Z2Z, "D2Z": D2Z, "Z2D": Z2D}
    constants = {f"CUFFT_{name}": value for name, value in {**kinds, "FORWARD": FORWARD, "INVERSE": INVERSE}.items()}
    made.__dict__.update(constants, Plan1d=Plan1d, PlanNd=PlanNd, CuFFTError=CuFFTError, get_current_plan=lambda: None)
    return made
