"""Compiles CuPy's kernel sources for the host, in place of NVRTC."""

import re
from collections.abc import Sequence
from typing import Any

from played import build

_QUALIFIER = r"(?:__launch_bounds__\([^)]*\)\s*)?"
_KERNEL = re.compile(rf"__global__\s+{_QUALIFIER}void\s+{_QUALIFIER}(\w+)\s*\(")
_DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w<>: ]+?)\s+(\w+)\[\]\s*;")
_INCLUDED = re.compile(r"#include <cupy/(complex.cuh|carray.cuh|atomics.cuh|math_constants.h)>")  # by kernel.h


def order(source: str) -> str:
    """Return how the threads of these kernels can run.

    Examples
    --------
    >>> order("__syncthreads();"), order("CUPY_FOR(i, n) {}"), order("int i = blockIdx.x * blockDim.x;")
    ('EMU_FIBERS', 'EMU_WHOLE_GRID', 'EMU_IN_TURN')
    """
    if re.search(r"__sync|__shfl", source):
        return "EMU_FIBERS"
    strided = "CUPY_FOR" in source and "blockDim" not in source and not re.search(r"\breturn\s*;", source)
    return "EMU_WHOLE_GRID" if strided else "EMU_IN_TURN"


def translated(source: str, names: Sequence[str] = ()) -> str:
    """Return C++ of a kernel source: what the host calls differently, and an entry per kernel or name expression."""
    source = _INCLUDED.sub("", _DYNAMIC.sub(r"\1* \2 = (\1*)emu_dynamic_shared;", source))
    kernels = {f"emu_name{i}": n for i, n in enumerate(names)} or {k: k for k in _KERNEL.findall(source)}
    entries = [f"EMU_KERNEL({symbol}, {order(source)}, {kernel})" for symbol, kernel in kernels.items()]
    return "\n".join([source, *entries, ""])


def play(compiler: Any, function: Any) -> None:
    """Put `_compiled` into CuPy's compiler."""
    tools = build.toolchain()

    def _compiled(source: str, options: Sequence[str] = (), *, name_expressions: Any = None, **_: Any) -> Any:
        names = list(name_expressions or ())
        text = translated(source, names)
        path, said = build.library(tools, text, [o for o in options if o.startswith("-D")])
        if said:
            msg = f"the emulator cannot compile this kernel: {said[:1500]}"
            raise compiler.CompileException(msg, text, "kernel.cpp", options, "g++")
        module = function.Module()
        module.load(str(path).encode())
        if names:
            module._set_mapping({n: f"emu_name{i}" for i, n in enumerate(names)})
        return module

    compiler._compile_module_with_cache = _compiled
