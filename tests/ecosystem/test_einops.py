import subprocess
import sys

import numpy as np
import pytest

import xpu

einops = pytest.importorskip("einops", reason="einops is not installed")
array_api = pytest.importorskip("einops.array_api")

ROW = (
    "einops",
    "itself, after `import xpu.einops` (under `xpu run` by itself); `einops.array_api` without",
    "xpu arrays, views where NumPy gives views",
    "yes",
)
CALLS = {
    "rearrange": lambda e, a: e.rearrange(a, "a (b c) -> b a c", b=2),
    "list": lambda e, a: e.rearrange([a[0], a[1]], "a b -> b a"),
    "mean": lambda e, a: e.reduce(a, "a b -> a", "mean"),
    "max of all": lambda e, a: e.reduce(a, "a b ->", "max"),
    "repeat": lambda e, a: e.repeat(a, "a b -> a b c", c=2),
    "einsum": lambda e, a: e.einsum(a, a, "a b, c b -> a c"),
    "pack": lambda e, a: e.pack([a, a], "* b")[0],
}


@pytest.mark.parametrize("name", CALLS)
def test_functions(name, x, host):
    import xpu.einops

    got = CALLS[name](einops, x)
    assert type(got).__module__ == "xpu"
    np.testing.assert_allclose(xpu.asnumpy(got), CALLS[name](einops, host), rtol=1e-12)


def test_views_and_where_it_runs(x, device, where):

    turned = einops.rearrange(x, "a b -> b a")
    turned[0, 0] = 5.0
    assert x[0, 0] == 5.0
    assert where(lambda: einops.reduce(x, "a b -> a", "sum")) == {"cpu" if device == "cpu" else "pretend:0"}


@pytest.mark.parametrize("name", ["rearrange", "mean", "repeat"])
def test_the_functions_for_any_array_api_namespace(name, x, host):
    got = CALLS[name](array_api, x)
    assert type(got).__module__ == "xpu"
    np.testing.assert_allclose(xpu.asnumpy(got), CALLS[name](einops, host), rtol=1e-12)


def test_a_script_needs_no_import_of_xpus(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import einops, numpy as np\nprint(einops.rearrange(np.ones((2, 3)), 'a b -> b a').shape)\n")
    done = subprocess.run([sys.executable, "-m", "xpu", "run", str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 2)\n"
