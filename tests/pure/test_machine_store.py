"""Machine files: kept whole by concurrent processes, set aside when they make no sense, frozen on demand."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import xpu
from xpu import _backends, _calibrate, _hardware, _store
from xpu._calibrate._timing import CalibrationError
from xpu._curve import Curve
from xpu._device import parse
from xpu._learn import Learner
from xpu._machine import from_dict, load, named, shipped
from xpu._op import Work
from xpu.errors import MachineFileError, MachineFileWarning

ME = {"cpu": "a", "numpy": "2"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("XPU_MACHINE", raising=False)
    yield tmp_path
    _backends.forget_machines()


def calibrated():
    base = shipped("h200")
    curves = {"add": {"f8": Curve([(1.0, 1e-6), (1e6, 1e-3)])}}
    return replace(base, name="calibrated", cpu=replace(base.cpu, curves=curves))


def test_what_was_put_is_found_again(cache):
    path = _store.put(calibrated(), ME)
    found = _store.saved(ME)
    assert found.cpu.curves == calibrated().cpu.curves
    assert found.extra["identity"] == ME
    assert os.path.dirname(path) == str(cache)
    assert _store.saved({**ME, "numpy": "3"}) is None


def test_the_folder_is_the_systems_where_none_is_named(monkeypatch):
    monkeypatch.delenv("XPU_CACHE_DIR", raising=False)
    assert os.path.basename(_store.folder()) == "xpu"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(schema=99), "'schema' must be 1, got 99"),
        (lambda d: d["cpu"]["classes"]["fft"].update(bandwidth=-1.0), r"cpu\.classes\.fft\.bandwidth"),
        (lambda d: d["cpu"]["curves"]["add"].update(f8=[[1, 1e-6], [1, 2e-6]]), r"cpu\.curves\.add\.f8\[1\]\.work"),
        (lambda d: d["cpu"]["curves"]["add"].update(f8=[[1, -1e-6]]), r"cpu\.curves\.add\.f8\[0\]\.seconds"),
        (lambda d: d["cpu"]["curves"]["add"].update(f8=[]), r"cpu\.curves\.add\.f8"),
        (lambda d: d["cpu"]["curves"]["add"].update(f8=[[1]]), r"cpu\.curves\.add\.f8\[0\]"),
        (lambda d: d["cpu"]["curves"]["add"].update(q9=[[1, 1]]), "names a dtype 'q9'"),
        (lambda d: d["cpu"].update(curves=[]), r"cpu\.curves"),
        (lambda d: d["cpu"]["curves"].update(add=3), r"cpu\.curves\.add"),
        (lambda d: d["cpu"]["classes"]["fft"].update(warmup=-1), r"cpu\.classes\.fft\.warmup"),
        (lambda d: d["links"]["to_host"].update(bandwidth=1e30), r"links\.to_host\.bandwidth' must be at most 1e\+16"),
        (lambda d: d["cpu"]["classes"]["fft"]["rate"].update(f4=1e30), r"cpu\.classes\.fft\.rate\.f4"),
        (lambda d: d["cpu"]["classes"]["fft"].update(latency=1e9), r"cpu\.classes\.fft\.latency"),
        (lambda d: d.update(sources=5), "'sources' must be a list, got int"),
        (lambda d: d.update(extra=[1]), "'extra' must be an object, got list"),
        (lambda d: d["extra"].update(identity={"cpu": "another"}), r"extra\.identity"),
    ],
)
def test_an_unusable_file_is_set_aside_with_the_field_named(cache, change, field):
    path = _store.put(calibrated(), ME)
    data = json.loads(Path(path).read_text())
    change(data)
    with open(path, "w") as file:
        json.dump(data, file)
    with pytest.warns(MachineFileWarning, match=field):
        assert _store.saved(ME) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00\x01"])
def test_a_file_that_is_no_machine_is_set_aside(cache, content):
    with open(_store.path_of(ME), "w") as file:
        file.write(content)
    with pytest.warns(MachineFileWarning, match="is set aside"):
        assert _store.saved(ME) is None


def test_a_machine_with_curves_round_trips():
    machine = calibrated()
    again = from_dict(json.loads(json.dumps(machine.to_dict())))
    assert again == machine
    work = Work("elementwise", np.dtype("f8"), 24e5, 1e5, "add")
    assert again.cpu.seconds(work) == machine.cpu.seconds(work) == pytest.approx(1.01e-4, rel=0.01)


def test_a_full_disk_leaves_the_last_good_file(cache, monkeypatch):
    path = _store.put(calibrated(), ME)
    before = Path(path).read_text()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _store.put(replace(calibrated(), title="new"), ME)
    assert Path(path).read_text() == before
    assert os.listdir(cache) == [os.path.basename(path)]


def test_calibration_on_a_full_disk_holds_for_the_process(cache, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(_calibrate, "measure", lambda *args: calibrated())
    with pytest.warns(MachineFileWarning, match="holds for this process"):
        made = xpu.calibrate()
    assert _backends.machine_for(None) is made


def test_a_hung_calibration_leaves_everything_as_it_was(cache, monkeypatch):
    monkeypatch.setattr(_calibrate, "measure", lambda *args: calibrated())
    xpu.calibrate()
    (file,) = os.listdir(cache)
    before = (cache / file).read_text()

    def hang(*args):
        raise CalibrationError("step 'x' did not end")

    monkeypatch.setattr(_calibrate, "measure", hang)
    with pytest.raises(CalibrationError):
        xpu.calibrate()
    assert (cache / file).read_text() == before
    assert _backends.machine_for(None).name == "calibrated"


def test_calibration_refuses_times_that_are_none():
    with pytest.raises(ValueError, match="seconds=0"):
        xpu.calibrate(seconds=0)


_WRITER = """
import sys
from dataclasses import replace
from xpu import _store
from xpu._machine import shipped
machine = shipped("h200")
for i in range(20):
    _store.put(replace(machine, title=sys.argv[1] * 5000), {"cpu": "a"})
    assert _store.saved({"cpu": "a"}) is not None
