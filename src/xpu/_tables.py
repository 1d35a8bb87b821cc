"""Tables: with rules and colour on a terminal, as aligned plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Table", "aligned", "show"]


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


def show(table: Table) -> None:
    """Print a table to standard output."""
    if not sys.stdout.isatty():
        print("\n".join([table.title, *aligned(table)]))
        return
    from rich.console import Console  # only for someone who looks at a terminal
    from rich.table import Table as Drawn

    drawn = Drawn(title=table.title, title_justify="left", title_style="bold")
    for i, column in enumerate(table.columns):
        drawn.add_column(column, justify="right" if i in table.right else "left")
    for row in table.rows:
        drawn.add_row(*row)
    Console().print(drawn)
