"""Arrays larger than the GPU's memory: one call in chunks, copies and compute side by side.

Only where a call falls into independent pieces: elementwise operations (pieces of the leading axis),
reductions that combine (sum, prod, min, max, any, all), matrix products (rows of the left factor) and
FFTs along an axis (pieces of another). Whether it pays is the cost model's answer: chunked, a call takes
as long as the slowest of copy in, compute and copy out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpu._backends import HOST, Backend, machine_for
from xpu._block import Handle, devices_of, read, shaped
from xpu._config import config
from xpu._device import CPU
from xpu._machine import Machine
from xpu._op import Op, Shaped, Work, host_only
from xpu._ops._make import Function
from xpu._pipeline._feed import pipeline
from xpu._wrap import own

__all__ = ["Plan", "attempt", "considered", "in_pieces", "plan", "run"]

Host = np.ndarray[Any, Any]

# Share of the GPU's memory that the batches of a pipeline of depth 2 and their results may take.
_SHARE = 0.5
_IN_FLIGHT = 4
_COMBINED = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "amax": np.maximum,
    "amin": np.minimum,
    "any": np.logical_or,
    "all": np.logical_and,
}


class Plan(NamedTuple):
    """How a call is cut, and what it is predicted to take.

    Attributes
    ----------
    axis : int
        The axis of the result's shape (or of a reduced operand's) that is cut.
    pieces : tuple of (int, int)
        Bounds of the pieces.
    seconds, cpu_seconds : float
        Predicted on the GPU in chunks, and on the host.
    """

    axis: int
    pieces: tuple[tuple[int, int], ...]
    seconds: float
    cpu_seconds: float

    @property
    def pays(self) -> bool:
        """Whether the chunked call beats the host."""
        return self.seconds < self.cpu_seconds


def plan(op: Op, shapes: Sequence[Shaped], keywords: Mapping[str, Any], machine: Machine) -> Plan | None:
    """Plan a call in chunks.

    Parameters
    ----------
    op : Op
        The row.
    shapes : sequence of Shaped
        Its operands.
    keywords : dict
        Its keywords: any but ``axis`` of an FFT rules chunks out.
    machine : Machine
        The machine in force.

    Returns
    -------
    Plan or None
        None where the call does not fall into pieces, or one piece does not fit.

    Examples
    --------
    >>> from xpu._machine import shipped
    >>> from xpu._op import OPS
    >>> whole = Shaped((2**20, 2**18), np.dtype("f4"))
    >>> len(plan(OPS["add"], [whole, whole], {}, shipped("h200")).pieces)
    375
    """
    if machine.accelerator is None or not shapes:
        return None
    axis = _axis(op, shapes, keywords)
    if axis is None:
        return None
    length = shapes[0].shape[axis] if op.kind != "elementwise" else _broadcast(shapes)[axis]
    widest = max((s.dtype.itemsize for s in shapes), default=8)
    work = op.work(shapes, keywords)
    # Inputs, the result, and as much again for what a library wants beside them.
    whole = 2.0 * max(work.bytes, sum(s.nbytes for s in shapes) + widest * max(s.size for s in shapes))
    fixed = 2.0 * shapes[1].nbytes if op.kind == "matmul" else 0.0
    room = machine.accelerator.memory * _SHARE / _IN_FLIGHT - fixed
    count = math.ceil(max(whole - fixed, 1.0) / room) if room > 0 else length + 1
    if count > length:
        return None
    edges = [round(i * length / count) for i in range(count + 1)]
    seconds = _seconds(op, shapes, work, count, machine)
    return Plan(axis, tuple(itertools.pairwise(edges)), seconds, machine.cpu.seconds(work))


def _axis(op: Op, shapes: Sequence[Shaped], keywords: Mapping[str, Any]) -> int | None:
    """Return the axis to cut; None where the call does not fall into pieces."""
    first = shapes[0].shape
    if op.kind == "elementwise":
        return 0 if _broadcast(shapes) and not keywords and not op.writes[1:] else None
    if not first:
        return None
    if op.name in _COMBINED:
        return 0 if not keywords and len(shapes) == 1 else None
    if op.name == "matmul":
        plain = len(shapes) == 2 and len(first) == 2 and len(shapes[1].shape) <= 2
        return 0 if plain and not keywords else None
    if op.kind == "fft" and op.name in ("fft.fft", "fft.ifft") and set(keywords) <= {"axis"} and len(first) > 1:
        along = int(keywords.get("axis", -1)) % len(first)
        return 1 if along == 0 else 0
    return None


def _broadcast(shapes: Sequence[Shaped]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(s.shape for s in shapes))


def _seconds(op: Op, shapes: Sequence[Shaped], work: Work, count: int, machine: Machine) -> float:
    """Predict a chunked call: the slowest lane, and one piece to fill the others."""
    assert machine.accelerator is not None
    into = float(sum(s.nbytes for s in shapes))
    out = 0.0 if op.name in _COMBINED else max(0.0, work.bytes - into)
    lanes = (
        count * machine.to_device.latency + into / machine.to_device.pinned_bandwidth,
        count * machine.accelerator.launch(work) + machine.accelerator.compute(work),
        count * machine.to_host.latency + out / machine.to_host.pinned_bandwidth if out else 0.0,
    )
    return max(lanes) + (sum(lanes) - max(lanes)) / count


def run(
    function: Callable[..., Any],
    op: Op,
    chosen: Plan,
    operands: Sequence[Host],
    keywords: Mapping[str, Any],
    target: Backend,
) -> Host:
    """Run a planned call.

    Parameters
    ----------
    function : callable
        xpu's public function of the row.
    op : Op
        The row.
    chosen : Plan
        What `plan` returned.
    operands : sequence of numpy.ndarray
        On the host.
    keywords : dict
        As given to `plan`.
    target : Backend
        The accelerator.

    Returns
    -------
    numpy.ndarray
        On the host: it is as large as what did not fit.
    """
    shape = np.broadcast_shapes(*(o.shape for o in operands)) if op.kind == "elementwise" else operands[0].shape
    batches = _cut(op, chosen, operands, len(shape))
    with config(device=str(target.device)):
        parts = [np.asarray(part) for part in pipeline(lambda batch: function(*batch, **keywords), batches)]
    if op.name in _COMBINED:
        return np.asarray(_COMBINED[op.name].reduce(np.stack(parts)))
    return np.concatenate(parts, axis=chosen.axis)


def _cut(op: Op, chosen: Plan, operands: Sequence[Host], axes: int) -> Iterator[tuple[Host, ...]]:
    """Yield the operands of each piece; what has no such axis, or one of length 1, goes along whole."""
    for low, high in chosen.pieces:
        piece = []
        for position, operand in enumerate(operands):
            axis = chosen.axis - (axes - operand.ndim)
            whole = axis < 0 or operand.shape[axis] == 1 or (op.kind == "matmul" and position)
            key = (slice(None),) * max(axis, 0) + (slice(low, high),)
            piece.append(operand if whole else operand[key])
        yield tuple(piece)


def in_pieces(op: Op, args: tuple[Any, ...], keywords: Mapping[str, Any], target: Backend) -> Any:
    """Attempt a row's call in chunks (what dispatch asks)."""
    return attempt(Function(op), args, keywords, target)


