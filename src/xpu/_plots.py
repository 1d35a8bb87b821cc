"""Pictures: a profile's timeline, and a machine's break-even curves. Loaded when somebody draws.

Colours are Okabe and Ito's, which people with any common colour vision tell apart; devices differ by line
style or by row too.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpu import fft  # its rows
from xpu._analysis import LANES, Span, Utilisation
from xpu._changes import Question, break_even_of
from xpu._machine import Machine
from xpu._op import OPS, Op, Shaped
from xpu._placement import Operand, Policy
from xpu._processor import Link, Processor
from xpu._sizes import resized
from xpu._trace import seconds, size
from xpu.errors import text

__all__ = ["break_even_curves", "timeline"]

_BLUE, _ORANGE, _GREEN, _PURPLE, _GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#5F5F5F"
_COLOURS = {"cpu": _BLUE, "gpu": _ORANGE, "to device": _GREEN, "to host": _PURPLE}
_NAMES = {"cpu": "CPU", "gpu": "GPU", "to device": "link to GPU", "to host": "link to CPU"}


def _figure(**options: Any) -> tuple[Any, Any]:
    """Return a figure that belongs to no window system, and its axes."""
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        remedy = 'Run: pip install "xpu-array[docs]"'
        raise ImportError(text("plot", "it needs matplotlib, which is not installed", remedy)) from error
    shape = {key: options.pop(key) for key in ("nrows", "ncols", "sharex", "sharey") if key in options}
    figure = figures.Figure(layout="constrained", **options)
    return figure, figure.subplots(**shape)


def _saved(figure: Any, path: Any) -> Any:
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


# ----------------------------------------------------------------------------- timeline


def timeline(profile: Any, path: Any = None) -> Any:
    """Draw what kept the host, the GPU and the link busy (see `profile.plot`)."""
    busy: Sequence[Span] = profile.timeline()
    used: Utilisation = profile.utilisation()
    figure, axes = _figure(figsize=(11, 3.8))
    first = 0.0 if profile.start is None else profile.start
    last = max([first + used.seconds, first + 1e-6, *(s.end for s in busy)])
    unit, scale = _unit(last - first)
    share = {"cpu": used.cpu, "gpu": used.gpu}
    for row, lane in enumerate(LANES):
        bars = [s for s in busy if s.lane == lane]
        parts = [((s.start - first) / scale, (s.end - s.start) / scale) for s in bars]
        # Edges in the background's colour set neighbours apart; where bars are slivers they would hide them.
        thin = len(bars) > 150
        axes.broken_barh(parts, (row - 0.36, 0.72), color=_COLOURS[lane], edgecolor="white", lw=0 if thin else 0.6)
        _write_names(axes, bars, row, first, last, scale)
        spent = share.get(lane, sum(s.end - s.start for s in bars))
        note = f"{seconds(spent) if spent else 'idle'}\n{used.share(spent):.0%}"
        axes.annotate(note, (1.008, row), xycoords=("axes fraction", "data"), va="center", fontsize=9, color=_GREY)
    axes.set_yticks(range(len(LANES)), [_NAMES[lane] for lane in LANES])
    axes.set_ylim(len(LANES) - 0.5, -0.5)
    axes.set_xlim(0, (last - first) / scale)
    axes.set_xlabel(f"time [{unit}]")
    axes.grid(axis="x", color="#DDDDDD", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    data, host = seconds(used.gpu_waiting_for_data), seconds(used.gpu_waiting_for_host)
    calls = f"{len(profile.events)} calls, {size(profile.bytes_moved)} moved"
    axes.set_title(f"{calls}, GPU waited {data} for data, {host} for the host", loc="left", fontsize=11)
    return _saved(figure, path)


def _write_names(axes: Any, bars: Sequence[Span], row: int, first: float, last: float, scale: float) -> None:
    """Write a bar's name into it where it is wide enough to be read."""
    for s in bars:
        name = s.name if s.lane in ("cpu", "gpu") else size(float(s.name.partition(" ")[0]))
        room = (s.end - s.start) / max(last - first, 1e-12) * 130  # letters that fit, at this size of figure
        if room >= len(name) + 1:
            middle = (0.5 * (s.start + s.end) - first) / scale
            axes.text(middle, row, name, ha="center", va="center", color="white", fontsize=8, clip_on=True)


