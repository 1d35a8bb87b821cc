"""What a diagnosis is: plain frozen data, so that it can be compared, stored and printed anyhow."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "note", "missing", "broken"]
Ending = Literal["ok", "timeout", "crash", "garbage", "not started"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What one child process told, and how it ended.

    Attributes
    ----------
    name : str
        Which probe.
    ending : {"ok", "timeout", "crash", "garbage", "not started"}
        How it ended; facts told before a crash or a stop are kept.
    facts : dict
        What it found, by name.
    errors : tuple of (str, str)
        Steps that failed, each with the library's own words.
    seconds : float
        How long it took, in seconds.
    detail : str
        For an ending other than ``"ok"``: signal, exit status or the last thing it printed.
    """

    name: str
    ending: Ending = "not started"
    facts: dict[str, Any] = field(default_factory=dict)
    errors: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a part, what it is for, what was found, and whether it fits.

    Attributes
    ----------
    part, purpose : str
        Its name, and what it does in a few words.
    found : str
        Version and where it comes from, short enough for a terminal.
    where : str
        The full path, for ``--json``.
    verdict : {"ok", "note", "missing", "broken"}
        ``"note"`` is a thing to know that stops nothing.
    group : str
        The heading it stands under.
    see : int
        The number of the finding that says what mends it, counted from 1; 0: there is none.
    """

    part: str
    purpose: str
    found: str
    verdict: Verdict
    where: str = ""
    group: str = ""
    see: int = 0

    @property
    def told(self) -> str:
        """The verdict as the table shows it, with the number of the finding."""
        return f"{self.verdict} ({self.see})" if self.see else self.verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """One recognised failure: what was seen, why, and the one command that mends it.

    Attributes
    ----------
    key : str
        Its stable name, for example ``"old-driver"``.
    part : str
        The row of the table it belongs to.
    cause : str
        One plain sentence.
    mend : str
        One command; empty where there is nothing to mend.
    seen : str
        The message or the fact it was recognised by.
    citation : str
        Reports of the same failure, as ``owner/repository#number``.
    """

    key: str
    part: str
    cause: str
    mend: str
    seen: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole diagnosis.

    Attributes
    ----------
    usable : bool
        Whether a GPU computed something, and got it right, in this run.
    summary : str
        One sentence.
    rows : tuple of Row
        The table.
    findings : tuple of Finding
        What to mend, the cause of the others first.
    probes : tuple of Probe
        The raw answers, for a bug report.
    """

    usable: bool
    summary: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    probes: tuple[Probe, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as what JSON can write: dictionaries, lists, text and numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the table as plain text, at most 100 columns wide."""
        return as_text(self)


HEADINGS = ("Part", "What it is for", "Found", "Verdict")
WIDTHS = (15, 32, 34, 11)  # columns of the table; 100 in all with the gaps between and the indentation
INDENT = "  "


def as_text(report: Report) -> str:
    """Lay the table, the findings and the summary out as plain text, at most 100 columns wide.

    Parameters
    ----------
    report : Report
        The diagnosis.

    Returns
    -------
    str
        Lines without a trailing newline; commands are never cut, so those alone may be longer.
    """
    lines = [INDENT + _line(HEADINGS)]
    lines.append(INDENT + _line(tuple("-" * width for width in WIDTHS)))
    for group, rows in grouped(report.rows):
        lines.append(group)
        lines += [INDENT + _line((row.part, row.purpose, row.found, row.told)) for row in rows]
    for number, finding in enumerate(report.findings, 1):
        lines += ["", f"{number}. {finding.part}: {finding.cause}"]
        if finding.mend:
            lines.append(f"   run:  {finding.mend}")
    return "\n".join([*lines, "", report.summary])


def grouped(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows under their headings, in order."""
    return [(group, list(members)) for group, members in itertools.groupby(rows, lambda row: row.group)]


def cut(text: str, width: int) -> str:
    """Return the text on one line and no longer than `width`, with an ellipsis if it was."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def cell(text: str, width: int) -> str:
    """Return the text in exactly `width` columns."""
    return cut(text, width).ljust(width)


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(cell(text, width) for text, width in zip(cells, WIDTHS, strict=True)).rstrip()
