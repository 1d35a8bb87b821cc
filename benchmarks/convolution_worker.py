"""One library's side of `convolution.py`: a process that times the cases it is sent.

A process measures one library alone, so that no other library's idle threads, allocator or BLAS
stands beside it.  It reads one JSON request a line and answers with one JSON line:

    {"case": 3, "file": PATH or null}  ->  {"seconds": 0.0021, "engine": "gemm", "workspace": 0.41}

``{"seconds": null}`` means that the library does not do this case.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy

Array = Any
Run = Callable[[], Any]
Maker = Callable[["Case", Array, Array, int], "Job | None"]


@dataclass(frozen=True)
class Case:
    """One convolution: shapes of x and w, stride, padding, groups; float32, NCHW."""

    name: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def one_channel(self) -> bool:
        """Whether it is a filter of a signal or an image, which SciPy does too."""
        return self.x[1] * self.w[0] == 1

    @property
    def options(self) -> dict[str, int]:
        """Return the keywords of the call."""
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}


@dataclass(frozen=True)
class Job:
    """What to time, the engine that runs it, and its workspace in multiples of both operands plus result."""

    run: Run
    engine: str = ""
    workspace: float | None = None


CASES = (
    Case("stem 7x7/2", (1, 3, 224, 224), (64, 3, 7, 7), 2, 3),
    Case("3x3 64@56", (1, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    Case("1x1 256-64@56", (1, 256, 56, 56), (64, 256, 1, 1)),
    Case("3x3 256@14", (1, 256, 14, 14), (256, 256, 3, 3), 1, 1),
    Case("3x3 256@14 batch 8", (8, 256, 14, 14), (256, 256, 3, 3), 1, 1),
    Case("1x1/2 512-1024@28 batch 8", (8, 512, 28, 28), (1024, 512, 1, 1), 2),
    Case("U-Net 3x3 64@256", (1, 64, 256, 256), (64, 64, 3, 3), 1, 1),
    Case("depthwise 3x3 128@112", (1, 128, 112, 112), (128, 1, 3, 3), 1, 1, 128),
    Case("audio 101 taps", (1, 1, 1_000_000), (1, 1, 101), 1, 50),
    Case("image 15x15", (1, 1, 1024, 1024), (1, 1, 15, 15), 1, 7),
    Case("image 63x63", (1, 1, 1024, 1024), (1, 1, 63, 63), 1, 31),
    Case("3-D 5x5x5 8@48", (1, 8, 48, 48, 48), (8, 8, 5, 5, 5), 1, 2),
)
# A turn lasts about this many seconds: one call to warm the caches, then timed ones; the median counts.
TURN = 0.04
# A library that takes longer than this for one call is not called again in the turn.
SLOW = 0.5
# `scipy.signal.convolve2d` needs about 9 ns a tap and output: not over this many of them.
CONVOLVE2D_MOST = 10**9


def xpu_maker(*, numba: bool = True, onednn: bool = False) -> Maker:
    """Return the maker for xpu: as installed by default, with the extra ``onednn``, or where numba does not load."""

    def make(case: Case, x: Array, w: Array, threads: int) -> Job:
        xpu, conv = importlib.import_module("xpu"), importlib.import_module("xpu.conv")
        kernels = importlib.import_module("xpu.conv._background")
        if not numba:
            kernels.refuse("it is left out of this column")
        elif not kernels.wait():
            message = f"xpu's kernels are missing: {kernels.why_not('_tiles')}"
            raise SystemExit(message)
        if not onednn:
            conv.ENGINES.pop("onednn", None)
        rank = len(case.x) - 2
        function = {1: xpu.nn.conv1d, 2: xpu.nn.conv2d, 3: xpu.nn.conv3d}[rank]
        plan = conv.plan_conv(conv.conv_geometry("conv", rank, case.x, case.w, "f4", "f4", **case.options))
        arrays = xpu.asarray(x), xpu.asarray(w)
        share = plan.workspace / plan.geometry.bytes
        return Job(lambda: numpy.asarray(function(*arrays, **case.options)), plan.engine, share)

    return make


def torch_job(case: Case, x: Array, w: Array, threads: int) -> Job:
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    function = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}[x.ndim]
    tensors = torch.from_numpy(x), torch.from_numpy(w)

    def run() -> Array:
        with torch.inference_mode():
            return function(*tensors, **case.options).numpy()

    return Job(run)


def onnx_job(case: Case, x: Array, w: Array, threads: int) -> Job:
    """Build a one-node model; its weight is an input, as for the others."""
    onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    rank = x.ndim - 2
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=[case.stride] * rank, pads=[case.padding] * 2 * rank, group=case.groups
    )
    kind = onnx.TensorProto.FLOAT
    ins = [onnx.helper.make_tensor_value_info(n, kind, a.shape) for n, a in (("x", x), ("w", w))]
    graph = onnx.helper.make_graph([node], "conv", ins, [onnx.helper.make_tensor_value_info("y", kind, None)])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Job(lambda: session.run(None, {"x": x, "w": w})[0])


def signal_job(case: Case, x: Array, w: Array, threads: int) -> Job | None:
    """Let `scipy.signal.correlate` choose its method; its transforms get the threads too."""
    if not case.one_channel:
        return None
    signal, fft = importlib.import_module("scipy.signal"), importlib.import_module("scipy.fft")

    def run() -> Array:
        with fft.set_workers(threads):
            return signal.correlate(x[0, 0], w[0, 0], mode="same", method="auto")[None, None]

    return Job(run)


def overlap_job(case: Case, x: Array, w: Array, threads: int) -> Job | None:
    """`scipy.signal.oaconvolve`, which is SciPy's fastest for a long signal."""
    if not case.one_channel:
        return None
    signal, fft = importlib.import_module("scipy.signal"), importlib.import_module("scipy.fft")
    flipped = w[0, 0][(slice(None, None, -1),) * (w.ndim - 2)]

    def run() -> Array:
        with fft.set_workers(threads):
            return signal.oaconvolve(x[0, 0], flipped, mode="same")[None, None]

    return Job(run)


