"""The published table of rounding budgets: ``python -m xpu.testing._tables`` writes it into the guide."""

from __future__ import annotations

from pathlib import Path

from xpu._op import OPS
from xpu.testing._budgets import budget

__all__ = ["budget_table"]

_BEGIN, _END = "<!-- budgets -->\n", "<!-- /budgets -->"


def budget_table() -> str:
    """Return the table in Markdown: one row per budget, with the functions that have it and can run on a GPU."""
    rows: dict[tuple[float, float], list[str]] = {}
    for name in sorted(OPS):
        if OPS[name].gpu is not None:
            rows.setdefault((budget(name), budget(name, "c16")), []).append(name)
    lines = ["| real | complex | functions |", "|---|---|---|"]
    for (real, complex_), names in sorted(rows.items()):
        lines.append(f"| {real:g} | {complex_:g} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def write(guide: Path) -> None:
    """Put the table into the guide, between its two marks."""
    text = guide.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    guide.write_text(before + _BEGIN + budget_table() + _END + after, encoding="utf-8")


if __name__ == "__main__":
    write(Path("docs/testing.md"))
