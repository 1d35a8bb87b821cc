"""What a script sees of NumPy's warnings under `xpu run`: text, category, and its own line."""

import os
import subprocess
import sys
import warnings

import pytest

import xpu
from xpu import _warned

SCRIPT = """\
import warnings
import numpy as np
a = np.array([1.0, 0.0, -1.0])
a / 0
1 / a
a.sum() / 0
b = np.log(a)
def root(x):
    return np.sqrt(x)
root(a), root(a - 1)
for _ in range(3):
    a / 0.0
np.array([1, 2]) // 0
a /= 0
np.nanmean(np.array([np.nan]))
np.polyfit([1, 1], [1, 2], 2)
np.mean(np.array([]))
np.array([1j]).astype(float)
np.array([1e308]) * 10
with np.errstate(all="ignore"):
    a / 0
warnings.warn("my own", stacklevel=1)
warnings.simplefilter("always")
for _ in range(2):
    a / 0
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    a / 0
print([(w.lineno, w.category.__name__, str(w.message)) for w in caught])
warnings.filterwarnings("ignore", category=RuntimeWarning, module="__main__")
a / 0
warnings.simplefilter("ignore")
a / 0
warnings.simplefilter("error")
try:
    np.array([1.0]) / 0
except RuntimeWarning as e:
    print(e)
"""


ENTRY = _warned._ENTRY


def shown(arguments, script, **environment):
    done = subprocess.run(
        [sys.executable, *arguments, str(script)], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_a_script_sees_what_it_sees_under_numpy(tmp_path):
    script = tmp_path / "warns.py"
    script.write_text(SCRIPT)
    out, err = shown([], script)
    assert err.count("RuntimeWarning") > 10
    assert shown(["-m", "xpu", "run"], script, XPU_DEVICE="cpu") == (out, err)
    # A device has no scalar arithmetic of its own.
    told = shown(["-m", "xpu", "run"], script, XPU_DEVICE="pretend")
    assert [t.replace("in scalar", "in").splitlines() for t in told] == [
        t.replace("in scalar", "in").splitlines() for t in (out, err)
    ]


def test_options_of_the_interpreter_hold(tmp_path):
    script = tmp_path / "warns.py"
    script.write_text(SCRIPT)
    options = ["-W", "ignore::RuntimeWarning:__main__"]
    assert shown([*options, "-m", "xpu", "run"], script) == shown(options, script)


@pytest.fixture
def entry():
    """The list of filters with nothing but ours, and what is shown."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filters = _warned._Filters([ENTRY])
        yield caught


def test_the_warning_names_the_line_outside(entry):
    xpu.ones(2) / 0
    (warning,) = entry
    assert warning.filename == __file__
    assert warning.category is RuntimeWarning
    assert str(warning.message) == "divide by zero encountered in divide"


def test_a_later_filter_goes_behind(entry):
    warnings.simplefilter("error")
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        xpu.ones(2) / 0
    assert warnings.filters[0] is ENTRY
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xpu.ones(2) / 0
    assert not entry


def test_other_modules_warnings_are_left_alone(entry):
    warnings.warn_explicit("elsewhere", UserWarning, "there.py", 7, "there")
    warnings.warn_explicit("near", UserWarning, "there.py", 7, "xpunct.here")
    assert [(w.filename, w.lineno) for w in entry] == [("there.py", 7)] * 2


def test_a_program_may_copy_the_filters():
    """scikit-learn hands them to its workers."""
    action, text, category, module, _ = ENTRY
    with warnings.catch_warnings():
        warnings.filterwarnings(action, text.pattern, category, module.pattern, append=True)
        warnings.simplefilter("ignore")
        xpu.ones(2) / 0
