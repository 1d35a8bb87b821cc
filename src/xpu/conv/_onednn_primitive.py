"""One convolution as oneDNN runs it: layouts it prefers, reorders to and from them, and their memory.

oneDNN's fast kernels want channels in blocks or last, so a convolution of plain arrays is up to four
primitives: operands into its layout, the convolution, the result back.  The weight is reordered in
every call: nothing tells whether it was written to since the last one.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy

from xpu.conv._geometry import ConvGeometry, Kind, Sizes
from xpu.conv._onednn_library import Dims, Library, OnednnError, Owned, building, library
from xpu.conv._scratch import scratch

__all__ = ["Key", "Primitive", "RefusedError", "build"]

Array = Any
# A primitive, its arguments as an array of C, and their number.
_Step = tuple[Owned, Any, int]

DTYPES = {"float16": 1, "bfloat16": 2, "float32": 3}
_DIRECT, _TRAINING, _INFERENCE = 1, 64, 96
_IMPLEMENTATION, _SCRATCHPAD_MD, _SCRATCHPAD = 8, 136, 80
_FROM, _TO, _BIAS = 1, 17, 41
_ALIGN = 64
# Blocks of 16 and of 8 channels (for vectors of 64 and of 32 bytes): dnnl_nCw16c and its kin, by rank.
_BLOCKED = {16: {1: 56, 2: 78, 3: 121}, 8: {1: 69, 2: 102, 3: 142}}
_MANY_PIXELS = 1024
# Per kind, in the order of operands and result: which array it is, its argument, the query for its layout.
_ROLES: dict[Kind, tuple[tuple[str, int, int], ...]] = {
    "forward": (("x", 1, 129), ("w", 33, 131), ("y", 17, 133)),
    "input": (("y", 145, 134), ("w", 33, 131), ("x", 129, 130)),
    "weight": (("x", 1, 129), ("y", 145, 134), ("w", 161, 132)),
}


@dataclass(frozen=True, slots=True)
class Key:
    """What a primitive is kept under."""

    geometry: ConvGeometry
    threads: int
    bias: bool = False


class RefusedError(Exception):
    """oneDNN has no implementation, or only its slow reference, for a geometry."""


def _dense(shape: Sizes) -> Sizes:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def _logical(g: ConvGeometry, name: str) -> tuple[Sizes, Sizes]:
    """Return dims as oneDNN orders them (batch, channels, space; groups first in a weight) and strides."""
    if name == "w":
        shape = g.w_shape if g.groups == 1 else (g.groups, g.out_channels // g.groups, *g.w_shape[1:])
        return shape, _dense(shape)
    shape = g.x_shape if name == "x" else g.y_shape
    strides = _dense(shape)
    if g.layout == "NHWC":
        shape = (shape[0], shape[-1], *shape[1:-1])
        strides = (strides[0], strides[-1], *strides[1:-1])
    return shape, strides


def _layouts(g: ConvGeometry) -> Iterator[tuple[str, str]]:
    """Yield layouts of x and y to ask for, the likely fastest first; `benchmarks/conv_plan.py` shows what they take.

    ``any`` is oneDNN's own choice. It does not count the reorders, which for many pixels cost less into blocks of
    channels than to channels last; and a plain matrix product needs none.
    """
    taps, pixels = math.prod(g.kernel), math.prod(g.out_spatial)
    if g.pointwise and g.groups == 1:
        yield "plain", "plain"
    if g.depthwise or taps == 1 or (g.rank == 2 and pixels >= _MANY_PIXELS):
        for block in _BLOCKED:
            if g.in_channels % block == 0 and g.out_channels % block == 0:
                yield str(block), str(block)
    yield "any", "any"
    yield "plain", "plain"


class Primitive:
    """A convolution ready to run on C-contiguous arrays of the geometry's shapes."""

    def __init__(self, key: Key) -> None:
        g = key.geometry
        self._dnnl, self._g, self._key = library(), g, key
        self._kind = DTYPES[g.dtype.name]
        self._code: tuple[Owned, dict[str, Owned]] | None = None
        self._calls: list[_Call] = []
        with self._dnnl.threads(key.threads):
            self._plan, self.implementation = self._planned(g)
            self._lay_out(g)

    def _planned(self, g: ConvGeometry) -> tuple[Owned, str]:
        """Return the first descriptor with an implementation that is more than the reference."""
        tried: dict[str, None] = {}
        for layouts in _layouts(g):
            try:
                plan = self._describe(g, dict(zip("xy", layouts, strict=True)))
                name = self._dnnl.told(plan, _IMPLEMENTATION)
            except OnednnError as error:
                tried[error.reason] = None
                continue
            if not name.startswith("ref"):
                return plan, name
            tried["only its reference implementation"] = None
        message = f"oneDNN has no fast implementation here: {', '.join(tried)}"
        raise RefusedError(message)

    def _describe(self, g: ConvGeometry, layouts: dict[str, str]) -> Owned:
        dnnl, kind = self._dnnl, self._kind
        md: dict[str, Owned] = {}
        arrays: list[int | None]
        for name in "xwy":
            dims, strides = _logical(g, name)
            layout = layouts.get(name, "any")
            if layout.isdigit():
                md[name] = dnnl.tagged(dims, kind, _BLOCKED[int(layout)][g.rank])
            else:
                md[name] = dnnl.described(dims, kind, strides if layout == "plain" else None)
        x, w, y = (md[name].value for name in "xwy")
        bias = dnnl.described((g.out_channels,), kind, (1,)) if self._key.bias else None
        window = (
            Dims(*g.stride),
            Dims(*(d - 1 for d in g.dilation)),
            Dims(*(before for before, _ in g.padding)),
            Dims(*(after for _, after in g.padding)),
        )

        def forward(prop: int) -> Owned:
            name, b = "convolution_forward_primitive_desc_create", bias.value if bias else None
            return dnnl.make(name, dnnl.engine, prop, _DIRECT, x, w, b, y, *window, dnnl.attributes)

        if g.kind == "forward":
            return forward(_INFERENCE)
        hint = forward(_TRAINING)
        name, arrays = "convolution_backward_data_primitive_desc_create", [x, w, y]
        if g.kind == "weight":
            name, arrays = "convolution_backward_weights_primitive_desc_create", [x, w, None, y]
        return dnnl.make(name, dnnl.engine, _DIRECT, *arrays, *window, hint.value, dnnl.attributes)

    def _lay_out(self, g: ConvGeometry) -> None:
        """Decide which arrays need another layout, and where in the workspace each lies."""
        dnnl = self._dnnl
        self._user: dict[str, Owned] = {}
        self._chosen: dict[str, int] = {}
        self._offset: dict[str, int] = {}
        self.reordered = 0
        used = 0
        for name, _, query in _ROLES[g.kind]:
            dims, strides = _logical(g, name)
            self._user[name] = dnnl.described(dims, self._kind, strides)
            self._chosen[name] = dnnl.chosen(self._plan, query)
            if not dnnl.equal(self._chosen[name], self._user[name].value):
                self._offset[name] = used
                size = dnnl.size(self._chosen[name])
                self.reordered += size
                used += -(-size // _ALIGN) * _ALIGN
        self._scratchpad = dnnl.chosen(self._plan, _SCRATCHPAD_MD)
        self._offset["scratchpad"] = used
        used += dnnl.size(self._scratchpad)
        self.workspace = used + _ALIGN if used else 0

    def _compiled(self) -> tuple[Owned, dict[str, Owned]]:
        """Return the convolution and the reorders, compiled by oneDNN on first use."""
        with building:
            if self._code is None:
                dnnl, engine, reorders = self._dnnl, self._dnnl.engine, {}
                for name, there in self._chosen.items():
                    if name not in self._offset:
                        continue
                    here = self._user[name].value
                    ends = (there, engine, here, engine) if self._result(name) else (here, engine, there, engine)
                    described = dnnl.make("reorder_primitive_desc_create", *ends, None)
                    reorders[name] = dnnl.make("primitive_create", described.value)
                self._code = dnnl.make("primitive_create", self._plan.value), reorders
        return self._code

    def _result(self, name: str) -> bool:
        return name == _ROLES[self._g.kind][2][0]

    def _call(self) -> _Call:
        """Bind memory objects for one call at a time; they are used again."""
        dnnl = self._dnnl
        main, reorders = self._compiled()
        call = _Call(dnnl)
        arguments: list[tuple[int, Owned]] = []
        after: list[_Step] = []
        for name, number, _ in _ROLES[self._g.kind]:
            memory = call.memory(self._user[name].value, name)
            if name in reorders:
                inside = call.memory(self._chosen[name], self._offset[name])
                pair = (inside, memory) if self._result(name) else (memory, inside)
                step = (reorders[name], dnnl.arguments([(_FROM, pair[0]), (_TO, pair[1])]), 2)
                (after if self._result(name) else call.steps).append(step)
                memory = inside
            arguments.append((number, memory))
        if self._key.bias:
            described = dnnl.described((self._g.out_channels,), self._kind, (1,))
            arguments.append((_BIAS, call.memory(described.value, "bias")))
        if dnnl.size(self._scratchpad):
            arguments.append((_SCRATCHPAD, call.memory(self._scratchpad, self._offset["scratchpad"])))
        call.steps += [(main, dnnl.arguments(arguments), len(arguments)), *after]
        return call

    def run(self, first: Array, second: Array, result: Array, bias: Array | None = None) -> None:
        """Compute ``result`` from arrays that are C-contiguous, aligned, of the geometry's shapes and dtype."""
        roles = _ROLES[self._g.kind]
        places = {roles[0][0]: first, roles[1][0]: second, roles[2][0]: result}
        if bias is not None:
            places["bias"] = bias
        room = scratch(self.workspace, "onednn", numpy.dtype(numpy.uint8))
        with self._dnnl.threads(self._key.threads):
            try:
                call = self._calls.pop()  # atomic: two threads never get the same one
            except IndexError:
                call = self._call()
            call.run({name: array.ctypes.data for name, array in places.items()}, room.ctypes.data)
        self._calls.append(call)


class _Call:
    """Memory objects and arguments of the steps of one primitive, for one call at a time."""

    def __init__(self, dnnl: Library) -> None:
        self._dnnl = dnnl
        self._outside: list[tuple[str, Owned]] = []
        self._inside: list[tuple[int, Owned]] = []
        self.steps: list[_Step] = []

    def memory(self, descriptor: int, place: str | int) -> Owned:
        """Make a memory object: of an array by its name, or at an offset of the workspace."""
        made = self._dnnl.make("memory_create", descriptor, self._dnnl.engine, None)
        if isinstance(place, str):
            self._outside.append((place, made))
        else:
            self._inside.append((place, made))
        return made

    def run(self, addresses: dict[str, int], room: int) -> None:
        """Put in the addresses and execute every step."""
        base = -(-room // _ALIGN) * _ALIGN
        put = self._dnnl.call
        for name, memory in self._outside:
            put("memory_set_data_handle", memory.value, addresses[name])
        for offset, memory in self._inside:
            put("memory_set_data_handle", memory.value, base + offset)
        for primitive, arguments, count in self.steps:
            self._dnnl.execute(primitive, count, arguments)


class _Kept:
    """Primitives and refusals, the least recently used dropped first."""

    capacity = 256

    def __init__(self) -> None:
        self.found: collections.OrderedDict[Key, Primitive | str] = collections.OrderedDict()

    def get(self, key: Key) -> Primitive | str:
        with building:
            found = self.found.get(key)
            if found is None:
                found = _made(key)
                self.found[key] = found
            self.found.move_to_end(key)
            while len(self.found) > self.capacity:
                self.found.popitem(last=False)
        return found


def _made(key: Key) -> Primitive | str:
    try:
        return Primitive(key)
    except RefusedError as refused:
        return str(refused)
    except OnednnError as error:
        return f"oneDNN answers {error.reason}"


kept = _Kept()


def build(key: Key) -> Primitive | str:
    """Return the primitive for a key, or why there is none; both are kept."""
    return kept.get(key)