def convolve2d_job(case: Case, x: Array, w: Array, threads: int) -> Job | None:
    if not case.one_channel or x.ndim != 4 or x.size * w.size > CONVOLVE2D_MOST:
        return None
    signal = importlib.import_module("scipy.signal")
    return Job(lambda: signal.correlate2d(x[0, 0], w[0, 0], mode="same")[None, None])


def ndimage_job(case: Case, x: Array, w: Array, threads: int) -> Job | None:
    if not case.one_channel:
        return None
    ndimage = importlib.import_module("scipy.ndimage")
    return Job(lambda: ndimage.correlate(x[0, 0], w[0, 0], mode="constant")[None, None])


MAKERS: dict[str, Maker] = {
    "xpu": xpu_maker(),
    "xpu+onednn": xpu_maker(onednn=True),
    "xpu-numba": xpu_maker(numba=False),
    "torch": torch_job,
    "onnxruntime": onnx_job,
    "signal.correlate": signal_job,
    "signal.oaconvolve": overlap_job,
    "signal.correlate2d": convolve2d_job,
    "ndimage.correlate": ndimage_job,
}


def timed(run: Run) -> tuple[float, Array]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def turn(job: Job) -> tuple[float, Array]:
    """Return the median seconds of as many calls as fit a turn, and the result."""
    first, result = timed(job.run)
    if first > SLOW:
        return first, result
    count = max(3, min(50, int(TURN / first)))
    return statistics.median(timed(job.run)[0] for _ in range(count)), result


def serve(library: str, threads: int) -> None:
    """Answer requests until the other side closes the pipe."""
    jobs: dict[int, Job | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["case"]
        if number not in jobs:
            jobs.clear()  # one case's arrays at a time
            rng = numpy.random.default_rng(number)
            case = CASES[number]
            x, w = (rng.standard_normal(shape).astype("f4") for shape in (case.x, case.w))
            jobs[number] = MAKERS[library](case, x, w, threads)
        job = jobs[number]
        answer: dict[str, Any] = {"seconds": None}
        if job is not None:
            seconds, result = turn(job)
            if request["file"]:
                numpy.save(request["file"], result)
            answer = {key: value for key, value in dataclasses.asdict(job).items() if key != "run"}
            answer["seconds"] = seconds
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
