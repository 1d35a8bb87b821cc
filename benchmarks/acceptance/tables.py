"""Tables: NumPy, CuPy, torch and xpu (auto, host, GPU) over operations and whole programs, at five sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import xpu
from acceptance.measure import Case, NotHere, Run, interleaved, library, rounds_for, settings
from acceptance.programs import PROGRAMS

__all__ = ["OPERATIONS", "operations", "programs", "ratios", "worst"]

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": lambda m, x: m.sqrt(x * x + 1.0),
    "reduction": lambda m, x: x.sum(),
    "matmul": lambda m, x: x @ x,
    "fft": lambda m, x: m.fft.fft(x),
    "sort": lambda m, x: m.sort(x, -1) if m.__name__ != "torch" else m.sort(x, -1)[0],
    "solve": lambda m, x: m.linalg.solve(x, x[:, :1]),
}
SIZES = (32, 100, 320, 1000, 3200)
SMALL = (8, 16, 32, 48, 64)
SIDES = (64, 128, 256, 512, 1024)
SMALL_SIDES = (12, 16, 20, 24, 32)
LARGE = 10**6


def _matrix(n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(n).standard_normal((n, n)) + n * np.eye(n)


def _ours(run: Run, mode: str, work: Callable[[Any], Any], x: Any, *, moves: bool) -> Case:
    """Return a run under a mode; with transfers it starts from NumPy's array and ends in one."""
    if not moves:
        with settings(run, mode):
            resident = xpu.asarray(x)
            resident += 0.0  # to where this mode computes

    def case() -> Any:
        with settings(run, mode):
            made = work(xpu.asarray(x) if moves else resident)
            return xpu.asnumpy(made) if moves else made

    return case


def _theirs(run: Run, name: str, work: Callable[[Any, Any], Any], x: Any, *, moves: bool) -> Case | str:
    """Return CuPy's or torch's run, or why there is none."""
    try:
        found = library(name, run)
    except NotHere as error:
        return str(error)
    if name == "cupy":
        raw = found.asarray(x)
        return lambda: found.asnumpy(work(found, found.asarray(x))) if moves else work(found, raw)
    there = "cuda" if run.device == "cuda" else "cpu"
    tensor = found.from_numpy(x).to(there)

    def by_torch() -> None:
        if moves:
            work(found, found.from_numpy(x).to(there)).cpu()
        else:
            work(found, tensor)
        if there == "cuda":
            found.cuda.synchronize()

    return by_torch


def operations(run: Run) -> dict[str, Any]:
    """Every operation at every size, transfers included and excluded; small sizes first."""
    rows, left = [], 0
    for n in SMALL if run.small else SIZES:
        x = _matrix(n)
        for name, work in OPERATIONS.items():
            for moves in (False, True):
                if run.spent():
                    left += 1
                    continue
                ways: dict[str, Case | str] = {
                    "numpy": lambda work=work, x=x: work(np, x),
                    "cupy": _theirs(run, "cupy", work, x, moves=moves),
                    "torch": _theirs(run, "torch", work, x, moves=moves),
                }
                for mode in ("auto", "cpu", "gpu"):
                    ways[f"xpu {mode}"] = _ours(run, mode, lambda a, work=work: work(xpu, a), x, moves=moves)
                found = interleaved(run, ways, 1)
                longest = max((s for s in found.values() if isinstance(s, float)), default=1.0)
                found = interleaved(run, ways, 3 if run.small else rounds_for(longest, 21))
                rows.append({"operation": name, "elements": n * n, "transfers": moves, "seconds": found})
                run.emit(rows[-1])
    return {"rows": rows, "not run": left, "targets": ratios(rows)}


def programs(run: Run) -> dict[str, Any]:
    """Ten whole programs at five sizes; each starts from nothing, so there is nothing to transfer in."""
    rows, left = [], 0
    for n in SMALL_SIDES if run.small else SIDES:
        for name, program in PROGRAMS.items():
            if run.spent():
                left += 1
                continue
            ways: dict[str, Case | str] = {"numpy": lambda p=program, n=n: float(p(np, n))}
            try:
                cupy = library("cupy", run)
                ways["cupy"] = lambda p=program, n=n, m=cupy: float(p(m, n))
            except NotHere as error:
                ways["cupy"] = str(error)
            for mode in ("auto", "cpu", "gpu"):

                def ours(p: Any = program, n: int = n, mode: str = mode) -> float:
                    with settings(run, mode):
                        return float(p(xpu, n))

                ways[f"xpu {mode}"] = ours
            rows.append({"program": name, "n": n, "seconds": interleaved(run, ways, 1 if run.small else 3)})
            run.emit(rows[-1])
    return {"rows": rows, "not run": left, "targets": ratios(rows)}


def ratios(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios that the targets speak of: forced GPU against CuPy, auto against the better device."""
    against_cupy, overhead, regret = [], [], []
    for row in rows:
        s = {k: v for k, v in row["seconds"].items() if isinstance(v, float) and v > 0}
        # With transfers, xpu copies through its own path: the comparison with raw CuPy is of what is resident.
        if {"cupy", "xpu gpu"} <= s.keys() and not row.get("transfers"):
            if row.get("elements", 0) >= LARGE:
                against_cupy.append(s["xpu gpu"] / s["cupy"])
            elif "elements" in row:
                overhead.append((s["xpu gpu"] - s["cupy"]) * 1e6)
        if {"xpu auto", "xpu cpu", "xpu gpu"} <= s.keys():
            regret.append(s["xpu auto"] / min(s["xpu cpu"], s["xpu gpu"]))
    found = {"auto over the better device": (worst(regret), "at most 1.10")}
    if any("elements" in row for row in rows):
        found["forced GPU over CuPy, from 10^6 elements on"] = (worst(against_cupy), "at most 1.05")
        found["forced GPU less CuPy on fewer, microseconds"] = (worst(overhead), "at most 5")
    return found


def worst(values: list[float], *, least: bool = False) -> dict[str, float] | str:
    """Return the median and the worst of several readings (the least, where more is better)."""
    if not values:
        return "not run"
    ordered = sorted(values, reverse=least)
    return {"median": ordered[len(ordered) // 2], "worst": ordered[-1], "cases": len(ordered)}
