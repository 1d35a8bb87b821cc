"""What placement remembers from call to call: an account per Block, and what results of one kind of call gain.

`xpu._placement` decides from numbers; this file keeps the two that outlive a call.

*Accounts.* A Block's lead is what it would have gained so far by being on the accelerator. A fresh result starts with
its operands' leads, by bytes, so that a chain of fresh arrays adds up.

*Kinds.* A loop makes the same fresh arrays again and again, and each would have to earn its move anew. So calls of one
kind (operation, bytes, and what made their operands) share a record: the lead that the last result of this kind had
in the end is what the next one may expect (`Kind.ahead`), within one transfer of it either way. Placement adds it to
the price of the other device, and a result that starts from an expectation starts its account at nothing.

Dispatch keeps one `Memory` for the process; the simulator (`xpu._program`) gives every replay one of its own, and
both call the functions below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from xpu._op import Work

__all__ = ["SMALL", "Account", "Kind", "Memory", "born", "memory", "pay_read", "settle"]

SMALL = 256  # bytes of host memory below which no account is kept
_MOST_KINDS = 4096


class Kind:
    """Calls of one kind, and what their results gain.

    Attributes
    ----------
    op : str
        The operation.
    ahead : float
        Seconds that the accelerator was ahead for the last result whose life is over; 0 at first.
    latest : float
        The same for the newest result, so far.
    made : bool
        Whether there was a result yet.
    """

    __slots__ = ("ahead", "latest", "made", "op")

    def __init__(self, op: str) -> None:
        self.op = op
        self.ahead = self.latest = 0.0
        self.made = False


class Account(Protocol):
    """What has an account: a `Block`, or a storage in the simulator."""

    nbytes: int
    lead: float
    kind: Kind | None


def settle(account: Account, lead: float) -> None:
    """Store a lead."""
    account.lead = lead
    if account.kind is not None:
        account.kind.latest = lead


def pay_read(account: Account, seconds: float) -> None:
    """Count a read by Python: on the accelerator it costs a transfer of so many seconds."""
    settle(account, max(account.lead - seconds, -seconds))


class Memory:
    """The kinds of call met so far.

    Examples
    --------
    >>> import numpy as np
    >>> memory, work = Memory(), Work("elementwise", np.dtype("f8"), 24e6, 1e6, "add")
    >>> memory.kind(work, []) is memory.kind(work, [])
    True
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], Kind] = {}

    def kind(self, work: Work, operands: Sequence[Account | None]) -> Kind:
        """Return the record of a call's kind."""
        key = (work.op, work.bytes, *[o.kind.op if o is not None and o.kind is not None else "" for o in operands])
        found = self._kinds.get(key)
        if found is None:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            found = self._kinds[key] = Kind(work.op)
        return found

    def forget(self) -> None:
        """Start afresh."""
        self._kinds.clear()


def born(kind: Kind, results: Sequence[Account], operands: Sequence[Account]) -> None:
    """Open the accounts of a call's fresh results.

    Parameters
    ----------
    kind : Kind
        Of the call.
    results, operands : sequence of Account
        What it made, from what.
    """
    lead = size = 0.0
    if not kind.made:
        for operand in operands:
            lead += operand.lead
            size += operand.nbytes
    kind.made = True
    kind.ahead, kind.latest = kind.latest, 0.0
    for result in results:
        result.kind = kind
        result.lead = lead * result.nbytes / size if size else 0.0


memory = Memory()