def considered(op: Op, args: tuple[Any, ...], keywords: Mapping[str, Any], target: Backend) -> Plan | None:
    """Return the plan of a call whose operands do not fit on the accelerator together; None for any other."""
    machine = machine_for(target)
    arrays = [a for a in args if isinstance(a, (Handle, np.ndarray))]
    others = [a for a in args if not isinstance(a, (Handle, np.ndarray))]
    if machine.accelerator is None or not all(isinstance(a, (bool, int, float, complex)) for a in others):
        return None
    metas = [shaped(a) if isinstance(a, Handle) else Shaped(a.shape, a.dtype) for a in arrays]
    if 2.0 * sum(m.nbytes for m in metas) <= machine.accelerator.memory or any(host_only(m.dtype) for m in metas):
        return None
    if others and op.kind != "elementwise":
        return None
    if not all(CPU in devices_of(a) for a in arrays if isinstance(a, Handle)):
        return None
    return plan(op, metas, keywords, machine)


def attempt(function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any], target: Backend) -> Any:
    """Run a call in chunks if its operands do not fit on the accelerator together and chunks pay.

    Parameters
    ----------
    function : Function
        xpu's public function.
    args, keywords
        As the user gave them.
    target : Backend
        The accelerator in force.

    Returns
    -------
    ndarray or NotImplemented
        The result, on the host; NotImplemented where the ordinary path has to take the call.
    """
    op: Op | None = getattr(function, "op", None)
    chosen = None if op is None else considered(op, args, keywords, target)
    if op is None or chosen is None or not chosen.pays:
        return NotImplemented
    arrays = [i for i, a in enumerate(args) if isinstance(a, (Handle, np.ndarray))]
    operands = [read(args[i], HOST) if isinstance(args[i], Handle) else args[i] for i in arrays]

    def with_numbers(*pieces: Any, **rest: Any) -> Any:
        whole = list(args)
        for i, piece in zip(arrays, pieces, strict=True):
            whole[i] = piece
        return function(*whole, **rest)

    made = run(with_numbers, op, chosen, operands, keywords, target)
    return own(made if made.ndim else made[()], scalar=not made.ndim)
