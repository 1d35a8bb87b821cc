"""A script that fails under NumPy fails under `xpu run` with the same exception, and sees its own lines alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import xpu
from xpu import runner

SCRIPTS = {
    "operator": "import numpy as np\na = np.ones(2)\nb = a + np.ones(3)\n",
    "function": "import numpy as np\nnp.concatenate([np.ones(2), np.ones((2, 2))])\n",
    "library": "import numpy as np\nnp.linalg.inv(np.zeros((2, 2)))\n",
    "index": "import numpy as np\nnp.arange(4)[[1, 9]]\n",
    "attribute": "import numpy as np\nnp.arrange(3)\n",
    "import": "from numpy import nothing_of_that_name\n",
    "chained": (
        "import numpy as np\ntry:\n    np.ones(2)[5]\nexcept IndexError as e:\n    raise ValueError('mine') from e\n"
    ),
    "context": "import numpy as np\ntry:\n    np.ones(2) + np.ones(3)\nexcept ValueError:\n    1 / 0\n",
    "nested": "import numpy as np\ndef f(x):\n    return np.vectorize(lambda v: [][v])(x)\nf(np.array([0]))\n",
    "syntax": "import numpy as np\nx = = 1\n",
    "exit": "import sys\nsys.exit(3)\n",
    "interrupt": "import numpy as np\nx = np.ones(2)\nraise KeyboardInterrupt\n",
    "thread": (
        "import threading\nimport numpy as np\n"
        "t = threading.Thread(target=lambda: np.ones(2) + np.ones(3), name='mine')\nt.start()\nt.join()\n"
    ),
    "generator": "import numpy as np\ndef g():\n    yield np.ones(2) + np.ones(3)\nlist(g())\n",
    "in place": "import numpy as np\na = np.arange(3)\na += 0.5\n",
    "truth": "import numpy as np\nif np.ones(2):\n    pass\n",
    "random": "import numpy as np\nnp.random.default_rng(0).choice(3, 5, replace=False)\n",
    "errstate": "import numpy as np\nwith np.errstate(all='raise'):\n    np.ones(1) / 0\n",
    "warning": "import numpy as np, warnings\nwarnings.simplefilter('error')\nnp.ones(1) / 0\n",
    "assert": "import numpy as np\nnp.testing.assert_allclose([1.0], [2.0])\n",
    "callback": (
        "import numpy as np\nfrom scipy.optimize import minimize\n"
        "def f(x):\n    return np.ones(2) @ np.ones(3)\nminimize(f, np.ones(2))\n"
    ),
}


def run(arguments, script, **environment):
    done = subprocess.run(
        [sys.executable, *arguments, str(script)], capture_output=True, text=True, env={**os.environ, **environment}
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("scripts")
    for name, text in SCRIPTS.items():
        (made / f"case_{name}.py").write_text(text)
    return made


def lines_of(script, error):
    """The line numbers of the script's own frames, in order."""
    marked = [line for line in error.splitlines() if f'File "{script}"' in line]
    return [int(line.split("line ")[1].split(",")[0]) for line in marked]


@pytest.mark.parametrize("name", ["operator", "chained", "nested", "exit", "interrupt", "thread"])
def test_what_the_command_prints(name, folder):
    script = folder / f"case_{name}.py"
    status, error = run(["-m", "xpu", "run"], script, XPU_DEVICE="pretend")
    expected_status, expected = run([], script)
    assert status == expected_status
    assert f'File "{Path(xpu.__file__).parent}' not in error
    assert "runpy" not in error
    assert lines_of(script, error) == lines_of(script, expected)
    assert error.splitlines()[-1:] == expected.splitlines()[-1:]


@pytest.mark.parametrize("device", ["cpu", "pretend"])
@pytest.mark.parametrize("name", [n for n in SCRIPTS if n not in ("exit", "interrupt", "thread")])
def test_the_exception_is_numpys(name, device, folder, capsys):
    script = folder / f"case_{name}.py"
    with xpu.config(device=device):
        assert runner.main(script) == 1
    error = capsys.readouterr().err
    with pytest.raises(Exception) as raised:  # noqa: PT011  # whichever NumPy raises
        exec(compile(SCRIPTS[name], str(script), "exec"), {"__name__": "__main__"})
    assert raised.type.__qualname__ in error
    assert f'File "{Path(xpu.__file__).parent}' not in error
    assert str(script) in error


def test_an_unknown_name_is_answered_with_the_nearest(folder, capsys):
    assert runner.main(folder / "case_attribute.py") == 1
    assert "'arange'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("import hashlib\nimport numpy as np\nhashlib.md5(np.arange(3))\n", "x.tobytes()"),
        ("raise TypeError('argument 7 must be numpy.ndarray, not ndarray')\n", "xpu.asnumpy(x)"),
    ],
)
def test_what_asks_for_numpys_own_array_is_answered_with_what_to_write(source, remedy, tmp_path, capsys):
    script = tmp_path / "case.py"
    script.write_text(source)
    assert runner.main(script) == 1
    assert remedy in capsys.readouterr().err.splitlines()[-1]
