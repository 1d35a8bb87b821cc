"""Writing down what a function does, so that it can be done again on other arrays without the function.

A script is a list of calls whose arrays are slots: arguments, results of earlier calls, arrays captured from
elsewhere. It may be replayed only if doing the same calls again is doing the same thing, so whatever a
replay could not see ends the trace with its reason: values read by Python, random draws, files, results whose shape
depends on values, writes to arrays that are neither arguments nor results. A function is traced twice, and what
differs from one call to the next (a number drawn by Python, a clock, a counter) shows in the difference.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xpu._backends import HOST
from xpu._backends import machine as machine_in_force
from xpu._block import Handle, read, shaped
from xpu._call import Call
from xpu._config import taking
from xpu._dispatch import call
from xpu._leaves import key_of
from xpu._op import Op, Shaped, Work
from xpu._program import Program, Recording, Step
from xpu._trace import user_line

__all__ = ["Script", "Slot", "Traced", "Untraceable", "filled", "trace"]


class Untraceable(Exception):  # it carries an answer, not an error
    """A replay would not do the same thing; the text says why."""


class Slot(NamedTuple):
    """Stands for an array in a script."""

    number: int


class Traced(NamedTuple):
    """One call of a script.

    Attributes
    ----------
    op : Op
        The row.
    args, kwargs
        Arguments, slots for arrays.
    results : object
        The structure it returned, slots for arrays.
    metas : tuple of Shaped
        Shapes and dtypes of the arrays in it.
    work : Work or None
        What it does; None for a view.
    step : int
        Its step in the recorded program; -1 for a view.
    line : str
        ``file:line`` of the user's code.
    """

    op: Op
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: Any
    metas: tuple[Shaped, ...]
    work: Work | None
    step: int
    line: str


class Script(NamedTuple):
    """What a function does, as data.

    Attributes
    ----------
    steps : tuple of Traced
        In order.
    slots : int
        How many arrays there are in all.
    inputs : tuple of int
        Slots of the arguments.
    captured : dict
        By slot: arrays from elsewhere, which are still there.
    constants : dict
        By slot: values of arrays that the function makes of numbers.
    result : object
        What it returns, slots for arrays.
    program : Program
        The same for placement.
    storages : tuple
        The program's storage of each argument; None for one that is not used.
    written : tuple of int
        Which arguments it writes.
    """

    steps: tuple[Traced, ...]
    slots: int
    inputs: tuple[int, ...]
    captured: dict[int, Any]
    constants: dict[int, np.ndarray[Any, Any]]
    result: Any
    program: Program
    storages: tuple[int | None, ...]
    written: tuple[int, ...]


_FILES = frozenset(
    ["fromfile", "fromregex", "genfromtxt", "load", "loadtxt", "save", "savetxt", "savez", "savez_compressed"]
)
# Rows whose result has a shape that depends on values.
_BY_VALUE = frozenset(
    [
        *("argwhere", "bincount", "compress", "extract", "flatnonzero", "histogram", "histogram_bin_edges", "nonzero"),
        *("intersect1d", "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique", "unique_all", "unique_counts"),
        *("unique_inverse", "unique_values", "delete", "insert", "repeat", "mask_indices", "piecewise", "roots"),
    ]
)


def filled(template: Any, slots: Any) -> Any:
    """Return a structure with arrays in place of slots."""
    if type(template) is Slot:
        return slots[template.number]
    if type(template) in (tuple, list):
        return type(template)([filled(t, slots) for t in template])
    if isinstance(template, tuple) and hasattr(template, "_fields"):
        return type(template)(*[filled(t, slots) for t in template])
    if type(template) is dict:
        return {k: filled(v, slots) for k, v in template.items()}
    return template


class _Watch(Recording):
    """A recording that a read by Python ends."""

    watching = True
    why = ""

    def read(self, operand: Any, nbytes: int | None = None, *, for_good: bool = False) -> None:
        """Stop: what Python does next may depend on the values."""
        if self.watching:
            self.why = f"Python reads values at {user_line()}"
            raise Untraceable(self.why)
        super().read(operand, nbytes, for_good=for_good)


class _Tracer:
    """Hears every call of a function and gives its arrays numbers."""

    def __init__(self, recording: _Watch) -> None:
        self.recording = recording
        self.steps: list[Traced] = []
        self.known: dict[int, tuple[weakref.ref[Any], int]] = {}
        self.captured: dict[int, tuple[weakref.ref[Any], Any, str]] = {}
        self.count = 0
        self.why = ""

    def number(self, array: Any) -> Slot | None:
        found = self.known.get(id(array))
        return Slot(found[1]) if found is not None and found[0]() is array else None

    def name(self, array: Any) -> Slot:
        """Give an array a number of its own."""
        slot = Slot(self.count)
        self.known[id(array)] = (weakref.ref(array), slot.number)
        self.count += 1
        return slot

    def capture(self, array: Any) -> Slot:
        """Take an array that is neither an argument nor a result; whether it is made anew each time shows later."""
        slot = self.name(array)
        values = np.array(read(array, HOST)) if isinstance(array, Handle) else None
        self.captured[slot.number] = (weakref.ref(array), values, user_line())
        return slot

    def template(self, value: Any) -> Any:
        if isinstance(value, (Handle, np.ndarray)):
            return self.number(value) or self.capture(value)
        if type(value) in (tuple, list):
            return type(value)([self.template(v) for v in value])
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*[self.template(v) for v in value])
        if type(value) is dict:
            return {k: self.template(v) for k, v in value.items()}
        return value

    # ------------------------------------------------------------------------- one call

    def take(self, this: Call) -> Any:
        """Run one call and write it down (`Settings.takes`)."""
        try:
            self._refuse(this)
            args, kwargs = self.template(this.args), self.template(this.kwargs)
            before = len(self.recording.steps)
            work = None if this.op.view else this.op.work(this.shapes(), this.kwargs)
            with taking(None):
                result = call(this.op, this.args, this.kwargs)
            recorded = len(self.recording.steps) - before
            if work is not None and recorded != 1:
                message = f"{this.op.name} runs in pieces"
                raise Untraceable(message)
            metas: list[Shaped] = []
            results = self._results(this, result, metas)
            step = -1 if work is None else before
            self.steps.append(Traced(this.op, args, kwargs, results, tuple(metas), work, step, user_line()))
        except Untraceable as found:
            self.why = self.why or str(found)  # the function may catch it
            raise
        return result

    def _refuse(self, this: Call) -> None:
        name = this.op.name
        message = ""
        if name.startswith("random."):
            message = f"it draws random numbers at {user_line()}"
        elif name in _FILES:
            message = f"{name} reads or writes a file"
        elif name in _BY_VALUE or (name == "getitem" and _has_mask(this.args[1])):
            message = f"the shape of a result of {name} may depend on values"
        else:
            for target in this.targets:
                if self.number(target) is None or self.number(target).number in self.captured:  # type: ignore[union-attr]
                    message = f"{name} writes into an array that the function neither got nor made by an operation"
                elif self.recording.storage_of(target) in self._captured_storages():
                    message = f"{name} writes into a view of an array that the function did not get"
        memory = machine_in_force().accelerator
        if not message and memory is not None and not this.op.view:
            work = this.op.work(this.shapes(), this.kwargs)
            message = f"{name} does not fit on the accelerator at once" if 4 * work.bytes > memory.memory else ""
        if message:
            raise Untraceable(message)

    def _captured_storages(self) -> set[int | None]:
        alive = (ref() for ref, _, _ in self.captured.values())
        return {self.recording.storage_of(a) for a in alive if a is not None} - {None}

    def _results(self, this: Call, result: Any, metas: list[Shaped]) -> Any:
        if isinstance(result, Handle):
            metas.append(shaped(result))
            return self.number(result) or self.name(result)
        if result is None:
            return None
        if type(result) in (tuple, list):
            return type(result)([self._results(this, r, metas) for r in result])
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            return type(result)(*[self._results(this, r, metas) for r in result])
        message = f"{this.op.name} gives Python a value"
        raise Untraceable(message)


def _has_mask(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        if isinstance(part, (bool, np.bool_)):
            return True
        kind = shaped(part).dtype if isinstance(part, Handle) else getattr(part, "dtype", None)
        if kind is not None and np.dtype(kind).kind == "b":
            return True
        if isinstance(part, list) and np.asarray(part).dtype.kind == "b":
            return True
    return False


# ----------------------------------------------------------------------------- a whole function


def trace(function: Callable[..., Any], name: str, copies: Callable[[], tuple[Any, Any, list[Any], bool]]) -> Script:
    """Trace a function twice on copies of its arguments.

    Parameters
    ----------
    function : callable
        What to trace.
    name : str
        For tables.
    copies : callable
        Returns fresh copies: positional and keyword arguments, the arrays among them in order, and whether
        results are brought to the host in the end.

    Returns
    -------
    Script
        What it does.

    Raises
    ------
    Untraceable
        If a replay would not do the same; the text says why.
    """
    first, second = _traced(function, name, copies), _traced(function, name, copies)
    _compare(first, second)
    return first


def _traced(function: Callable[..., Any], name: str, copies: Callable[[], tuple[Any, Any, list[Any], bool]]) -> Script:
    args, kwargs, arrays, plain = copies()
    recording = _Watch(name)
    tracer = _Tracer(recording)
    inputs = tuple(tracer.name(a).number for a in arrays)
    with recording:
        with taking(tracer.take):
            made = function(*args, **kwargs)
        if tracer.why or recording.why:  # the function caught it
            raise Untraceable(tracer.why or recording.why)
        result = tracer.template(made)
        recording.watching = False
        if plain:
            for handle in _handles(made):
                recording.read(handle)
    storages = tuple(recording.storage_of(a) for a in arrays)
    del made, args, kwargs
    captured, constants = {}, {}
    for slot, (ref, values, line) in tracer.captured.items():
        array = ref()
        if array is not None:
            captured[slot] = array
        elif values is None:
            message = f"it makes a NumPy array at {line}, and what is in it may differ from call to call"
            raise Untraceable(message)
        else:
            constants[slot] = values
    program = recording.program()
    writes = {w for step in program.steps if isinstance(step, Step) for w in step.writes}
    written = tuple(i for i, s in enumerate(storages) if s is not None and s in writes)
    numbers = {recording.storage_of(a) for a in captured.values()} - {None}
    starts = tuple(
        s._replace(start="both") if i in numbers and s.start and not s.anchored else s
        for i, s in enumerate(program.storages)
    )
    program = program._replace(storages=starts)  # captured arrays stay where they were used: moved once, for all calls
    return Script(
        tuple(tracer.steps), tracer.count, inputs, captured, constants, result, program, storages, written
    )


def _handles(value: Any) -> list[Any]:
    if isinstance(value, Handle):
        return [value]
    if isinstance(value, (tuple, list)):
        return [h for v in value for h in _handles(v)]
    return [h for v in value.values() for h in _handles(v)] if isinstance(value, dict) else []


def _compare(first: Script, second: Script) -> None:
    """Refuse what two calls on the same values do differently."""
    message = ""
    if [s.op for s in first.steps] != [s.op for s in second.steps]:
        message = "its operations differ from call to call"
    elif first.captured.keys() != second.captured.keys() or any(
        a is not second.captured[slot] for slot, a in first.captured.items()
    ):
        message = "it uses other arrays from call to call"
    elif first.constants.keys() != second.constants.keys() or any(
        not _same(a, second.constants[slot]) for slot, a in first.constants.items()
    ):
        message = "an array that it makes of numbers differs from call to call"
    else:
        for a, b in zip(first.steps, second.steps, strict=True):
            if _key((a.args, a.kwargs, a.results)) != _key((b.args, b.kwargs, b.results)) or a.metas != b.metas:
                message = f"a value given to {a.op.name} at {a.line} differs from call to call"
                break
    if not message and _key(first.result) != _key(second.result):
        message = "what it returns differs from call to call"
    if message:
        raise Untraceable(message)


def _key(value: Any) -> Any:
    return key_of(value, repr)


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