"""


def test_concurrent_processes_never_show_half_a_file(cache):
    environment = {**os.environ, "XPU_CACHE_DIR": str(cache), "PYTHONWARNINGS": "error"}
    workers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, letter], env=environment, stderr=subprocess.PIPE, text=True)
        for letter in "abc"
    ]
    for worker in workers:
        _, errors = worker.communicate()
        assert worker.returncode == 0, errors
    found = _store.saved({"cpu": "a"})
    assert found.title in {letter * 5000 for letter in "abc"}
    assert len(os.listdir(cache)) == 1


# ----------------------------------------------------------------------------- frozen


_PROGRAM = """
import xpu as np
with np.profile() as p:
    x = np.ones(200000)
    for _ in range(30):
        x = np.sin(x) + x * 2
    small = np.asarray([3.0, 1.0]) + 1
    y = (np.ones((300, 300)) @ np.ones((300, 300))).sum()
print([(e.op, e.device, e.reason, e.predicted) for e in p.events])
"""


def run(code, *args, **environment):
    """Run a program under the environment given, and under none of this process's devices."""
    bare = {k: v for k, v in os.environ.items() if k not in ("XPU_PRETEND", "XPU_DEVICE", "XPU_MACHINE")}
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, env={**bare, **environment}, capture_output=True, text=True)


def test_a_frozen_machine_decides_alike_twice(tmp_path):
    path = tmp_path / "m.json"
    shipped("rtx2060-laptop").save(path)
    runs = [run(_PROGRAM, XPU_MACHINE=str(path), XPU_PRETEND="h200", XPU_DEVICE="auto") for _ in range(2)]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert "'pretend:0'" in runs[0].stdout
    assert "'cpu'" in runs[0].stdout


def test_a_frozen_machine_beats_the_calibrated_one(cache, tmp_path, monkeypatch):
    path = tmp_path / "frozen.json"
    replace(calibrated(), name="frozen").save(path)
    monkeypatch.setenv("XPU_MACHINE", str(path))
    _backends.forget_machines(calibrated())
    assert _backends.machine_for(None).name == "frozen"


