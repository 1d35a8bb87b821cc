"""Copies of runs of elements, for kernels: numba's own loops test every index for being negative and stay scalar."""

from __future__ import annotations

import importlib
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from xpu.conv._vectors import I64, pointer

__all__ = ["clear_run", "copy_run"]

ir: Any = importlib.import_module("llvmlite.ir")


@intrinsic  # type: ignore[untyped-decorator]
def copy_run(typing: Any, target: Any, to: Any, source: Any, at: Any, count: Any) -> Any:
    """``target[to : to + count] = source[at : at + count]``, which do not overlap; no check of bounds."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        ends = [b.gep(pointer(context, b, sig.args[i], args[i]), [args[i + 1]]) for i in (0, 2)]
        cgutils.raw_memcpy(b, *ends, args[4], source.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(target, to, source, at, count), generate


@intrinsic  # type: ignore[untyped-decorator]
def clear_run(typing: Any, target: Any, to: Any, count: Any) -> Any:
    """``target[to : to + count] = 0``; no check of bounds."""

    def generate(context: Any, b: Any, sig: Any, args: Any) -> Any:
        start = b.gep(pointer(context, b, sig.args[0], args[0]), [args[1]])
        cgutils.memset(b, start, b.mul(args[2], I64(target.dtype.bitwidth // 8)), 0)
        return context.get_dummy_value()

    return types.void(target, to, count), generate
