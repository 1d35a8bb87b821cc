"""What a machine is, as numbers: per device and cost class a latency, a bandwidth and rates; links.

Profiles are JSON files with their sources (`machines/`), so that placement can be reproduced,
shared, and tried for a machine that is not here. A file that does not make sense is refused with
the field named.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xpu._curve import Curve
from xpu._op import KINDS
from xpu._processor import Link, Processor, Rates, width
from xpu.errors import MachineFileError, nearest, text

__all__ = ["SCHEMA", "Link", "Machine", "Processor", "Rates", "load", "profile_names", "shipped", "width"]

SCHEMA = 1
_SHIPPED = os.path.join(os.path.dirname(__file__), "machines")


@dataclass(frozen=True, slots=True)
class Machine:
    """A host, an accelerator (or none) and the link between them."""

    name: str
    title: str
    cpu: Processor
    accelerator: Processor | None
    to_device: Link
    to_host: Link
    sources: tuple[str, ...] = ()
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def without_accelerator(self) -> Machine:
        """Return this machine with the host alone."""
        return replace(self, accelerator=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the machine as JSON data; `from_dict` reads it back."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "title": self.title,
            "note": self.note,
            "sources": list(self.sources),
            "cpu": _processor_data(self.cpu),
            "accelerator": None if self.accelerator is None else _processor_data(self.accelerator),
            "links": {"to_device": _link_data(self.to_device), "to_host": _link_data(self.to_host)},
            "extra": dict(self.extra),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the machine to a file that ``XPU_MACHINE`` can name."""
        import json  # only when a file is read or written: import xpu stays cheap

        with open(path, "w", encoding="utf-8") as file:
            file.write(json.dumps(self.to_dict(), indent=2) + "\n")

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw, per cost class, the predicted time on each device and the sizes at which they break even.

        Parameters
        ----------
        path : path, optional
            Write the picture there.

        Returns
        -------
        matplotlib.figure.Figure
            The picture.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        import importlib  # pictures need everything above this file, and few programs draw any

        return importlib.import_module("xpu._plots").break_even_curves(self, path)

    def __str__(self) -> str:
        rows = [f"{self.name}: {self.title}"]
        for role, processor in (("cpu", self.cpu), ("accelerator", self.accelerator)):
            if processor is None:
                rows.append(f"  {role}: none")
                continue
            rows.append(f"  {role}: {processor.title}, {processor.memory / 2**30:.0f} GiB")
            for kind, rates in processor.classes.items():
                speeds = "  ".join(f"{w} {r / 1e9:.4g} Gop/s" for w, r in rates.rate.items())
                rows.append(f"    {kind:12} {rates.latency * 1e6:8.2f} us  {rates.bandwidth / 1e9:8.4g} GB/s  {speeds}")
        for role, link in (("to device", self.to_device), ("to host", self.to_host)):
            rows.append(
                f"  {role}: {link.latency * 1e6:.2f} us, {link.bandwidth / 1e9:.4g} GB/s pageable, "
                f"{link.pinned_bandwidth / 1e9:.4g} GB/s pinned"
            )
        return "\n".join(rows)


def _processor_data(processor: Processor) -> dict[str, Any]:
    classes = {
        kind: {
            "latency": rates.latency,
            "bandwidth": rates.bandwidth,
            "rate": dict(rates.rate),
            "warmup": rates.warmup,
        }
        for kind, rates in processor.classes.items()
    }
    curves = {
        op: {code: [list(knot) for knot in curve.knots] for code, curve in rows.items()}
        for op, rows in processor.curves.items()
    }
    streams = {kind: [list(knot) for knot in curve.knots] for kind, curve in processor.streams.items()}
    return {
        "title": processor.title,
        "memory": processor.memory,
        "classes": classes,
        "curves": curves,
        "streams": streams,
        "loops": {kind: [list(knot) for knot in curve.knots] for kind, curve in processor.loops.items()},
    }


def _link_data(link: Link) -> dict[str, float]:
    return {
        "latency": link.latency,
        "bandwidth": link.bandwidth,
        "pinned_bandwidth": link.pinned_bandwidth,
    }


