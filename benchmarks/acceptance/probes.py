"""What CuPy and cuDNN do by themselves on this card: launches, copies, errors, the precision of convolutions.

xpu's backend rests on these; a reading that surprises explains a surprise in the tables.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import xpu
from acceptance.measure import ERRORS, NotHere, Run, each, settings

__all__ = ["cudnn_device", "libraries", "probes"]


def probes(run: Run) -> dict[str, Any]:
    """Latencies of launches and copies, bandwidths, rates, through xpu's own backend."""
    target, found = run.target, {}
    with settings(run, "gpu"):
        start = target.seconds()
        float((xpu.arange(10) + 1).sum())
        found["first kernel, seconds"] = target.seconds() - start
        x = xpu.ones(16)
        x += 0
        found["x + x of 16 elements, microseconds"] = each(run, lambda: x + x, 200) * 1e6
        for nbytes in (8, 1 << 12, 1 << 16, 1 << 20) + (() if run.small else (1 << 24, 1 << 28)):
            host, root = np.ones(nbytes, np.uint8), target.allocate(nbytes)
            back = np.empty_like(host)
            up = each(run, lambda root=root, host=host: target.upload(root, host), 5)
            down = each(run, lambda root=root, back=back: target.download(root, back), 5)
            found[f"copy of {nbytes} bytes"] = {"in, GB/s": nbytes / up / 1e9, "out, GB/s": nbytes / down / 1e9}
            run.emit({"copy": nbytes, **found[f"copy of {nbytes} bytes"]})
        n = 128 if run.small else 4096
        for dtype in ("f2", "f4", "f8"):
            a = xpu.ones((n, n), dtype)
            a += 0
            found[f"matmul {dtype}, Tflop/s"] = 2 * n**3 / each(run, lambda a=a: a @ a, 5) / 1e12
        big = xpu.ones(1 << (16 if run.small else 27))
        big += 0
        found["big + 1, GB/s"] = 2 * big.nbytes / each(run, lambda: big + 1.0, 5) / 1e9
        image = xpu.ones((n, n), "c8")
        image += 0
        found["fft2, milliseconds"] = each(run, lambda: xpu.fft.fft2(image), 5) * 1e3
    return found


