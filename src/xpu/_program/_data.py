"""What a recorded program is made of: tuples of numbers and words, without an array or a device."""

from __future__ import annotations

from typing import NamedTuple

from xpu._op import Work

__all__ = ["HostRead", "Program", "Step", "Storage", "Use"]


class Storage(NamedTuple):
    """One allocation.

    Attributes
    ----------
    nbytes : int
        Its size.
    start : str
        Where it was valid when the program first met it: ``"cpu"``, ``"accelerator"`` or ``"both"``;
        empty for one that a step of the program makes.
    anchored : bool
        It cannot leave the host: the accelerator only ever gets a copy for one call.
    """

    nbytes: int
    start: str = ""
    anchored: bool = False


class Use(NamedTuple):
    """One operand of a call, or what Python reads.

    Attributes
    ----------
    storage : int
        Index of the storage it lies in.
    nbytes : int
        Bytes of its elements.
    alone : bool
        It would move without the rest of its storage, and not be kept.
    """

    storage: int
    nbytes: int
    alone: bool = False


class Step(NamedTuple):
    """One call.

    Attributes
    ----------
    work : Work
        What it does; ``work.op`` is its name.
    uses : tuple of Use
        Its operands in order, those it writes included.
    writes : tuple of int
        Storages it writes in place.
    results : tuple of int
        Storages it makes.
    gap : str
        Why the accelerator cannot run it; empty where it can.
    forced : str
        ``"cpu"`` or ``"accelerator"`` where a setting of the program itself or a pin decided; else empty.
    postponed : bool
        Its result is a constant that under automatic placement is made where it is first used.
    seconds : float
        How long it took when it was recorded, transfers included.
    device : str
        Where it ran then: ``"cpu"`` or ``"accelerator"``.
    line : str
        ``file:line`` of the user's code.
    """

    work: Work
    uses: tuple[Use, ...] = ()
    writes: tuple[int, ...] = ()
    results: tuple[int, ...] = ()
    gap: str = ""
    forced: str = ""
    postponed: bool = False
    seconds: float = 0.0
    device: str = "cpu"
    line: str = ""


class HostRead(NamedTuple):
    """Python asked for values: ``float(x)``, ``print(x)``, ``numpy.asarray(x)``.

    Attributes
    ----------
    use : Use
        What it reads.
    line : str
        ``file:line`` of the user's code.
    """

    use: Use
    line: str = ""


class Program(NamedTuple):
    """What ran, in order.

    Attributes
    ----------
    name : str
        For tables.
    storages : tuple of Storage
        Every allocation the program met or made.
    steps : tuple of Step or HostRead
        In the order in which they ran.
    seconds : float
        How long the whole took when it was recorded, Python between the calls included.
    """

    name: str
    storages: tuple[Storage, ...]
    steps: tuple[Step | HostRead, ...]
    seconds: float = 0.0