# ----------------------------------------------------------------------------- reading


def _refuse(where: str, field_name: str, problem: str) -> MachineFileError:
    remedy = "Correct the field, or delete the file and run `xpu calibrate`."
    return MachineFileError(text("machine", f"{where}: field {field_name!r} {problem}", remedy))


def _number(data: Mapping[str, Any], key: str, where: str, prefix: str, *, zero: bool = False) -> float:
    value = data.get(key)
    name = f"{prefix}.{key}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refuse(where, name, f"must be a number, got {value!r}")
    if not 0 <= value <= sys.float_info.max or (value == 0 and not zero):
        raise _refuse(where, name, f"must be positive and finite, got {value!r}")
    if value > _MOST.get(key, sys.float_info.max):
        raise _refuse(where, name, f"must be at most {_MOST[key]:g}, got {value!r}: no machine has that")
    return float(value)


# A thousand times what any device of 2025 does, in bytes and operations a second; seconds that nobody would wait.
_MOST = {
    **dict.fromkeys(("bandwidth", "pinned_bandwidth"), 1e16),
    **dict.fromkeys(("f2", "f4", "f8"), 1e19),
    **dict.fromkeys(("latency", "warmup"), 1e4),
}


def _section(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = data.get(key)
    if not isinstance(value, dict):
        raise _refuse(where, key, f"must be an object, got {type(value).__name__}")
    return value


def _list(data: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list):
        raise _refuse(where, key, f"must be a list, got {type(value).__name__}")
    return value


def _read_processor(data: Mapping[str, Any], where: str, role: str) -> Processor:
    rows = _section(data, "classes", where)
    classes = {}
    for kind in KINDS:
        prefix = f"{role}.classes.{kind}"
        row = rows.get(kind)
        if not isinstance(row, dict):
            raise _refuse(where, prefix, "is missing")
        speeds = _section(row, "rate", where)
        rate = {w: _number(speeds, w, where, f"{prefix}.rate") for w in ("f2", "f4", "f8")}
        classes[kind] = Rates(
            _number(row, "latency", where, prefix, zero=True),
            _number(row, "bandwidth", where, prefix),
            rate,
            _number(row, "warmup", where, prefix, zero=True) if "warmup" in row else 0.0,
        )
    curves: dict[str, dict[str, Curve]] = {}
    for op, by_dtype in _optional(data, "curves", where, role).items():
        if not isinstance(by_dtype, dict):
            raise _refuse(where, f"{role}.curves.{op}", f"must be an object, got {by_dtype!r}")
        curves[op] = {}
        for code, knots in by_dtype.items():
            if not _DTYPE_CODE.fullmatch(code):
                raise _refuse(where, f"{role}.curves.{op}", f"names a dtype {code!r}, not one such as 'f8'")
            curves[op][code] = _read_curve(knots, where, f"{role}.curves.{op}.{code}")
    streams = {
        kind: _read_curve(knots, where, f"{role}.streams.{kind}")
        for kind, knots in _optional(data, "streams", where, role).items()
    }
    loops = {
        kind: _read_curve(knots, where, f"{role}.loops.{kind}")
        for kind, knots in _optional(data, "loops", where, role).items()
    }
    title = str(data.get("title", role))
    return Processor(title, int(_number(data, "memory", where, role)), classes, curves, streams, loops)


_DTYPE_CODE = re.compile("[biufc](1|2|4|8|16)")


def _optional(data: Mapping[str, Any], key: str, where: str, role: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise _refuse(where, f"{role}.{key}", f"must be an object, got {type(value).__name__}")
    return value


def _read_curve(knots: object, where: str, name: str) -> Curve:
    if not isinstance(knots, list) or not knots:
        raise _refuse(where, name, f"must be a list of [work, seconds], got {knots!r}")
    before = -1.0
    for i, knot in enumerate(knots):
        here = f"{name}[{i}]"
        if not isinstance(knot, list) or len(knot) != 2:
            raise _refuse(where, here, f"must be [work, seconds], got {knot!r}")
        work = _number({"work": knot[0]}, "work", where, here, zero=True)
        _number({"seconds": knot[1]}, "seconds", where, here)
        if work <= before:
            raise _refuse(where, f"{here}.work", f"must be more than {before!r} before it, got {work!r}")
        before = work
    return Curve(knots)


def _read_link(data: Mapping[str, Any], where: str, key: str) -> Link:
    row = _section(data, key, where)
    prefix = f"links.{key}"
    return Link(
        _number(row, "latency", where, prefix, zero=True),
        _number(row, "bandwidth", where, prefix),
        _number(row, "pinned_bandwidth", where, prefix),
    )


def from_dict(data: object, where: str = "machine file") -> Machine:
    """Read a machine from JSON data.

    Parameters
    ----------
    data : object
        What ``json.load`` gave.
    where : str, optional
        File name for messages.

    Returns
    -------
    Machine
        The machine.

    Raises
    ------
    MachineFileError
        If a field is missing, foreign or absurd; the field is named.
    """
    if not isinstance(data, dict):
        raise _refuse(where, "(root)", f"must be an object, got {type(data).__name__}")
    if data.get("schema") != SCHEMA:
        raise _refuse(where, "schema", f"must be {SCHEMA}, got {data.get('schema')!r}")
    links = _section(data, "links", where)
    accelerator = data.get("accelerator")
    return Machine(
        name=str(data.get("name", "unnamed")),
        title=str(data.get("title", "")),
        cpu=_read_processor(_section(data, "cpu", where), where, "cpu"),
        accelerator=None
        if accelerator is None
        else _read_processor(_section(data, "accelerator", where), where, "accelerator"),
        to_device=_read_link(links, where, "to_device"),
        to_host=_read_link(links, where, "to_host"),
        sources=tuple(str(s) for s in _list(data, "sources", where)),
        note=str(data.get("note", "")),
        extra=_section(data, "extra", where) if "extra" in data else {},
    )


def load(path: str | os.PathLike[str]) -> Machine:
    """Read a machine file.

    Raises
    ------
    MachineFileError
        If the file is not JSON, or a field is missing, foreign or absurd.
    OSError
        If it cannot be read.
    """
    import json  # only when a file is read or written: import xpu stays cheap

    with open(path, encoding="utf-8", errors="replace") as file:
        content = file.read()
    try:
        data = json.loads(content)
    except json.JSONDecodeError as error:
        raise _refuse(str(path), "(root)", f"is not JSON ({error.msg}, line {error.lineno})") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, lists in lists in lists
        raise _refuse(str(path), "(root)", f"is not a machine ({error})") from None
    return from_dict(data, str(path))


def profile_names() -> list[str]:
    """List the machine profiles that ship with xpu."""
    return sorted(name.removesuffix(".json") for name in os.listdir(_SHIPPED) if name.endswith(".json"))


def shipped(name: str) -> Machine:
    """Return a shipped profile.

    Parameters
    ----------
    name : str
        For example ``"h200"``; `profile_names` lists them.

    Raises
    ------
    MachineFileError
        If there is none of that name; the message lists those there are.

    Examples
    --------
    >>> shipped("h200").accelerator.title
    'NVIDIA H200 SXM, 141 GB'
    """
    names = profile_names()
    if name not in names:
        hint = nearest(name, names)
        raise MachineFileError(
            text("machine", f"no machine profile {name!r}", f"Shipped profiles: {', '.join(names)}. {hint}".strip())
        )
    return load(os.path.join(_SHIPPED, f"{name}.json"))


def named(value: str) -> Machine:
    """Return the machine that ``XPU_MACHINE`` names: a file, or a shipped profile.

    Raises
    ------
    MachineFileError
        If the file cannot be read or makes no sense, or there is no such profile.
    """
    if not value.endswith(".json") and os.sep not in value and not os.path.exists(value):
        return shipped(value)
    try:
        return load(value)
    except OSError as error:
        problem = f"XPU_MACHINE={value!r} cannot be read ({error.strerror})"
        raise MachineFileError(text("machine", problem, "Name a file that `xpu calibrate --export` wrote.")) from None
