"""Tables: NumPy, CuPy, torch and xpu (auto, host, GPU) over operations and whole programs, at five sizes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import xpu
from acceptance.measure import clock_of, cupy_or_none, interleaved, settings, torch_or_none
from acceptance.programs import PROGRAMS

__all__ = ["convolutions", "operations", "programs"]

Way = tuple[Callable[[], Any], Callable[[], float]]

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


def _matrix(n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(n).standard_normal((n, n)) + n * np.eye(n)


def _ours(device: str, mode: str, work: Callable[[Any], Any], x: Any, *, moves: bool) -> Callable[[], Any]:
    """Return a run under a mode; with transfers it starts from NumPy's array and ends in one."""
    if not moves:
        with settings(device, mode):
            resident = xpu.asarray(x)
            resident += 0.0  # to where this mode computes

    def run() -> Any:
        with settings(device, mode):
            made = work(xpu.asarray(x) if moves else resident)
            return xpu.asnumpy(made) if moves else made

    return run


def _ways(name: str, x: Any, device: str, *, moves: bool) -> dict[str, Way]:
    work = OPERATIONS[name]
    host, there = time.perf_counter, clock_of(device)
    ways: dict[str, Way] = {"numpy": (lambda: work(np, x), host)}
    cupy, torch = cupy_or_none(device), torch_or_none(device)
    if cupy is not None:
        raw = cupy.asarray(x)
        ways["cupy"] = (lambda: cupy.asnumpy(work(cupy, cupy.asarray(x))) if moves else work(cupy, raw), there)
    if torch is not None:
        tensor = torch.from_numpy(x).cuda()
        wait = torch.cuda.synchronize

        def by_torch() -> None:
            work(torch, torch.from_numpy(x).cuda()).cpu() if moves else work(torch, tensor)
            wait()

        ways["torch"] = (by_torch, host)
    for mode in ("auto", "cpu", "gpu"):
        clock = host if mode == "cpu" else there
        ways[f"xpu {mode}"] = (_ours(device, mode, lambda a: work(xpu, a), x, moves=moves), clock)
    return ways


def operations(device: str, small: bool) -> dict[str, Any]:
    """Every operation at every size, transfers included and excluded."""
    rows = []
    for name in OPERATIONS:
        for n in SMALL if small else SIZES:
            x = _matrix(n)
            for moves in (False, True):
                found = interleaved(_ways(name, x, device, moves=moves), 3 if small else 11)
                rows.append({"operation": name, "elements": n * n, "transfers": moves, "seconds": found})
    return {"rows": rows, "targets": _targets(rows, device)}


def programs(device: str, small: bool) -> dict[str, Any]:
    """Ten whole programs at five sizes; each starts from nothing, so there is nothing to transfer in."""
    rows = []
    for name, program in PROGRAMS.items():
        for n in (16, 24, 32, 40, 48) if small else (64, 128, 256, 512, 1024):
            ways: dict[str, Way] = {"numpy": (lambda p=program, n=n: float(p(np, n)), time.perf_counter)}
            cupy = cupy_or_none(device)
            if cupy is not None:
                ways["cupy"] = (lambda p=program, n=n, m=cupy: float(p(m, n)), clock_of(device))
            for mode in ("auto", "cpu", "gpu"):

                def ours(p: Any = program, n: int = n, mode: str = mode) -> float:
                    with settings(device, mode):
                        return float(p(xpu, n))

                ways[f"xpu {mode}"] = (ours, time.perf_counter if mode == "cpu" else clock_of(device))
            rows.append({"program": name, "n": n, "seconds": interleaved(ways, 1 if small else 3)})
    return {"rows": rows, "targets": _targets(rows, device)}


def _targets(rows: list[dict[str, Any]], device: str) -> dict[str, Any]:
    """Ratios that the targets speak of: forced GPU against CuPy, auto against the better device."""
    against_cupy, overhead, regret = [], [], []
    for row in rows:
        s = {k: v for k, v in row["seconds"].items() if isinstance(v, float) and v > 0}
        if {"cupy", "xpu gpu"} <= s.keys():
            if row.get("elements", 0) >= 10**6:
                against_cupy.append(s["xpu gpu"] / s["cupy"])
            elif "elements" in row:
                overhead.append((s["xpu gpu"] - s["cupy"]) * 1e6)
        if device == "cuda" and {"xpu auto", "xpu cpu", "xpu gpu"} <= s.keys():  # else real and virtual time mix
            regret.append(s["xpu auto"] / min(s["xpu cpu"], s["xpu gpu"]))
    return {
        "forced GPU over CuPy, from 10^6 elements (target 1.05)": _worst(against_cupy),
        "forced GPU less CuPy, smaller, microseconds (target 5)": _worst(overhead),
        "auto over the better device (target 1.10)": _worst(regret),
    }


def _worst(values: list[float]) -> dict[str, float] | str:
    if not values:
        return "not run"
    ordered = sorted(values)
    return {"median": ordered[len(ordered) // 2], "worst": ordered[-1], "cases": len(ordered)}


def convolutions(device: str, small: bool) -> dict[str, Any]:
    """Convolution forced to the GPU against torch's, both through cuDNN."""
    nn = getattr(xpu, "nn", None)
    if nn is None:
        return {"note": "not run: this build has no xpu.nn"}
    shapes = (
        [((1, 3, 16, 16), (4, 3, 3, 3))]
        if small
        else [
            ((8, 64, 56, 56), (64, 64, 3, 3)),
            ((32, 3, 224, 224), (64, 3, 7, 7)),
            ((16, 256, 14, 14), (256, 256, 3, 3)),
        ]
    )
    rows = []
    torch = torch_or_none(device)
    for image, weight in shapes:
        rng = np.random.default_rng(0)
        x, w = rng.standard_normal(image).astype("f4"), rng.standard_normal(weight).astype("f4")
        with settings(device, "gpu"):
            ours_x, ours_w = xpu.asarray(x) + 0, xpu.asarray(w) + 0

        def ours(a: Any = ours_x, b: Any = ours_w) -> Any:
            with settings(device, "gpu"):
                return nn.conv2d(a, b, padding=1)

        ways: dict[str, Way] = {"xpu gpu": (ours, clock_of(device))}
        if torch is not None:
            torch.backends.cudnn.allow_tf32 = False
            tx, tw = torch.from_numpy(x).cuda(), torch.from_numpy(w).cuda()

            def theirs(a: Any = tx, b: Any = tw) -> None:
                torch.nn.functional.conv2d(a, b, padding=1)
                torch.cuda.synchronize()

            ways["torch"] = (theirs, time.perf_counter)
        rows.append({"image": image, "weight": weight, "seconds": interleaved(ways, 2 if small else 20)})
    ratios = [
        r["seconds"]["torch"] / r["seconds"]["xpu gpu"]
        for r in rows
        if all(isinstance(r["seconds"].get(k), float) for k in ("torch", "xpu gpu"))
    ]
    speed = {"worst": min(ratios), "cases": len(ratios)} if ratios else "not run"
    return {"rows": rows, "targets": {"convolution's speed over torch's (target at least 0.95)": speed}}
