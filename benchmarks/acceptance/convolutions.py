"""Convolutions forced to the GPU (through cuDNN) against torch's, with every result compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import xpu
from acceptance.measure import Case, NotHere, Run, interleaved, library, settings
from acceptance.tables import worst

__all__ = ["convolutions", "speeds"]

Array = np.ndarray[Any, Any]
SMALL = (((2, 3, 16, 16), (4, 3, 3, 3), 1, 1), ((1, 1, 40, 40), (1, 1, 7, 7), 1, 3))
CASES = (
    ((32, 3, 224, 224), (64, 3, 7, 7), 2, 3),
    ((32, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    ((32, 256, 56, 56), (64, 256, 1, 1), 1, 0),
    ((32, 256, 14, 14), (256, 256, 3, 3), 1, 1),
    ((1, 64, 256, 256), (64, 64, 3, 3), 1, 1),
    ((1, 1, 2048, 2048), (1, 1, 15, 15), 1, 7),
)
KINDS = ("forward", "gradient of the input", "gradient of the weight")
TOLERANCE = {"float32": 1e-4, "float16": 2e-2}


def convolutions(run: Run) -> dict[str, Any]:
    """Three kinds, two dtypes, several shapes; the speed target speaks of float32."""
    rows, left = [], 0
    for image, weight, stride, padding in SMALL if run.small else CASES:
        for dtype in ("float32", "float16"):
            for kind in KINDS:
                if run.spent():
                    left += 1
                    continue
                row = _row(run, kind, dtype, image, weight, {"stride": stride, "padding": padding})
                rows.append(row)
                run.emit(row)
    return {"rows": rows, "not run": left, "targets": speeds(rows)}


def speeds(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios that the targets speak of: against torch, and of automatic choice to the better device."""
    speed, errors, regret = [], [], []
    for row in rows:
        s = {way: seconds for way, seconds in row["seconds"].items() if isinstance(seconds, float)}
        if {"xpu gpu", "torch"} <= s.keys() and row["dtype"] == "float32":
            speed.append(s["torch"] / s["xpu gpu"])
        if {"xpu auto", "xpu cpu", "xpu gpu"} <= s.keys():
            regret.append(s["xpu auto"] / min(s["xpu cpu"], s["xpu gpu"]))
        if isinstance(row["error"], float):
            errors.append(row["error"] / TOLERANCE[row["dtype"]])
    return {
        "speed over torch's, float32": (worst(speed, least=True), "at least 0.95"),
        "largest difference from torch over what rounding allows": (worst(errors), "at most 1"),
        "auto over the better device": (worst(regret), "at most 1.10"),
    }


def _row(
    run: Run, kind: str, dtype: str, image: tuple[int, ...], weight: tuple[int, ...], options: dict[str, int]
) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(image).astype(dtype), rng.standard_normal(weight).astype(dtype)
    sides = [
        (n + 2 * options["padding"] - k) // options["stride"] + 1 for n, k in zip(image[2:], weight[2:], strict=True)
    ]
    y = rng.standard_normal((image[0], weight[0], *sides)).astype(dtype)
    with settings(run, "gpu"):
        a, b, c = (xpu.asarray(v) + 0 for v in (x, w, y))

    def ours(mode: str = "gpu") -> Any:
        with settings(run, mode):
            if kind == "forward":
                return xpu.nn.conv2d(a, b, **options)
            if kind == "gradient of the input":
                return xpu.nn.conv2d_input(image, b, c, **options)
            return xpu.nn.conv2d_weight(a, weight, c, **options)

    ways: dict[str, Case | str] = {"xpu gpu": ours}
    error: float | str = "not run"
    try:
        theirs = _torch(run, kind, (x, w, y), options)
        ways["torch"] = theirs
        reference = theirs().float().cpu().numpy()
        got = xpu.asnumpy(ours()).astype("f4")
        error = float(np.abs(got - reference).max() / np.abs(reference).max())
    except NotHere as why:
        ways["torch"] = str(why)
    except RuntimeError as why:  # torch's for what it does not do on this device
        ways["torch"] = f"torch: {why}"[:200]
    with xpu.profile() as p:
        ours()
    where = ", ".join(dict.fromkeys(e.device for e in p.events if e.op.startswith("nn."))) or "nowhere"
    for mode in ("auto", "cpu"):  # on the host one of the six takes as long as all on a card
        one = kind == "forward" and dtype == "float32"
        ways[f"xpu {mode}"] = partial(ours, mode) if one else "timed for forward float32 alone"
    found = interleaved(run, ways, 2 if run.small else 15)
    return {
        "kind": kind,
        "dtype": dtype,
        "image": " x ".join(map(str, image)),
        "kernel": " x ".join(map(str, weight)),
        "ran on": where,
        "error": error,
        "seconds": found,
    }


def _torch(run: Run, kind: str, arrays: tuple[Array, Array, Array], options: dict[str, int]) -> Callable[[], Any]:
    torch = library("torch", run)
    there = "cuda" if run.device == "cuda" else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # as xpu's default
    torch.backends.cudnn.benchmark = True
    x, w, y = (torch.from_numpy(a).to(there) for a in arrays)
    functional, gradients = torch.nn.functional, torch.nn.grad

    def theirs() -> Any:
        if kind == "forward":
            made = functional.conv2d(x, w, **options)
        elif kind == "gradient of the input":
            made = gradients.conv2d_input(x.shape, w, y, **options)
        else:
            made = gradients.conv2d_weight(x, w.shape, y, **options)
        if there == "cuda":
            torch.cuda.synchronize()
        return made

    return theirs
