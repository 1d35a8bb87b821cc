"""The commands that mend, filled with what is right for this machine."""

from __future__ import annotations

import os

from xpu._doctor._checks import CAPABILITY_FLOOR, dotted
from xpu._doctor._facts import Facts

DRIVERS = (  # distribution as /etc/os-release names it -> the command that installs the driver
    ("ubuntu", "sudo ubuntu-drivers install && sudo reboot"),
    ("debian", "sudo apt install nvidia-driver && sudo reboot"),
    ("fedora", "sudo dnf install akmod-nvidia && sudo reboot"),
    ("rhel", "sudo dnf install nvidia-open && sudo reboot"),
    ("suse", "sudo zypper install nvidia-open-driver-G06-signed && sudo reboot"),
    ("arch", "sudo pacman -S nvidia-open && sudo reboot"),
)
DRIVER_PAGE = "install the driver from https://www.nvidia.com/drivers, then restart the computer"


def words(facts: Facts) -> dict[str, str]:
    """Return the machine's own words for the templates of `_symptoms`.

    Parameters
    ----------
    facts : Facts
        What was found.

    Returns
    -------
    dict of str to str
        By the names that stand in braces in the templates.
    """
    major = _cuda_major(facts)
    wheel = next((name for name in facts.wheels if name.endswith("x")), f"cupy-cuda{major}x")
    built = facts.wheel_cuda or major
    compiler = dotted(facts.library_version("nvrtc")[:2]) or f"{built}"
    suffix = "-cu12" if built == 12 else ""
    cudnn = [name for name in facts.packages if name.startswith("nvidia-cudnn-cu")]
    return {
        "xpu": f'"xpu-array[cuda{major}]"',
        "wheel": wheel,
        "wheels": " ".join(facts.wheels) or wheel,
        "driver": _driver(facts),
        "toolkit": _toolkit(facts),
        "runtime": f'"nvidia-cuda-runtime{suffix}=={compiler}.*"',
        "nvrtc": f"nvidia-cuda-nvrtc{suffix}",
        "architecture": _architecture(facts, f"nvidia-cuda-nvrtc{suffix}"),
        "ptx": _ptx(facts),
        "cudnn": cudnn[0] if len(cudnn) == 1 else f"nvidia-cudnn-cu{built}",
        "one_cudnn": _one_cudnn(facts, major),
        "broken": " ".join(p.name for p in facts.probes.values() if p.ending != "ok"),
    }


def _cuda_major(facts: Facts) -> int:
    """Choose the CUDA the extras should bring: 13 unless the driver or a card is too old for it."""
    old_driver = bool(facts.driver_cuda) and facts.driver_cuda < (13, 0)
    old_card = any(capability < CAPABILITY_FLOOR[13] for capability in facts.capabilities)
    return 12 if old_driver or old_card else 13


def _driver(facts: Facts) -> str:
    if facts.get("machine", "wsl") or facts.get("machine", "platform") != "linux":
        return DRIVER_PAGE
    system = str(facts.get("machine", "system") or "")
    return next((command for name, command in DRIVERS if name in system), DRIVER_PAGE)


def _toolkit(facts: Facts) -> str:
    """Point CUDA_PATH at a toolkit that is there, else let pip bring one."""
    toolkits = facts.get("machine", "toolkits") or ()
    if toolkits:
        return f"export CUDA_PATH={toolkits[0]}"
    return "unset CUDA_PATH CUDA_HOME"


def _architecture(facts: Facts, nvrtc: str) -> str:
    """Go back to CUDA 12 for an old card, or get a newer NVRTC for a new one."""
    if any(capability < CAPABILITY_FLOOR[13] for capability in facts.capabilities):
        return f'pip uninstall -y {" ".join(facts.wheels)} && pip install "xpu-array[cuda12]"'
    return f"pip install -U {nvrtc}"


def _ptx(facts: Facts) -> str:
    if facts.variable("CUPY_COMPILE_WITH_PTX") == "1":
        return "unset CUPY_COMPILE_WITH_PTX"
    if facts.driver_cuda:
        return f'pip install "cuda-toolkit[nvrtc,nvjitlink]=={dotted(facts.driver_cuda)}.*"'
    return _driver(facts)


def _one_cudnn(facts: Facts, major: int) -> str:
    packages = sorted(name for name in facts.packages if name.startswith("nvidia-cudnn-cu"))
    if len(packages) > 1:
        return f'pip uninstall -y {" ".join(packages)} && pip install "xpu-array[cuda{major}]"'
    searched = [f for f in (facts.variable("LD_LIBRARY_PATH") or "").split(os.pathsep) if f]
    copies = facts.get("cudnn", "copies") or ()
    loaded = facts.get("cudnn", "loaded") or ()
    if any(os.path.dirname(path) in searched for path in (*copies, *loaded)):
        return "unset LD_LIBRARY_PATH"
    if packages:
        return "sudo apt remove 'libcudnn9*'"
    return f'pip install "xpu-array[cuda{major}]"'
