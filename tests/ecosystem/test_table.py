"""The table of docs/ecosystem.md is the rows that stand beside the tests of each library."""

import ast
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "ecosystem.md"


def rows_of_tests():
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").startswith("ROW"):
                row = ast.literal_eval(node.value)
                found[row[0]] = row[1:]
    return found


def test_the_page_says_what_the_tests_say():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {name: tuple(cells) for name, *cells in table[1:]} == rows_of_tests()


def test_every_library_has_a_row():
    assert len(rows_of_tests()) >= 14
