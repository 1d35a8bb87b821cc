"""Which engine computes a convolution: plain data, decided by predicted time, before anything runs.

A plan is a pure function of the geometry, the rates and what is installed, so it is cached,
compared, printed and tested without an array.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from xpu.conv import _threads
from xpu.conv._arguments import ConvShapeError
from xpu.conv._compiled import CompiledEngine
from xpu.conv._compiled_winograd import CompiledWinogradEngine
from xpu.conv._direct import DirectEngine
from xpu.conv._engine import Engine, Rates, allowance
from xpu.conv._fft import FftEngine
from xpu.conv._gemm import GemmEngine
from xpu.conv._geometry import ConvGeometry
from xpu.conv._onednn import OnednnEngine
from xpu.conv._overlap import OverlapEngine
from xpu.conv._planes import PlanesEngine
from xpu.conv._rates import in_force
from xpu.conv._winograd import WinogradEngine

__all__ = ["ENGINES", "ConvPlan", "execute", "plan_conv", "register"]

Array = Any
Namespace = Any
Device = Literal["cpu", "cuda"]

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        DirectEngine(),
        CompiledEngine(),
        CompiledWinogradEngine(),
        PlanesEngine(),
        GemmEngine(),
        FftEngine(),
        OverlapEngine(),
        WinogradEngine(),
        OnednnEngine(),
    )
}

# Engines whose answer follows from the geometry alone, so that they need not be asked again.
_SETTLED = frozenset({"direct", "gemm", "fft", "winograd"})


@dataclass(frozen=True, slots=True)
class ConvPlan:
    """How one convolution will be computed, and why.

    Parameters
    ----------
    geometry : ConvGeometry
        What is computed.
    engine : str
        Name of the chosen engine, a key of ``ENGINES``.
    workspace : int
        Bytes it needs beside the operands and the result.
    seconds : tuple of (str, float)
        Predicted (or, if ``measured``, measured) seconds per engine, fastest first.
    refused : tuple of (str, str)
        Engines that do not take part, each with its reason.
    measured : bool
        Whether the seconds were measured on this machine.
    predicted : tuple of (str, float)
        Beside measured seconds, those that were predicted, in the same order; then the engines that were
        predicted too slow to be measured.
    device : {"cpu", "cuda"}
        Where the operands are.

    Examples
    --------
    >>> from xpu.conv._arguments import conv_geometry
    >>> g = conv_geometry("nn.conv1d", 1, (1, 1, 9), (1, 1, 3), "f4", "f4")
    >>> plan_conv(g, engines=("direct", "gemm")).engine
    'gemm'
    """

    geometry: ConvGeometry
    engine: str
    workspace: int
    seconds: tuple[tuple[str, float], ...]
    refused: tuple[tuple[str, str], ...] = ()
    measured: bool = False
    predicted: tuple[tuple[str, float], ...] = ()
    device: Device = "cpu"

    @property
    def predicted_seconds(self) -> float:
        """Predicted seconds of the chosen engine, also where they were measured."""
        return dict(self.predicted or self.seconds)[self.engine]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "geometry": str(self.geometry),
            "engine": self.engine,
            "workspace": self.workspace,
            "seconds": dict(self.seconds),
            "refused": dict(self.refused),
            "measured": self.measured,
            "predicted": dict(self.predicted or self.seconds),
        }

    def __str__(self) -> str:
        """Return a small table: the chosen engine, then every other with its time or reason."""
        lines = [str(self.geometry), f"engine {self.engine}, workspace {self.workspace:,} bytes"]
        seconds, predicted = dict(self.seconds), dict(self.predicted or self.seconds)
        for name, guess in (*self.seconds, *((n, t) for n, t in predicted.items() if n not in seconds)):
            line = f"{guess * 1e3:12.4f} ms predicted"
            if self.measured:
                line = f"{predicted[name] * 1e3:12.4f} ms predicted"
                line += f"{seconds[name] * 1e3:12.4f} ms measured" if name in seconds else ", not measured"
            lines.append(f"  {name:<18}{line}")
        lines += [f"  {name:<18}{reason}" for name, reason in self.refused]
        return "\n".join(lines)


def register(engine: Engine) -> None:
    """Add an engine, such as cuDNN's, to those the plans choose from."""
    ENGINES[engine.name] = engine
    _decide.cache_clear()


