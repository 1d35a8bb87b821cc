"""Faults on demand: what a GPU can do to a program, played by the pretend device."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from xpu._backends import backend
from xpu._backends._pretend import PretendBackend, PretendLost, PretendOutOfMemory
from xpu._device import parse
from xpu._dispatch import forget_refusals

__all__ = ["faults"]


class faults:
    """Context manager in which the pretend device misbehaves.

    Parameters
    ----------
    out_of_memory : int, optional
        Allocations and calls that find no memory, from the next one on; then all is well again.
    lost : bool, optional
        The device stops answering for good.
    failing_calls : int, optional
        Calls that fail with a library error (`RuntimeError`).
    failing_transfers : int, optional
        Copies, in either direction, that fail.
    missing : tuple of str, optional
        Names of rows (``"sin"``, ``"linalg.svd"``) that the device's library does not have.
    slow_link : float, optional
        Factor on the time of every transfer, on the virtual clock.

    Attributes
    ----------
    raised : list of str
        What was injected, in order: ``"allocate"``, ``"run"``, ``"upload"``, ``"download"``.

    Examples
    --------
    >>> import xpu
    >>> with xpu.testing.faults(out_of_memory=9) as injected, xpu.config(device="pretend"):
    ...     total = float((xpu.ones(4) + 1).sum())
    >>> total, len(injected.raised) > 0
    (8.0, True)
    """

    def __init__(
        self,
        *,
        out_of_memory: int = 0,
        lost: bool = False,
        failing_calls: int = 0,
        failing_transfers: int = 0,
        missing: tuple[str, ...] = (),
        slow_link: float = 1.0,
    ) -> None:
        self._left = {"memory": out_of_memory, "call": failing_calls, "transfer": failing_transfers}
        self._lost = lost
        self._missing = frozenset(missing)
        self._slow_link = slow_link
        self.raised: list[str] = []

    def __enter__(self) -> faults:
        found = backend(parse("pretend"))
        assert isinstance(found, PretendBackend)
        self._device = found
        self._before = found.fault, found.missing, found.slow_link
        found.fault, found.missing, found.slow_link = self._at, self._missing, self._slow_link
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._device.fault, self._device.missing, self._device.slow_link = self._before
        forget_refusals()  # what failed here works again

    def _at(self, where: str) -> None:
        """Raise what is due at this point of the device's work."""
        if where.startswith("function:"):
            return
        if self._lost:
            self._injected(where, PretendLost(f"the pretend device was lost in {where}"))
        if where in ("allocate", "run") and self._due("memory"):
            self._injected(where, PretendOutOfMemory(f"no memory left on the pretend device for {where}"))
        if where == "run" and self._due("call"):
            self._injected(where, RuntimeError("the pretend device's kernel failed"))
        if where in ("upload", "download") and self._due("transfer"):
            self._injected(where, RuntimeError(f"the pretend device's {where} failed"))

    def _due(self, kind: str) -> bool:
        self._left[kind] -= 1
        return self._left[kind] >= 0

    def _injected(self, where: str, error: Any) -> None:
        self.raised.append(where)
        raise error
