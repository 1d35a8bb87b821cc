"""The best placement of a whole program in hindsight: a minimum cut of the graph of its steps.

With two devices, run times that do not depend on each other and a price for every value that is read on the other
device, the best assignment is a minimum s-t cut (Stone, IEEE Trans. Software Engineering SE-3(1), 1977). The host
is the source's side, the accelerator the sink's; an arc is paid where it leads from the host's side to the
accelerator's.

* A step pays its time on the device it is on: arcs from the source (accelerator) and to the sink (host). Where a
  device is out of the question (a gap, a read by Python, a pin) the step *is* that terminal.
* A *version* of a storage is read any number of times until it is written again. Moving it to the other device is
  paid once: the arc from its maker to a node that stands for the replica there, with arcs that cannot be cut from
  that node to all who read it there. This is exact: once valid, a replica stays valid for as long as its version is
  the newest, and only readers of a version can need it.
* Readers whose view moves alone pay for themselves, unless the replica is there: their arcs from the replica's node
  carry the price of the view. The replica may then be made for their sake too. (This gives the optimum one freedom
  more than `xpu` has at run time, which moves the whole storage only for a call that uses half of it.)
* Memory that cannot leave the host is paid by each reader.

scipy's maximum flow takes integers of 32 bits: seconds are counted in units of a 2^-30th of the better of
all-on-the-host and all-on-the-accelerator, so each arc is rounded by at most half a unit, and a placement can be
worse than the best by at most one unit per arc (a relative error of 1e-4 for 100,000 arcs). The seconds returned are
those of the placement, not of the rounded flow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from xpu._machine import Machine
from xpu._placement import ACCELERATOR, HOST
from xpu._program._data import HostRead, Program, Step
from xpu._program._moves import moves

__all__ = ["Placement", "minimum_cut", "price"]

_HOST, _DEVICE = 0, 1  # nodes: the source and the sink
_UNITS = 1 << 30


class Placement(NamedTuple):
    """Where each step of a program runs.

    Attributes
    ----------
    devices : tuple of str
        ``"cpu"`` or ``"accelerator"`` per step; ``"cpu"`` for a read by Python.
    seconds : float
        Predicted seconds of the program, transfers included.
    """

    devices: tuple[str, ...]
    seconds: float


class _Version:
    """A storage from one write to the next: who made it, and who reads it how."""

    __slots__ = ("anchored", "maker", "nbytes", "readers")

    def __init__(self, maker: int, nbytes: int, anchored: bool) -> None:
        self.maker = maker
        self.nbytes = nbytes
        self.anchored = anchored
        self.readers: list[tuple[int, int | None]] = []  # node, bytes of a view that moves alone


def minimum_cut(program: Program, machine: Machine) -> Placement:
    """Place every step of a program so that the whole takes least.

    Parameters
    ----------
    program : Program
        What runs.
    machine : Machine
        Its rates and links; with no accelerator everything is placed on the host.

    Returns
    -------
    Placement
        One device per step, and the seconds of that placement.

    Notes
    -----
    Steps run one after another, and transfers between them: nothing overlaps. Memory is not limited.
    """
    on_host, on_device = (_everywhere(program, device) for device in (HOST, ACCELERATOR))
    if machine.accelerator is None:
        return Placement(on_host, price(program, machine, on_host))
    candidates = [Placement(d, price(program, machine, d)) for d in (on_host, on_device)]
    bound = min(c.seconds for c in candidates)
    if bound > 0 and math.isfinite(bound):
        devices = _cut(_arcs(program, machine), _places(program), bound)
        candidates.append(Placement(devices, price(program, machine, devices)))
    return min(candidates, key=lambda c: c.seconds)


def _terminal(step: Step | HostRead) -> str:
    """Return the only device a step can be on, or nothing."""
    if isinstance(step, HostRead) or step.gap:
        return HOST
    return step.forced


def _everywhere(program: Program, device: str) -> tuple[str, ...]:
    return tuple(_terminal(step) or device for step in program.steps)


def _places(program: Program) -> list[int]:
    """Return the node of every step: a terminal, or one of its own from 2 on."""
    nodes, fresh = [], 2
    for step in program.steps:
        only = _terminal(step)
        nodes.append(fresh if not only else _HOST if only == HOST else _DEVICE)
        fresh += not only
    return nodes


def _versions(program: Program, nodes: Sequence[int]) -> list[_Version]:
    """Follow every storage through the program; storages on both devices from the start cost nothing until written."""
    newest: dict[int, _Version | None] = {}
    found: list[_Version] = []

    def begin(storage: int, maker: int) -> None:
        version = _Version(maker, program.storages[storage].nbytes, program.storages[storage].anchored)
        newest[storage] = version
        found.append(version)

    for number, storage in enumerate(program.storages):
        newest[number] = None
        if storage.start in (HOST, ACCELERATOR):
            begin(number, _HOST if storage.start == HOST else _DEVICE)
    for node, step in zip(nodes, program.steps, strict=True):
        for move in moves(program, step):
            version = newest[move.storage]
            if version is not None:
                version.readers.append((node, None if move.kept else move.nbytes))
        if isinstance(step, Step):
            for number in (*step.writes, *step.results):
                begin(number, node)
    return found


Arcs = dict[tuple[int, int], float]


def _arcs(program: Program, machine: Machine) -> Arcs:
    """Return the graph: seconds per arc, infinite where it cannot be cut."""
    nodes = _places(program)
    arcs: Arcs = {}

    def arc(start: int, end: int, seconds: float) -> None:
        if start != end and seconds:
            arcs[start, end] = arcs.get((start, end), 0.0) + seconds

    assert machine.accelerator is not None
    for node, step in zip(nodes, program.steps, strict=True):
        if node > _DEVICE:
            assert isinstance(step, Step)
            arc(_HOST, node, machine.accelerator.seconds(step.work))
            arc(node, _DEVICE, machine.cpu.seconds(step.work))
    fresh = max(_DEVICE, *nodes) + 1 if nodes else _DEVICE + 1
    for version in _versions(program, nodes):
        there, here = fresh, fresh + 1
        fresh += 2
        whole = math.inf if version.anchored else version.nbytes
        if version.maker != _DEVICE:  # it may have to go up
            arc(version.maker, there, machine.to_device.seconds(whole))
            for node, nbytes in version.readers:
                arc(there, node, math.inf if nbytes is None else machine.to_device.seconds(nbytes))
        if version.maker != _HOST:  # it may have to come down
            arc(here, version.maker, machine.to_host.seconds(whole))
            for node, nbytes in version.readers:
                arc(node, here, math.inf if nbytes is None else machine.to_host.seconds(nbytes))
    return arcs


def _cut(arcs: Arcs, nodes: Sequence[int], bound: float) -> tuple[str, ...]:
    """Cut the graph and read the side of every step; ties go to the host."""
    ends = np.array(list(arcs), np.int32).reshape(-1, 2)
    seconds = np.fromiter(arcs.values(), np.float64, len(arcs))
    units = np.minimum(np.rint(seconds * (_UNITS / bound)), _UNITS + 1).astype(np.int32)
    size = max(int(ends.max(initial=0)), _DEVICE, *nodes) + 1
    capacity = csr_array(coo_array((units, (ends[:, 0], ends[:, 1])), shape=(size, size)))
    left: Any = csr_array(capacity - maximum_flow(capacity, _HOST, _DEVICE).flow)
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = breadth_first_order(left.T.tocsr(), _DEVICE, return_predecessors=False)
    on_device = np.zeros(size, bool)
    on_device[reached] = True
    return tuple(ACCELERATOR if on_device[node] else HOST for node in nodes)


def price(program: Program, machine: Machine, devices: Sequence[str]) -> float:
    """Return the predicted seconds of a placement, transfers included.

    Parameters
    ----------
    program : Program
        What runs.
    machine : Machine
        With an accelerator if a step is on it.
    devices : sequence of str
        ``"cpu"`` or ``"accelerator"`` per step.

    Returns
    -------
    float
        Seconds: every step on its device, and per version of a storage the cheaper of one transfer of the whole
        and the transfers of the views that are read of it on the other device.
    """
    total = 0.0
    nodes = [_HOST if device == HOST else _DEVICE for device in devices]
    for node, step in zip(nodes, program.steps, strict=True):
        if isinstance(step, Step):
            processor = machine.cpu if node == _HOST else machine.accelerator
            assert processor is not None
            total += processor.seconds(step.work)
    for version in _versions(program, nodes):
        link = machine.to_device if version.maker == _HOST else machine.to_host
        away = [nbytes for node, nbytes in version.readers if node != version.maker]
        alone = sum(link.seconds(nbytes) for nbytes in away if nbytes is not None)
        whole = link.seconds(math.inf if version.anchored else version.nbytes)
        total += (whole if None in away else min(whole, alone)) if away else 0.0
    return total