def test_a_frozen_machine_may_be_a_profiles_name():
    assert named("h200").name == "h200"
    with pytest.raises(MachineFileError, match=r"no machine profile 'h201'.*h200.*rtx4090"):
        named("h201")


def test_a_frozen_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(MachineFileError, match=r"cannot be read \(No such file"):
        named(str(tmp_path / "none.json"))


# ----------------------------------------------------------------------------- the hardware's own word


class FakeNvml:
    class NVMLError(Exception):
        pass

    def __init__(self, missing=()):
        self.missing = missing

    def nvmlInit(self):
        pass

    def nvmlDeviceGetHandleByIndex(self, index):
        if index:
            raise self.NVMLError
        return "h"

    def nvmlDeviceGetName(self, handle):
        return b"NVIDIA Test 9000"

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=24 << 30)

    def nvmlDeviceGetMaxClockInfo(self, handle, which):
        if "clocks" in self.missing:
            raise self.NVMLError
        return {1: 2500, 2: 10000}[which]

    def nvmlDeviceGetMemoryBusWidth(self, handle):
        return 384

    def nvmlDeviceGetNumGpuCores(self, handle):
        return 16384

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        return (8, 9)

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle):
        return 4

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle):
        return 16


def test_a_card_is_described_by_what_nvml_says():
    found = _hardware.card(FakeNvml())
    assert (found.title, found.memory, found.capability) == ("NVIDIA Test 9000", 24 << 30, (8, 9))
    assert found.bandwidth == pytest.approx(960e9)
    assert found.flops == pytest.approx(81.92e12)
    assert found.link == pytest.approx(31.5e9, rel=0.01)
    assert _hardware.card(FakeNvml(), 1) is None


def test_the_profile_to_start_from_follows_the_card():
    machine = _hardware.start(_hardware.card(FakeNvml()), _hardware.Host("cpu", 8, 64 << 30, 1 << 25))
    card = machine.accelerator
    assert (machine.name, card.memory) == ("uncalibrated", 24 << 30)
    assert card.classes["elementwise"].bandwidth == pytest.approx(0.85 * 960e9)
    assert card.classes["elementwise"].rate["f4"] == pytest.approx(81.92e12)
    assert card.classes["elementwise"].rate["f8"] == pytest.approx(81.92e12 / 64)
    assert machine.to_device.pinned_bandwidth == pytest.approx(0.8 * 31.5e9, rel=0.01)
    assert machine.to_device.bandwidth <= machine.to_device.pinned_bandwidth
    assert from_dict(machine.to_dict()) == machine
    generic = shipped("generic").cpu.classes
    assert machine.cpu.classes["matmul"].rate["f8"] == 4 * generic["matmul"].rate["f8"]
    assert machine.cpu.classes["fft"] == generic["fft"]


def test_a_card_that_says_little_gets_a_known_cards_rates():
    machine = _hardware.start(_hardware.card(FakeNvml(missing=("clocks",))))
    known = shipped("h200").accelerator.classes["elementwise"]
    assert machine.accelerator.classes["elementwise"].bandwidth == known.bandwidth


