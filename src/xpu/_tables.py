"""Tables: with rules and colour on a terminal, as aligned plain text elsewhere."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Table", "aligned", "folded", "show"]


class Table(NamedTuple):
    """A title, columns, rows of text, and which columns are numbers (aligned to the right)."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()


def aligned(table: Table) -> list[str]:
    """Return columns and rows as lines of aligned plain text.

    Examples
    --------
    >>> aligned(Table("calls", ("op", "calls"), [("add", "12")], (1,)))
    ['op   calls', 'add     12']
    """
    everything = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in everything) for i in range(len(table.columns))]
    lines = []
    for row in everything:
        cells = zip(row, widths, strict=True)
        made = [cell.rjust(w) if i in table.right else cell.ljust(w) for i, (cell, w) in enumerate(cells)]
        lines.append("  ".join(made).rstrip())
    return lines


_READABLE = 24  # characters: less of a sentence on each line is hard to read
_RULES = 3  # characters that a drawn column adds


def folded(table: Table, width: int) -> list[str] | None:
    """Return lines with the text of the last column below each row, where its column would be too narrow to read.

    Examples
    --------
    >>> narrow = Table("calls", ("op", "reason"), [("add", "faster on the host, where its operands are")])
    >>> folded(narrow, 30)
    ['op', 'add', '    faster on the host, where', '    its operands are']
    >>> folded(narrow, 80) is None
    True
    """
    *first, last = (max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True))
    left = width - sum(n + _RULES for n in first) - _RULES - 1
    if len(table.columns) - 1 in table.right or left >= min(last, _READABLE):
        return None
    head, *rows = aligned(table._replace(columns=table.columns[:-1], rows=[row[:-1] for row in table.rows]))
    lines = [head]
    for line, row in zip(rows, table.rows, strict=True):
        lines += [line, *textwrap.wrap(row[-1], width, initial_indent="    ", subsequent_indent="    ")]
    return lines


def show(table: Table) -> None:
    """Print a table to standard output."""
    if not sys.stdout.isatty():
        print("\n".join([table.title, *aligned(table)]))
        return
    from rich.console import Console  # only for someone who looks at a terminal
    from rich.table import Table as Drawn

    console = Console()
    if (lines := folded(table, console.width)) is not None:
        for i, line in enumerate([table.title, *lines]):
            console.print(line, style="bold" if i < 2 else None, highlight=False, markup=False)
        return
    drawn = Drawn(title=table.title, title_justify="left", title_style="bold")
    for i, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if i in table.right else "left")
    for row in table.rows:
        drawn.add_row(*row)
    console.print(drawn)
