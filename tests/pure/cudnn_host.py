"""A GPU's memory and cuDNN, played by the host: genuine CuPy arrays over host addresses.

`HostCupy` makes `cupy.ndarray` objects whose pointers are addresses of host memory; nothing of CuPy
that needs a driver is called. `HostCudnn` stands in for the frontend: it records every call, and
"executes" a graph by reading and writing those addresses in NumPy, from nothing but what was
handed over: dims, strides, padding, uids and pointers. `PlannedCudnn` is the real frontend, planning
for a described device, with only the execution played, from the graph that cuDNN itself stored.
"""

import contextlib
import ctypes
import enum
import importlib
import itertools
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy
import pytest

from cudnn_cases import stored

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: its arrays carry the pointers", exc_type=ImportError)


def over_host_memory(address, nbytes, owner=None, device=0):
    return cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(address, nbytes, owner, device_id=device), 0)


def view(address, shape, strides, dtype, owner=None):
    """NumPy's view of host memory, keeping its owner alive; strides in bytes."""
    low = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
    high = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s > 0)
    memory = (ctypes.c_char * (high - low + dtype.itemsize)).from_address(address + low)
    memory.owner = owner
    return numpy.ndarray(shape, dtype, memory, -low, strides)


def host(array):
    """NumPy's view of a CuPy array over host memory."""
    if not array.size:
        return numpy.empty(array.shape, array.dtype)
    return view(array.data.ptr, array.shape, array.strides, array.dtype, owner=array)


