"""The examples of the pages on kernels and on feeding the GPU run as written."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["kernels.md", "pipeline.md"])
def test_examples(page, tmp_path, capsys):
    text = (DOCS / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    script = tmp_path / "page.py"
    script.write_text(code, encoding="utf-8")
    scope = {"__name__": "page"}
    exec(compile(code, str(script), "exec"), scope)
    printed = capsys.readouterr().out
    if page == "kernels.md":
        assert "[-2. -1.  0.  0.  0.  1.  2.]" in printed
        assert "[ 5. 13.]" in printed
    else:
        assert "link busy" in printed

        assert [float(line) for line in printed.splitlines()[:8]] == [65536.0 * i * i for i in range(8)]
