"""Settings: one row each, a value per process, overridden per context.

A context (thread, asyncio task, ``with`` block) keeps its own values in a context variable. While
any override lives, the gate stays closed, so no hot path can miss it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, NamedTuple

from xpu._device import parse
from xpu._gate import gate
from xpu.errors import ConfigError, nearest, text

__all__ = ["SETTINGS", "Recorder", "Setting", "Settings", "config", "current", "instead", "listening", "set_config"]

_CHOICES = ("allow", "warn", "raise")
FORCED = "forced by config(device=...)"


class Setting(NamedTuple):
    """One setting: its name, environment variable, values, default, default under test, help."""

    name: str
    variable: str
    default: Any
    test_default: Any
    choices: tuple[Any, ...]
    help: str


SETTINGS: tuple[Setting, ...] = (
    Setting("device", "XPU_DEVICE", "auto", "auto", (), "where operations run: auto, cpu, cuda, cuda:N, pretend"),
    Setting("on_transfer", "XPU_ON_TRANSFER", "allow", "allow", _CHOICES, "what a transfer between devices does"),
    Setting(
        "on_fallback",
        "XPU_ON_FALLBACK",
        "warn",
        "raise",
        _CHOICES,
        "what a failing GPU call does before the CPU runs it",
    ),
    Setting(
        "check", "XPU_CHECK", "off", "off", ("off", "both"), "'both' runs every operation on the CPU too and compares"
    ),
    Setting(
        "deterministic",
        "XPU_DETERMINISTIC",
        True,
        True,
        (False, True),
        "refuse GPU algorithms whose result varies from run to run",
    ),
    Setting("tf32", "XPU_TF32", False, False, (False, True), "allow TensorFloat-32 in float32 convolution and matmul"),
    Setting(
        "autotune",
        "XPU_AUTOTUNE",
        False,
        False,
        (False, True),
        "measure convolution engines once per shape and keep the winner",
    ),
)
_ROWS = {row.name: row for row in SETTINGS}


class Recorder:
    """What wants to hear of every decision (a profile) or of every call (a recording); it takes what it wants."""

    def record(self, event: Any) -> None:
        """Take one event."""

    def moved(self, transfer: Any) -> None:
        """Take one transfer, whether an operation or a read by Python caused it."""

    def ran(self, event: Any, call: Any, result: Any, work: Any) -> None:
        """Take a call that has run, with its operands and its result; not told of views."""

    def postponed(self, made: Any, work: Any) -> None:
        """Take an array that will be made where it is first used."""

    def read(self, operand: Any, nbytes: int | None = None, *, for_good: bool = False) -> None:
        """Take a read by Python of an array, or of `nbytes` of it; `for_good`: it stays on the host then."""


class Settings:
    """Resolved values of all settings, the recorders that listen, and who takes calls over.

    `why` is the reason given where `device` decides. `takes` is asked before every operation is
    placed, with the operation as it was called, and answers with the result or ``NotImplemented``. `stays` is
    `device` where that is all that a call on an accelerator has to know, else empty.
    """

    __slots__ = (
        "autotune",
        "check",
        "deterministic",
        "device",
        "on_fallback",
        "on_transfer",
        "recorders",
        "stays",
        "takes",
        "tf32",
        "watching",
        "why",
    )
    device: str
    on_transfer: str
    on_fallback: str
    check: str
    deterministic: bool
    tf32: bool
    autotune: bool

    def __init__(
        self,
        values: Mapping[str, Any],
        recorders: tuple[Recorder, ...] = (),
        why: str = FORCED,
        takes: Callable[[Any], Any] | None = None,
    ) -> None:
        self.device = values["device"]
        self.on_transfer = values["on_transfer"]
        self.on_fallback = values["on_fallback"]
        self.check = values["check"]
        self.deterministic = values["deterministic"]
        self.tf32 = values["tf32"]
        self.autotune = values["autotune"]
        self.recorders = recorders
        self.why = why
        self.takes = takes
        unusual = self.device not in ("auto", "cpu") or self.check != "off" or takes is not None
        self.watching = bool(recorders) or unusual
        # Nobody has to hear of a call on what lies on an accelerator already: it may take the short way (`_resident`).
        quiet = self.device != "cpu" and self.check == "off" and takes is None and not recorders
        self.stays = self.device if quiet else ""
        if self.watching:
            gate.watch(+1)

    def __del__(self, is_over: Callable[[], bool] = sys.is_finalizing) -> None:
        # A task may outlive the `with` block whose settings it inherited: the gate opens again
        # only when nobody holds the settings any more. When the interpreter goes, modules are empty already.
        if getattr(self, "watching", False) and not is_over():
            gate.watch(-1)

    def values(self) -> dict[str, Any]:
        """Return the settings as a dictionary."""
        return {
            "device": self.device,
            "on_transfer": self.on_transfer,
            "on_fallback": self.on_fallback,
            "check": self.check,
            "deterministic": self.deterministic,
            "tf32": self.tf32,
            "autotune": self.autotune,
        }


def _checked(name: str, value: Any, function: str) -> Any:
    """Return the value to store, or raise ConfigError naming the valid ones."""
    row = _ROWS.get(name)
    if row is None:
        known = ", ".join(sorted(_ROWS))
        raise ConfigError(
            text(function, f"unknown setting {name!r}", f"Valid settings: {known}. {nearest(name, _ROWS)}".strip())
        )
    if name == "device":
        return value if value == "auto" else str(parse(value, function))
    if row.choices == (False, True) and isinstance(value, str):
        value = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}.get(
            value.lower(), value
        )
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in row.choices):
        valid = ", ".join(repr(choice) for choice in row.choices)
        raise ConfigError(text(function, f"{name}={value!r} is not valid", f"Valid values: {valid}."))
    return value


def _from_environment() -> Settings:
    values = {}
    for row in SETTINGS:
        raw = os.environ.get(row.variable)
        values[row.name] = row.default if raw in (None, "") else _checked(row.name, raw, f"config ({row.variable})")
    return Settings(values)


_process: Settings = _from_environment()
_context: ContextVar[Settings | None] = ContextVar("xpu_settings", default=None)


def current() -> Settings:
    """Return the settings in force here: this context's, else the process's."""
    return _context.get() or _process


def set_config(**settings: Any) -> None:
    """Change settings for the whole process.

    Parameters
    ----------
    **settings
        ``device``, ``on_transfer``, ``on_fallback``, ``check``, ``deterministic``, ``tf32``,
        ``autotune``; see `config`.

    Raises
    ------
    ConfigError
        For an unknown setting or value (a ``ValueError``); nothing is changed then.

    Examples
    --------
    >>> import xpu
    >>> xpu.set_config(on_transfer="allow")
    """
    global _process
    values = _process.values()
    values.update({name: _checked(name, value, "set_config") for name, value in settings.items()})
    _process = Settings(values)


class config:
    """Context manager: settings for a region of code, in this thread or task only.

    Parameters
    ----------
    **settings
        device : {'auto', 'cpu', 'cuda', 'cuda:N', 'pretend'}
            Where operations run. ``'auto'`` chooses each time.
        on_transfer : {'allow', 'warn', 'raise'}
            What a transfer between devices does.
        on_fallback : {'allow', 'warn', 'raise'}
            What happens before the CPU repeats a call that failed on the GPU.
        check : {'off', 'both'}
            ``'both'`` runs every operation on the CPU too and compares the results.
        deterministic, tf32 : bool
            Choices for GPU algorithms.
        autotune : bool
            Measure the engines of a convolution once per shape, on any device, and keep the winner on disk.

    Raises
    ------
    ConfigError
        For an unknown setting or value (a ``ValueError``).

    Examples
    --------
    >>> import xpu
    >>> with xpu.config(device="cpu"):
    ...     print(xpu.ones(3).sum())
    3.0
    """

    __slots__ = ("_settings", "_tokens")

    def __init__(self, **settings: Any) -> None:
        self._settings = {name: _checked(name, value, "config") for name, value in settings.items()}
        self._tokens: list[Token[Settings | None]] = []

    def __enter__(self) -> config:
        base = current()
        why = FORCED if "device" in self._settings else base.why
        made = Settings({**base.values(), **self._settings}, base.recorders, why, base.takes)
        self._tokens.append(_context.set(made))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _context.reset(self._tokens.pop())


class listening:
    """Context manager: a recorder hears every decision made inside."""

    __slots__ = ("_recorder", "_tokens")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tokens: list[Token[Settings | None]] = []

    def __enter__(self) -> None:
        base = current()
        made = Settings(base.values(), (*base.recorders, self._recorder), base.why, base.takes)
        self._tokens.append(_context.set(made))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _context.reset(self._tokens.pop())


@contextmanager
def taking(takes: Callable[[Any], Any] | None, device: str | None = None, why: str = FORCED) -> Iterator[None]:
    """Return a region in which `takes` is asked before an operation is placed (see `Settings`)."""
    base = current()
    values = base.values() if device is None else {**base.values(), "device": device}
    token = _context.set(Settings(values, base.recorders, why if device is not None else base.why, takes))
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def instead(recorder: Recorder | None) -> Iterator[None]:
    """Return a region in which this recorder, or nobody, hears what happens, and those outside do not."""
    base = current()
    heard = () if recorder is None else (recorder,)
    token = _context.set(Settings(base.values(), heard, base.why))
    try:
        yield
    finally:
        _context.reset(token)
