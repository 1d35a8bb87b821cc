"""The examples of the README and of the pages run as written, in an empty folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def printed(page):
        code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S))
        (tmp_path / "page.py").write_text(code, encoding="utf-8")  # functions are read from their source
        exec(compile(code, str(tmp_path / "page.py"), "exec"), {"__name__": "page"})
        return capsys.readouterr().out

    return printed


def test_readme(run):
    printed = run("README.md")
    assert "(1, 8, 32, 32)" in printed
    for op in ("linalg.svd", "mean", "matmul", "subtract"):
        assert re.search(rf"^{op} ", printed, re.M), op


def test_kernels(run):
    printed = run("docs/kernels.md")
    assert "[-2. -1.  0.  0.  0.  1.  2.]" in printed
    assert "[ 5. 13.]" in printed


def test_pipeline(run):
    printed = run("docs/pipeline.md")
    assert "link busy" in printed
    assert [float(line) for line in printed.splitlines()[:8]] == [65536.0 * i * i for i in range(8)]


def test_convolution(run):
    printed = run("docs/convolution.md")
    assert "predicted" in printed