def test_the_host_is_read_off_the_kernels_files(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("processor: 0\nmodel name\t: Made Up CPU @ 3 GHz\n")
    cache = tmp_path / "sys/devices/system/cpu/cpu0/cache"
    for i, size in enumerate(("32K", "1024K", "36M", "odd")):
        (cache / f"index{i}").mkdir(parents=True)
        (cache / f"index{i}/size").write_text(size + "\n")
    here = _hardware.host(str(tmp_path))
    assert (here.title, here.cache) == ("Made Up CPU @ 3 GHz", 36 << 20)
    assert here.cores >= 1


class Gpu:
    """As much of a GPU's backend as finding its machine needs."""

    device = parse("cuda")


def test_a_gpu_that_was_never_calibrated_starts_from_what_nvml_reports(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    monkeypatch.setattr(_backends, "learner", Learner())
    gpu = Gpu()
    monkeypatch.setattr(_backends.automatic, "possible", True)
    monkeypatch.setattr(_backends.automatic, "asked", True)
    monkeypatch.setattr(_backends.automatic, "found", gpu)
    _backends.forget_machines()
    machine = xpu.machine()
    assert machine.name == "uncalibrated"
    assert machine.accelerator.title == "NVIDIA Test 9000"
    assert machine.accelerator.memory == 24 << 30
    assert machine.accelerator.classes["elementwise"].bandwidth == pytest.approx(0.85 * 960e9)
    assert machine.to_device.pinned_bandwidth == pytest.approx(0.8 * 31.5e9, rel=0.01)
    assert _backends.learner.on  # and corrects itself
    seconds = machine.accelerator.seconds(Work("elementwise", np.dtype("f8"), 24e8, 1e8, "add"))
    assert 24e8 / 960e9 < seconds < 2 * 24e8 / 960e9
    put = replace(calibrated(), title="measured")
    _store.put(put, _hardware.identity(_hardware.card(FakeNvml())))
    _backends.forget_machines()
    assert xpu.machine().title == "measured"


def test_a_gpu_without_nvml_still_has_a_machine(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    monkeypatch.setattr(_backends, "learner", Learner())
    _backends.forget_machines()
    machine = _backends.machine_for(Gpu())
    assert machine.accelerator.title == "cuda:0"
    known = shipped("h200").accelerator.classes["elementwise"]
    assert machine.accelerator.classes["elementwise"].bandwidth == known.bandwidth


def test_another_library_is_another_machine():
    here = _hardware.Host("cpu", 2, 1, 1)
    a = _hardware.identity(None, here)
    assert _hardware.digest(a) == _hardware.digest(dict(reversed(a.items())))
    assert _hardware.digest(a) != _hardware.digest({**a, "numpy": "0"})
    assert _hardware.identity(_hardware.card(FakeNvml()), here)["gpu"].endswith("PCIe 4 x16")


def test_the_machine_in_force_prints(cache):
    shown = str(xpu.machine())
    assert "elementwise" in shown
    assert "GB/s" in shown


# ----------------------------------------------------------------------------- the real thing, briefly


def test_a_short_calibration_is_saved_exported_and_in_force(cache, tmp_path):
    export = tmp_path / "out" / "lab.json"
    code = "from xpu.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    done = run(code, "calibrate", "--seconds", "2", "--export", str(export))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("calibrated: ")
    machine = load(export)
    assert machine.cpu.curves
    assert machine.cpu.seconds(Work("copy", np.dtype("f8"), 16e5, 1e5, "astype")) > 1e-6
    after = run("import xpu; print(xpu.machine().name)", XPU_CACHE_DIR=str(cache))
    assert after.stdout.strip() == "calibrated"


def test_a_file_that_cannot_be_exported_does_not_cost_the_calibration(cache, tmp_path):
    (tmp_path / "file").write_text("")
    target = str(tmp_path / "file" / "lab.json")
    code = "from xpu.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    done = run(code, "calibrate", "--seconds", "0.05", "--export", target)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"xpu calibrate: {target!r} cannot be written (")
    after = run("import xpu; print(xpu.machine().name)", XPU_CACHE_DIR=str(cache))
    assert after.stdout.strip() == "calibrated"


def test_a_pretend_device_is_not_measured(cache):
    done = run(
        "import xpu; m = xpu.calibrate(seconds=0.05); print(m.accelerator, xpu.machine().name)",
        XPU_PRETEND="rtx4090",
        XPU_DEVICE="auto",
    )
    assert done.stdout.split() == ["None", "rtx4090"], done.stderr


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    """A file where the cache folder should be: nothing is written, and the machine is still known."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XPU_CACHE_DIR", str(tmp_path / "file"))
    named = {"cpu": "x"}
    with pytest.raises(OSError, match="file"):
        _store.put(shipped("h200"), named)
    assert _store.saved(named) is None  # nothing is there, and there is nothing to set aside
    assert (tmp_path / "file").read_text() == "not a folder"
