"""The surface of the two namespaces, and what cupyx lacks of it, against the installed packages."""

import ast
import importlib
import importlib.util
import inspect
from pathlib import Path

import pytest

import xpu
from xpu._ops.filters import LACKING, MISSING

LEFT_OUT = {
    **dict.fromkeys(["filters", "fourier", "interpolation", "measurements", "morphology"], "deprecated modules"),
    **dict.fromkeys(
        [
            "bsplines",
            "filter_design",
            "fir_filter_design",
            "lti_conversion",
            "ltisys",
            "signaltools",
            "spectral",
            "spline",
            "waveforms",
            "wavelets",
        ],
        "deprecated modules",
    ),
    "test": "runs SciPy's own tests",
}


@pytest.mark.parametrize("space", ["ndimage", "signal"])
def test_every_public_name_of_scipy_is_there(space):
    theirs = importlib.import_module(f"scipy.{space}")
    names = {n for n in dir(theirs) if not n.startswith("_")}
    assert names - set(dir(getattr(xpu, space))) <= LEFT_OUT.keys()


@pytest.mark.parametrize("space", ["ndimage", "signal"])
def test_docstrings_name_both_libraries(space):
    function = getattr(xpu, space).convolve
    start = f"xpu.{space}.convolve: as scipy.{space}.convolve; on the GPU through cupyx.scipy."
    assert function.__doc__.startswith(start)


def _parameters_in_cupyx(space):
    """Read names and parameters from cupyx's source: importing it needs CUDA's libraries."""
    found = importlib.util.find_spec("cupy")
    if found is None:
        pytest.skip("CuPy is not installed")
    root = Path(found.origin).parent.parent
    made = {}
    for node in ast.parse((root / "cupyx" / "scipy" / space / "__init__.py").read_text()).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        file = root / Path(*node.module.split(".")).with_suffix(".py")
        if not file.exists():
            continue
        defined = {d.name: d.args for d in ast.parse(file.read_text()).body if isinstance(d, ast.FunctionDef)}
        for alias in node.names:
            a = defined.get(alias.name)
            made[alias.asname or alias.name] = a and {x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)}
    return made


@pytest.mark.parametrize("space", ["ndimage", "signal"])
def test_the_table_of_what_cupyx_lacks(space):
    theirs = importlib.import_module(f"scipy.{space}")
    cupyx = _parameters_in_cupyx(space)
    for name in getattr(xpu, space).__all__:
        function = getattr(getattr(xpu, space), name)
        op = getattr(function, "op", None)
        if op is None:
            continue
        assert (name not in cupyx) == (name in MISSING[space]), name
        if op.gpu is None or cupyx[name] is None or inspect.isbuiltin(op.host):  # no signature to compare
            continue
        lacking = set(inspect.signature(getattr(theirs, name)).parameters) - cupyx[name] - {"kwargs", "xp", "device"}
        if name != "distance_transform_edt":  # cupyx calls its first parameter `image`
            assert lacking == set(LACKING.get(f"{space}.{name}", ())), name
