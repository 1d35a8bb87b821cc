"""Faults on demand: what a GPU can do to a program, played by the pretend device."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from xpu._backends import backend
from xpu._backends._lost import find
from xpu._backends._pretend import Memory, PretendBackend, PretendLost, PretendOutOfMemory, PretendTorn
from xpu._device import parse
from xpu._dispatch import forget_refusals

__all__ = ["faults"]


class faults:
    """Context manager in which the pretend device misbehaves.

    Parameters
    ----------
    out_of_memory : int, optional
        Allocations and calls that find no memory, from the next one on; then all is well again.
    memory : int, optional
        Bytes of device memory for what is allocated inside: more than that is out of memory, until something goes.
    fragmented : bool, optional
        With `memory`: what was let go cannot be used before the pool is given back.
    lost : bool, optional
        The device stops answering for good.
    failing_calls : int, optional
        Calls that fail with a library error.
    error : Exception, optional
        What they raise; a ``RuntimeError`` if omitted. ``ImportError("libcublas.so.12: cannot open ...")`` is a
        library that is not there.
    torn_calls : int, optional
        Calls that fail when they have written half of what they write in place.
    failing_transfers : int, optional
        Copies, in either direction, that fail.
    failing_uploads, failing_downloads : int, optional
        Copies, in one direction, that fail.
    interrupted : str, optional
        ``"upload"``, ``"download"`` or ``"run"``: Ctrl-C (`KeyboardInterrupt`) arrives in the next one, half-way
        through a copy.
    missing : tuple of str, optional
        Names of rows (``"sin"``, ``"linalg.svd"``) that the device's library does not have.
    slow_link : float, optional
        Factor on the time of every transfer, on the virtual clock.
    dies_in_fork : bool, optional
        A process forked inside cannot use the device, as with CUDA.

    Attributes
    ----------
    raised : list of str
        What was injected, in order: ``"allocate"``, ``"run"``, ``"upload"``, ``"download"``.

    Examples
    --------
    >>> import xpu
    >>> settings = {"device": "pretend", "on_fallback": "allow"}
    >>> with xpu.testing.faults(out_of_memory=9) as injected, xpu.config(**settings):
    ...     total = float((xpu.ones(4) + 1).sum())
    >>> total, len(injected.raised) > 0
    (8.0, True)
    """

    def __init__(
        self,
        *,
        out_of_memory: int = 0,
        memory: int | None = None,
        fragmented: bool = False,
        lost: bool = False,
        failing_calls: int = 0,
        error: Exception | None = None,
        torn_calls: int = 0,
        failing_transfers: int = 0,
        failing_uploads: int = 0,
        failing_downloads: int = 0,
        interrupted: str = "",
        missing: tuple[str, ...] = (),
        slow_link: float = 1.0,
        dies_in_fork: bool = False,
    ) -> None:
        self._left = {
            "memory": out_of_memory,
            "call": failing_calls,
            "torn": torn_calls,
            "transfer": failing_transfers,
            "upload": failing_uploads,
            "download": failing_downloads,
        }
        self._memory = None if memory is None else Memory(memory, fragmented=fragmented)
        self._error = error or RuntimeError("the pretend device's kernel failed")
        self._interrupted = {"": "", "run": "run"}.get(interrupted, f"in {interrupted}")
        self._lost = lost
        self._missing = frozenset(missing)
        self._slow_link = slow_link
        self._survives_fork = not dies_in_fork
        self.raised: list[str] = []

    def __enter__(self) -> faults:
        found = backend(parse("pretend"))
        assert isinstance(found, PretendBackend)
        self._device = found
        self._before = found.fault, found.missing, found.slow_link, found.memory, found.survives_fork
        self._install(self._at, self._missing, self._slow_link, self._memory, self._survives_fork)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._install(*self._before)
        forget_refusals()  # what failed here works again
        find(self._device.device)

    def _install(self, fault: Any, missing: Any, slow_link: float, memory: Any, survives_fork: bool) -> None:
        found = self._device
        found.fault, found.missing, found.slow_link = fault, missing, slow_link
        found.memory, found.survives_fork = memory, survives_fork

    def _at(self, where: str) -> None:
        """Raise what is due at this point of the device's work."""
        if where.startswith("function:"):
            return
        if where == self._interrupted:
            self._interrupted = ""
            self._injected(where.removeprefix("in "), KeyboardInterrupt())
        if where.startswith("in "):
            return
        if self._lost:
            self._injected(where, PretendLost(f"the pretend device was lost in {where}"))
        if where in ("allocate", "run") and self._due("memory"):
            self._injected(where, PretendOutOfMemory(f"no memory left on the pretend device for {where}"))
        if where == "run" and self._due("call"):
            self._injected(where, self._error)
        if where == "run" and self._due("torn"):
            self._injected(where, PretendTorn("the pretend device's kernel stopped half-way"))
        if where in ("upload", "download") and (self._due("transfer") or self._due(where)):
            self._injected(where, RuntimeError(f"the pretend device's {where} failed"))

    def _due(self, kind: str) -> bool:
        self._left[kind] -= 1
        return self._left[kind] >= 0

    def _injected(self, where: str, error: BaseException) -> None:
        self.raised.append(where)
        raise error
