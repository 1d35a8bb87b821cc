"""Convolutions on the CPU: xpu against torch, onnxruntime and SciPy, interleaved in one run.

    python benchmarks/convolution.py [--threads 1] [--rounds 9] [--only NAME] [--plans]

Every round times each library once, one after the other, so that what else the machine does falls on
all of them; the figures are medians of the rounds, the ratio is torch's median over xpu's.  Results
are compared with torch's first.  torch and onnxruntime take part where they are installed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import scipy.ndimage
import scipy.signal

from xpu import conv
from xpu.conv import _compiled


@dataclass(frozen=True)
class Case:
    """One convolution: shapes of x and w, stride, padding, groups; float32, NCHW."""

    name: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    stride: int = 1
    padding: int = 0
    groups: int = 1


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
# A library that takes longer than this many seconds for a case is timed once.
SLOW = 0.5
COLUMNS = ("xpu", "torch", "onnxruntime", "scipy.signal", "scipy.ndimage")


def xpu_runner(case: Case, x: Any, w: Any) -> Callable[[], Any]:
    keywords = {"stride": case.stride, "padding": case.padding, "groups": case.groups}
    return lambda: conv.conv(numpy, x.ndim - 2, x, w, **keywords)


def torch_runner(case: Case, x: Any, w: Any, threads: int) -> Callable[[], Any]:
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    function = {3: torch.conv1d, 4: torch.conv2d, 5: torch.conv3d}[x.ndim]
    tensors = torch.from_numpy(x), torch.from_numpy(w)

    def run() -> Any:
        with torch.no_grad():
            return function(*tensors, stride=case.stride, padding=case.padding, groups=case.groups).numpy()

    return run


def onnx_runner(case: Case, x: Any, w: Any, threads: int) -> Callable[[], Any]:
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
    return lambda: session.run(None, {"x": x, "w": w})[0]


def scipy_runner(case: Case, x: Any, w: Any, module: str) -> Callable[[], Any] | None:
    """SciPy does one channel; ``None`` where the case has more."""
    if case.x[1] * case.w[0] != 1:
        return None
    image, kernel = x[0, 0], w[0, 0]
    if module == "scipy.signal":
        return lambda: scipy.signal.correlate(image, kernel, mode="same", method="auto")[None, None]
    return lambda: scipy.ndimage.correlate(image, kernel, mode="constant")[None, None]


def runners(case: Case, threads: int) -> dict[str, Callable[[], Any]]:
    rng = numpy.random.default_rng(0)
    x, w = rng.standard_normal(case.x).astype("f4"), rng.standard_normal(case.w).astype("f4")
    made: dict[str, Callable[[], Any] | None] = {"xpu": xpu_runner(case, x, w)}
    if importlib.util.find_spec("torch"):
        made["torch"] = torch_runner(case, x, w, threads)
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        made["onnxruntime"] = onnx_runner(case, x, w, threads)
    for module in ("scipy.signal", "scipy.ndimage"):
        made[module] = scipy_runner(case, x, w, module)
    return {name: run for name, run in made.items() if run is not None}


def measure(case: Case, threads: int, rounds: int) -> dict[str, float]:
    """Return the median seconds per library, after their results were compared."""
    every = runners(case, threads)
    first = every["xpu"]()
    once = set()
    for name, run in every.items():
        start = time.perf_counter()
        other = run()
        if time.perf_counter() - start > SLOW:
            once.add(name)
        error = float(numpy.abs(first - other).max()) / float(numpy.abs(other).max())
        if first.shape != other.shape or error > 1e-4:
            message = f"{case.name}: xpu and {name} differ: {first.shape}, {other.shape}, relative error {error:.2g}"
            raise AssertionError(message)
    times: dict[str, list[float]] = {name: [] for name in every}
    for turn in range(rounds):
        for name, run in every.items():
            if turn and name in once:
                continue
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def plan_of(case: Case) -> conv.ConvPlan:
    options = {"stride": case.stride, "padding": case.padding, "groups": case.groups}
    return conv.plan_conv(conv.conv_geometry("conv", len(case.x) - 2, case.x, case.w, "f4", "f4", **options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="")
    parser.add_argument("--plans", action="store_true", help="print every plan too")
    asked = parser.parse_args()
    print(f"compiled kernels: {_compiled.wait()}, threads: {asked.threads}, medians of {asked.rounds} rounds, ms\n")
    print("| case | engine | " + " | ".join(COLUMNS) + " | torch / xpu |")
    print("|---|---|" + "---:|" * (len(COLUMNS) + 1))
    ratios = []
    with conv.threads(asked.threads):
        for case in CASES:
            if asked.only not in case.name:
                continue
            found = measure(case, asked.threads, asked.rounds)
            plan = plan_of(case)
            ratio = found["torch"] / found["xpu"] if "torch" in found else math.nan
            ratios.append(ratio)
            cells = [f"{found[c] * 1e3:.2f}" if c in found else "" for c in COLUMNS]
            print(f"| {case.name} | {plan.engine} | " + " | ".join(cells) + f" | {ratio:.2f} |", flush=True)
            if asked.plans:
                print(plan)
    print(f"\ngeometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
