"""Running a recorded program on a machine that need not be there, under any policy of placement.

Every policy sees the same world: which storages are valid where, what moves for a call and what stays. They differ
in one thing only, the device they choose for a step. Steps run one after another; transfers are waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from xpu._accounts import Kind
from xpu._machine import Machine
from xpu._op import Work
from xpu._placement import ACCELERATOR, HOST
from xpu._program._data import HostRead, Program, Step
from xpu._program._moves import Move, moves

__all__ = ["Outcome", "Place", "Policy", "World", "replay"]


@dataclass(slots=True)
class Place:
    """Where one storage is, and its account.

    Attributes
    ----------
    nbytes : int
        Its size.
    on_host, on_accelerator : bool
        Whether a valid replica is there; both False before birth.
    anchored : bool
        It cannot leave the host.
    birth : Work or None
        What making it takes, where it is not made yet.
    lead : float
        Seconds that the accelerator is ahead for it in hindsight (`xpu._placement`).
    kind : Kind or None
        The kind of call that made it (`xpu._accounts`).
    """

    nbytes: int
    on_host: bool = False
    on_accelerator: bool = False
    anchored: bool = False
    birth: Work | None = None
    lead: float = 0.0
    kind: Kind | None = None


@dataclass(slots=True)
class World:
    """A machine and where everything is on it.

    Attributes
    ----------
    program, machine : Program, Machine
        What runs, on what.
    places : list of Place
        One per storage.
    """

    program: Program
    machine: Machine
    places: list[Place] = field(default_factory=list)


class Policy(Protocol):
    """Chooses devices."""

    def place(self, index: int, step: Step, world: World) -> str:
        """Return the device for one step, ``"cpu"`` or ``"accelerator"``; a gap or a pin overrules it."""

    def made(self, step: Step, world: World) -> None:
        """Take note of what a step has made, after it ran."""

    def read(self, read: HostRead, world: World) -> None:
        """Take note of a read by Python, before it."""


class Outcome(NamedTuple):
    """What a replay took.

    Attributes
    ----------
    seconds : float
        All of it.
    transfer_seconds : float
        Of that, transfers.
    bytes_moved, transfers : int
        Both directions together.
    devices : tuple of str
        Where each step ran.
    step_seconds : tuple of float
        Of each step, its transfers included.
    """

    seconds: float
    transfer_seconds: float
    bytes_moved: int
    transfers: int
    devices: tuple[str, ...]
    step_seconds: tuple[float, ...]


def replay(program: Program, machine: Machine, policy: Policy) -> Outcome:
    """Run a recorded program under a policy.

    Parameters
    ----------
    program : Program
        What runs.
    machine : Machine
        On what; it has an accelerator.
    policy : Policy
        Who chooses.

    Returns
    -------
    Outcome
        Predicted seconds and bytes moved.
    """
    world = World(program, machine, [Place(s.nbytes, *_valid(s.start), s.anchored) for s in program.storages])
    tally = _Tally(machine)
    devices = []
    for index, step in enumerate(program.steps):
        tally.begin()
        if isinstance(step, HostRead):
            device = HOST
            policy.read(step, world)
        elif step.postponed:
            (number,) = step.results
            world.places[number].birth = step.work
            device = HOST  # nothing runs yet
        else:
            device = policy.place(index, step, world)
            device = HOST if step.gap else step.forced or device
        devices.append(device)
        for move in moves(program, step):
            _ensure(world.places[move.storage], move, device, tally)
        if isinstance(step, Step) and not step.postponed:
            tally.run(step.work, device)
            for number in (*step.writes, *step.results):
                place = world.places[number]
                place.on_host, place.on_accelerator = device == HOST, device == ACCELERATOR
            policy.made(step, world)
    return tally.outcome(devices)


def _valid(start: str) -> tuple[bool, bool]:
    return start in (HOST, "both"), start in (ACCELERATOR, "both")


class _Tally:
    """Adds up."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.steps: list[float] = []
        self.moved: list[float] = []
        self.nbytes = 0

    def begin(self) -> None:
        self.steps.append(0.0)

    def run(self, work: Work, device: str) -> None:
        processor = self.machine.cpu if device == HOST else self.machine.accelerator
        assert processor is not None
        self.steps[-1] += processor.seconds(work)

    def move(self, nbytes: int, device: str) -> None:
        if not nbytes:
            return
        link = self.machine.to_host if device == HOST else self.machine.to_device
        self.moved.append(link.seconds(nbytes))
        self.steps[-1] += self.moved[-1]
        self.nbytes += nbytes

    def outcome(self, devices: Sequence[str]) -> Outcome:
        moved = sum(self.moved)
        return Outcome(sum(self.steps), moved, self.nbytes, len(self.moved), tuple(devices), tuple(self.steps))


def _ensure(place: Place, move: Move, device: str, tally: _Tally) -> None:
    """Have on a device what a step needs there."""
    if place.birth is not None:
        tally.run(place.birth, device)
        place.birth = None
        place.on_host, place.on_accelerator = device == HOST, device == ACCELERATOR
    if place.on_host if device == HOST else place.on_accelerator:
        return
    tally.move(move.nbytes, device)
    if move.kept:
        place.on_host = place.on_host or device == HOST
        place.on_accelerator = place.on_accelerator or device == ACCELERATOR
