"""Programs as JSON files. What a stranger's file says is checked field by field; nothing in it is run."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, NoReturn

import numpy as np

from xpu._op import KINDS, NUMBER, ROWS, Work
from xpu._program._data import HostRead, Program, Step, Storage, Use
from xpu.errors import XpuError, text

__all__ = ["SCHEMA", "ProgramFileError", "from_dict", "load", "save", "to_dict"]

SCHEMA = 1
_DTYPE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGOSUVmM]|[biufcmMOSUV?]\d{1,9}(\[\w{1,4}\])?)")
_PLACES = ("", "cpu", "accelerator")
_STARTS = (*_PLACES, "both")


class ProgramFileError(XpuError, ValueError):
    """A recorded program with a missing, foreign or absurd field."""


def to_dict(program: Program) -> dict[str, Any]:
    """Return a program as JSON data; `from_dict` reads it back."""
    return {
        "schema": SCHEMA,
        "name": program.name,
        "seconds": program.seconds,
        "storages": [s._asdict() for s in program.storages],
        "steps": [_step_data(s) for s in program.steps],
    }


def _step_data(step: Step | HostRead) -> dict[str, Any]:
    if isinstance(step, HostRead):
        return {"read": step.use._asdict(), "line": step.line}
    return {
        **step._asdict(),
        "work": {**step.work._asdict(), "dtype": step.work.dtype.str},
        "uses": [u._asdict() for u in step.uses],
        "writes": list(step.writes),
        "results": list(step.results),
    }


def save(program: Program, path: str | os.PathLike[str]) -> None:
    """Write a program to a JSON file."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(to_dict(program), file)
        file.write("\n")


def load(path: str | os.PathLike[str]) -> Program:
    """Read a program from a JSON file.

    Raises
    ------
    ProgramFileError
        If the file is not JSON, or a field is missing, foreign or absurd; the field is named.
    OSError
        If it cannot be read.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        content = file.read()
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError
        _Field(str(path), "(root)").refuse(f"is not JSON ({error})")
    return from_dict(data, str(path))


def from_dict(data: object, where: str = "recorded program") -> Program:
    """Read a program from JSON data.

    Parameters
    ----------
    data : object
        What ``json.load`` gave.
    where : str, optional
        File name for messages.

    Returns
    -------
    Program
        The program.

    Raises
    ------
    ProgramFileError
        If a field is missing, foreign or absurd; the field is named.

    Examples
    --------
    >>> program = Program("empty", (), ())
    >>> from_dict(to_dict(program)) == program
    True
    """
    root = _Field(where, "", data)
    if root.object().get("schema") != SCHEMA:
        root["schema"].refuse(f"must be {SCHEMA}, got {root.object().get('schema')!r}")
    storages = tuple(_storage(field) for field in root["storages"].items())
    steps = tuple(_step(field, len(storages)) for field in root["steps"].items())
    return Program(root["name"].text(), storages, steps, root["seconds"].number())


class _Field:
    """A value and its place in the file."""

    def __init__(self, where: str, name: str, value: Any = None) -> None:
        self.where, self.name, self.value = where, name, value

    def refuse(self, problem: str) -> NoReturn:
        found = f"{self.where}: field {self.name or '(root)'!r} {problem}"
        raise ProgramFileError(text("whatif", found, "Record the program again.")) from None

    def object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            self.refuse(f"must be an object, got {type(self.value).__name__}")
        return self.value

    def __getitem__(self, key: str) -> _Field:
        found = self.object()
        field = _Field(self.where, f"{self.name}.{key}".lstrip("."), found.get(key))
        if key not in found and key != "schema":
            field.refuse("is missing")
        return field

    def items(self) -> list[_Field]:
        if not isinstance(self.value, list):
            self.refuse(f"must be a list, got {type(self.value).__name__}")
        return [_Field(self.where, f"{self.name}[{i}]", value) for i, value in enumerate(self.value)]

    def number(self) -> float:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
            self.refuse(f"must be a finite number of at least 0, got {value!r}")
        return float(value)

    def whole(self, below: int = 1 << 62) -> int:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
            self.refuse(f"must be a whole number from 0 to {below - 1}, got {value!r}")
        return value

    def text(self, among: tuple[str, ...] = ()) -> str:
        value = self.value
        if not isinstance(value, str) or (among and value not in among):
            expected = f"one of {', '.join(map(repr, among))}" if among else "text"
            self.refuse(f"must be {expected}, got {value!r}")
        return value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse(f"must be true or false, got {self.value!r}")
        return self.value

    def dtype(self) -> np.dtype[Any]:
        value = self.text()
        if not _DTYPE.fullmatch(value):
            self.refuse(f"must be a dtype such as '<f8', got {value!r}")
        try:
            return np.dtype(value)
        except TypeError:
            self.refuse(f"must be a dtype such as '<f8', got {value!r}")


def _storage(field: _Field) -> Storage:
    return Storage(field["nbytes"].whole(), field["start"].text(_STARTS), field["anchored"].flag())


def _use(field: _Field, storages: int) -> Use:
    return Use(field["storage"].whole(storages), field["nbytes"].whole(), field["alone"].flag())


def _work(field: _Field) -> Work:
    kind = field["kind"].text(KINDS)
    dtype, nbytes, ops = field["dtype"].dtype(), field["bytes"].number(), field["ops"].number()
    known = field.object()  # recordings made before these were counted lack them
    share = field["share"].number() if "share" in known else 1.0
    variant = field["variant"].text(("", NUMBER, ROWS)) if "variant" in known else ""
    op, loops, row = field["op"].text(), field["loops"].number(), field["row"].number()
    return Work(kind, dtype, nbytes, ops, op, loops, row, share, variant)


def _step(field: _Field, storages: int) -> Step | HostRead:
    if "read" in field.object():
        return HostRead(_use(field["read"], storages), field["line"].text())
    return Step(
        _work(field["work"]),
        tuple(_use(u, storages) for u in field["uses"].items()),
        tuple(w.whole(storages) for w in field["writes"].items()),
        tuple(r.whole(storages) for r in field["results"].items()),
        field["gap"].text(),
        field["forced"].text(_PLACES),
        field["postponed"].flag(),
        field["seconds"].number(),
        field["device"].text(_PLACES[1:]),
        field["line"].text(),
    )
