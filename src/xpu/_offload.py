"""`offload`: a function over arrays placed as a whole, once per call, learned per signature."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from xpu._backends import HOST, Backend, accelerator, automatic, machine_for, now
from xpu._block import Handle, devices_of, home, shaped, shared
from xpu._choice import Choice
from xpu._config import current, taking
from xpu._device import CPU
from xpu._learn import learner
from xpu._leaves import arrays_in, key_of, overlapping
from xpu._lending import Lending
from xpu._machine import Machine
from xpu._op import host_only
from xpu._placement import ACCELERATOR, Decision, Operand, Policy, weigh
from xpu._program import Program, Recording, Step
from xpu._program._cut import price
from xpu._trace import seconds
from xpu.errors import text

__all__ = ["OffloadExplanation", "offload"]

_KEPT = 128  # signatures remembered per function
_ALL = 8  # calls per device that are all timed; of later ones every sixteenth is
_SOME = 16


class _Known(NamedTuple):
    """What is known of a signature."""

    choice: Choice
    program: Program
    host_only: str


@dataclass(frozen=True)
class OffloadExplanation:
    """Where a whole call would run.

    Attributes
    ----------
    function, device, reason : str
        What, where, why.
    cpu_seconds, accelerator_seconds : float or None
        Expected run time there, transfers of arguments left out; None before the first call.
    to_host_seconds, to_device_seconds : float
        Predicted transfers of arguments before a run there.
    observed : tuple of str
        Devices whose time was observed; the others' is predicted.
    operations : int
        Operations in a call; 0 before the first.
    """

    function: str
    device: str
    reason: str
    cpu_seconds: float | None = None
    accelerator_seconds: float | None = None
    to_host_seconds: float = 0.0
    to_device_seconds: float = 0.0
    observed: tuple[str, ...] = ()
    operations: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.function} runs on {self.device}: {self.reason}"]
        for name, run, transfer in (
            ("cpu", self.cpu_seconds, self.to_host_seconds),
            (ACCELERATOR, self.accelerator_seconds, self.to_device_seconds),
        ):
            if run is not None:
                how = "observed" if name in self.observed else "predicted"
                lines.append(f"  {name:12} {seconds(run):>10} {how:10} {seconds(transfer):>10} for its arguments")
        return "\n".join(lines)


class offload:
    """Place a function over arrays as a whole: once per call, learned per signature.

    The function takes and gives arrays, NumPy's or xpu's, alone or in tuples, lists and dictionaries.
    NumPy in, NumPy out: if no argument is an xpu array, neither is a result. What it writes into its
    arguments is written there on either device.

    Parameters
    ----------
    function : callable
        Written with xpu's functions, operators and methods, or with NumPy's.

    Raises
    ------
    TypeError
        If `function` is not callable.

    Notes
    -----
    The first call with new shapes and dtypes is placed operation by operation and recorded. From then on the
    whole call has a predicted time on each device: its operations there, those that only the host can do and the
    transfers around them, the reads by Python and NumPy results brought back. With the transfers of the arguments
    and their accounts it is weighed like a single operation (``docs/explain.md``). On a machine that is not frozen,
    observed times take the place of predicted ones; the first call on the GPU, cold, counts for nothing, and
    trying a device that is not expected to be the better one may cost 5% of the function's time at most.
    Arguments whose memory overlaps are left to the host. A setting (``config(device=...)``) decides over it.

    Examples
    --------
    >>> import numpy, xpu
    >>> @xpu.offload
    ... def normalised(x):
    ...     return (x - x.mean()) / x.std()
    >>> type(normalised(numpy.arange(4.0))).__module__
    'numpy'
    """

    def __init__(self, function: Any) -> None:
        if not callable(function):
            problem = f"the function must be callable, got {type(function).__name__}"
            raise TypeError(text("offload", problem, "Use it as a decorator."))
        functools.update_wrapper(self, function)
        self.function = function
        self._known: dict[Any, _Known] = {}

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it where the whole call finishes first."""
        settings = current()
        target = accelerator(settings) if settings.device == "auto" else None
        if target is None or settings.takes is not None:
            return Lending(args, kwargs, lambda a: None).call(self.function)
        known = self._known.get(self._key(args, kwargs))
        if known is None:
            return self._first(args, kwargs)
        arrays = arrays_in(args, kwargs)
        machine = machine_for(target)
        operands = [_operand(a, target) for a in arrays]
        decision = _weighed(known, operands, machine)
        device, reason = self._chosen(known, decision)
        _keep_accounts(arrays, decision)
        where = target if device == ACCELERATOR else HOST
        lending = Lending(args, kwargs, lambda a: None if where is HOST else target)
        timed = self._timed(known, device)
        began = now(where) if timed else 0.0
        with taking(None, str(where.device), reason):
            result = lending.call(self.function)
        if timed:
            moved = decision.transfer_seconds[1 if where is target else 0]
            known.choice.saw(device, max(0.0, now(where) - began - moved))
        return result

    def _key(self, args: Any, kwargs: Any) -> Any:
        return key_of((args, kwargs), lambda value: None)

    def _first(self, args: Any, kwargs: Any) -> Any:
        """Run operation by operation, and write down what the function does."""
        lending = Lending(args, kwargs, lambda a: HOST)
        with Recording(self._name) as recording:
            result = lending.call(self.function)
        program = _once_there(recording.program(), [recording.storage_of(a) for a in lending.given])
        target = accelerator(current())
        machine = machine_for(target)
        alone = "its arguments share memory" if overlapping(lending.arrays) else _gap(program)
        times = {device: _price(program, machine, device) for device in ("cpu", ACCELERATOR)}
        if len(self._known) >= _KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[self._key(args, kwargs)] = _Known(Choice(times), program, alone)
        return result

    def _chosen(self, known: _Known, decision: Decision) -> tuple[str, str]:
        """Return device and reason: the expected best, or the other one where trying it is cheap."""
        choice, said = known.choice, f"offload({self._name}): {decision.reason}"
        if not learner.on or known.host_only:
            return decision.device, said
        other = "cpu" if decision.device == ACCELERATOR else ACCELERATOR
        if choice.calls[decision.device] and choice.worth_trying(other):
            return other, f"offload({self._name}): a trial, to see how long it takes there"
        # A cold call taught nothing: the warm one after it does.
        if other == ACCELERATOR and choice.calls[other] == 1 and choice.worth_trying(other):
            return other, f"offload({self._name}): a trial, now that it is warm there"
        return decision.device, said

    @staticmethod
    def _timed(known: _Known, device: str) -> bool:
        calls = known.choice.calls[device]
        return learner.on and (calls < _ALL or sum(known.choice.calls.values()) % _SOME == 0)

    def explain(self, *args: Any, **kwargs: Any) -> OffloadExplanation:
        """Say where a call with these arguments would run and why; nothing runs.

        Returns
        -------
        OffloadExplanation
            Prints as a table. Before the first call with such arguments there is no time to show.
        """
        settings = current()
        target = accelerator(settings) if settings.device == "auto" else None
        if target is None:
            alone = settings.device == "auto" and automatic.get() is None
            reason = "no accelerator" if alone else settings.why
            return OffloadExplanation(self._name, "cpu" if settings.device == "auto" else settings.device, reason)
        known = self._known.get(self._key(args, kwargs))
        if known is None:
            reason = "the first call with such arguments is placed operation by operation"
            return OffloadExplanation(self._name, "auto", reason)
        arrays = arrays_in(args, kwargs)
        decision = _weighed(known, [_operand(a, target) for a in arrays], machine_for(target))
        device, reason = self._chosen(known, decision)
        choice = known.choice
        return OffloadExplanation(
            self._name,
            str(target.device) if device == ACCELERATOR else "cpu",
            reason,
            choice.seconds("cpu"),
            choice.seconds(ACCELERATOR),
            *decision.transfer_seconds,
            tuple(sorted(choice.observed)),
            sum(isinstance(step, Step) for step in known.program.steps),
        )


