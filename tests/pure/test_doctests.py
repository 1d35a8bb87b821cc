"""Every example in a docstring of ours runs and gives what it says."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import xpu

SOURCE = Path(xpu.__file__).parent
PARSER = doctest.DocTestParser()
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def found():
    """Yield module, name and docstring, read off the files: NumPy's docstrings, which some functions carry, are not."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        module = ".".join(p for p in parts if p != "__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
            if text and ">>>" in text:
                yield pytest.param(module, text, id=f"{module}.{getattr(node, 'name', '')}".rstrip("."))


def test_there_are_examples():
    assert len(list(found())) > 60


@pytest.mark.parametrize(("module", "text"), list(found()))
def test_an_example_runs(module, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = dict(vars(importlib.import_module(module)))
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    with xpu.config(device="cpu" if "pretend" not in text else "auto"):
        runner.run(PARSER.get_doctest(text, names, module, None, 0), out=said.append)
    assert not runner.failures, "".join(said)
