"""What the kernels promise to numba's cache and to callers: names that differ, and nothing compiled in a call."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
from conv_reference import check, misaligned, operand

from xpu.conv import ConvGeometry, _background, _compiled_winograd, _planes, execute, plan_conv

pytestmark = pytest.mark.skipif(not _background.wait(), reason="numba is not installed")

MODULES = ("_tiles", "_plane_kernels", "_winograd_kernels")


def compiled_functions() -> dict[int, object]:
    """Return what numba compiles in the modules of kernels, by identity: some are in two of them."""
    found = (value for name in MODULES for value in vars(_background.module(name)).values())
    return {id(value): value for value in found if hasattr(value, "py_func")}


def test_no_two_functions_share_the_name_of_their_machine_code() -> None:
    """Two processes' code on the disk would be taken for each other: wrong results, and writes beyond an array."""
    functions = compiled_functions().values()
    names = Counter(f"{f.py_func.__module__}.{f.py_func.__qualname__}" for f in functions)
    assert len(names) > 15
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("engine", ["compiled", "compiled-winograd", "planes"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_call_compiles(engine: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_planes, "WORTH", 0)
    monkeypatch.setattr(_compiled_winograd, "WORTH", 0)
    groups = 4 if engine == "planes" else 1
    ones, pads = (1, 1), ((0, 0),) * 2
    kernel = (1, 1) if engine == "compiled" else (3, 3)
    g = ConvGeometry("forward", 2, groups, 4, 4, (16, 32), kernel, ones, ones, pads, "NCHW", numpy.dtype(dtype))
    rng = numpy.random.default_rng(0)
    x, w = (operand(rng, shape, g.dtype, "plain") for shape in g.operand_shapes)
    functions = compiled_functions().values()
    before = [len(f.signatures) for f in functions]
    for change in (lambda a: a, misaligned, lambda a: numpy.lib.stride_tricks.as_strided(a, writeable=False)):
        first, second = change(x), change(w)
        check(g, execute(plan_conv(g, engines=(engine,)), numpy, first, second), first, second, 30.0)
    assert [len(f.signatures) for f in functions] == before