# ----------------------------------------------------------------------------- weighing a whole call


def _price(program: Program, machine: Machine, device: str) -> float:
    devices = [_only(step) or device for step in program.steps]
    return price(program, machine, devices)


def _only(step: Any) -> str:
    """Return the only device a step can be on, or nothing; a read by Python is the host's."""
    return step.forced if isinstance(step, Step) and not step.gap else "cpu"


def _gap(program: Program) -> str:
    """Return why nothing of it can run on the accelerator; empty where something can."""
    gaps = [step.gap for step in program.steps if isinstance(step, Step)]
    return gaps[0] if gaps and all(gaps) else ""


def _once_there(program: Program, given: list[int | None]) -> Program:
    """Return the program with its arguments on both devices: their transfers are weighed apart."""
    storages = list(program.storages)
    for number in given:
        if number is not None and storages[number].start:
            storages[number] = storages[number]._replace(start="both")
    return program._replace(storages=tuple(storages))


def _weighed(known: _Known, operands: list[Operand], machine: Machine) -> Decision:
    choice = known.choice
    here, there = choice.seconds("cpu"), choice.seconds(ACCELERATOR)
    if known.host_only:
        return Decision("cpu", known.host_only, here, float("nan"), (0.0, 0.0), tuple(o.lead for o in operands))
    return weigh(here, there, operands, machine, Policy())


def _operand(array: Any, target: Backend) -> Operand:
    if not isinstance(array, Handle):
        return Operand(array.nbytes, on_host=True, on_accelerator=False)
    meta, where = shaped(array), devices_of(array)
    view = home(array) if host_only(meta.dtype) else shared(array)
    if view is None:
        return Operand(meta.nbytes, CPU in where, target.device in where)
    pin = None if view.block.pin is None else ("cpu" if view.block.pin == CPU else ACCELERATOR)
    return Operand(meta.nbytes, CPU in where, target.device in where, view.block.lead, pin)


def _keep_accounts(arrays: list[Any], decision: Decision) -> None:
    for array, lead in zip(arrays, decision.leads, strict=False):
        view = home(array) if isinstance(array, Handle) else None
        if view is not None:
            view.block.lead = lead
