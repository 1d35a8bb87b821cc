"""Print a report: in colour on a terminal, plain into a file or a pipe, or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from xpu._doctor._model import INDENT, WIDTHS, Report, as_text, cell, grouped

LOOKS = {"ok": ("✓", "green"), "note": ("·", "cyan"), "missing": ("-", "yellow"), "broken": ("✗", "bold red")}
WIDE = len(INDENT) + sum(WIDTHS) + 2 * (len(WIDTHS) - 1)  # columns; a narrower terminal goes without the purposes


def show(report: Report, as_json: bool) -> None:
    """Print a report to the standard output.

    Parameters
    ----------
    report : Report
        The diagnosis.
    as_json : bool
        As JSON, for machines.
    """
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    elif sys.stdout.isatty() and _can_mark():
        in_colour(report)
    else:
        encoding = sys.stdout.encoding or "utf-8"
        print(as_text(report).encode(encoding, "replace").decode(encoding))


def _can_mark() -> bool:
    """Whether the terminal's encoding has the marks."""
    try:
        "".join(mark for mark, _ in LOOKS.values()).encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def in_colour(report: Report, console: Any = None) -> None:
    """Print a report in colour.

    Parameters
    ----------
    report : Report
        The diagnosis.
    console : rich.console.Console, optional
        Where to; the standard output.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    for line in _lines(report, console.width >= WIDE):
        # Never wrapped, so that commands can be copied.
        console.print(Text.assemble(*line), soft_wrap=True)


def _lines(report: Report, wide: bool) -> Iterator[list[tuple[str, str]]]:
    """Lay the report out as lines of (text, style)."""
    part, purpose, found, _ = WIDTHS
    for group, rows in grouped(report.rows):
        yield [(group, "bold underline")]
        for row in rows:
            mark, style = LOOKS[row.verdict]
            quiet = "dim" if row.verdict == "missing" else ""
            line = [(f"{mark} ", style), (cell(row.part, part), quiet or "bold"), ("  ", "")]
            line += [(cell(row.purpose, purpose), "dim"), ("  ", "")] if wide else []
            yield [*line, (cell(row.found, found), quiet), ("  ", ""), (row.told, style)]
        yield []
    for number, finding in enumerate(report.findings, 1):
        yield [(f"{number}. ", "bold"), (f"{finding.part}: ", "bold"), (finding.cause, "")]
        if finding.mend:
            yield [("   run:  ", "dim"), (finding.mend, "bold cyan")]
        yield []
    yield [(report.summary, "bold green" if report.usable else "bold yellow")]