class _Found(dict[str, Any]):
    """Answers by question; an error is an answer."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    @contextmanager
    def asking(self, question: str) -> Iterator[Callable[[Any], None]]:
        """Keep what is told, or the error."""

        def tell(answer: Any) -> None:
            self[question] = answer

        try:
            yield tell
        except ERRORS as error:
            self[question] = f"{type(error).__module__}.{type(error).__name__}: {error}"[:300]
        self._run.emit({"question": question, "answer": self.get(question)})


def libraries(run: Run) -> dict[str, Any]:
    """CuPy and cuDNN by themselves: versions, launches, copies, refusals, out of memory."""
    if run.device == "pretend":
        return _played(run)
    cupy = importlib.import_module("cupy")
    found = _Found(run)
    _versions(found, cupy)
    _launches(found, cupy)
    _copies(found, cupy)
    _refusals(found, cupy)
    _memory(found, cupy)
    _precision(found)
    _by_numba(found, cupy)
    return found


def _played(run: Run) -> dict[str, Any]:
    """Ask the questions that need no card, so that the asking itself is exercised."""
    found = _Found(run)
    with found.asking("versions") as tell:
        tell({"numpy": np.__version__, "xpu": xpu.__version__})
    with found.asking("an error is an answer") as tell:
        tell(importlib.import_module("a_module_that_is_not_there"))
    _precision(found)
    return {**found, "not asked": "launches, copies, refusals and memory of CuPy: they need a card"}


def _versions(found: _Found, cupy: Any) -> None:
    with found.asking("versions") as tell:
        runtime = cupy.cuda.runtime
        nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
        tell(
            {
                "cupy": cupy.__version__,
                "numpy": np.__version__,
                "driver": runtime.driverGetVersion(),
                "runtime": runtime.runtimeGetVersion(),
                "runtime found": cupy.cuda.get_local_runtime_version(),
                "nvrtc": nvrtc.getVersion(),
                "CUDA's folder": cupy.cuda.get_cuda_path(),
                "compute capability": cupy.cuda.Device().compute_capability,
                "memory, free and total": runtime.memGetInfo(),
            }
        )


def _launches(found: _Found, cupy: Any) -> None:
    a, b = cupy.ones(16, "f4"), cupy.ones(16, "f4")
    out = cupy.empty_like(a)
    kernel = cupy.ElementwiseKernel("T x", "T y", "y = x", "xpu_probe_copy")
    wait = cupy.cuda.get_current_stream().synchronize
    calls = {
        "a + b": lambda: a + b,
        "add(out=)": lambda: cupy.add(a, b, out=out),
        "ElementwiseKernel": lambda: kernel(a, out),
        "numpy.add(a, b)": lambda: np.add(a, b),
        "sum": lambda: a.sum(),
        "empty": lambda: cupy.empty(16, "f4"),
        "reshape": lambda: a.reshape(4, 4),
        "a + b, waited for": lambda: (a + b, wait()),
        "float(a[0])": lambda: float(a[0]),
    }
    for name, call in calls.items():
        with found.asking(f"microseconds of {name}") as tell:
            tell(each(found._run, call, 300) * 1e6)


def _copies(found: _Found, cupy: Any) -> None:
    cupyx = importlib.import_module("cupyx")
    for nbytes in (8, 4096, 1 << 16, 1 << 20, 1 << 24, 1 << 28):
        with found.asking(f"GB/s of copies of {nbytes} bytes") as tell:
            host, pinned, there = np.ones(nbytes, "u1"), cupyx.empty_pinned((nbytes,), "u1"), cupy.empty(nbytes, "u1")
            pinned[...] = 1
            calls = {
                "in, asarray": lambda h=host: cupy.asarray(h),
                "in, pageable": lambda h=host, d=there: d.set(h),
                "in, pinned": lambda p=pinned, d=there: d.set(p),
                "out, pageable": lambda d=there: d.get(),
                "out, pinned": lambda p=pinned, d=there: d.get(out=p),
                "on the host": lambda h=host, p=pinned: np.copyto(p, h),
            }
            tell({name: nbytes / each(found._run, call, 5) / 1e9 for name, call in calls.items()})


def _refusals(found: _Found, cupy: Any) -> None:
    """What CuPy says where NumPy's arrays meet its own: xpu never lets them, and relies on being told."""
    a, host = cupy.ones((2, 3)), np.ones((2, 3))
    for name, call in {
        "a + numpy array": lambda: a + host,
        "numpy.add(numpy array, a)": lambda: np.add(host, a),
        "a + 0-d numpy array": lambda: a + np.array(2.0),
        "numpy.float64 * a": lambda: np.float64(2) * a,
        "numpy.asarray(a)": lambda: np.asarray(a),
        "cupy.asarray(objects)": lambda: cupy.asarray([None]),
        "numpy array + a": lambda: host + a,
        "numpy.concatenate": lambda: np.concatenate([host, a]),
        "numpy.where(a, numpy array, 0)": lambda: np.where(a, host, 0),
        "cupy.where(a, numpy array, 0)": lambda: cupy.where(a, host, 0),
        "numpy.mean(a)": lambda: np.mean(a),
        "numpy.linalg.norm(a)": lambda: np.linalg.norm(a),
        "numpy.spacing(a)": lambda: np.spacing(a),
        "numpy.from_dlpack(a)": lambda: np.from_dlpack(a),
        "range(0-d)": lambda: range(cupy.array(3)),
        "bool(0-d)": lambda: bool(cupy.array(1)),
        "a[numpy indices]": lambda: a[np.array([0])],
        "a[0] = numpy row": lambda: a.__setitem__(0, host[0]),
        "index out of bounds": lambda: a[np.array([9])].shape,
    }.items():
        with found.asking(name) as tell:
            tell(str(type(call())))


def _memory(found: _Found, cupy: Any) -> None:
    with found.asking("out of memory in a pool of 1 MiB") as tell:
        pool = cupy.cuda.MemoryPool()
        with cupy.cuda.using_allocator(pool.malloc):
            pool.set_limit(size=1 << 20)
            tell(cupy.empty(1 << 22, "u1").nbytes)
    with found.asking("out of memory of the card") as tell:
        tell(cupy.cuda.Memory(1 << 45).size)
    with found.asking("out of page-locked memory") as tell:
        tell(cupy.cuda.alloc_pinned_memory(1 << 45))


