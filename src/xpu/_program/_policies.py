"""Policies to compare: all on one device, each call for itself, xpu's own rule, and a placement made beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from xpu._accounts import SMALL, Kind, Memory, born, pay_read, settle
from xpu._placement import ACCELERATOR, HOST, Operand, Policy, decide
from xpu._program._data import HostRead, Step
from xpu._program._moves import moves
from xpu._program._replay import Place, World

__all__ = ["Always", "Given", "Greedy", "Xpu"]


class Always:
    """Every call on one device, as far as it can run there."""

    def __init__(self, device: str) -> None:
        self.device = device

    def place(self, index: int, step: Step, world: World) -> str:
        """Return the device."""
        return self.device

    def made(self, step: Step, world: World) -> None:
        """Keep no account."""

    def read(self, read: HostRead, world: World) -> None:
        """Keep no account."""


class Given(Always):
    """A placement made beforehand."""

    def __init__(self, devices: Sequence[str]) -> None:
        self.devices = devices

    def place(self, index: int, step: Step, world: World) -> str:
        """Return the device given."""
        return self.devices[index]


class Greedy(Always):
    """Each call where it finishes first, the transfers it needs included, as if it were the last."""

    def __init__(self) -> None:
        super().__init__(HOST)

    def place(self, index: int, step: Step, world: World) -> str:
        """Return the device with the least time for this call."""
        machine = world.machine
        assert machine.accelerator is not None
        here, there = machine.cpu.seconds(step.work), machine.accelerator.seconds(step.work)
        for move in moves(world.program, step):
            place = world.places[move.storage]
            if place.birth is not None:
                continue
            here += 0.0 if place.on_host else machine.to_host.seconds(move.nbytes)
            there += 0.0 if place.on_accelerator else machine.to_device.seconds(move.nbytes)
        return ACCELERATOR if there < here else HOST


class Xpu(Always):
    """xpu's own rule: `xpu._placement.decide`, with the accounts that dispatch keeps (`xpu._accounts`)."""

    def __init__(self) -> None:
        super().__init__(HOST)
        self.memory = Memory()
        self._kind: Kind | None = None

    def place(self, index: int, step: Step, world: World) -> str:
        """Ask the rule, and keep the accounts."""
        needed = moves(world.program, step)
        places = [world.places[move.storage] for move in needed]
        kept = [_account(place) if move.kept else None for move, place in zip(needed, places, strict=True)]
        operands = [
            Operand(move.nbytes, place.on_host, place.on_accelerator, 0.0 if account is None else account.lead)
            for move, place, account in zip(needed, places, kept, strict=True)
        ]
        self._kind = self.memory.kind(step.work, kept)
        policy = Policy(forced=step.forced or None, gap=step.gap, ahead=self._kind.ahead)
        decision = decide(step.work, operands, world.machine, policy)
        if not step.forced:
            for account, lead in zip(kept, decision.leads, strict=True):
                if account is not None:
                    settle(account, lead)
        return decision.device

    def made(self, step: Step, world: World) -> None:
        """Open the accounts of what a step has made."""
        fresh = [a for a in (_account(world.places[n]) for n in step.results) if a is not None]
        parents = [world.places[n] for n in dict.fromkeys(u.storage for u in step.uses)]
        if step.results and self._kind is not None and not step.forced:
            born(self._kind, fresh, parents)

    def read(self, read: HostRead, world: World) -> None:
        """Let an account know that the host needed the values."""
        account = _account(world.places[read.use.storage])
        if account is not None and not account.anchored:
            pay_read(account, world.machine.to_host.seconds(read.use.nbytes))


def _account(place: Place) -> Place | None:
    """Return a storage if dispatch would keep an account for it."""
    return place if place.nbytes >= SMALL or (place.on_accelerator and place.nbytes) else None
