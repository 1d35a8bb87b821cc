"""The probes' answers, read once into the names that the table and the checks speak of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xpu._doctor._model import Probe

Version = tuple[int, ...]


def version(text: str) -> Version:
    """Return the leading numbers of a version.

    Parameters
    ----------
    text : str
        For example ``"14.0.0rc1"``.

    Returns
    -------
    tuple of int
        Empty where the text has no number.

    Examples
    --------
    >>> version("580.65.06"), version("14.0.0rc1"), version("")
    ((580, 65, 6), (14, 0, 0), ())
    """
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


@dataclass(frozen=True)
class Process:
    """What matters of the process that asked: how it starts workers, and whether CUDA is in it.

    Attributes
    ----------
    start_method : str
        Of `multiprocessing`: ``"fork"``, ``"spawn"`` or ``"forkserver"``.
    cuda_loaded : bool
        Whether the driver's library is mapped into this process.
    forked : bool
        Whether this process is itself a forked worker.
    """

    start_method: str = "spawn"
    cuda_loaded: bool = False
    forked: bool = False


@dataclass(frozen=True)
class Facts:
    """All that was found; every attribute has a plain value when its probe said nothing.

    Attributes
    ----------
    probes : mapping of str to Probe
        The raw answers.
    process : Process
        The process that asked.
    """

    probes: Mapping[str, Probe]
    process: Process

    def get(self, probe: str, key: str) -> Any:
        """Return one raw fact, None if it was not told."""
        answer = self.probes.get(probe)
        return answer.facts.get(key) if answer else None

    def entry(self, probe: str, key: str) -> dict[str, Any]:
        """Return one raw fact that is a mapping, an empty one if it was not told."""
        value = self.get(probe, key)
        return value if isinstance(value, dict) else {}

    def variable(self, name: str) -> str | None:
        """Return an environment variable as the probes saw it."""
        value = self.entry("machine", "variables").get(name)
        return None if value is None else str(value)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every message: errors of steps, warnings, and the last words of crashed probes."""
        answers = self.probes.values()
        return tuple(
            text for answer in answers for text in (*(error for _, error in answer.errors), answer.detail) if text
        ) + tuple(
            str(value["error"])
            for value in (self.probes["libraries"].facts if "libraries" in self.probes else {}).values()
            if isinstance(value, dict) and "error" in value
        )

    @cached_property
    def packages(self) -> dict[str, str]:
        """Versions of the installed packages that matter here, by name."""
        return {str(k): str(v) for k, v in self.entry("machine", "packages").items()}

    @cached_property
    def wheels(self) -> tuple[str, ...]:
        """Names of the CuPy packages that exclude one another (cupy/_environment.py)."""
        own = re.compile(r"^(amd-cupy|cupy|cupy-(cuda|rocm)[-\w]*)$")
        return tuple(sorted(name for name in self.packages if own.match(name)))

    @cached_property
    def wheel_cuda(self) -> int:
        """The CUDA major version the CuPy wheel was built for; 0: none, several, or unknown."""
        if len(self.wheels) != 1:
            return 0
        found = re.match(r"cupy-cuda(1[1-9])", self.wheels[0])
        return int(found[1]) if found else 0

    @cached_property
    def cupy(self) -> str:
        """CuPy's version: as it told itself, else as its package says; empty if not installed."""
        told = self.get("cupy", "version")
        return str(told) if told else (self.packages[self.wheels[0]] if self.wheels else "")

    @cached_property
    def driver(self) -> str:
        """The driver's version as NVML told it; empty if NVML does not run."""
        return str(self.get("nvml", "driver") or "")

    @cached_property
    def driver_cuda(self) -> Version:
        """The newest CUDA version the driver runs, as (major, minor); empty if not known."""
        number = int(self.get("nvml", "cuda") or self.get("cupy", "driver") or 0)
        return (number // 1000, number % 1000 // 10) if number else ()

    @cached_property
    def gpus(self) -> tuple[dict[str, Any], ...]:
        """What NVML tells of each card."""
        return tuple(self.get("nvml", "gpus") or ())

    @cached_property
    def capabilities(self) -> tuple[Version, ...]:
        """Compute capability of each card that told it."""
        return tuple(tuple(g["capability"]) for g in self.gpus if g.get("capability"))

    @cached_property
    def container(self) -> str:
        """Kind of container this runs in; empty: none that is known."""
        return str(self.get("machine", "container") or "")

    @cached_property
    def ran(self) -> bool:
        """Whether a GPU ran a kernel compiled on the spot and a cuBLAS call, both right."""
        ran = self.entry("cupy", "ran")
        return bool(ran.get("compile a kernel") and ran.get("multiply matrices"))

    @cached_property
    def card_expected(self) -> bool:
        """Whether the machine seems to have an NVIDIA card at all, or cannot tell."""
        if self.gpus or self.driver or self.get("machine", "kernel_module"):
            return True
        return self.get("machine", "cards_on_bus") != 0 or bool(self.get("machine", "wsl"))

    def library(self, name: str) -> dict[str, Any]:
        """Return what the probe of the toolkit found of one library, or of the headers."""
        return self.entry("libraries", name)

    def library_version(self, name: str) -> Version:
        """Return the version of one library of the toolkit; empty if it was not found."""
        return version(str(self.library(name).get("version") or ""))
