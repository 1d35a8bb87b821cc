"""From a geometry to a cuDNN execution plan; no array and no CuPy in sight.

cuDNN plans from shapes, strides and a description of the device alone, so everything here runs on a
machine without a GPU, against a file of ``devices/``. `xpu.conv._cudnn` executes the plans.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xpu.conv._cudnn_library import CudnnRefusedError, cause
from xpu.conv._cudnn_problem import (
    UIDS,
    CudnnOptions,
    Problem,
    Tensor,
    contiguous,
    default_workspace_limit,
    describe,
)
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.errors import text

__all__ = ["CudnnPlan", "build_plan", "device_properties"]

_DEVICES = Path(__file__).parent / "devices"


@dataclass(slots=True)
class CudnnPlan:
    """A built plan.

    Attributes
    ----------
    graph : cudnn.pygraph
        Its selected plan is this one.
    engine : str
        cuDNN's name of the engine and its settings, for example ``"eng70_k2=2_k18=0"``.
    rank : int
        Place in the order of cuDNN's heuristics, before options ruled engines out.
    workspace : int
        Bytes.
    """

    graph: Any
    engine: str
    rank: int
    workspace: int
    # The frontend fills a table on the first execution of a graph: threads take turns.
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __str__(self) -> str:
        return f"cuDNN {self.engine}, workspace {self.workspace} bytes"


class _NoEngineError(RuntimeError):
    """Every engine was ruled out or failed to build."""


def device_properties(cudnn: Any, name: str = "h200") -> Any:
    """Return the description of a device, to plan for it on a machine without one.

    Parameters
    ----------
    cudnn : module
        The frontend.
    name : str
        A file of ``devices/`` without its suffix.
    """
    content = json.loads((_DEVICES / f"{name}.json").read_text(encoding="utf-8"))
    return cudnn.create_device_properties(json.dumps(content["properties"]))


def build_plan(
    cudnn: Any,
    geometry: ConvGeometry,
    options: CudnnOptions,
    *,
    strides: Sequence[Sizes] | None = None,
    bias: bool = False,
    handle: Any = None,
    properties: Any = None,
) -> CudnnPlan:
    """Build the plan that the options choose in cuDNN's own order: the first they allow, unless told otherwise.

    Parameters
    ----------
    cudnn : module
        The frontend.
    geometry, strides, bias
        As in `describe`.
    options : CudnnOptions
        Rules engines out.
    handle, properties : object
        A handle of the device to plan for, or a description of it (`device_properties`).

    Returns
    -------
    CudnnPlan
        Ready to execute.

    Raises
    ------
    CudnnRefusedError
        If cuDNN rejects the problem, or no engine satisfies the options.
    """
    try:
        graph = _graph(cudnn, describe(geometry, strides, bias), handle, properties)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        limit = options.workspace_limit
        limit = default_workspace_limit(geometry) if limit is None else limit
        _rule_out(cudnn, graph, geometry.dtype.name, options, limit)
        return _chosen(cudnn, graph, limit, options.choice)
    # The frontend raises RuntimeError for CUDNN_STATUS_BAD_PARAM and the like, ValueError from its
    # own checks (1.28 and newer), and its own class where no engine is left.
    except (cudnn.cudnnGraphNotSupportedError, RuntimeError, ValueError) as error:
        reason = cause(error)
        suffix = {"forward": "", "input": "_input", "weight": "_weight"}[geometry.kind]
        problem = f"cuDNN refused {geometry} with {options}: {reason}"
        message = text(f"nn.conv{geometry.rank}d{suffix}", problem, "Use another engine.")
        raise CudnnRefusedError(message, reason) from error


def _graph(cudnn: Any, problem: Problem, handle: Any, properties: Any) -> Any:
    """Build the operation graph; the weight gradient and fused bias are nodes like the rest."""
    io = getattr(cudnn.data_type, problem.data_type)
    # Sums are never kept in half precision; cuDNN refuses float64 sums of float32 products.
    sums = cudnn.data_type.DOUBLE if problem.data_type == "DOUBLE" else cudnn.data_type.FLOAT
    target = {"handle": handle} if properties is None else {"device_property": properties}
    graph = cudnn.pygraph(io_data_type=io, intermediate_data_type=sums, compute_data_type=sums, **target)

    def tensor(spec: Tensor) -> Any:
        return graph.tensor(
            name=spec.name,
            dim=list(spec.dim),
            stride=list(spec.stride),
            data_type=io,
            uid=UIDS[spec.name],
        )

    window = {
        "pre_padding": list(problem.before),
        "post_padding": list(problem.after),
        "stride": list(problem.stride),
        "dilation": list(problem.dilation),
    }
    if problem.kind == "forward":
        out = graph.conv_fprop(tensor(problem.x), tensor(problem.w), **window)
        if problem.bias:
            dim = (1, problem.y.dim[1]) + (1,) * (len(problem.y.dim) - 2)
            out = graph.bias(input=out, bias=tensor(Tensor("bias", dim, contiguous(dim))))
    elif problem.kind == "input":
        out = graph.conv_dgrad(loss=tensor(problem.y), filter=tensor(problem.w), **window)
    else:
        out = graph.conv_wgrad(image=tensor(problem.x), loss=tensor(problem.y), **window)
    result = problem.result
    out.set_output(True).set_data_type(io).set_uid(UIDS[result.name])
    # A gradient's size does not follow from its operands: several inputs give one output size.
    out.set_dim(list(result.dim)).set_stride(list(result.stride))
    return graph


def _rule_out(cudnn: Any, graph: Any, dtype: str, options: CudnnOptions, limit: int) -> None:
    """Drop engines by their notes; must stand between planning and building."""
    note = cudnn.numerical_note
    # FFT spreads one NaN or infinity over a whole image; the other two round operands or partial
    # sums to fewer bits than the data has.
    dropped = [note.DOWN_CONVERT_INPUTS, note.REDUCED_PRECISION_REDUCTION, note.FFT]
    if dtype == "float32" and not options.tf32:
        dropped.append(note.TENSOR_CORE)  # for float32 data, that is TensorFloat-32
    if options.deterministic:
        dropped.append(note.NONDETERMINISTIC)
    graph.deselect_numeric_notes(dropped)
    # Engines compiled at run time cost up to seconds when a plan is built; others always exist.
    graph.deselect_behavior_notes([cudnn.behavior_note.RUNTIME_COMPILATION])
    graph.deselect_workspace_greater_than(limit)


def _chosen(cudnn: Any, graph: Any, limit: int, choice: int = 0) -> CudnnPlan:
    """Build the first plan (or a later choice) that is allowed and builds; ``build_plans`` would not tell which."""
    failures: dict[str, None] = {}
    count = graph.get_execution_plan_count()
    for index in range(count):
        try:
            graph.build_plan_at_index(index)
        except (cudnn.cudnnGraphNotSupportedError, RuntimeError, ValueError) as error:
            failures[cause(error)] = None
            continue
        if choice:
            choice -= 1
            continue
        size = int(graph.get_workspace_size())
        return CudnnPlan(graph, str(graph.get_plan_name_at_index(index)), index, size)
    causes = "; ".join(failures) or "the heuristics named none"
    message = f"none of {count} engines is allowed, with {limit} bytes of workspace: {causes}"
    raise _NoEngineError(message)
