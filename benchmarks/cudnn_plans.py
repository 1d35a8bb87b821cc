"""Planning time, engines and workspace of cuDNN over ResNet-50's layers; no GPU needed.

    python benchmarks/cudnn_plans.py [--device h200] [--batch 8] [--dtype float32] [--json FILE]
    python benchmarks/cudnn_plans.py --dump-device FILE      (on a machine with a GPU)

cuDNN plans against the description of a device in ``src/xpu/conv/devices``. Needs
``nvidia-cudnn-cu13==9.19.0.56 nvidia-cublas nvidia-cudnn-frontend cuda-pathfinder``. Nothing is
executed: these are times on the CPU to build a plan, what a first call pays once per shape.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy

from xpu.conv._cudnn_graph import build_plan, device_properties
from xpu.conv._cudnn_library import CudnnUnavailableError, load
from xpu.conv._cudnn_problem import CudnnOptions
from xpu.conv._geometry import ConvGeometry

# The distinct convolutions of ResNet-50 (He et al. 2015, table 1; stride in the 3x3, as torchvision
# has it): in channels, out channels, input size, kernel, stride.
LAYERS = [
    (3, 64, 224, 7, 2),
    (64, 64, 56, 1, 1),
    (64, 64, 56, 3, 1),
    (64, 256, 56, 1, 1),
    (256, 128, 56, 1, 1),
    (128, 128, 56, 3, 2),
    (128, 512, 28, 1, 1),
    (128, 128, 28, 3, 1),
    (256, 512, 56, 1, 2),
    (512, 256, 28, 1, 1),
    (256, 256, 28, 3, 2),
    (256, 256, 14, 3, 1),
    (512, 512, 14, 3, 2),
    (512, 512, 7, 3, 1),
    (512, 2048, 7, 1, 1),
]
REPEATS = 5


class Anything:
    """A dtype by name: bfloat16 needs no package, planning reads only its name and size."""

    kind = "V"

    def __init__(self, name: str) -> None:
        self.name = name
        self.itemsize = 2


def dtype_of(name: str) -> Any:
    return Anything(name) if name == "bfloat16" else numpy.dtype(name)


def geometry(layer: tuple[int, ...], kind: Any, layout: Any, batch: int, dtype: str) -> ConvGeometry:
    inside, outside, size, kernel, stride = layer
    pad = (kernel - 1) // 2
    return ConvGeometry(
        kind,
        batch,
        1,
        inside,
        outside,
        (size, size),
        (kernel, kernel),
        (stride, stride),
        (1, 1),
        ((pad, pad), (pad, pad)),
        layout,
        dtype_of(dtype),
    )


def measure(cudnn: Any, properties: Any, problem: ConvGeometry) -> dict[str, Any]:
    """Build the plan several times; count the engines cuDNN names and those the options leave."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        plan = build_plan(cudnn, problem, CudnnOptions(), properties=properties)
        seconds.append(time.perf_counter() - start)
    left = 0
    count = plan.graph.get_execution_plan_count()
    for index in range(count):
        try:
            plan.graph.build_plan_at_index(index)
            left += 1
        except cudnn.cudnnGraphNotSupportedError:
            continue
    return {
        "layer": f"{problem.in_channels}->{problem.out_channels} {problem.spatial[0]}^2 "
        f"k{problem.kernel[0]} s{problem.stride[0]}",
        "kind": problem.kind,
        "layout": problem.layout,
        "milliseconds": round(1e3 * statistics.median(seconds), 2),
        "named": count,
        "allowed": left,
        "engine": plan.engine.split("_")[0],
        "rank": plan.rank,
        "workspace": plan.workspace,
        "of_data": round(plan.workspace / problem.bytes, 2),
    }


def dump(cudnn: Any, path: Path) -> None:
    """Write the true properties of device 0, in the form of ``devices/*.json``."""
    content = cudnn.create_device_properties(0).serialize()
    properties = json.loads(content if isinstance(content, str) else bytes(content))
    note = f"Dumped from a {properties.get('deviceName', 'card')} by benchmarks/cudnn_plans.py --dump-device."
    path.write_text(json.dumps({"note": note, "properties": properties}, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


COLUMNS = {
    "layer": "<24",
    "kind": "<8",
    "layout": "<6",
    "milliseconds": ">12.2f",
    "named": ">6",
    "allowed": ">8",
    "engine": "<7",
    "rank": ">5",
    "workspace": ">12,",
    "of_data": ">8.2f",
}


def table(rows: list[dict[str, Any]]) -> None:
    """Print the rows, and one line of summary."""
    print(" ".join(f"{name:{form.split('.')[0].rstrip(',')}}" for name, form in COLUMNS.items()))
    for row in rows:
        print(" ".join(f"{row[name]:{form}}" for name, form in COLUMNS.items()))
    times = [r["milliseconds"] for r in rows]
    print(f"{len(rows)} plans: median {statistics.median(times):.2f} ms, longest {max(times):.2f} ms; "
          f"largest workspace {max(r['of_data'] for r in rows):.2f}x operands + result")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="h200", help="a file of src/xpu/conv/devices, without .json")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--dtype", default="float32", choices=["float16", "bfloat16", "float32", "float64"])
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--dump-device", type=Path, metavar="FILE", help="write this machine's device and stop")
    options = parser.parse_args()
    try:
        cudnn = load()
    except CudnnUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    if options.dump_device:
        dump(cudnn, options.dump_device)
        return 0
    properties = device_properties(cudnn, options.device)
    start = time.perf_counter()
    build_plan(cudnn, geometry(LAYERS[0], "forward", "NCHW", 1, "float16"), CudnnOptions(), properties=properties)
    first = time.perf_counter() - start
    print(f"cuDNN {cudnn.backend_version()}, frontend {cudnn.__version__}, for {options.device}, "
          f"{options.dtype}, batch {options.batch}; first plan of the process {1e3 * first:.0f} ms")  # fmt: skip
    rows = [
        measure(cudnn, properties, geometry(layer, kind, layout, options.batch, options.dtype))
        for layout in ("NCHW", "NHWC")
        for kind in ("forward", "input", "weight")
        for layer in LAYERS
    ]
    table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
