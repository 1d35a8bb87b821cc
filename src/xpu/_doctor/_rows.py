"""The table: one row per part, with what it is for, what was found and whether it fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from xpu._doctor._checks import dotted
from xpu._doctor._facts import Facts
from xpu._doctor._model import WIDTHS, Finding, Row, Verdict, cut

CARD, TOOLKIT, CUDNN, AROUND = "Driver and card", "CuPy and the CUDA toolkit", "cuDNN", "Around them"
PARTS = {  # the group each stands in, and what it is for
    "NVIDIA driver": (CARD, "lets the system control the card"),
    "GPU": (CARD, "the card that computes"),
    "GPU link": (CARD, "moves data to and from the card"),
    "Access": (CARD, "lets this process see the card"),
    "CuPy": (TOOLKIT, "NumPy for the GPU"),
    "CUDA runtime": (TOOLKIT, "starts kernels, moves data"),
    "NVRTC": (TOOLKIT, "compiles kernels on first use"),
    "CUDA headers": (TOOLKIT, "what every kernel includes"),
    "cuBLAS": (TOOLKIT, "matrix products"),
    "cuFFT": (TOOLKIT, "Fourier transforms"),
    "cuRAND": (TOOLKIT, "random numbers"),
    "cuSPARSE": (TOOLKIT, "sparse matrices"),
    "cuSOLVER": (TOOLKIT, "linear systems, eigenvalues"),
    "cuDNN": (CUDNN, "convolutions at full speed"),
    "cuDNN frontend": (CUDNN, "plans convolutions from Python"),
    "Kernel cache": (AROUND, "keeps compiled kernels on disk"),
    "Fork": (AROUND, "how worker processes start"),
    "nvidia-ml-py": (AROUND, "asks the driver about the card"),
    "cuda-pathfinder": (AROUND, "finds the CUDA libraries"),
}
LIBRARIES = {
    "CUDA runtime": "cudart",
    "NVRTC": "nvrtc",
    "cuBLAS": "cublas",
    "cuFFT": "cufft",
    "cuRAND": "curand",
    "cuSPARSE": "cusparse",
    "cuSOLVER": "cusolver",
}
# Findings that stop nothing: the GPU works without what they name.
MILD = {
    "no-cudnn",
    "frontend",
    "fork",
    "mixed-toolkit",
    "shadowed-cublas",
    "broken-probe",
    "no-card",
}
# What else a command mends: the parts that are missing for the same reason.
COVERS = {
    "no-card": ("NVIDIA driver", "GPU"),
    "container-without-gpu": ("NVIDIA driver", "GPU"),
    "no-driver": ("GPU",),
    "stale-driver": ("GPU",),
    "troubled-driver": ("GPU",),
    "no-cupy": (*LIBRARIES, "CUDA headers", "cuDNN", "cuDNN frontend"),
    "no-toolkit": (*LIBRARIES, "CUDA headers"),
    "no-cudnn": ("cuDNN frontend",),
}
PLACES = {"site-packages": "pip", "conda": "conda", "CUDA_PATH": "CUDA_PATH"}  # else: the system


def build(facts: Facts, findings: Iterable[Finding]) -> tuple[Row, ...]:
    """Lay out the table.

    Parameters
    ----------
    facts : Facts
        What was found.
    findings : iterable of Finding
        What is wrong; it decides the verdict of the rows it names.

    Returns
    -------
    tuple of Row
        In the order a signal takes from the card to Python.
    """
    rows = [_driver(facts), *_gpus(facts), _access(facts), _cupy(facts)]
    rows += [_library(part, facts.library(name)) for part, name in LIBRARIES.items()]
    rows.insert(len(rows) - len(LIBRARIES) + 2, _library("CUDA headers", facts.library("headers")))
    rows += [_cudnn(facts), _frontend(facts), _cache(facts), _fork(facts)]
    rows += [_helper(facts, name) for name in ("nvidia-ml-py", "cuda-pathfinder")]
    worst: dict[str, Verdict] = {}
    named: dict[str, int] = {}
    covered: dict[str, int] = {}
    for number, finding in enumerate(findings, 1):
        mild = finding.key in MILD
        worst[finding.part] = worst.get(finding.part, "note") if mild else "broken"
        named.setdefault(finding.part, number)
        for part in COVERS.get(finding.key, ()):
            covered.setdefault(part, number)
    judged = (_judge(row, worst.get(row.part)) for row in rows)
    return tuple(_numbered(row, named.get(row.part) or covered.get(row.part, 0)) for row in judged)


def _judge(row: Row, verdict: Verdict | None) -> Row:
    """Let a finding worsen a row that is there; one that is missing says enough."""
    if verdict is None or row.verdict == "missing":
        return row
    return replace(row, verdict=verdict)


def _numbered(row: Row, number: int) -> Row:
    """Refer a row that is not well to the finding that mends it."""
    return row if row.verdict == "ok" else replace(row, see=number)


def _row(part: str, found: str, verdict: Verdict | None = None, where: str = "") -> Row:
    """Make a row; nothing found means missing."""
    group, purpose = PARTS[part]
    return Row(part, purpose, found or "not found", verdict or ("ok" if found else "missing"), where, group)


def _driver(facts: Facts) -> Row:
    if not facts.driver:
        module = str(facts.get("machine", "kernel_module") or "")
        silent = f"{module}, does not answer" if module else ""
        return _row("NVIDIA driver", silent, "broken" if module else None)
    newest = f", CUDA up to {dotted(facts.driver_cuda)}" if facts.driver_cuda else ""
    return _row("NVIDIA driver", facts.driver + newest, where=str(facts.get("nvml", "through")))


def _gpus(facts: Facts) -> list[Row]:
    if not facts.gpus:
        cards = facts.get("machine", "cards_on_bus")
        unreached = f"{cards} on the bus, out of reach" if cards else ""
        return [_row("GPU", unreached, "broken" if cards else None)]
    return [row for i, card in enumerate(facts.gpus) for row in (_card(i, card), _link(card))]


def _card(index: int, card: dict[str, Any]) -> Row:
    """Name, compute capability and memory; a long name is cut, the numbers are not."""
    rest = f", cc {dotted(tuple(card['capability']))}" if card.get("capability") else ""
    rest += f", {int(card['memory_bytes']) / 2**30:.0f} GiB" if card.get("memory_bytes") else ""
    rest += ", MIG" if card.get("partitioned") else ""
    name = str(card.get("name") or "").removeprefix("NVIDIA ").removeprefix("GeForce ")
    return _row("GPU", f"{index}: {cut(name, WIDTHS[2] - 3 - len(rest))}{rest}")


def _link(card: dict[str, Any]) -> Row:
    """Read the link; the generation falls when a card idles, missing lanes stay missing."""
    generation = card.get("pcie_generation_max") or card.get("pcie_generation")
    width, widest = card.get("pcie_width"), card.get("pcie_width_max")
    if not generation or not width:
        return _row("GPU link", "not told (a virtual card?)", "note")
    if widest and width < widest:
        return _row("GPU link", f"PCIe {generation} x{width}, the card has x{widest}", "note")
    return _row("GPU link", f"PCIe {generation} x{width}")


def _access(facts: Facts) -> Row:
    told = [f"{facts.container} container" if facts.container else ""]
    told.append("WSL" if facts.get("machine", "wsl") else "")
    value = facts.variable("CUDA_VISIBLE_DEVICES")
    told.append("" if value is None else f"CUDA_VISIBLE_DEVICES={value!r}")
    return _row("Access", ", ".join(item for item in told if item) or "nothing in the way")


def _cupy(facts: Facts) -> Row:
    named = f" ({', '.join(facts.wheels)})" if facts.wheels else ""
    path = str(facts.get("cupy", "path") or "")
    if facts.cupy and not facts.get("cupy", "version"):
        return _row("CuPy", f"{facts.cupy}{named}, does not import", "broken", path)
    return _row("CuPy", facts.cupy + named if facts.cupy else "", where=path)


def _library(part: str, entry: dict[str, str]) -> Row:
    path = str(entry.get("path") or "")
    if not path:
        return _row(part, "", where=str(entry.get("error") or ""))
    place = PLACES.get(str(entry.get("found_via")), "system")
    return _row(part, f"{entry.get('version') or 'unknown version'}, {place}", where=path)


def _cudnn(facts: Facts) -> Row:
    number = int(facts.get("cudnn", "version") or 0)
    path = str(facts.get("cudnn", "path") or "")
    if not number:
        copies = facts.get("cudnn", "copies") or ()
        return _row("cuDNN", "does not load" if copies else "", "broken" if copies else None)
    told = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    place = PLACES.get(str(facts.get("cudnn", "found_via")), "system")
    idle = ", waits for a GPU" if facts.get("cudnn", "status") and not facts.gpus else ""
    return _row("cuDNN", f"{told}, {place}{idle}", where=path)


def _frontend(facts: Facts) -> Row:
    told = facts.get("cudnn", "frontend")
    installed = facts.packages.get("nvidia-cudnn-frontend", "")
    if installed and not told:
        return _row("cuDNN frontend", f"{installed}, does not import", "broken")
    return _row("cuDNN frontend", str(told or ""))


def _cache(facts: Facts) -> Row:
    cache = facts.entry("machine", "cache")
    path = str(cache.get("path") or "")
    if cache.get("in_memory"):
        return _row("Kernel cache", "in memory only", "note", path)
    shown = str(cache.get("shown") or path) + ("" if cache.get("writable") else " (closed)")
    return _row("Kernel cache", shown if path else "", where=path)


def _fork(facts: Facts) -> Row:
    method = facts.process.start_method
    hazard = "fork; after CUDA, only spawn works" if method == "fork" else method
    return _row("Fork", hazard, "note" if method == "fork" else "ok")


def _helper(facts: Facts, name: str) -> Row:
    told = facts.packages.get(name, "")
    return _row(name, told or "not installed; done without", None if told else "note")
