"""`plan`: a function traced, placed as a whole by the minimum cut, and replayed without deciding again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from xpu._backends import HOST, Backend, accelerator, machine_for, now
from xpu._block import Handle, devices_of, shaped
from xpu._call import Call
from xpu._config import current
from xpu._device import CPU
from xpu._dispatch import call, execute
from xpu._leaves import arrays_in, key_of, mapped, overlapping
from xpu._lending import Lending, lent
from xpu._op import Work
from xpu._ops.creation import copy
from xpu._placement import ACCELERATOR, Decision
from xpu._program import Step
from xpu._program._cut import minimum_cut
from xpu._tables import Table, aligned
from xpu._trace import Event, seconds, size, user_line
from xpu._tracing import Script, Slot, Untraceable, filled, trace
from xpu._wrap import kinds, own
from xpu.errors import XpuError, text

__all__ = ["Plan", "PlanError", "plan"]

_KEPT = 64  # signatures
_MISSES = 8  # new signatures in a row after which planning is given up


class PlanError(XpuError, RuntimeError):
    """A replay found a result of another shape than the trace after it had written to an argument."""


class _Placed(NamedTuple):
    """A script with a device for every step."""

    decisions: tuple[Decision | None, ...]
    first: tuple[str, ...]
    seconds: float


class Plan:
    """A function of arrays that is replayed; see `plan`.

    Attributes
    ----------
    reason : str
        Why the last call was not replayed; empty if it was.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.reason = ""
        self._name = getattr(function, "__name__", type(function).__name__)
        self._scripts: dict[Any, Script | str] = {}
        self._placed: dict[Any, _Placed] = {}
        self._last: tuple[Script, _Placed] | None = None
        self._misses = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replay the plan for these shapes, dtypes and values of what is not an array; make one if there is none."""
        settings = current()
        target = accelerator(settings) if settings.device == "auto" and settings.takes is None else None
        if target is None:
            self.reason = "no accelerator" if settings.device == "auto" else settings.why
            return Lending(args, kwargs, lambda a: None).call(self.function)
        found = self._prepared(args, kwargs, target)
        if isinstance(found, str):
            return self._by_operation(args, kwargs, found)
        script, placed = found
        self.reason = ""
        users = arrays_in(args, kwargs)
        homes = {id(a): _home(first, target) for a, first in zip(users, placed.first, strict=True)}
        lending = Lending(args, kwargs, lambda a: homes[id(a)])
        try:
            result = _replayed(script, placed, lending.given, target)
        except _Changed as found_out:
            if found_out.written:
                problem = f"{found_out}, and an argument had been written by then"
                raise PlanError(text("plan", problem, "Run the function itself, or with xpu.offload.")) from None
            self._scripts[self._key(args, kwargs)] = str(found_out)
            return self._by_operation(args, kwargs, str(found_out))
        lending.write_back(lending.given[i] for i in script.written)
        return lending.returned(result)

    def forget(self) -> None:
        """Trace again at the next call: arrays and numbers from elsewhere were captured."""
        self._scripts.clear()
        self._placed.clear()
        self._misses = 0

    # ------------------------------------------------------------------------- from arguments to a plan

    def _key(self, args: Any, kwargs: Any) -> Any:
        return key_of((args, kwargs), repr)

    def _prepared(self, args: Any, kwargs: Any, target: Backend) -> tuple[Script, _Placed] | str:
        key = self._key(args, kwargs)
        script = self._scripts.get(key)
        if script is None:
            if self._misses >= _MISSES:
                return "nearly every call has arguments of other shapes or values"
            self._misses += 1
            if len(self._scripts) >= _KEPT:
                self._scripts.pop(next(iter(self._scripts)))
            script = self._scripts[key] = self._traced(args, kwargs)
        else:
            self._misses = 0
        if isinstance(script, str):
            return script
        where = tuple(_place(a, target) for a in arrays_in(args, kwargs))
        placed = self._placed.get((key, where))
        if placed is None or self._scripts[key] is not script:
            if len(self._placed) >= _KEPT:
                self._placed.clear()
            placed = self._placed[key, where] = self._cut(script, where, target)
        self._last = script, placed
        return script, placed

    def _traced(self, args: Any, kwargs: Any) -> Script | str:
        if overlapping(arrays_in(args, kwargs)):
            return "its arguments share memory"

        users = arrays_in(args, kwargs)
        plain = bool(users) and not any(isinstance(a, Handle) for a in users)

        def copies() -> tuple[Any, Any, list[Any], bool]:
            fresh = {id(a): _copied(a) for a in users}
            args_again, kwargs_again = (mapped(given, lambda a: fresh[id(a)]) for given in (args, kwargs))
            return args_again, kwargs_again, [fresh[id(a)] for a in users], plain

        try:
            return trace(self.function, self._name, copies)
        except Untraceable as found:
            return str(found)

    def _cut(self, script: Script, where: tuple[str, ...], target: Backend) -> _Placed:
        storages = list(script.program.storages)
        for number, place in zip(script.storages, where, strict=True):
            if number is not None and storages[number].start and not storages[number].anchored:
                storages[number] = storages[number]._replace(start=place)
        machine = machine_for(target)
        placement = minimum_cut(script.program._replace(storages=tuple(storages)), machine)
        reason = f"plan({self._name}): the minimum cut of the whole"
        decisions: list[Decision | None] = []
        first = ["cpu"] * len(script.inputs)
        met: set[int] = set()
        for step in script.steps:
            if step.work is None:
                decisions.append(None)
                continue
            recorded = script.program.steps[step.step]
            device = placement.devices[step.step]
            why = recorded.gap if isinstance(recorded, Step) and recorded.gap else reason
            decisions.append(_decision(device, why, step.work, machine))
            for use in recorded.uses if isinstance(recorded, Step) else ():
                if use.storage not in met and use.storage in script.storages:
                    met.add(use.storage)
                    first[script.storages.index(use.storage)] = device
        return _Placed(tuple(decisions), tuple(first), placement.seconds)

    def _by_operation(self, args: Any, kwargs: Any, why: str) -> Any:
        """Run the function itself, each operation placed by itself."""
        self.reason = why
        for recorder in current().recorders:
            reason, moment = f"operation by operation: {why}", now(HOST)
            said = Event(f"plan({self._name})", "auto", reason, float("nan"), 0.0, 0, 0, (), user_line(), moment)
            recorder.record(said._replace(end=moment, summary=True))
        return Lending(args, kwargs, lambda a: HOST).call(self.function)

    # ------------------------------------------------------------------------- how it prints

    def tables(self) -> list[Table]:
        """Return the steps of the plan used last, and where each runs, as a table."""
        if self._last is None:
            return []
        script, placed = self._last
        rows = [
            [s.op.name, "-" if d is None else d.device, "a view" if d is None else seconds(d.seconds), s.line]
            for s, d in zip(script.steps, placed.decisions, strict=True)
        ]
        moved = sum(s.nbytes for s in script.program.storages)
        transfers = max(0.0, placed.seconds - sum(d.seconds for d in placed.decisions if d is not None))
        title = (
            f"plan({self._name}): {len(rows)} steps, {seconds(placed.seconds)} predicted, "
            f"{seconds(transfers)} of it transfers, {size(moved)} of arrays"
        )
        return [Table(title, ("op", "device", "predicted run", "line"), rows, (2,))]

    def __str__(self) -> str:
        if self.reason or self._last is None:
            return f"plan({self._name}): operation by operation: {self.reason or 'not used yet'}"
        return "\n".join(line for table in self.tables() for line in (table.title, *aligned(table)))


def plan(function: Any, /, *args: Any, **kwargs: Any) -> Plan:
    """Trace a function, place it as a whole, and return it as something that replays it.

    Parameters
    ----------
    function : callable
        Of arrays (NumPy's or xpu's, also in tuples, lists and dictionaries) and plain values.
    *args, **kwargs
        Arguments such as it will be called with. It runs twice on copies of the arrays; they are left as
        they are.

    Returns
    -------
    Plan
        Called like `function`. ``print(plan)`` shows the steps and where each runs.

    Raises
    ------
    TypeError
        If `function` is not callable.
    PlanError
        In a later call, see there.

    Notes
    -----
    Every step gets the device that the minimum cut of the recorded program gives it (exact for two devices;
    ``docs/placement.md``). A replay runs the same operations in the same order on the new arguments, writes
    and views included, with no decision and without the Python code between them. Other shapes, dtypes or plain values
    are traced anew. Arrays from elsewhere (globals, closures) are captured by reference, numbers by value: after
    a change call `Plan.forget`.

    A function that a replay could not repeat runs operation by operation instead, and `Plan.reason` and
    the profile say why: Python reads values (``if x.sum() > 0``), random draws, files, results whose shape
    depends on values, writes into arrays from elsewhere, and whatever differs between the two traces. So does
    everything under ``config(device=...)`` and without an accelerator.

    Examples
    --------
    >>> import numpy, xpu
    >>> f = xpu.plan(lambda x: xpu.sqrt(x) + 1, numpy.ones(3))
    >>> f(numpy.full(3, 4.0))
    array([3., 3., 3.])
    """
    if not callable(function):
        problem = f"the function must be callable, got {type(function).__name__}"
        raise TypeError(text("plan", problem, "Pass a function and arguments for it."))
    made = Plan(function)
    settings = current()
    target = accelerator(settings) if settings.device == "auto" and settings.takes is None else None
    if target is not None:
        found = made._prepared(args, kwargs, target)
        made.reason = found if isinstance(found, str) else ""
    return made


# ----------------------------------------------------------------------------- arguments


def _copied(array: Any) -> Any:
    """Return an xpu array that the trace may write into; immutable scalars stand for themselves."""
    if not isinstance(array, Handle):
        return lent(array.copy(), HOST)
    return array if isinstance(array, kinds.scalar) else copy(array)


def _place(array: Any, target: Backend) -> str:
    if not isinstance(array, Handle):
        return "cpu"
    where = devices_of(array)
    if target.device in where:
        return "both" if CPU in where else ACCELERATOR
    return "cpu"


def _home(first: str, target: Backend) -> Backend | None:
    """Return where NumPy's memory is lent: shared with the host, or straight on the device."""
    return target if first == ACCELERATOR else HOST


