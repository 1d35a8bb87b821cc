"""NumPy's whole public surface: what is missing is in a list here, with the reason."""

import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import xpu

LEFT_OUT = {
    "test": "runs NumPy's own test suite",
    "ctypes": "the standard library's module, visible in numpy.ctypeslib by accident",
}
SUBMODULES = [
    "",
    "linalg",
    "fft",
    "random",
    "polynomial",
    "ma",
    "char",
    "strings",
    "lib",
    "lib.stride_tricks",
    "rec",
    "typing",
    "emath",
    "exceptions",
    "dtypes",
    "ctypeslib",
    "testing",
]


def _at(root, path):
    for part in filter(None, path.split(".")):
        root = getattr(root, part)
    return root


def _public(module):
    return {n for n in dir(module) if not n.startswith("_")}


@pytest.mark.parametrize("path", SUBMODULES, ids=lambda p: p or "main")
def test_every_public_name_of_numpy_is_there_or_left_out_for_a_reason(path):
    missing = {n for n in _public(_at(np, path)) if not hasattr(_at(xpu, path), n)}
    assert missing <= LEFT_OUT.keys()


def test_at_least_99_percent_of_the_surface():
    names = [(path, n) for path in SUBMODULES for n in _public(_at(np, path))]
    present = sum(hasattr(_at(xpu, path), n) for path, n in names)
    assert present / len(names) >= 0.99
    print(f"{present} of {len(names)} public names of NumPy {np.__version__}: {present / len(names):.1%}")


@pytest.mark.parametrize("kind", ["ndarray"])
def test_every_method_and_attribute_of_numpys_array(kind):
    assert _public(getattr(np, kind)) - _public(getattr(xpu, kind)) == set()


def test_ufunc_objects_have_numpys_methods_and_attributes():
    assert _public(np.add) - _public(xpu.add) == set()


@pytest.mark.parametrize("path", [p for p in SUBMODULES if p and "." not in p])
def test_submodules_import_by_their_dotted_name(path):
    assert importlib.import_module(f"xpu.{path}") is getattr(xpu, path)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'arrange'. Did you mean 'arange'"):
        _at(xpu, "arrange")


def test_numpys_arrays_count_as_arrays():
    assert isinstance(np.zeros(2), xpu.ndarray)
    assert issubclass(np.ndarray, xpu.ndarray)
    assert not isinstance([1], xpu.ndarray)
    assert not isinstance(np.zeros(2), xpu.scalar)


def test_a_masked_array_shares_the_memory_it_was_made_of():
    a = xpu.arange(4.0)
    masked = xpu.ma.masked_array(a, [False, True, False, False])
    masked[0] = 9.0
    a[3] = 7.0
    assert a.tolist() == [9.0, 1.0, 2.0, 7.0]
    assert masked.sum() == 18.0
    assert str(a.device) == "cpu"


def test_string_functions_give_xpu_arrays():
    made = xpu.char.upper(xpu.array(["ab", "c"]))
    assert isinstance(made, xpu.ndarray)
    assert type(made).__module__ == "xpu"
    assert made.tolist() == ["AB", "C"]
    assert xpu.strings.str_len(made).tolist() == [2, 1]


def test_polynomials_take_xpu_arrays_and_what_they_give_goes_on():
    x = xpu.linspace(0.0, 1.0, 5)
    made = xpu.polynomial.Polynomial([1.0, 2.0])(x)
    assert isinstance(made, xpu.ndarray)
    assert (xpu.sqrt(x) * 0 + made).tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]


def test_strides_tricks_make_views():
    a = xpu.zeros(5)
    windows = xpu.lib.stride_tricks.sliding_window_view(a, 2, writeable=True)
    windows[0, 1] = 3.0
    assert a.tolist() == [0.0, 3.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "path", ["add", "nn.conv2d", "ndimage.sobel", "signal.welch", "char.upper", "ma.array", "fft.fft"]
)
def test_functions_travel_to_another_process(path):
    function = _at(xpu, path)
    code = "import pickle, sys, xpu; f = pickle.loads(sys.stdin.buffer.read()); print(f.op.name)"
    found = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(function), capture_output=True, check=True)
    assert found.stdout.decode().strip() == path
    assert pickle.loads(pickle.dumps(function)) is function
