"""The house rules, read off the files: cycles, sizes, documentation, types, imports, gaps."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpu
from xpu._op import KINDS, OPS
from xpu._ops._gaps import KEYWORDS, MISSING

for late in ("fft", "ndimage", "nn", "random", "signal"):
    importlib.import_module(f"xpu.{late}")  # their rows come with them

SOURCE = Path(xpu.__file__).parent
FILES = sorted(p for p in SOURCE.rglob("*.py") if "examples" not in p.parts)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path):
    parts = ["xpu", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path, known):
    """Modules of this package that a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name in known}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found |= {full} if full in known else {node.module} & known
    return found - {module_name(path)}


def test_no_import_cycles():
    known = {module_name(p) for p in FILES}
    graph = {module_name(p): imported(p, known) for p in FILES}
    assert sum(map(len, graph.values())) > 50  # the graph was really read
    done, path = set(), []

    def visit(name):
        assert name not in path, f"import cycle: {' -> '.join([*path[path.index(name) :], name])}"
        if name in done:
            return
        path.append(name)
        for other in sorted(graph[name]):
            visit(other)
        done.add(path.pop())

    for name in sorted(graph):
        visit(name)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_file(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500, "split it"
    parsed = tree(path)
    assert ast.get_docstring(parsed) or path.name == "__main__.py", "say why the file exists"
    for node in ast.walk(parsed):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            assert ast.unparse(node.type) not in ("Exception", "BaseException"), f"line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"exec", "eval", "globals", "locals", "vars", "setattr", "__import__"}, (
                f"line {node.lineno}"
            )
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.returns is not None, f"{node.name}, line {node.lineno}: annotate the return"


def test_importing_xpu_loads_nothing_heavy():
    heavy = ("cupy", "numba", "scipy", "rich", "matplotlib", "platformdirs")
    code = f"import sys, xpu; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_all_names_are_there_once():
    assert len(set(xpu.__all__)) == len(xpu.__all__)
    missing = [n for n in xpu.__all__ if not hasattr(xpu, n)]
    assert not missing


def test_the_standards_main_namespace_is_complete():
    names = [
        "arange",
        "asarray",
        "empty",
        "empty_like",
        "eye",
        "from_dlpack",
        "full",
        "full_like",
        "linspace",
        "meshgrid",
        "ones",
        "ones_like",
        "tril",
        "triu",
        "zeros",
        "zeros_like",
        "astype",
        "can_cast",
        "finfo",
        "iinfo",
        "isdtype",
        "result_type",
        "abs",
        "acos",
        "acosh",
        "add",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "bitwise_and",
        "bitwise_left_shift",
        "bitwise_invert",
        "bitwise_or",
        "bitwise_right_shift",
        "bitwise_xor",
        "ceil",
        "clip",
        "conj",
        "copysign",
        "cos",
        "cosh",
        "divide",
        "equal",
        "exp",
        "expm1",
        "floor",
        "floor_divide",
        "greater",
        "greater_equal",
        "hypot",
        "imag",
        "isfinite",
        "isinf",
        "isnan",
        "less",
        "less_equal",
        "log",
        "log1p",
        "log2",
        "log10",
        "logaddexp",
        "logical_and",
        "logical_not",
        "logical_or",
        "logical_xor",
        "maximum",
        "minimum",
        "multiply",
        "negative",
        "nextafter",
        "not_equal",
        "positive",
        "pow",
        "real",
        "reciprocal",
        "remainder",
        "round",
        "sign",
        "signbit",
        "sin",
        "sinh",
        "square",
        "sqrt",
        "subtract",
        "tan",
        "tanh",
        "trunc",
        "take",
        "take_along_axis",
        "matmul",
        "matrix_transpose",
        "tensordot",
        "vecdot",
        "broadcast_arrays",
        "broadcast_shapes",
        "broadcast_to",
        "concat",
        "expand_dims",
        "flip",
        "moveaxis",
        "permute_dims",
        "repeat",
        "reshape",
        "roll",
        "squeeze",
        "stack",
        "tile",
        "unstack",
        "argmax",
        "argmin",
        "count_nonzero",
        "nonzero",
        "searchsorted",
        "where",
        "isin",
        "unique_all",
        "unique_counts",
        "unique_inverse",
        "unique_values",
        "argsort",
        "sort",
        "cumulative_sum",
        "cumulative_prod",
        "max",
        "mean",
        "min",
        "prod",
        "std",
        "sum",
        "var",
        "all",
        "any",
        "diff",
        "__array_namespace_info__",
    ]
    assert len(names) == 136
    assert [n for n in names if not callable(getattr(xpu, n, None))] == []


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_row(op):
    assert op.kind in KINDS
    assert callable(op.host)
    assert op.ulp >= 0
    assert op.weight > 0
    if op.gpu is None:
        assert (
            op.kind == "host"
            or op.name in MISSING
            or "." in op.name
            or op.name in ("fromfunction", "byteswap", "tobytes")
        ), op.name


def test_gaps_agree_with_the_installed_cupy():
    """CuPy imports without a GPU, so what it lacks can be looked up anywhere."""
    cupy = pytest.importorskip("cupy", minversion="14", reason="CuPy >= 14 is not installed")
    from xpu._backends._base import follow

    absent = {
        op.name
        for op in OPS.values()
        if op.gpu not in (None, "self")
        and not op.gpu.startswith(("cupyx.", "linalg.", "fft.", "lib."))
        and "." not in op.gpu
        and follow(op.gpu, cupy) is None
    }
    assert absent == set()
    stale = {name for name in MISSING if follow(name, np) is not None and follow(name, cupy) is not None}
    assert stale == set()
    assert set(KEYWORDS) <= set(OPS) | {"amax", "amin", "array"}
