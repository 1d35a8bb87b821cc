"""Whole NumPy programs, run under NumPy and under xpu on every policy: printed output, arrays, dtypes."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import xpu
from xpu import runner

PROGRAMS = sorted((Path(__file__).parents[2] / "examples" / "programs").glob("*.py"))


def test_there_are_programs():
    assert len(PROGRAMS) >= 19


@pytest.mark.parametrize(
    "settings",
    [{"device": "cpu"}, {"device": "pretend"}, {"device": "auto"}, {"device": "pretend", "check": "both"}],
    ids=str,
)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_program(program, settings, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", [str(program)])
    theirs = runpy.run_path(str(program), run_name="__main__")
    expected = capsys.readouterr().out
    with xpu.config(on_fallback="raise", **settings):
        ours = runner.run_path(program)
        assert capsys.readouterr().out == expected
        assert set(ours["RESULTS"]) == set(theirs["RESULTS"])
        for name, array in theirs["RESULTS"].items():
            got = np.asarray(ours["RESULTS"][name])
            assert isinstance(ours["RESULTS"][name], xpu.ndarray), name
            assert (got.dtype, got.shape) == (array.dtype, array.shape), name
            np.testing.assert_allclose(got, array, rtol=1e-5, atol=1e-8)