def plan_conv(
    geometry: ConvGeometry,
    *,
    device: Device = "cpu",
    engines: Sequence[str] | None = None,
    workspace_limit: int | None = None,
    rates: Rates | None = None,
    without: Collection[str] = (),
) -> ConvPlan:
    """Choose the engine with the least predicted time among those that can do the geometry.

    Parameters
    ----------
    geometry : ConvGeometry
        What to compute.
    device : {"cpu", "cuda"}
        Where the operands are.
    engines : sequence of str, optional
        Consider only these; their workspace is then not limited unless asked.
    workspace_limit : int, optional
        Bytes; by default twice the input and the output. Where no engine keeps it, the one that needs the least is
        taken.
    rates : Rates, optional
        What the device does per second; by default the rates of `xpu.machine` for the threads in force.
    without : collection of str, optional
        Leave these out as if they did not exist.

    Returns
    -------
    ConvPlan
        Cached: the same arguments give the same object while the set of ready engines is the same.

    Raises
    ------
    ConvShapeError
        If no engine is left; every reason is in the message.
    """
    names = tuple(name for name in (tuple(ENGINES) if engines is None else engines) if name not in without)
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        message = f"xpu.nn.plan_conv: engines={unknown!r} are unknown. Valid: {', '.join(ENGINES)}."
        raise ValueError(message)
    if rates is None:
        rates = in_force(_threads.count(), _threads.available()) if device == "cpu" else Rates()
    # Asked every time: kernels and libraries become ready while a program runs.
    answers = tuple(None if name in _SETTLED else _refusal(name, geometry, device) for name in names)
    return _decide(geometry, device, names, answers, engines is None, workspace_limit, rates)


def _refusal(name: str, geometry: ConvGeometry, device: Device) -> str | None:
    engine = ENGINES[name]
    if engine.device not in ("any", device):
        return f"it runs on {engine.device} arrays, these are on {device}"
    return engine.supports(geometry)


@functools.lru_cache(maxsize=4096)
def _decide(
    geometry: ConvGeometry,
    device: Device,
    names: tuple[str, ...],
    answers: tuple[str | None, ...],
    limited: bool,
    limit: int | None,
    rates: Rates,
) -> ConvPlan:
    """Price every engine; where none keeps the limit the one that needs the least does it."""
    seconds: dict[str, float] = {}
    space: dict[str, int] = {}
    refused: dict[str, str] = {}
    if limit is None and limited:
        limit = allowance(geometry, device)
    for name, answer in zip(names, answers, strict=True):
        reason = _refusal(name, geometry, device) if name in _SETTLED else answer
        if reason is not None:
            refused[name] = reason
            continue
        space[name] = ENGINES[name].workspace(geometry)
        seconds[name] = ENGINES[name].seconds(geometry, rates)
    if limit is not None:
        kept = [name for name in seconds if space[name] <= limit] or sorted(seconds, key=space.__getitem__)[:1]
        for name in [n for n in seconds if n not in kept]:
            refused[name] = f"its workspace of {space[name]:,} bytes is over the limit of {limit:,}"
            del seconds[name]
    if not seconds:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        message = f"xpu.nn.plan_conv: no engine takes {geometry} ({reasons}). Allow more engines."
        raise ConvShapeError(message)
    order = tuple(sorted(seconds.items(), key=lambda item: item[1]))
    best = order[0][0]
    return ConvPlan(geometry, best, space[best], order, tuple(refused.items()), device=device)


def execute(plan: ConvPlan, xp: Namespace, first: Array, second: Array, bias: Array | None = None) -> Array:
    """Run a plan.

    Parameters
    ----------
    plan : ConvPlan
        From `plan_conv`.
    xp : namespace
        numpy or cupy, whichever the operands belong to.
    first, second : array
        Of ``plan.geometry.operand_shapes`` and its dtype; any strides.
    bias : array, optional
        One number per channel of the result, added to it; not for the gradient of a weight.

    Returns
    -------
    array
        Of ``plan.geometry.result_shape``.
    """
    engine, g = ENGINES[plan.engine], plan.geometry
    if bias is None:
        return engine.run(xp, g, first, second)
    if isinstance(engine, OnednnEngine):
        return engine.run_with_bias(xp, g, first, second, bias)
    y = engine.run(xp, g, first, second)
    y += bias if g.layout == "NHWC" else bias.reshape((-1, *(1,) * g.rank))
    return y


def with_measured(plan: ConvPlan, seconds: dict[str, float]) -> ConvPlan:
    """Return the plan with measured times beside the predicted ones, and their winner."""
    order = tuple(sorted(seconds.items(), key=lambda item: item[1]))
    guesses = dict(plan.seconds)
    rest = tuple(item for item in plan.seconds if item[0] not in seconds)
    predicted = tuple((name, guesses[name]) for name, _ in order) + rest
    return dataclasses.replace(with_engine(plan, order[0][0]), seconds=order, measured=True, predicted=predicted)


def with_engine(plan: ConvPlan, engine: str) -> ConvPlan:
    """Return the plan with another of its engines."""
    return dataclasses.replace(plan, engine=engine, workspace=ENGINES[engine].workspace(plan.geometry))