CONVOLUTIONS = {
    1: ((2, 4, 33), (6, 4, 5)),
    2: ((2, 4, 17, 19), (6, 4, 3, 3)),
    3: ((1, 4, 9, 9, 9), (4, 4, 3, 3, 3)),
}


def _precision(found: _Found) -> None:
    """Convolutions of xpu on the device against the direct sum in float64, per dtype and number of axes.

    The first call builds cuDNN's plan. With tf32, float32 may be rounded to ten bits of fraction.
    """
    for rank in CONVOLUTIONS:
        for dtype, tf32 in (("float16", False), ("float32", False), ("float32", True), ("float64", False)):
            with found.asking(f"conv{rank}d in {dtype}{' with tf32' if tf32 else ''}") as tell:
                tell(_convolved(found._run, rank, dtype, tf32=tf32))
    with found.asking("max_pool2d is exact") as tell, settings(found._run, "gpu"):
        x = np.random.default_rng(0).standard_normal((2, 8, 16, 18)).astype("f4")
        tell(bool(np.array_equal(xpu.nn.max_pool2d(xpu.asarray(x), 2), x.reshape(2, 8, 8, 2, 9, 2).max((3, 5)))))


def _convolved(run: Run, rank: int, dtype: str, *, tf32: bool) -> dict[str, float]:
    image, weight = CONVOLUTIONS[rank]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(image).astype(dtype), rng.standard_normal(weight).astype(dtype)
    function = {1: xpu.nn.conv1d, 2: xpu.nn.conv2d, 3: xpu.nn.conv3d}[rank]
    with settings(run, "gpu"), xpu.config(tf32=tf32):
        a, b = xpu.asarray(x) + 0, xpu.asarray(w) + 0
        start = run.target.seconds()
        made = function(a, b, padding=1, stride=2, dilation=2)
        first = run.target.seconds() - start
        later = each(run, lambda: function(a, b, padding=1, stride=2, dilation=2), 50)
        got = xpu.asnumpy(made).astype("f8")
    padded = np.pad(x.astype("f8"), [(0, 0), (0, 0)] + [(1, 1)] * rank)
    windows = np.lib.stride_tricks.sliding_window_view(padded, [2 * k - 1 for k in weight[2:]], range(2, 2 + rank))
    taken = windows[(..., *[slice(None, None, 2)] * rank)][(slice(None), slice(None), *[slice(None, None, 2)] * rank)]
    at = "hij"[:rank]
    expected = np.einsum(f"nc{at}{at.upper()},oc{at.upper()}->no{at}", taken, w.astype("f8"))
    error = float(np.abs(got - expected).max() / np.abs(expected).max())
    return {"error": error, "first call, milliseconds": first * 1e3, "later calls, microseconds": later * 1e6}


def _by_numba(found: _Found, cupy: Any) -> None:
    """The second way of a user's kernel, which no kernel takes as long as CuPy's works."""
    with found.asking("vectorize by numba-cuda") as tell:
        way = importlib.import_module("xpu._kernels._cuda")._by_numba
        float64 = np.dtype("f8")
        kernel = way(lambda x: math.exp(-x) if x > 0 else x, (float64,), float64)
        x = cupy.linspace(-1, 1, 1 << 20)
        exact = cupy.where(x > 0, cupy.exp(-x), x)
        error = float(abs(kernel(x) - exact).max())
        tell({"error": error, "microseconds": each(found._run, lambda: kernel(x), 20) * 1e6})


def cudnn_device(run: Run) -> dict[str, Any]:
    """The description that cuDNN gives of the card; plans can be built from it without one."""
    if run.device != "cuda":
        message = "it needs a card"
        raise NotHere(message)
    cudnn = importlib.import_module("cudnn")
    described = cudnn.create_device_properties(0).serialize()
    text = bytes(described).decode("utf-8", "replace") if not isinstance(described, str) else described
    return {"cudnn": cudnn.backend_version(), "frontend": cudnn.__version__, "device": text}