def _unit(span: float) -> tuple[str, float]:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if span >= scale:
            return unit, scale
    return "µs", 1e-6


# ----------------------------------------------------------------------------- break-even curves

# One operation stands for its cost class: title, row, number of operands, axes of each.
_CLASSES = (
    ("elementwise: add", "add", 2, 1),
    ("elementwise: exp", "exp", 1, 1),
    ("reduction: sum", "sum", 1, 1),
    ("scan: cumsum", "cumsum", 1, 1),
    ("sort: sort", "sort", 1, 1),
    ("gather: take", "take", 2, 1),
    ("matmul", "matmul", 2, 2),
    ("fft: fft.fft", fft.fft.op.name, 1, 1),
)
_SIZES = 2.0 ** np.arange(6, 27.5, 0.5)


def break_even_curves(machine: Machine, path: Any = None) -> Any:
    """Draw predicted times per cost class (see `Machine.plot`)."""
    figure, grid = _figure(figsize=(13, 6.6), nrows=2, ncols=4, sharex=True, sharey=True)
    for axes, (title, name, count, dimensions) in zip(grid.flat, _CLASSES, strict=True):
        _curves(axes, machine, OPS[name], count, dimensions)
        axes.set_title(title, loc="left", fontsize=10)
        axes.grid(color="#E4E4E4", lw=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("elements per operand (float64)")
    for axes in grid[:, 0]:
        axes.set_ylabel("predicted time [s]")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    card = "no accelerator" if machine.accelerator is None else machine.accelerator.title
    figure.suptitle(f"{machine.name}: {machine.cpu.title} and {card}", x=0.01, ha="left", fontsize=12)
    return _saved(figure, path)


def _curves(axes: Any, machine: Machine, op: Op, count: int, dimensions: int) -> None:
    dtype = np.dtype(np.float64)
    sizes = [resized(op, (Shaped((64,) * dimensions, dtype),) * count, {}, n / 64**dimensions).shapes for n in _SIZES]
    elements = [s[0].size for s in sizes]

    def predicted(processor: Processor, shapes: Sequence[Shaped], link: Link | None) -> float:
        moved = 0.0 if link is None else sum(link.seconds(s.nbytes) for s in shapes)
        return processor.seconds(op.work(shapes, {})) + moved

    def draw(processor: Processor, link: Link | None, colour: str, label: str) -> None:
        times = [predicted(processor, s, link) for s in sizes]
        axes.loglog(elements, times, color=colour, lw=1.8, ls="--" if link else "-", label=label)

    draw(machine.cpu, None, _BLUE, "CPU, operands there")
    if machine.accelerator is not None:
        draw(machine.cpu, machine.to_host, _BLUE, "CPU, operands fetched first")
        draw(machine.accelerator, None, _ORANGE, "GPU, operands there")
        draw(machine.accelerator, machine.to_device, _ORANGE, "GPU, operands sent first")
    for resident, marker in ((False, "s"), (True, "o")):
        start = tuple(Operand(s.nbytes, not resident, resident) for s in sizes[0])
        found = break_even_of(Question(op, sizes[0], {}, start, machine, Policy()), resident=resident)
        n = 0 if found is None else found.shapes[0].size
        inside = found is not None and _SIZES[0] < n <= _SIZES[-1]
        y = [predicted(machine.cpu, found.shapes, machine.to_host if resident else None)] if found and inside else []
        label = f"break-even, operands on the {'GPU' if resident else 'host'}"
        axes.plot([n] * len(y), y, marker, c="black", mfc="white", ms=7.5, mew=1.5, ls="none", label=label, zorder=5)
        if y:
            place = (9, -13) if not resident else (-9, 9)
            side = "left" if not resident else "right"
            look = {"bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8}, "fontsize": 8.5, "zorder": 4}
            axes.annotate(_short(n), (n, y[0]), textcoords="offset points", xytext=place, ha=side, **look)


def _short(n: int) -> str:
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if n >= scale:
            return f"{n / scale:.3g} {unit}"
    return str(n)
