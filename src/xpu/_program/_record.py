"""Listening to dispatch and writing down what runs: which call, on which memory, read and written how.

Memory is told apart by who holds it: the block of a handle once it has one, else the NumPy array that owns the
bytes. Both are watched through weak references, so that a number is never given to new memory at an old address.
"""

from __future__ import annotations

import time
import weakref
from types import TracebackType
from typing import Any

import numpy as np

from xpu._backends._numpy import owner
from xpu._block import PARTIAL, Handle, devices_of, shaped, shared
from xpu._call import Call
from xpu._capability import gap_of
from xpu._config import Recorder, current, listening
from xpu._device import CPU
from xpu._op import POSTPONED, POSTPONED_BYTES, Op, Work, host_only
from xpu._placement import ACCELERATOR
from xpu._program._data import HostRead, Program, Step, Storage, Use
from xpu._trace import Event, user_line

__all__ = ["Recording"]


class Recording(Recorder):
    """Context manager that writes down the program inside as plain data.

    Parameters
    ----------
    name : str, optional
        For tables.

    Attributes
    ----------
    steps : list of Step or HostRead
        So far, in order.

    Examples
    --------
    >>> import xpu
    >>> with Recording("twice") as recording:
    ...     total = float((xpu.arange(4.0) * 2).sum())
    >>> [type(s).__name__ if isinstance(s, HostRead) else s.work.op for s in recording.program().steps]
    ['arange', 'multiply', 'sum', 'HostRead']
    """

    def __init__(self, name: str = "program") -> None:
        self.name = name
        self.steps: list[Step | HostRead] = []
        self._storages: list[Storage] = []
        self._numbers: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._open: list[tuple[listening, float]] = []
        self._seconds = 0.0
        self._base = "auto"

    def __enter__(self) -> Recording:
        scope = listening(self)
        scope.__enter__()
        self._base = current().device
        self._open.append((scope, time.perf_counter()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        scope, began = self._open.pop()
        self._seconds += time.perf_counter() - began
        scope.__exit__(kind, error, traceback)

    def program(self) -> Program:
        """Return what was recorded so far."""
        return Program(self.name, tuple(self._storages), tuple(self.steps), self._seconds)

    def storage_of(self, operand: Any) -> int | None:
        """Return the index of the storage that an array lies in, if the program has met it."""
        return self._number(_holders(operand))

    # ------------------------------------------------------------------------- what dispatch tells

    def ran(self, event: Event, call: Any, result: Any, work: Work) -> None:
        """Take one call, while its operands and results live."""
        assert isinstance(call, Call)
        uses = tuple(self._use(o) for o in call.operands)
        met = {u.storage for u in uses}
        writes = tuple(dict.fromkeys(self._met(t) for t in call.targets))
        results = self._results(result, met)
        postponed = (
            call.op.name in POSTPONED
            and not uses
            and len(results) == 1
            and self._storages[results[0]].nbytes >= POSTPONED_BYTES
        )
        self.steps.append(
            Step(
                _told(work, result if not uses else None, call.op),
                uses,
                writes,
                results,
                gap_of(call, call.shapes()),
                self._forced(call),
                postponed,
                max(0.0, event.actual),
                "cpu" if event.device == CPU else ACCELERATOR,
                event.line,
            )
        )

    def postponed(self, made: Any, work: Work) -> None:
        """Take an array that is made where it is first used."""
        number = self._new(made, Storage(_allocated(made)))
        self.steps.append(Step(work, results=(number,), postponed=True, line=user_line()))

    def read(self, operand: Any, nbytes: int | None = None, *, for_good: bool = False) -> None:
        """Take a read by Python; `for_good`: from now on the bytes stay on the host."""
        use = self._use(operand)
        if nbytes is not None:
            use = Use(use.storage, nbytes, use.alone or nbytes < PARTIAL * self._storages[use.storage].nbytes)
        self.steps.append(HostRead(use, user_line()))
        if for_good and not self._storages[use.storage].anchored:
            self._new(operand, Storage(self._storages[use.storage].nbytes, "cpu", anchored=True))

    # ------------------------------------------------------------------------- memory

    def _use(self, operand: Any) -> Use:
        number = self._met(operand)
        nbytes = shaped(operand).nbytes if isinstance(operand, Handle) else operand.nbytes
        storage = self._storages[number]
        return Use(number, nbytes, storage.anchored or nbytes < PARTIAL * storage.nbytes)

    def _met(self, operand: Any) -> int:
        """Return the number of the storage an operand lies in, giving it one at the first meeting."""
        holders = _holders(operand)
        found = self._number(holders)
        if found is None:
            return self._new(operand, Storage(_allocated(operand), _where(operand), _anchored(operand)))
        self._name(holders, found)
        return found

    def _new(self, operand: Any, storage: Storage) -> int:
        self._storages.append(storage)
        self._name(_holders(operand), len(self._storages) - 1)
        return len(self._storages) - 1

    def _number(self, holders: list[Any]) -> int | None:
        for holder in holders:
            found = self._numbers.get(id(holder))
            if found is not None and found[0]() is holder:
                return found[1]
        return None

    def _name(self, holders: list[Any], number: int) -> None:
        for holder in holders:
            key = id(holder)
            found = self._numbers.get(key)
            if found is None or found[1] != number or found[0]() is not holder:
                self._numbers[key] = (weakref.ref(holder), number)

    def _results(self, result: Any, met: set[int]) -> tuple[int, ...]:
        if isinstance(result, (tuple, list)):
            return tuple(dict.fromkeys(n for r in result for n in self._results(r, met)))
        if not isinstance(result, Handle) or self.storage_of(result) in met:
            return ()  # plain data, or a view of an operand
        if not isinstance(result._raw, (np.ndarray, np.generic)):
            shared(result)  # on a device only its block tells later views of it whose they are
        return (self._new(result, Storage(_allocated(result), "", _anchored(result))),)

    def _forced(self, call: Call) -> str:
        """Return where a setting inside the program, or a pin, puts a call."""
        device = current().device
        if device != self._base and device != "auto":
            return "cpu" if device == CPU else ACCELERATOR
        pins = {view.block.pin for view in map(_view, call.handles) if view is not None} - {None}
        return "" if len(pins) != 1 else "cpu" if pins == {CPU} else ACCELERATOR


def _told(work: Work, made: Any, op: Op) -> Work:
    """Return the work as it can be written down; a call without operands is counted by what it made."""
    if made is not None:
        arrays = [shaped(r) for r in (made if isinstance(made, (tuple, list)) else [made]) if isinstance(r, Handle)]
        work = op.work(arrays, {}) if arrays else work
    opaque = host_only(work.dtype) and work.dtype.char not in "gG"
    return work._replace(dtype=np.dtype(object)) if opaque else work


def _view(operand: Any) -> Any:
    """Return the view of a handle that knows one; unlike `xpu._block.home`, look nothing up."""
    return getattr(operand, "_home", None) if isinstance(operand, Handle) else None


def _holders(operand: Any) -> list[Any]:
    """Return the objects that stand for an operand's memory, the surest first."""
    view, found = _view(operand), []
    raw = operand._raw if isinstance(operand, Handle) else operand
    if view is not None:
        found.append(view.block)
        raw = view.block.roots.get(CPU, raw)
    if isinstance(raw, np.ndarray):
        found.append(owner(raw))
    if isinstance(operand, Handle) or not found:
        found.append(operand)
    return found


def _allocated(operand: Any) -> int:
    view = _view(operand)
    if view is not None:
        return int(view.block.nbytes)
    raw = operand._raw if isinstance(operand, Handle) else operand
    return int(owner(raw).nbytes if isinstance(raw, np.ndarray) else raw.nbytes)


def _where(operand: Any) -> str:
    if not isinstance(operand, Handle):
        return "cpu" if isinstance(operand, np.ndarray) else ACCELERATOR
    valid = devices_of(operand)
    return "cpu" if not valid or valid == {CPU} else "both" if CPU in valid else ACCELERATOR


def _anchored(operand: Any) -> bool:
    if not isinstance(operand, Handle):
        return True  # foreign memory is read during the call and never kept
    view = _view(operand)
    return bool(view.block.anchored) if view is not None else host_only(shaped(operand).dtype)
