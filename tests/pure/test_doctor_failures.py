"""The fifteen failures users meet, each made up as near to the real one as a CPU allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from doctor_world import CUDNN, World, keys, mend, verdict, world

from xpu._doctor._facts import Process
from xpu._doctor._symptoms import SYMPTOMS

__all__ = ["world"]  # a fixture

NO_DRIVER = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
NO_DEVICE = "cudaErrorNoDevice: no CUDA-capable device is detected"


def test_all_fifteen_are_in_the_table() -> None:
    assert {symptom.number for symptom in SYMPTOMS} == set(range(16))
    assert all(symptom.citation for symptom in SYMPTOMS if symptom.number)


def test_a_healthy_machine_has_no_finding_and_is_usable(world: World) -> None:
    report = world.healthy().report()
    assert keys(report) == []
    assert report.usable
    assert {row.verdict for row in report.rows} <= {"ok", "note"}
    assert "NVIDIA H200" in report.summary
    rows = {row.part: row.found for row in report.rows}
    assert rows["NVIDIA driver"] == "580.159.04, CUDA up to 13.0"
    assert rows["GPU"] == "0: H200, cc 9.0, 150 GiB"
    assert rows["GPU link"] == "PCIe 5 x16"  # what it can do: idle cards slow their link down
    assert rows["cuDNN"] == "9.19.0, pip"


def test_01_no_driver(world: World) -> None:
    world.card_on_bus()
    world.write(world.root / "etc/os-release", 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n')
    world.toolkit()
    world.cudnn(status=1001)
    world.cupy(count=("cuda", NO_DRIVER), driver=0)
    report = world.report()
    assert keys(report) == ["no-driver"]  # cuDNN that cannot start without a card is no finding
    assert mend(report, "no-driver") == "sudo ubuntu-drivers install && sudo reboot"
    assert verdict(report, "NVIDIA driver") == "missing"
    assert not report.usable


def test_01_driver_older_than_the_wheel(world: World) -> None:
    world.driver("535.104.05", cuda=12020)
    world.toolkit()
    world.cudnn()
    world.cupy(count=("cuda", NO_DRIVER), driver=12020)
    report = world.report()
    assert keys(report) == ["old-driver"]
    command = 'pip uninstall -y cupy-cuda13x && pip install "xpu-array[cuda12]"'
    assert mend(report, "old-driver") == command
    assert "needs 580.65.06" in report.findings[0].seen
    assert verdict(report, "NVIDIA driver") == "broken"


def test_02_container_without_gpus(world: World) -> None:
    world.card_on_bus()
    world.write(world.root / ".dockerenv", "")
    world.cupy(count=("cuda", NO_DRIVER), driver=0)
    world.toolkit()
    world.cudnn(status=1001)
    report = world.report()
    assert keys(report) == ["container-without-gpu"]
    assert mend(report, "container-without-gpu") == "docker run --gpus all IMAGE"
    assert verdict(report, "Access") == "broken"


@pytest.mark.parametrize("value", ["", "-1", "3", "NoDevFiles", "-1,0"])
def test_02_visible_devices_hide_all(world: World, value: str) -> None:
    world.healthy(count=("cuda", NO_DEVICE))
    world.env["CUDA_VISIBLE_DEVICES"] = value
    report = world.report()
    assert keys(report) == ["hidden-devices"]
    assert mend(report, "hidden-devices") == "unset CUDA_VISIBLE_DEVICES"
    assert not report.usable


@pytest.mark.parametrize("value", ["0", "0,7", "GPU-8932f937", "MIG-1"])
def test_visible_devices_that_show_one_are_left_alone(world: World, value: str) -> None:
    world.healthy()
    world.env["CUDA_VISIBLE_DEVICES"] = value
    report = world.report()
    assert keys(report) == []
    assert report.usable


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every device file")
def test_02_no_permission(world: World) -> None:
    world.healthy(count=("cuda", NO_DEVICE))
    world.write(world.root / "dev/nvidiactl", "").chmod(0)
    assert "no-permission" in keys(world.report())


def test_02_driver_without_device(world: World) -> None:
    world.healthy(count=("cuda", NO_DEVICE))
    report = world.report()
    assert keys(report) == ["no-device"]
    assert report.findings[0].seen.startswith("CUDARuntimeError: cudaErrorNoDevice")


def test_03_no_toolkit(world: World) -> None:
    text = 'Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.13'
    world.driver()
    world.cudnn()
    world.cupy(compile=("runtime", text))
    report = world.report()
    assert keys(report) == ["no-toolkit"]
    assert mend(report, "no-toolkit") == 'pip install "cupy-cuda13x[ctk]"'
    assert verdict(report, "NVRTC") == verdict(report, "cuFFT") == "missing"
    assert not report.usable


def test_03_one_library_missing(world: World) -> None:
    world.driver()
    world.toolkit(without=("cufft",))
    world.cudnn()
    world.cupy()
    report = world.report()
    assert keys(report) == ["no-toolkit"]
    assert report.findings[0].seen == "not found: cufft"
    assert verdict(report, "cuFFT") == "missing"
    assert verdict(report, "cuBLAS") == "ok"


def test_04_headers_missing(world: World) -> None:
    text = 'cupy_backends/include.h(1): catastrophic error: cannot open source file "vector_types.h"'
    world.driver()
    world.toolkit(without=("vector_types.h",))
    world.cudnn()
    world.cupy(compile=("compile", text))
    report = world.report()
    assert keys(report) == ["no-headers"]
    assert mend(report, "no-headers") == 'pip install "nvidia-cuda-runtime==13.0.*"'
    assert "lacks vector_types.h" in report.findings[0].seen


def test_04_known_by_the_compiler_alone(world: World) -> None:
    text = 'error: cannot open source file "cuda_fp16.h"\nNVRTC_ERROR_COMPILATION (6)'
    report = world.healthy(compile=("compile", text)).report()
    assert keys(report) == ["no-headers"]
    assert not report.usable


def test_05_several_wheels(world: World) -> None:
    text = "CuPy may not function correctly because multiple CuPy packages are installed"
    world.healthy(warnings=[text])
    world.package("cupy-cuda12x", "13.6.0")
    report = world.report()
    assert keys(report) == ["many-cupys"]
    command = 'pip uninstall -y cupy-cuda12x cupy-cuda13x && pip install "xpu-array[cuda13]"'
    assert mend(report, "many-cupys") == command
    assert verdict(report, "CuPy") == "broken"


def test_06_no_cuda_root(world: World) -> None:
    text = "Failed to auto-detect CUDA root directory. Please specify `CUDA_PATH`"
    toolkit = world.root / "usr/local/cuda"
    toolkit.mkdir(parents=True)
    report = world.healthy(compile=("runtime", text)).report()
    assert keys(report) == ["no-cuda-path"]
    assert mend(report, "no-cuda-path") == f"export CUDA_PATH={toolkit}"


def test_06_cuda_path_leads_nowhere(world: World) -> None:
    world.healthy()
    world.env["CUDA_PATH"] = "/nowhere/cuda-11"
    report = world.report()
    assert keys(report) == ["no-cuda-path"]
    assert mend(report, "no-cuda-path") == "unset CUDA_PATH CUDA_HOME"


def test_07_card_too_old_for_cuda_13(world: World) -> None:
    text = "nvrtc: error: invalid value for --gpu-architecture (-arch)"
    world.healthy(compile=("compile", text))
    world.driver(cc=(6, 1))
    report = world.report()
    assert keys(report) == ["wrong-architecture"]
    command = 'pip uninstall -y cupy-cuda13x && pip install "xpu-array[cuda12]"'
    assert mend(report, "wrong-architecture") == command
    assert report.findings[0].seen == "compute capability 6.1; CUDA 13 starts at 7.5"


def test_07_card_too_new_for_nvrtc(world: World) -> None:
    world.healthy()
    world.driver(cc=(13, 0))
    report = world.report()
    assert keys(report) == ["wrong-architecture"]
    assert mend(report, "wrong-architecture") == "pip install -U nvidia-cuda-nvrtc"
    assert report.findings[0].seen == "compute capability 13.0; NVRTC stops at 12.0"


def test_08_prebuilt_code_lacks_the_card(world: World) -> None:
    text = "cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device"
    report = world.healthy(sort=("cuda", text)).report()
    assert keys(report) == ["no-kernel-image"]
    assert mend(report, "no-kernel-image") == "pip install -U cupy-cuda13x"
    assert report.usable  # what CuPy compiles on the spot does run


def test_09_nvrtc_and_headers_of_different_releases(world: World) -> None:
    text = 'cuda_fp16.hpp(12): error: identifier "x" is undefined NVRTC_ERROR_COMPILATION (6)'
    world.healthy(compile=("compile", text))
    world.toolkit((13, 2), headers=(13, 0))
    report = world.report()
    assert keys(report) == ["mixed-toolkit"]
    assert mend(report, "mixed-toolkit") == 'pip install "nvidia-cuda-runtime==13.2.*"'
    assert report.findings[0].seen == "NVRTC 13.2 with headers of CUDA 13.0"


def test_10_ptx_newer_than_the_driver(world: World) -> None:
    text = "cudaErrorUnsupportedPtxVersion: the provided PTX was compiled with an unsupported one"
    report = world.healthy(compile=("cuda", text)).report()
    assert keys(report) == ["new-ptx"]
    command = 'pip install "cuda-toolkit[nvrtc,nvjitlink]==13.0.*"'
    assert mend(report, "new-ptx") == command


def test_10_ptx_asked_for(world: World) -> None:
    world.healthy()
    world.toolkit((13, 2), headers=(13, 2))
    world.env["CUPY_COMPILE_WITH_PTX"] = "1"
    report = world.report()
    assert keys(report) == ["new-ptx"]
    assert mend(report, "new-ptx") == "unset CUPY_COMPILE_WITH_PTX"
    assert report.findings[0].seen == "PTX from NVRTC 13.2, driver reads up to 13.0"


def test_11_forked_worker(world: World) -> None:
    text = "cudaErrorInitializationError: initialization error"
    report = world.healthy(count=("cuda", text)).report()
    assert keys(report) == ["fork"]
    assert mend(report, "fork") == 'multiprocessing.set_start_method("spawn")'


@pytest.mark.parametrize(
    ("process", "found"),
    [
        (Process("fork", cuda_loaded=True), ["fork"]),
        (Process("fork", cuda_loaded=True, forked=True), ["fork"]),
        (Process("fork", cuda_loaded=False), []),
        (Process("spawn", cuda_loaded=True), []),
    ],
)
def test_11_fork_after_cuda(world: World, process: Process, found: list[str]) -> None:
    report = world.healthy().report(process)
    assert keys(report) == found
    assert report.usable


def test_12_cudnn_on_a_full_card(world: World) -> None:
    world.healthy()
    world.driver(free=100 << 20)
    world.cudnn(status=1001)
    report = world.report()
    assert keys(report) == ["full-card"]
    assert report.findings[0].seen == "100 MiB of GPU memory free"
    assert mend(report, "full-card").startswith("nvidia-smi --query-compute-apps")


def test_12_cudnn_does_not_start(world: World) -> None:
    world.healthy()
    world.cudnn(status=1001)
    report = world.report()
    assert keys(report) == ["cudnn-does-not-start"]
    assert mend(report, "cudnn-does-not-start") == "pip install -U nvidia-cudnn-cu13"
    assert verdict(report, "cuDNN") == "broken"


def test_13_parts_of_two_cudnns(world: World, tmp_path: Path) -> None:
    world.healthy()
    own = world.site / "nvidia/cudnn/lib"
    other = tmp_path / "other"
    world.env["LD_LIBRARY_PATH"] += f":{other}"
    name = "libcudnn_graph.so.9"
    part = "int cudnn_part(void) { return 1002; }"
    world.compile(part, other / name, f"-Wl,-soname,{name}")
    world.compile(CUDNN, own / "libcudnn.so.9", f"{other / name}", PART=1, STATUS=0)
    report = world.report()
    assert keys(report) == ["mixed-cudnn"]
    assert report.findings[0].seen == f"parts loaded from {' and '.join(sorted([str(other), str(own)]))}"
    assert mend(report, "mixed-cudnn") == "unset LD_LIBRARY_PATH"


def test_13_known_by_its_status(world: World) -> None:
    world.healthy()
    world.cudnn(status=1002)
    report = world.report()
    assert keys(report) == ["mixed-cudnn"]
    assert "SUBLIBRARY_VERSION_MISMATCH" in report.findings[0].seen


def test_cudnn_that_only_lacks_a_driver_is_no_finding(world: World) -> None:
    world.toolkit()
    world.cupy(count=("cuda", NO_DRIVER), driver=0)
    world.cudnn(status=1002)  # as cuDNN 9.27 does, for a part of it links the driver
    assert keys(world.report()) == ["no-card"]


def test_13_two_packages_in_one_folder(world: World) -> None:
    world.healthy()
    world.package("nvidia-cudnn-cu12", "9.19.0.56")
    report = world.report()
    assert keys(report) == ["mixed-cudnn"]
    assert mend(report, "mixed-cudnn").startswith("pip uninstall -y nvidia-cudnn-cu12 nvidia-cudnn-cu13 && ")


def _shadow(world: World, tmp_path: Path, symbol: str) -> None:
    """Give pip's cuBLAS a partner by RUNPATH, and put another before it in the loader's path."""
    own, other = world.toolkit() / "lib", tmp_path / "other"
    name = "libcublasLt.so.13"
    world.compile("int cublasLtInit(void) { return 0; }", own / name, f"-Wl,-soname,{name}")
    world.compile(f"int {symbol}(void) {{ return 0; }}", other / name, f"-Wl,-soname,{name}")
    world.compile(
        "int cublasLtInit(void); int cublasInit(void) { return cublasLtInit(); }",
        own / "libcublas.so.13",
        str(own / name),
        "-Wl,--enable-new-dtags,-rpath,$ORIGIN",
    )
    world.env["LD_LIBRARY_PATH"] += f":{other}"


def test_14_shadowed_cublas_lacks_a_symbol(world: World, tmp_path: Path) -> None:
    world.healthy()
    _shadow(world, tmp_path, "anything_else")
    report = world.report()
    assert "shadowed-cublas" in keys(report)
    assert mend(report, "shadowed-cublas") == "unset LD_LIBRARY_PATH"
    errors = dict(next(p.errors for p in report.probes if p.name == "linking"))
    assert "undefined symbol: cublasLtInit" in errors["load libcublas alone"]


def test_14_shadowed_cublas_that_still_loads(world: World, tmp_path: Path) -> None:
    world.healthy()
    _shadow(world, tmp_path, "cublasLtInit")
    report = world.report()
    seen = {finding.key: finding.seen for finding in report.findings}
    assert seen["shadowed-cublas"].endswith(f"gets {tmp_path / 'other'}/libcublasLt.so.13")
    assert verdict(report, "cuBLAS") == "note"


def test_15_closed_cache(world: World, tmp_path: Path) -> None:
    world.healthy()
    closed = world.write(tmp_path / "a_file", "not a folder")
    world.env["CUPY_CACHE_DIR"] = str(closed / "kernel_cache")
    report = world.report()
    assert keys(report) == ["closed-cache"]
    assert mend(report, "closed-cache") == "export CUPY_CACHE_IN_MEMORY=1"
    world.env["CUPY_CACHE_IN_MEMORY"] = "1"
    assert keys(world.report()) == []


def test_15_known_by_its_message(world: World) -> None:
    text = "[Errno 13] Permission denied: '/home/user/.cupy/kernel_cache/tmp'"
    report = world.healthy(compile=("permission", text)).report()
    assert keys(report) == ["closed-cache"]
