"""Probe of CuPy: import it, count devices, and let the card compute four small things."""

from __future__ import annotations

import warnings
from typing import Any

from .answer import Answer


def probe(answer: Answer, root: str) -> None:
    """Tell whether CuPy imports, which devices it sees, and which kinds of kernel run.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Not used.
    """
    with warnings.catch_warnings(record=True) as caught, answer.step("import cupy"):
        warnings.simplefilter("always")
        import cupy

        answer.fact("version", str(cupy.__version__))
        answer.fact("path", str(cupy.__file__))
        _use(answer, cupy)
    for warning in caught:
        answer.error("warning", f"{warning.category.__name__}: {warning.message}")


def _use(answer: Answer, cupy: Any) -> None:
    runtime = cupy.cuda.runtime
    with answer.step("driver version"):
        answer.fact("driver", int(runtime.driverGetVersion()))
        answer.fact("runtime", int(runtime.runtimeGetVersion()))
    count = 0
    with answer.step("count devices"):
        count = int(runtime.getDeviceCount())
        answer.fact("devices", count)
    if count:
        _compute(answer, cupy)


def _compute(answer: Answer, cupy: Any) -> None:
    """Run one kernel of each kind: compiled on the spot, cuBLAS, prebuilt, cuFFT."""
    own = getattr(cupy.cuda.compiler, "CompileException", RuntimeError)
    ran: dict[str, bool] = {}

    def check(name: str, right: bool) -> None:
        ran[name] = right
        answer.fact("ran", dict(ran))
        if not right:
            answer.error(name, "the result is wrong")

    with answer.step("compile a kernel", own):
        total = (cupy.arange(1000, dtype="f8") * 2.0).sum()
        check("compile a kernel", float(total) == 999000.0)
    with answer.step("multiply matrices", own):
        product = cupy.ones((64, 64), dtype="f4") @ cupy.ones((64, 64), dtype="f4")
        check("multiply matrices", float(product[0, 0]) == 64.0)
    with answer.step("sort", own):
        check("sort", int(cupy.sort(cupy.arange(1000)[::-1])[0]) == 0)
    with answer.step("Fourier transform", own):
        line = cupy.fft.fft(cupy.ones(64, dtype="c16"))
        check("Fourier transform", abs(complex(line[0]) - 64.0) < 1e-9)