class HostCupy:
    """What the engine uses of CuPy; ``log`` tells what it asked for."""

    def __init__(self):
        self.log = []
        self.stream = 0x5150
        self.devices = []
        self.fail_after = None
        self.cuda = SimpleNamespace(Device=self._device, get_current_stream=self._stream)

    def _stream(self):
        assert self.devices, "a stream is asked for while the arrays' device is current"
        return SimpleNamespace(ptr=self.stream)

    @contextlib.contextmanager
    def _device(self, index):
        self.devices.append(index)
        yield
        self.devices.pop()

    def empty(self, shape, dtype, device=0):
        self.log.append(("empty", shape, numpy.dtype(dtype)))
        if self.fail_after is not None and len(self.log) > self.fail_after:
            raise MemoryError
        shape = (shape,) if isinstance(shape, int) else shape
        dtype = numpy.dtype(dtype)
        nbytes = max(1, int(numpy.prod(shape)) * dtype.itemsize)
        owner = numpy.full(nbytes + 256, 0xFF, numpy.uint8)  # NaN wherever nothing is written
        address = -(-owner.ctypes.data // 256) * 256
        return cupy.ndarray(shape, dtype, memptr=over_host_memory(address, nbytes, owner, device))

    def zeros(self, shape, dtype):
        made = self.empty(shape, dtype)
        host(made)[...] = 0
        return made

    def array(self, array, order="K", copy=False):
        assert (order, copy) == ("C", True)
        made = self.empty(array.shape, array.dtype)
        self.log[-1] = ("copy", array.shape, array.strides)
        host(made)[...] = host(array)
        return made

    def ascontiguousarray(self, array):
        return array if array.flags.c_contiguous else self.array(array, order="C", copy=True)

    def add(self, first, second, out):
        self.log.append(("add", first.shape, second.shape))
        numpy.add(host(first), host(second), out=host(out))
        return out

    def put(self, values):
        """A fresh array of these values, not in the log."""
        made = self.empty(values.shape, values.dtype)
        self.log.pop()
        if values.size:
            host(made)[...] = values
        return made


# ------------------------------------------------------------------ cuDNN on the host

NUMPY_TYPES = {"HALF": "f2", "FLOAT": "f4", "DOUBLE": "f8"}


@dataclass
class Step:
    """One convolution as a plan holds it: tensors are {uid: (dim, stride in elements)}."""

    kind: str
    data_type: str
    tensors: dict
    before: list
    after: list
    stride: list
    dilation: list
    bias: bool


def execute(step, pointers):
    """Compute a step in NumPy, in float64, on the memory behind the pointers."""
    name = NUMPY_TYPES.get(step.data_type)
    dtype = numpy.dtype(name) if name else numpy.dtype(importlib.import_module("ml_dtypes").bfloat16)
    assert set(pointers) == set(step.tensors), "a pointer for every tensor, and no other"
    assert all(p % 16 == 0 for p in pointers.values()), "cuDNN was told that pointers are aligned to 16 bytes"
    arrays = {
        uid: view(pointers[uid], dim, [s * dtype.itemsize for s in stride], dtype)
        for uid, (dim, stride) in step.tensors.items()
    }
    x, w, y = (arrays[uid].astype("f8") for uid in (1, 2, 4))
    groups = x.shape[1] // w.shape[1]
    wide = numpy.zeros(x.shape[:2] + tuple(map(sum, zip(x.shape[2:], step.before, step.after, strict=True))))
    inner = (..., *(slice(lo, lo + n) for lo, n in zip(step.before, x.shape[2:], strict=True)))
    if step.kind != "input":
        wide[inner] = x
    result = {"forward": numpy.zeros(y.shape), "input": wide, "weight": numpy.zeros(w.shape)}[step.kind]
    for tap in itertools.product(*map(range, w.shape[2:])):
        window = [
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, step.dilation, step.stride, y.shape[2:], strict=True)
        ]
        for group in range(groups):
            ins = slice(group * w.shape[1], (group + 1) * w.shape[1])
            outs = slice(group * w.shape[0] // groups, (group + 1) * w.shape[0] // groups)
            near, far, weight = (slice(None), ins, *window), (slice(None), outs), (outs, slice(None), *tap)
            if step.kind == "forward":
                result[far] += numpy.einsum("nc...,oc->no...", wide[near], w[weight])
            elif step.kind == "input":
                result[near] += numpy.einsum("no...,oc->nc...", y[far], w[weight])
            else:
                flat = [a.reshape(*a.shape[:2], -1) for a in (wide[near], y[far])]
                result[weight] += numpy.einsum("ncp,nop->oc", *flat)
    if step.bias:
        result += arrays[3]
    written = arrays[{"forward": 4, "input": 1, "weight": 2}[step.kind]]
    written[...] = result[inner] if step.kind == "input" else result


class NotSupportedError(Exception):
    """The frontend's cudnnGraphNotSupportedError."""


@dataclass(eq=False)
class Handle:
    number: int
    thread: int
    stream: int | None = None


class Played:
    """Handles and streams, played; ``executed`` tells every execution."""

    def __init__(self):
        self.handles = []
        self.executed = []
        self.busy = set()
        self.fail_handle = None
        self.fail_execute = None

    def create_handle(self):
        if self.fail_handle:
            raise RuntimeError(self.fail_handle)
        self.handles.append(Handle(len(self.handles), threading.get_ident()))
        return self.handles[-1]

    def set_stream(self, handle, stream):
        handle.stream = stream

    def play(self, graph, step, pointers, workspace, handle):
        if self.fail_execute:
            raise RuntimeError(self.fail_execute)
        done = SimpleNamespace(graph=graph, pointers=dict(pointers), workspace=workspace, handle=handle)
        done.stream = handle.stream
        self.executed.append(done)
        assert id(graph) not in self.busy, "two threads execute one graph at a time"
        self.busy.add(id(graph))
        time.sleep(0)  # lets other threads run
        execute(step, pointers)
        self.busy.discard(id(graph))


@dataclass(eq=False)
class HostTensor:
    name: str = ""
    dim: list | None = None
    stride: list | None = None
    data_type: object = None
    uid: int = 0
    output: bool = False

    def set_output(self, value):
        self.output = value
        return self

    def set_data_type(self, value):
        self.data_type = value
        return self

    def set_uid(self, value):
        self.uid = value
        return self

    def set_dim(self, value):
        self.dim = value
        return self

    def set_stride(self, value):
        self.stride = value
        return self


@dataclass(eq=False)
class HostGraph:
    """Records what a graph is told; plans are "eng0", "eng1" ... in the order of the heuristics."""

    library: object
    types: dict
    handle: object
    calls: list = field(default_factory=list)
    tensors: list = field(default_factory=list)
    operation: tuple = ()
    dropped: list = field(default_factory=list)
    limit: int | None = None
    chosen: int | None = None

    def tensor(self, **fields):
        self.tensors.append(HostTensor(**fields))
        return self.tensors[-1]

    def _convolve(self, kind, *operands, **window):
        self.operation = (kind, operands, window, None)
        self.tensors.append(HostTensor())
        return self.tensors[-1]

    def conv_fprop(self, image, weight, **window):
        return self._convolve("forward", image, weight, **window)

    def conv_dgrad(self, loss, filter, **window):
        return self._convolve("input", loss, filter, **window)

    def conv_wgrad(self, image, loss, **window):
        return self._convolve("weight", image, loss, **window)

    def bias(self, input, bias):
        kind, operands, window, _ = self.operation
        self.tensors.remove(input)
        self.operation = (kind, (*operands, bias), window, bias)
        self.tensors.append(HostTensor())
        return self.tensors[-1]

    def validate(self):
        self.calls.append("validate")
        for kind in self.library.refuses:
            if kind(self):
                raise RuntimeError(self.library.refusal)

    def build_operation_graph(self):
        self.calls.append("build_operation_graph")

    def create_execution_plans(self, modes):
        self.calls.append(("create_execution_plans", [mode.name for mode in modes]))

    def deselect_numeric_notes(self, notes):
        self.calls.append("deselect")
        self.dropped += [note.name for note in notes]

    def deselect_behavior_notes(self, notes):
        self.calls.append("deselect")
        self.dropped += [note.name for note in notes]

    def deselect_workspace_greater_than(self, limit):
        self.calls.append("deselect")
        self.limit = limit

    def get_execution_plan_count(self):
        return len(self.library.workspaces)

    def build_plan_at_index(self, index):
        self.calls.append(("build", index))
        need = self.library.workspaces[index]
        if need is None:
            message = "Deselecting execution plan"
            raise NotSupportedError(message)
        if need > self.limit:
            message = f"Skipping plan since workspace violation. Requires {need}"
            raise NotSupportedError(message)
        self.chosen = index

    def get_workspace_size(self):
        return self.library.workspaces[self.chosen]

    def get_plan_name_at_index(self, index):
        return f"eng{index}"

    def execute(self, pointers, workspace, handle):
        kind, _, window, bias = self.operation
        tensors = {t.uid: (t.dim, t.stride) for t in self.tensors}
        names = ("pre_padding", "post_padding", "stride", "dilation")
        step = Step(kind, self.types["io_data_type"].name, tensors, *(window[n] for n in names), bias is not None)
        self.library.play(self, step, pointers, workspace, handle)


class HostCudnn(Played):
    """The frontend's module, recorded. ``workspaces`` lists the plans: bytes each, None if ruled out."""

    cudnnGraphNotSupportedError = NotSupportedError
    data_type = enum.Enum("data_type", "HALF BFLOAT16 FLOAT DOUBLE")
    heur_mode = enum.Enum("heur_mode", "A B FALLBACK")
    numerical_note = enum.Enum(
        "numerical_note", "TENSOR_CORE DOWN_CONVERT_INPUTS REDUCED_PRECISION_REDUCTION FFT NONDETERMINISTIC WINOGRAD"
    )
    behavior_note = enum.Enum("behavior_note", "RUNTIME_COMPILATION")

    def __init__(self, workspaces=(None, 640, 0)):
        super().__init__()
        self.workspaces = list(workspaces)
        self.graphs = []
        self.refuses = []
        self.refusal = "CUDNN_STATUS_BAD_PARAM"

    def pygraph(self, handle, **types):
        self.graphs.append(HostGraph(self, types, handle))
        return self.graphs[-1]


class PlannedGraph:
    """The real graph, but for its execution."""

    def __init__(self, library, graph):
        self._library = library
        self._graph = graph

    def __getattr__(self, name):
        return getattr(self._graph, name)

    def execute(self, pointers, workspace, handle):
        content = stored(self._graph)["operationGraph"]
        first = content["nodes"][0]
        kind = {"FORWARD": "forward", "DATA": "input", "FILTER": "weight"}[first["operation"].split("_")[-2]]
        real = [t for t in content["tensors"] if not t["isVirtual"]]
        step = Step(
            kind,
            real[0]["dataType"].removeprefix("CUDNN_DATA_"),
            {int(t["name"]): (t["dim"], t["stride"]) for t in real},
            first.get("pad_lower", first.get("pad")),
            first.get("pad_upper", first.get("pad")),
            first["stride"],
            first["dilation"],
            len(content["nodes"]) == 2,
        )
        self._library.play(self, step, pointers, workspace, handle)


class PlannedCudnn(Played):
    """The real frontend planning for a described device; handles, streams and execution are played."""

    def __init__(self, cudnn, properties):
        super().__init__()
        self._cudnn = cudnn
        self._properties = properties
        self.graphs = []

    def __getattr__(self, name):
        return getattr(self._cudnn, name)

    def pygraph(self, handle, **types):
        assert handle in self.handles
        self.graphs.append(PlannedGraph(self, self._cudnn.pygraph(device_property=self._properties, **types)))
        return self.graphs[-1]
