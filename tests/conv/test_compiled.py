"""The compiled engines: every way of cutting their work, what is not finite, their rounding, and doing without them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy
import pytest
from conv_reference import FORMS, check, operand, reference
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu.conv import ConvGeometry, _caches, _compiled_winograd, _planes, _threads, execute, plan_conv
from xpu.conv._background import wait

pytestmark = pytest.mark.skipif(not wait(), reason="numba is not installed")


def geometry(
    batch: int,
    channels: tuple[int, int],
    spatial: tuple[int, int],
    kernel: tuple[int, int] = (3, 3),
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    groups: int = 1,
    dtype: str = "float32",
    kind: str = "forward",
) -> ConvGeometry:
    padding = (pads[:2], pads[2:])
    ones = (1, 1)
    return ConvGeometry(
        kind, batch, groups, *channels, spatial, kernel, ones, ones, padding, "NCHW", numpy.dtype(dtype)
    )


def run(name: str, g: ConvGeometry, seed: int = 0, form: str = "plain") -> tuple[numpy.ndarray, ...]:
    rng = numpy.random.default_rng(seed)
    first, second = (operand(rng, s, g.dtype, f) for s, f in zip(g.operand_shapes, (form, "plain"), strict=True))
    return execute(plan_conv(g, engines=(name,)), numpy, first, second), first, second


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    spatial=st.tuples(st.integers(4, 14), st.sampled_from([4, 5, 9, 14, 33])),
    groups=st.sampled_from([1, 2]),
    threads=st.sampled_from([1, 2, 3]),
    limit=st.sampled_from([1 << 15, 1 << 18, 1 << 24]),
    tiles=st.sampled_from([1, 5, 48]),
    dtype=st.sampled_from(["float32", "float64"]),
    kind=st.sampled_from(["forward", "input"]),
    form=st.sampled_from(FORMS),
)
def test_winograd_however_its_work_is_cut(
    batch: int,
    channels: tuple[int, int],
    spatial: tuple[int, int],
    groups: int,
    threads: int,
    limit: int,
    tiles: int,
    dtype: str,
    kind: str,
    form: str,
) -> None:
    g = geometry(batch, (groups * channels[0], groups * channels[1]), spatial, groups=groups, dtype=dtype, kind=kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "count", lambda: threads)
        patch.setattr(_compiled_winograd, "WORTH", 0)
        patch.setattr(_compiled_winograd, "WORTH_THREADS", 0)
        patch.setattr(_compiled_winograd, "LEAST_TILES", tiles)
        patch.setattr(_compiled_winograd, "LEAST_DEPTH", 3)
        patch.setattr(_compiled_winograd, "allowance", lambda g: limit)
        patch.setattr(_compiled_winograd, "caches", lambda: _caches.Caches(1 << 12, 1 << 12))
        got, first, second = run("compiled-winograd", g, 7, form)
    check(g, got, first, second, 30.0)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    groups=st.integers(1, 3),
    each=st.integers(1, 3),
    spatial=st.tuples(st.integers(1, 14), st.integers(16, 70)),
    kernel=st.tuples(st.integers(1, 6), st.integers(1, 6)) | st.just((3, 3)),
    pads=st.tuples(*[st.integers(0, 5)] * 4),
    threads=st.sampled_from([1, 2, 3]),
    cache=st.sampled_from([1 << 8, 1 << 13, 1 << 19]),
    dtype=st.sampled_from(["float32", "float64"]),
    form=st.sampled_from(FORMS),
)
def test_planes_of_every_size(
    batch: int,
    groups: int,
    each: int,
    spatial: tuple[int, int],
    kernel: tuple[int, int],
    pads: tuple[int, int, int, int],
    threads: int,
    cache: int,
    dtype: str,
    form: str,
) -> None:
    high, broad = (max(n, k) + k for n, k in zip(spatial, kernel, strict=True))
    g = geometry(batch, (groups, groups * each), (high, broad), kernel, pads, groups, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "count", lambda: threads)
        patch.setattr(_planes, "WORTH", 0)
        patch.setattr(_planes, "caches", lambda: _caches.Caches(1 << 12, cache))
        got, first, second = run("planes", g, 3, form)
    check(g, got, first, second)


@pytest.mark.parametrize("name", ["compiled", "compiled-winograd", "planes", "fft", "gemm"])
@pytest.mark.parametrize("value", [numpy.nan, numpy.inf])
def test_what_is_not_finite_reaches_only_the_outputs_it_belongs_to(name: str, value: float) -> None:
    groups = 4 if name == "planes" else 1
    g = geometry(2, (4, 4), (13, 20), groups=groups)
    rng = numpy.random.default_rng(0)
    x, w = (operand(rng, s, g.dtype, "plain") for s in g.operand_shapes)
    clean = execute(plan_conv(g, engines=("gemm",)), numpy, x, w)
    x[1, 2, 6, 7] = value
    got = execute(plan_conv(g, engines=(name,)), numpy, x, w)
    reached = numpy.zeros(g.y_shape, bool)
    reached[1, slice(2, 3) if groups > 1 else slice(None), 5:8, 6:9] = True
    assert (numpy.isfinite(got) == ~reached).all()
    numpy.testing.assert_allclose(got[~reached], clean[~reached], rtol=0, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_rounding_of_winograd(dtype: str) -> None:
    """The bound that its documentation names: of the largest result, for standard normal numbers."""
    g = geometry(1, (256, 32), (16, 16), dtype=dtype)
    got, x, w = run("compiled-winograd", g)
    want = reference(g, x, w).real
    error = numpy.abs(got - want).max() / numpy.abs(want).max()
    plain = numpy.abs(run("compiled", g)[0] - want).max() / numpy.abs(want).max()
    assert error < 40 * numpy.finfo(dtype).eps
    assert error > plain / 10, "a bound that nothing comes near tests nothing"


def test_cache_sizes_are_those_the_kernel_reports(tmp_path: object) -> None:
    from pathlib import Path

    root = Path(str(tmp_path))
    for index, (level, kind, size) in enumerate([(1, "Data", "48K"), (1, "Instruction", "64K"), (2, "Unified", "2M")]):
        folder = root / f"index{index}"
        folder.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{value}\n")
    assert _caches.caches(str(root)) == _caches.Caches(48 << 10, 2 << 20)


WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
import numpy, xpu
x, w = numpy.ones((1, 64, 56, 56), "f4"), numpy.ones((64, 64, 3, 3), "f4")
print(xpu.nn.plan_conv(x, w, padding=1))
print(float(xpu.nn.conv2d(x, w, padding=1)[0, 0, 5, 5]))
print(float(xpu.signal.convolve2d(x[0, 0], w[0, 0], "same")[5, 5]))
"""