# ----------------------------------------------------------------------------- replay


class _Changed(Exception):  # it carries an answer
    """A result has another shape or dtype than in the trace."""

    written = False


def _decision(device: str, reason: str, work: Work, machine: Any) -> Decision:
    there = float("nan") if machine.accelerator is None else machine.accelerator.seconds(work)
    return Decision(device, reason, machine.cpu.seconds(work), there, (0.0, 0.0))


def _replayed(script: Script, placed: _Placed, given: list[Any], target: Backend) -> Any:
    """Run a script on new arguments."""
    settings = current()
    slots: list[Any] = [None] * script.slots
    for slot, array in zip(script.inputs, given, strict=True):
        slots[slot] = array
    for slot, array in script.captured.items():
        slots[slot] = array
    for slot, values in script.constants.items():
        slots[slot] = own(values.copy(), scalar=False)
    written = False
    for step, decision, over in zip(script.steps, placed.decisions, _last_uses(script), strict=True):
        args, kwargs = filled(step.args, slots), filled(step.kwargs, slots)
        if decision is None or step.work is None:
            result = call(step.op, args, kwargs)
        else:
            where = target if decision.device == ACCELERATOR else HOST
            result = execute(Call(step.op, args, kwargs), settings, decision, where, step.work)
        metas = iter(step.metas)
        for slot, made in _pairs(step.results, result):
            if shaped(made) != next(metas):
                meta = shaped(made)
                changed = _Changed(f"a result of {step.op.name} at {step.line} is now {meta.dtype}{meta.shape}")
                changed.written = written
                raise changed
            slots[slot] = made
        written = written or bool(script.written and (step.op.writes or "out" in step.kwargs))
        for slot in over:
            slots[slot] = None
    return filled(script.result, slots)


def _pairs(template: Any, result: Any) -> Iterator[tuple[int, Any]]:
    """Yield slots and the arrays for them."""
    if type(template) is Slot:
        yield template.number, result
    elif isinstance(template, (tuple, list)):
        for t, r in zip(template, result, strict=True):
            yield from _pairs(t, r)


def _used(template: Any) -> Iterator[int]:
    if type(template) is Slot:
        yield template.number
    elif isinstance(template, (tuple, list)):
        for t in template:
            yield from _used(t)
    elif type(template) is dict:
        for t in template.values():
            yield from _used(t)


def _last_uses(script: Script) -> list[list[int]]:
    """Return, for each step, the slots that no later step and no result uses: their memory is free then."""
    kept = set(_used(script.result))
    over: list[list[int]] = []
    for step in reversed(script.steps):
        here = {*_used(step.args), *_used(step.kwargs), *_used(step.results)} - kept
        over.append(sorted(here))
        kept |= here
    return over[::-1]
