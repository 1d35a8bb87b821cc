"""Rows of pooling, softmax and normalisation, and how a documented function comes to carry its row."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpu._nn import _layers
from xpu._op import Op, Shaped, Work
from xpu._ops._make import Function

__all__ = ["Placed", "average_pool", "largest_pool", "normalise", "normalise_training", "placed", "softmax"]


class Placed(Function):
    """A documented function whose one operation xpu places."""

    __slots__ = ("_face",)

    def __init__(self, op: Op, face: Callable[..., Any]) -> None:
        super().__init__(op)
        self._face = face

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self._face(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._face)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """What the function says of itself."""
        return self._face.__doc__ or ""


def placed(row: Function) -> Callable[[Callable[..., Any]], Placed]:
    """Let a function that checks and orders its arguments stand for a row (in `xpu.explain` too)."""
    return functools.partial(Placed, row.op)


def _by_windows(op: Op, operands: Sequence[Shaped], options: Mapping[str, Any]) -> Work:
    """Count one operation per element and step of a kernel's axis: windows are combined axis by axis."""
    x = operands[0]
    kernel = options.get("kernel_size", 2)
    steps = sum(kernel) if isinstance(kernel, (tuple, list)) else int(kernel) * options.get("rank", 2)
    return Work(op.kind, x.dtype, 2.0 * x.nbytes, float(x.size * steps))


def _row(name: str, run: Callable[..., Any], kind: str, **fields: Any) -> Function:
    return Function(Op(f"nn.{name}", kind, run, "self", keeps_0d=True, ulp=64, **fields))


def _pools(name: str, run: Callable[..., Any]) -> dict[int, Function]:
    return {rank: _row(f"{name}_pool{rank}d", run, "elementwise", count=_by_windows) for rank in (1, 2, 3)}


largest_pool = _pools("max", _layers.largest_pool)
average_pool = _pools("avg", _layers.average_pool)
softmax = _row("softmax", _layers.softmax, "scan", weight=20.0)
normalise = _row("batch_norm", _layers.normalise, "elementwise", arrays=(0, 1, 2, 3, 4), weight=4.0)
normalise_training = _row(
    "batch_norm", _layers.normalise_training, "scan", arrays=(0, 1, 2, 3, 4), writes=(1, 2), weight=8.0
)
