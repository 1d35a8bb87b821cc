"""The CUDA half without a GPU: translation to CUDA C, and compilation for sm_90 by NVRTC."""

import importlib
import re

import numpy as np
import pytest
from test_fuse import SOURCES, fused_kernel
from test_vectorize import branchy, newton, soft, wave

from xpu._kernels import _cuda

cupy = pytest.importorskip("cupy", reason="CuPy translates the function", exc_type=ImportError)
_C_NAMES = {"f": "float", "d": "double", "q": "long long", "l": "long long"}


def source(f, chars):
    """Return CUDA C for `f` over arrays of these dtypes, with a kernel around it."""
    interface = importlib.import_module("cupyx.jit._interface")
    cuda_types = importlib.import_module("cupyx.jit._cuda_types")
    function = interface._CudaFunction(_cuda.twin(f), "numpy", device=True)
    made = function._emit_code_from_types([cuda_types.Scalar(np.dtype(c)) for c in chars])
    parameters = ", ".join(f"const {_C_NAMES[c]}* a{i}" for i, c in enumerate(chars))
    arguments = ", ".join(f"a{i}[t]" for i in range(len(chars)))
    return (
        "#include <cupy/complex.cuh>\n#include <cupy/carray.cuh>\n"
        f'{made.code}\nextern "C" __global__ void kernel({parameters}, {made.return_type}* out) '
        f"{{ int t = threadIdx.x; out[t] = {made.func_name}({arguments}); }}"
    )


CASES = [(soft, "ddd"), (soft, "fff"), (wave, "d"), (wave, "f"), (newton, "d"), (branchy, "dd")]


@pytest.mark.parametrize(("f", "chars"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_translation(f, chars):
    text = source(f, chars)
    assert re.search(rf"__device__ .*\b{f.__name__}\w*\(", text)
    assert text.count("if (") >= (f in (soft, branchy)) * 2


def test_branches_of_different_widths_are_widened():
    with pytest.raises(ValueError, match="return"):
        source(branchy, "ff")
    seen = []
    ways = _cuda.kernel(branchy, (np.dtype("f4"),) * 2, np.dtype("f4"))

    class Wide(np.ndarray):
        def astype(self, dtype):
            seen.append(np.dtype(dtype))
            return np.asarray(self).astype(dtype)

    x = np.ones(3, "f4").view(Wide)
    with pytest.raises((TypeError, RuntimeError), match="no way to run it on the GPU|driver"):
        ways(x, x)  # NumPy's arrays reach the launch, after the widening
    assert seen == [np.dtype("f8")] * 2


def test_everything_compiles_for_sm_90():
    """All kernels in one unit, each in a namespace of its own: most of the time goes into CuPy's headers."""
    compile_ = compiler()
    pieces = {f"vectorize_{f.__name__}_{chars}": source(f, chars) for f, chars in CASES}
    pieces |= {f"fuse_{name.replace(' ', '_')}": fused_kernel(name) for name in SOURCES}
    pieces |= {name: loops_of(ufunc) for name, ufunc in our_ufuncs().items()}
    made = compile_(as_one_unit(pieces))
    assert len(made) > 10_000
    assert all(f"kernel_{name}".encode() in made.replace(b"\0", b" ") for name in pieces)
    with pytest.raises(Exception, match="undefined"):  # the compiler sees what is wrong
        compile_(as_one_unit({**pieces, "wrong": "__device__ int f() { return undefined_name; }"}))


_C_TYPES = {"e": "float16", "f": "float", "d": "double", "F": "complex<float>", "D": "complex<double>"}


def our_ufuncs():
    modules = (importlib.import_module(f"xpu._backends.{name}") for name in ("_cupy_division", "_cupy_complex"))
    return {f"ours_{name}": ufunc for module in modules for name, ufunc in module.UFUNCS.items()}


def loops_of(ufunc):
    """Return a kernel that calls every loop of a ufunc, as CuPy puts its code into one."""
    loops, calls = [], []
    for i, loop in enumerate(ufunc._ops.ops):
        kinds = [_C_TYPES[t.char] for t in (*loop.in_types, *loop.out_types)]
        taken = ", ".join(f"const {kind} in{n}" for n, kind in enumerate(kinds[:-1]))
        loops.append(f"__device__ void loop{i}({taken}, {kinds[-1]}& out0) {{ {loop.routine}; }}")
        given = ", ".join(f"static_cast<const {kind}*>(x)[{n}]" for n, kind in enumerate(kinds[:-1]))
        calls.append(f"loop{i}({given}, static_cast<{kinds[-1]}*>(y)[{i}]);")
    includes = "#include <cupy/complex.cuh>\n#include <cupy/float16.cuh>\n"
    kernel = f'extern "C" __global__ void kernel(const void* x, void* y) {{ {" ".join(calls)} }}'
    return "\n".join([includes + str(ufunc._preamble), *loops, kernel])


def as_one_unit(pieces):
    includes, bodies = [], []
    for name, text in pieces.items():
        lines = text.replace("void kernel(", f"void kernel_{name}(").splitlines()
        includes += [line for line in lines if line.startswith("#include")]
        rest = "\n".join(line for line in lines if not line.startswith("#include"))
        bodies.append(f"namespace {name} {{\n{rest}\n}}")
    return "\n".join([*dict.fromkeys(includes), *bodies])


def compiler():
    """Return a function from CUDA C to a cubin for sm_90, or skip."""
    core = pytest.importorskip("cuda.core", reason="cuda-core compiles without a GPU (the extra nvrtc)")
    pathfinder = pytest.importorskip("cuda.pathfinder", reason="cuda-pathfinder finds the CUDA headers")
    headers = pathfinder.find_nvidia_header_directory("cudart")
    if headers is None:
        pytest.skip("the CUDA runtime's headers are not installed")
    try:
        pathfinder.load_nvidia_dynamic_lib("nvrtc")
    except pathfinder.DynamicLibNotFoundError:
        pytest.skip("NVRTC is not installed (the extra nvrtc brings it)")
    inner = importlib.import_module("cupy._core.core")
    private = [inner._get_header_dir_path()]
    options = inner._get_cccl_include_options()
    private += [o.removeprefix("-I") for o in options]

    def compile_(text):
        chosen = core.ProgramOptions(
            arch="sm_90",
            std="c++17",
            include_path=[*private, headers],
            define_macro=["CUPY_JIT_MODE"],
            device_as_default_execution_space=True,
        )
        return core.Program(text, "c++", chosen).compile("cubin").code

    return compile_
