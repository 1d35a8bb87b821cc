"""The acceptance run for people: targets first, then what became of each part, then every reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["as_markdown"]

# Every target, whether or not its part ran: what was not run is said, not left out.
TARGETS = {
    "operations": (
        ("forced GPU over CuPy, from 10^6 elements on", "at most 1.05"),
        ("forced GPU less CuPy on fewer, microseconds", "at most 5"),
        ("auto over the better device", "at most 1.10"),
    ),
    "programs": (("auto over the better device", "at most 1.10"),),
    "convolutions": (
        ("speed over torch's, float32", "at least 0.95"),
        ("largest difference from torch over what rounding allows", "at most 1"),
        ("auto over the better device", "at most 1.10"),
    ),
    "overlap": (("throughput over the slower of copy and compute", "at least 0.9"),),
}
DRY = (
    "**A dry run: no card was used.** Sizes are small. Times of `xpu gpu` and `xpu auto` are those of the pretend "
    "device's virtual clock, NumPy stands in for CuPy, and torch runs on the CPU. It shows that every part of the "
    "command works; ratios and verdicts here say nothing about a card."
)


def as_markdown(whole: dict[str, Any]) -> str:
    """Return the report."""
    lines = [f"# Acceptance run: {whole['machine']}", ""]
    lines += [f"Device `{whole['device']}`, {whole['date']}, {whole['seconds']:.0f} seconds in all.", ""]
    if whole["device"] == "pretend":
        lines += [DRY, ""]
    lines += ["## Targets", "", *_targets(whole["parts"], dry=whole["device"] == "pretend"), ""]
    lines += ["## What became of each part", "", "| part | outcome | seconds |", "|---|---|---:|"]
    for name, part in whole["parts"].items():
        lines.append(f"| {name} | {_cell(part['status'])} | {part['seconds']:.1f} |")
    for name, part in whole["parts"].items():
        if part.get("found"):
            lines += ["", f"## {name.capitalize()}", "", *_section(name, part["found"])]
    return "\n".join(lines) + "\n"


def _targets(parts: dict[str, Any], *, dry: bool) -> Iterator[str]:
    yield "| part | ratio | target | median | worst | cases | met |"
    yield "|---|---|---|---:|---:|---:|---|"
    for part, rows in TARGETS.items():
        told = parts.get(part, {}).get("found", {}).get("targets", {})
        for name, bound in rows:
            reading = told[name][0] if name in told else "not run"
            if isinstance(reading, str):
                yield f"| {part} | {name} | {bound} | | | | {reading} |"
                continue
            way, _, number = bound.rpartition(" ")
            met = reading["worst"] >= float(number) if way == "at least" else reading["worst"] <= float(number)
            figures = f"{reading['median']:.3g} | {reading['worst']:.3g} | {reading['cases']}"
            yield f"| {part} | {name} | {bound} | {figures} | {'dry run' if dry else 'yes' if met else 'no'} |"


def _section(name: str, found: dict[str, Any]) -> Iterator[str]:
    if "table" in found:
        yield from ("```text", *str(found["table"]).splitlines(), "```")
        return
    rows = found.get("rows", [])
    if rows and all(isinstance(row.get("seconds"), dict) for row in rows):
        yield from _table(rows)
        return
    if rows:
        yield "It was stopped; so far it had found:"
        yield ""
        yield from (f"- {_plain(row)}" for row in rows)
        return
    if "printed" in found:
        yield from ("```text", *str(found["printed"]).splitlines(), "```")
        return
    for key, value in found.items():
        if key == "targets":
            continue
        if isinstance(value, list):
            yield f"- {key}: {len(value)}" if value else f"- {key}: none"
            yield from (f"  - {_plain(item)}" for item in value)
        elif isinstance(value, dict):
            yield f"- {key}"
            yield from (f"  - {inner}: {_plain(v)}" for inner, v in value.items())
        else:
            yield f"- {key}: {_plain(value)}"


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a table of readings in microseconds, with the two ratios that targets speak of."""
    keys = [key for key in rows[0] if key != "seconds"]
    ways = list(rows[0]["seconds"])
    ratios = [(a, b) for a, b in (("xpu gpu", "cupy"), ("torch", "xpu gpu")) if {a, b} <= set(ways)]
    ratios = ratios[:1]
    yield "Times in microseconds."
    yield ""
    yield f"| {' | '.join([*keys, *ways, *(f'{a} / {b}' for a, b in ratios)])} |"
    yield "|---" * len(keys) + "|---:" * (len(ways) + len(ratios)) + "|"
    notes: dict[str, None] = {}
    for row in rows:
        cells = [_plain(row[key]) for key in keys]
        for value in (row["seconds"][way] for way in ways):
            if isinstance(value, float):
                cells.append(f"{value * 1e6:.1f}")
            else:
                notes[str(value)] = None
                cells.append(str(value).partition(":")[0])
        for a, b in ratios:
            both = row["seconds"][a], row["seconds"][b]
            cells.append(f"{both[0] / both[1]:.2f}" if all(isinstance(v, float) and v > 0 for v in both) else "")
        yield f"| {' | '.join(cells)} |"
    if notes:
        yield ""
        yield from (f"- {_cell(note)}" for note in notes)


def _plain(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_plain(v)}" for key, v in value.items())[:600]
    if isinstance(value, list):
        return "; ".join(map(_plain, value))[:600]
    return _cell(str(value))[:600]


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
