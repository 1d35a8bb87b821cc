"""Asking for a decision without running anything, and forbidding transfers in a region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend, accelerator, machine_for
from xpu._block import Handle, devices_of
from xpu._call import Call
from xpu._config import config, current
from xpu._dispatch import plan
from xpu._op import Shaped
from xpu._ops._make import Function
from xpu._placement import ACCELERATOR, break_even
from xpu._trace import seconds, size
from xpu.errors import text

__all__ = ["Explanation", "explain", "no_transfers"]


@dataclass(frozen=True)
class Explanation:
    """One decision, taken apart; prints as a table.

    Attributes
    ----------
    op, device, reason : str
        What would run, where, why.
    cpu_seconds, accelerator_seconds : float
        Predicted run time on each (NaN where it cannot run).
    to_host_seconds, to_device_seconds : float
        Predicted transfers before a run on each.
    bytes_to_move : int
        Bytes that the choice would move.
    break_even : int or None
        Elements per operand from which the accelerator wins although operands have to move there.
    break_even_resident : int or None
        The same for operands that are there already.
    accelerator : str
        Its title, or ``"none"``.
    """

    op: str
    device: str
    reason: str
    cpu_seconds: float
    accelerator_seconds: float
    to_host_seconds: float
    to_device_seconds: float
    bytes_to_move: int
    break_even: int | None
    break_even_resident: int | None
    accelerator: str

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        def elements(n: int | None) -> str:
            return "never" if n is None else f"{n:,} elements"

        return "\n".join(
            [
                f"{self.op} runs on {self.device}: {self.reason}",
                f"  {'':14}{'run':>12}{'transfer':>12}",
                f"  {'cpu':14}{seconds(self.cpu_seconds):>12}{seconds(self.to_host_seconds):>12}",
                f"  {'accelerator':14}{seconds(self.accelerator_seconds):>12}{seconds(self.to_device_seconds):>12}",
                f"  moves {size(self.bytes_to_move)}; accelerator: {self.accelerator}",
                f"  break-even size: {elements(self.break_even)} from the host, "
                f"{elements(self.break_even_resident)} resident",
            ]
        )


def explain(function: Any, /, *args: Any, **kwargs: Any) -> Explanation:
    """Say where a call would run and why, without running it.

    Parameters
    ----------
    function : callable
        A function of this package, for example ``xpu.add``.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Explanation
        Prints as a table; ``to_dict()`` gives plain data.

    Raises
    ------
    TypeError
        If `function` is not one that xpu places.

    Examples
    --------
    >>> import xpu
    >>> xpu.explain(xpu.add, xpu.ones(3), 1).device
    'cpu'
    """
    if not isinstance(function, Function):
        found = getattr(function, "__name__", function)
        raise TypeError(
            text("explain", f"{found!r} is not a function that xpu places", "Pass one of xpu's, for example xpu.add.")
        )
    this = Call(function.op, args, kwargs)
    decision, where, _ = plan(this, current())
    shapes = this.shapes()
    target = accelerator(current())
    machine = machine_for(target)
    works = []
    for power in range(31):
        n = 1 << power
        scaled = [_scaled(s, n) for s in shapes]
        works.append((n, function.op.work(scaled, kwargs)))
    moved = 0
    for operand, meta in zip(this.operands, shapes, strict=True):
        moved += 0 if _resident(operand, where) else meta.nbytes
    return Explanation(
        op=function.op.name,
        device=str(where.device) if decision.device == ACCELERATOR else "cpu",
        reason=decision.reason,
        cpu_seconds=decision.cpu_seconds,
        accelerator_seconds=decision.accelerator_seconds,
        to_host_seconds=decision.transfer_seconds[0],
        to_device_seconds=decision.transfer_seconds[1],
        bytes_to_move=moved,
        break_even=break_even(works, machine, resident=False),
        break_even_resident=break_even(works, machine, resident=True),
        accelerator="none" if machine.accelerator is None else machine.accelerator.title,
    )


def _resident(operand: Any, where: Backend) -> bool:
    if isinstance(operand, Handle):
        there = devices_of(operand)
        return not there or where.device in there
    return isinstance(operand, np.ndarray) and where is HOST


def _scaled(meta: Shaped, elements: int) -> Shaped:
    """Return the operand with about `elements` elements, its number of axes kept."""
    axes = max(1, len(meta.shape))
    side = max(1, round(elements ** (1 / axes)))
    return Shaped((side,) * axes, meta.dtype) if meta.shape else meta


@contextmanager
def no_transfers() -> Iterator[None]:
    """Return a region in which a transfer raises `TransferError` before any byte moves.

    Examples
    --------
    >>> import xpu
    >>> with xpu.no_transfers():
    ...     print(xpu.ones(3).sum())
    3.0
    """
    with config(on_transfer="raise"):
        yield
