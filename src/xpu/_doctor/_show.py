"""Print a report: in colour on a terminal, plain into a file or a pipe, or as JSON."""

from __future__ import annotations

import json
import sys

from xpu._doctor._model import HEADINGS, WIDTHS, Report, as_text

COLOURS = {"ok": "green", "note": "cyan", "missing": "yellow", "broken": "bold red"}


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
    elif sys.stdout.isatty():
        _in_colour(report)
    else:
        print(as_text(report))


def _in_colour(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading, width in zip(HEADINGS, WIDTHS, strict=True):
        least = width if heading in ("Part", "Verdict") else None
        table.add_column(heading, no_wrap=True, min_width=least, max_width=width)
    for row in report.rows:
        verdict = Text(row.verdict, style=COLOURS[row.verdict])
        table.add_row(Text(row.part), Text(row.purpose), Text(row.found), verdict)
    console = Console(highlight=False)
    console.print(table)
    for number, finding in enumerate(report.findings, 1):
        console.print(Text(f"\n{number}. {finding.part}: {finding.cause}"))
        if finding.mend:  # never wrapped, so that it can be copied
            console.print(Text("   mend:  "), Text(finding.mend, style="bold"), sep="", soft_wrap=True)
    style = "bold green" if report.usable else "bold yellow"
    console.print(Text("\n" + report.summary, style=style))
