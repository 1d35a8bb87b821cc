"""Scripts as people write them, printed under NumPy and under `xpu run` on each device: every line is the same."""

import runpy
import warnings
from pathlib import Path

import pytest

import xpu
from xpu import runner

SCRIPTS = sorted((Path(__file__).parent / "idioms").glob("*.py"))


def test_there_are_scripts():
    assert len(SCRIPTS) >= 10


@pytest.fixture
def printed(capsys, monkeypatch):
    """What NumPy prints, by script."""

    def run(script):
        monkeypatch.setattr("sys.argv", [str(script)])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("device", ["cpu", "pretend"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_script(script, device, printed, capsys):
    expected = printed(script)
    assert len(expected.splitlines()) > 5
    with xpu.config(device=device), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner.run_path(script)
    assert capsys.readouterr().out.splitlines() == expected.splitlines()
