"""The command line and the runner, as a user meets them."""

import os
import subprocess
import sys

import numpy as np
import pytest

import xpu
from xpu import runner
from xpu.cli import main
from xpu.demo import SCRIPT as SCRIPT_OF_DEMO

SCRIPT = """
import sys
import numpy as np
import numpy.linalg as la
from numpy.random import default_rng
import helper
import json

x = default_rng(0).normal(size=(3, 3))
y = la.inv(x) @ x + helper.shift()
print(np.round(y, 6), type(y).__module__, helper.np.__name__, sys.argv[1:], __name__)
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "helper.py").write_text("import numpy as np\ndef shift():\n    return np.zeros(1)\n")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_and_the_modules_beside_it_get_xpu(script, capsys):
    made = runner.run_path(script, ["one"])
    assert isinstance(made["y"], xpu.ndarray)
    assert "xpu xpu ['one'] __main__" in capsys.readouterr().out
    assert "helper" not in sys.modules
    assert made["json"] is sys.modules["json"]


def test_libraries_keep_numpy(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(
        "import numpy as np\nimport scipy.linalg as sl\nq = sl.hilbert(2)\nr = sl.solve(np.eye(2), np.ones(2))\n"
    )
    made = runner.run_path(path)
    assert type(made["q"]) is np.ndarray
    np.testing.assert_array_equal(np.asarray(made["r"]), [1, 1])


def test_output_is_that_of_numpy(script):
    ours = subprocess.run(
        [sys.executable, "-m", "xpu", "run", str(script), "a"], capture_output=True, text=True, check=True
    )
    theirs = subprocess.run([sys.executable, str(script), "a"], capture_output=True, text=True, check=True)
    assert ours.stdout.replace("xpu xpu", "numpy numpy") == theirs.stdout


def test_a_failing_script_shows_the_users_lines_only(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("import numpy as np\ndef f():\n    return np.ones(3) + np.ones(4)\nf()\n")
    done = subprocess.run([sys.executable, "-m", "xpu", "run", str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ValueError: operands could not be broadcast together with shapes (3,) (4,)" in done.stderr
    assert "line 3, in f" in done.stderr
    assert os.path.join("xpu", "_") not in done.stderr


@pytest.mark.parametrize(
    ("code", "status"), [("raise SystemExit(3)", 3), ("raise SystemExit", 0), ("raise SystemExit('no')", 1), ("", 0)]
)
def test_exit_status(tmp_path, code, status):
    path = tmp_path / "s.py"
    path.write_text(code)
    assert runner.main(path) == status


def test_no_such_script(capsys):
    assert main(["run", "nowhere.py"]) == 2
    assert "no script 'nowhere.py'" in capsys.readouterr().err


def test_explain(capsys):
    with xpu.config(device="auto"):
        assert main(["explain", "matmul(ones((4, 4)), eye(4))"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("matmul runs on cpu")
    assert "XPU_PRETEND=h200" in out


def test_explain_beside_a_pretend_card():
    code = "import sys; from xpu.cli import main; sys.exit(main(['explain', 'add(ones(1000000), 1)']))"
    env = {**os.environ, "XPU_PRETEND": "h200", "XPU_DEVICE": "auto"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    lines = done.stdout.splitlines()
    assert lines[0] == "add runs on pretend:0: faster there, and its operands are there"
    assert lines[1].split() == ["predicted", "launch", "compute", "transfer", "total"]
    assert [line.split()[0] for line in lines[2:4]] == ["cpu", "NVIDIA"]
    assert "not born yet" in done.stdout
    assert "break-even size: " in done.stdout


def test_explain_reads_sizes_as_people_write_them(capsys):
    with xpu.config(device="auto"):
        assert main(["explain", "np.add(np.ones(10**3 * 2), 1)"]) == 0
    assert capsys.readouterr().out.startswith("add runs on cpu")


@pytest.mark.parametrize("size", ["10**-2", "2.0 * 3", "9**9**9", "(10**10) * 10**10", "'a' * 10**9", "[1] * 8"])
def test_explain_refuses_what_is_no_size(capsys, size):
    assert main(["explain", f"ones({size})"]) == 2
    assert "is not the size of an array" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--seconds", "-1"), ("--seconds", "nan")])
def test_calibrate_refuses_times_that_are_none(capsys, option):
    assert main(["calibrate", *option]) == 2
    assert capsys.readouterr().err.startswith("xpu calibrate: xpu.calibrate: seconds=")


@pytest.mark.parametrize(
    "text", ["add(", "1 + 1", "2 * 3", "ad(1, 2)", "add(__import__('os'), 1)", "linalg.nothing(1)", "add(open, 1)"]
)
def test_explain_refuses_anything_else(capsys, text):
    assert main(["explain", text]) == 2
    assert "xpu.explain:" in capsys.readouterr().err


def test_devices(capsys):
    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    assert "cpu" in out
    assert "machine in force" in out


def test_explain_says_what_ran(policy):
    a = xpu.ones(1000)
    told = xpu.explain(xpu.add, a, 1)
    with xpu.profile() as p:
        a + 1
    assert (told.device, told.reason) == (p.events[0].device, p.events[0].reason)
    assert told.to_dict()["op"] == "add"


def test_explain_of_a_stranger():
    with pytest.raises(TypeError, match="'len' is not a function that xpu places"):
        xpu.explain(len, [])


def test_an_environment_beside_the_script_holds_libraries(tmp_path):
    package = tmp_path / ".venv" / "lib" / "site-packages" / "library"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import numpy\nfrom library import part\nNAME = numpy.__name__, part.NAME\n")
    (package / "part.py").write_text("import numpy\nNAME = numpy.__name__\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("import numpy\nNAME = numpy.__name__\n")
    script = tmp_path / "script.py"
    lines = ["import sys", f"sys.path.append({str(package.parent)!r})", "import library, mine", "names = library.NAME"]
    script.write_text("\n".join([*lines, "mine = mine.NAME"]))
    made = runner.run_path(script)
    assert made["names"] == ("numpy", "numpy")
    assert made["mine"] == "xpu"


SIGNALS = """
import numpy as np
import scipy
import scipy.signal
import scipy.ndimage as nd
from scipy import linalg, ndimage, signal
from scipy.signal import convolve, windows

