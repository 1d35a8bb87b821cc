"""Which devices a machine has: no driver, no GPU, no CuPy, a library that breaks; each a clear message, never an error
of `import xpu` nor of a CPU result."""

import importlib
import os
import sys
import types

import numpy as np
import pytest

import xpu
from xpu import _backends
from xpu._device import Device, parse
from xpu.errors import DeviceError, DeviceWarning


@pytest.fixture
def driver(monkeypatch):
    """A machine that shows a driver; nothing is loaded yet."""
    monkeypatch.setattr(_backends, "_driver_present", lambda: True)
    monkeypatch.setattr(_backends, "_loaded", {k: v for k, v in _backends._loaded.items() if k.kind != "cuda"})
    monkeypatch.setattr(_backends, "_silent", {})
    monkeypatch.setattr(_backends, "_warned", set())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def automatic(monkeypatch):
    """What automatic placement may choose, not asked yet."""
    fresh = _backends._Automatic()
    fresh.profile, fresh.possible = "", True
    monkeypatch.setattr(_backends, "automatic", fresh)
    return fresh


@pytest.mark.parametrize(
    ("visible", "count"), [("", 0), ("-1", 0), ("0", 1), ("0,1", 2), (" 0 , GPU-12 ", 2), ("0,-1", 1)]
)
def test_the_environment_says_how_many_gpus_are_visible(driver, monkeypatch, visible, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _backends._count_gpus() == count


def _nvml(initialise=lambda: None, count=lambda: 3):
    module = types.ModuleType("pynvml")
    module.NVMLError = type("NVMLError", (Exception,), {})
    module.nvmlInit, module.nvmlDeviceGetCount = initialise, count
    return module


def test_nvml_counts_the_gpus(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", _nvml())
    assert _backends._count_gpus() == 3
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert _backends._count_gpus() == 1
    monkeypatch.setattr(_backends, "_driver_present", lambda: False)
    assert _backends._count_gpus() == 0


@pytest.mark.parametrize("error", [OSError("libnvidia-ml.so.1"), RuntimeError("odd"), "NVMLError"])
def test_nvml_that_fails_counts_none(driver, monkeypatch, error):
    module = _nvml()

    def fail():
        raise module.NVMLError if error == "NVMLError" else error

    module.nvmlInit = fail
    monkeypatch.setitem(sys.modules, "pynvml", module)
    assert _backends._count_gpus() == 0


def test_a_gpu_that_is_not_among_the_visible_ones(driver, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(DeviceError, match=r"xpu.devices: 'cuda:5' is not among the 2 visible GPUs.*xpu doctor"):
        _backends.backend(Device("cuda:5"))


@pytest.mark.parametrize("error", [ImportError("No module named 'cupy'"), OSError("libcuda.so.1"), RuntimeError("odd")])
def test_cupy_that_does_not_import(driver, automatic, monkeypatch, error):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    genuine = importlib.import_module

    def broken(name, *rest):
        if name == "xpu._backends._cupy":
            raise error
        return genuine(name, *rest)

    monkeypatch.setattr(_backends.importlib, "import_module", broken)
    said = rf"'cuda:0' needs CuPy, which does not import \({type(error).__name__}: .*xpu doctor"
    with pytest.raises(DeviceError, match=said):
        _backends.backend(parse("cuda"))
    with pytest.warns(DeviceWarning, match=said):
        assert automatic.get() is None
    assert automatic.get() is None  # told once
    with xpu.config(device="cuda"):
        with pytest.warns(DeviceWarning, match=said):
            assert (xpu.asarray(np.ones(3)) + 1).tolist() == [2.0] * 3
        assert (xpu.asarray(np.ones(3)) + 1).tolist() == [2.0] * 3


def test_without_a_driver_there_is_nothing_to_load(monkeypatch, automatic):
    monkeypatch.setattr(_backends, "_driver_present", lambda: False)
    with pytest.raises(DeviceError, match="'cuda:0' needs an NVIDIA driver, and none is visible"):
        _backends._load_cuda(parse("cuda"))
    automatic.possible = False
    assert automatic.get() is None


def test_there_is_one_pretend_device(automatic):
    with pytest.raises(DeviceError, match="there is one pretend device, got 'pretend:1'"):
        _backends.backend(Device("pretend:1"))
    automatic.profile = "h200"
    assert automatic.get() is _backends.backend(parse("pretend"))


def test_a_pretend_profile_may_be_a_file(automatic, tmp_path):
    from xpu._machine import shipped

    shipped("rtx4090").save(tmp_path / "mine.json")
    automatic.profile = str(tmp_path / "mine.json")
    assert _backends._load_pretend(parse("pretend")).machine == shipped("rtx4090")


def test_a_driver_of_windows_is_looked_for_in_its_folder(monkeypatch, tmp_path):
    (tmp_path / "System32").mkdir()
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    monkeypatch.setattr(_backends, "os", types.SimpleNamespace(name="nt", path=os.path, environ=os.environ))
    assert not _backends._driver_present()
    (tmp_path / "System32" / "nvcuda.dll").touch()
    assert _backends._driver_present()


def test_devices_lists_what_is_usable(driver, automatic, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    automatic.found, automatic.asked = object(), True
    assert [str(d) for d in _backends.devices()][:3] == ["cpu", "cuda:0", "cuda:1"]
    automatic.found = None
    assert "cuda:0" not in [str(d) for d in _backends.devices()]
