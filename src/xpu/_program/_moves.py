"""What a step needs to have on its device: one rule for all who price a program (the cut, the replay)."""

from __future__ import annotations

from typing import NamedTuple

from xpu._program._data import HostRead, Program, Step

__all__ = ["Move", "moves"]


class Move(NamedTuple):
    """Something that has to be on the device of a step.

    Attributes
    ----------
    storage : int
        Index of its storage.
    nbytes : int
        Bytes that would move, were it not there.
    kept : bool
        The whole storage moves, and the replica stays until the storage is written elsewhere.
    """

    storage: int
    nbytes: int
    kept: bool


def moves(program: Program, step: Step | HostRead) -> list[Move]:
    """Return what a step needs on its device, each whole storage once.

    A view of less than half of its storage moves alone, every time; but a write needs the whole storage.
    """
    storages = program.storages
    uses = (step.use,) if isinstance(step, HostRead) else step.uses
    writes = () if isinstance(step, HostRead) else step.writes
    whole = dict.fromkeys(w for w in writes)
    whole.update(dict.fromkeys(u.storage for u in uses if not u.alone and not storages[u.storage].anchored))
    needed = [Move(s, storages[s].nbytes, True) for s in whole]
    needed += [Move(u.storage, u.nbytes, False) for u in uses if u.storage not in whole]
    return needed