x = np.ones((4, 5))
a = [f(x, np.ones((3, 3)), mode="same") for f in (convolve, signal.convolve, scipy.signal.convolve)]
b = [f(x, 1.0) for f in (nd.gaussian_filter, ndimage.gaussian_filter, scipy.ndimage.gaussian_filter)]
c = signal.butter(2, 0.2)
d = scipy.special.erf(0.5), scipy.__version__, windows.hann(3)
e = linalg
"""


def test_scipys_signal_and_ndimage_are_xpus_and_the_rest_is_itself(tmp_path):
    import scipy.linalg
    import scipy.signal

    path = tmp_path / "s.py"
    path.write_text(SIGNALS)
    with xpu.profile() as record:
        made = runner.run_path(path)
    assert all(isinstance(result, xpu.ndarray) for result in (*made["a"], *made["b"]))
    np.testing.assert_array_equal(
        np.asarray(made["a"][0]), scipy.signal.convolve(np.ones((4, 5)), np.ones((3, 3)), "same")
    )
    assert made["e"] is scipy.linalg
    assert made["d"][1] == scipy.__version__
    assert sum(event.op == "signal.convolve" for event in record.events) == 3
    assert scipy.signal.__name__ == "scipy.signal"  # other modules keep SciPy
    path.write_text("from scipy import no_such_name")
    with pytest.raises(ImportError):
        runner.run_path(path)
    path.write_text("import scipy.no_such_module")
    with pytest.raises(ModuleNotFoundError):
        runner.run_path(path)


def test_the_demos_pictures_are_those_of_numpy_and_scipy(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(1)
    photo = np.kron(rng.integers(0, 256, (12, 16)), np.ones((8, 8))).astype(np.uint8)
    picture = tmp_path / "photo.png"
    image.fromarray(photo).save(picture)
    with xpu.profile() as record:
        made = runner.run_path(SCRIPT_OF_DEMO, [str(picture), str(tmp_path / "ours")])
    ours = capsys.readouterr().out
    command = [sys.executable, str(SCRIPT_OF_DEMO), str(picture), str(tmp_path / "theirs")]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ours == theirs.stdout
    for name in ("photo", "blurred", "edges", "restored"):
        one, two = (np.asarray(image.open(tmp_path / who / f"{name}.png")).astype(int) for who in ("ours", "theirs"))
        assert np.abs(one - two).max() <= 1, name
        assert one.std() > 0
    assert isinstance(made["restored"], xpu.ndarray)
    asked = [event.op for event in record.events if event.op.startswith("signal.")]
    assert asked == ["signal.convolve", "signal.correlate"] * 15
    wrong = np.abs(np.asarray(made["restored"]) - photo / 255)[16:-16, 16:-16].mean()
    assert wrong < 0.85 * np.abs(np.asarray(made["blurred"]) - photo / 255)[16:-16, 16:-16].mean()