def test_all_works_without_numba() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "numba is not installed" in done.stdout
    assert done.stdout.split()[-2:] == ["576.0", "9.0"]


FIRST = """
import threading
import numpy, xpu
from xpu.conv import _background
gate, load = threading.Event(), _background._STATE.load
_background._STATE.load = lambda: gate.wait() and load()
x, w = numpy.ones((1, 64, 56, 56), "f4"), numpy.ones((64, 64, 3, 3), "f4")
before = xpu.nn.plan_conv(x, w, padding=1)
first = float(xpu.nn.conv2d(x, w, padding=1)[0, 0, 5, 5])
print(before.engine in ("gemm", "winograd", "onednn"), dict(before.refused)["compiled"], first, sep="; ")
gate.set()
print(_background.wait(), xpu.nn.plan_conv(x, w, padding=1).engine != before.engine, sep="; ")
"""


def test_a_first_call_takes_another_engine_while_kernels_are_compiled() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", FIRST], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True; its kernels are not compiled yet; 576.0", "True; True"]


# As where neither the package's folder, nor HOME, nor NUMBA_CACHE_DIR can be written: root may write anywhere.
UNWRITABLE = """
import numba.core.caching
def refuse(self):
    raise PermissionError(13, "Permission denied")
numba.core.caching._CacheLocator.ensure_cache_path = refuse
import numpy, xpu
from xpu.conv import _background
x, w = numpy.ones((1, 64, 56, 56), "f4"), numpy.ones((64, 64, 3, 3), "f4")
print(float(xpu.nn.conv2d(x, w, padding=1)[0, 0, 5, 5]), _background.wait(), sep="; ")
print(dict(xpu.nn.plan_conv(x, w, padding=1).refused)["compiled"])
print(float(xpu.nn.conv2d(x, w, padding=1)[0, 0, 5, 5]))
print(float(xpu.signal.convolve2d(x[0, 0], w[0, 0], "same")[5, 5]))
with xpu.config(autotune=True):
    print(float(xpu.signal.convolve(numpy.ones(10**5, "f4"), numpy.ones(101, "f4"), "same")[500]))
"""


def test_all_works_where_nothing_can_be_written() -> None:
    nowhere = {"HOME": "/nowhere", "NUMBA_CACHE_DIR": "/dev/null/numba", "XPU_CACHE_DIR": "/dev/null/xpu"}
    environment = {**os.environ, **nowhere}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNWRITABLE], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "576.0; False"
    assert lines[1].endswith("Set NUMBA_CACHE_DIR to one that can be written")
    numpy.testing.assert_allclose([float(line) for line in lines[2:]], [576.0, 9.0, 101.0], rtol=1e-5)


DAMAGED = """
import pickle
import numba.core.caching
def damaged(self):
    return pickle.loads(b"\\x80\\x05")
numba.core.caching.IndexDataCacheFile._load_index = damaged
import numpy, xpu
from xpu.conv import _background
x, w = numpy.ones((1, 64, 56, 56), "f4"), numpy.ones((64, 64, 3, 3), "f4")
print(float(xpu.nn.conv2d(x, w, padding=1)[0, 0, 5, 5]), _background.wait(), sep="; ")
print(dict(xpu.nn.plan_conv(x, w, padding=1).refused)["compiled"])
"""


def test_kernels_that_were_damaged_on_the_disk_are_done_without() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", DAMAGED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout.splitlines()[0] == "576.0; False"
    assert "cannot be read" in done.stdout
    assert "Delete the files *.nbi" in done.stdout
