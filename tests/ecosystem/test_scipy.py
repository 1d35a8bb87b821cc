import importlib

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.optimize
import scipy.sparse
import scipy.spatial
import scipy.special
import scipy.stats

import xpu

ROW = ("SciPy", "read in place", "NumPy arrays; xpu arrays from the ufuncs of `scipy.special`", "no")
ROW_ARRAY_API = (
    "SciPy, `SCIPY_ARRAY_API=1`",
    "read in place, or taken as xpu arrays where SciPy is written for the array API standard",
    "xpu arrays",
    "what is written for the standard: `stats.zscore`, `special.logsumexp`, ...; compiled code on the CPU",
)


def test_reading_in_place(x):
    assert np.shares_memory(np.asarray(x), np.asarray(x))
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 1.0


def test_random_generators(device):
    """One stream, whoever draws from it: SciPy gets NumPy's arrays, the program xpu's."""
    for keyword in ("rng", "random_state"):
        ours, theirs = xpu.random.default_rng(3), np.random.default_rng(3)
        made = [
            scipy.sparse.random(4, 4, 0.5, **{keyword: stream}).toarray() if keyword == "random_state"
            else scipy.stats.qmc.LatinHypercube(2, rng=stream).random(3)
            for stream in (ours, theirs)
        ]  # fmt: skip
        assert np.array_equal(*made)
        drawn = [scipy.stats.norm.rvs(size=3, random_state=stream) for stream in (ours, theirs)]
        assert np.array_equal(*drawn)
        assert type(drawn[0]) is np.ndarray
        assert ours.random() == theirs.random()
        assert type(ours.random(2)) is xpu.ndarray


def test_functions_without_the_standard(x, host):
    tree = scipy.spatial.cKDTree(x)
    assert tree.query(x[1:])[1].tolist() == [1, 2]
    for f in (scipy.fft.fft, scipy.stats.zscore, lambda a: scipy.linalg.expm(a[:, :3] / 10)):
        assert type(f(x)) is np.ndarray
        np.testing.assert_allclose(f(x), f(host))
    sparse = scipy.sparse.csr_array(x)
    np.testing.assert_allclose(sparse @ x[0], host @ host[0])
    found = scipy.optimize.minimize(lambda p: ((x[0] - p) ** 2).sum(), xpu.zeros(4))
    np.testing.assert_allclose(found.x, host[0], atol=1e-5)


def test_special_ufuncs_give_xpu_arrays(x, host):
    made = scipy.special.expit(x)
    assert type(made).__module__ == "xpu"
    np.testing.assert_allclose(xpu.asnumpy(made), scipy.special.expit(host))
    assert (made * x).shape == (3, 4)


def test_what_numpy_made_goes_on_as_xpus(x):
    assert type(scipy.fft.fft(x) * x).__module__ == "xpu"


def test_functions_of_the_standard(dispatched):
    assert len(dispatched["scipy"]) > 10
    for name, found in dispatched["scipy"].items():
        for device in ("cpu", "pretend"):
            assert found[device]["kind"] == "xpu", name
            assert found[device]["agrees"], name
    assert "pretend:0" in dispatched["scipy"]["stats.zscore"]["pretend"]["ran"]
    assert "pretend:0" in dispatched["scipy"]["special.logsumexp"]["pretend"]["ran"]
    assert "pretend:0" not in dispatched["scipy"]["stats.zscore"]["cpu"]["ran"]


def test_a_sparse_array_before_a_dense_one():
    sparse = importlib.import_module("scipy.sparse")
    s, d = sparse.csr_array(np.eye(3)), xpu.ones((3, 3))
    for made, expected in ((s + d, np.eye(3) + 1), (s - d, np.eye(3) - 1), (d + s, np.eye(3) + 1)):
        np.testing.assert_array_equal(np.asarray(made), expected)
    assert np.asarray(s > d).sum() == np.sum(s > np.ones((3, 3)))
    assert np.asarray(s >= d).sum() == np.sum(s >= np.ones((3, 3)))


@pytest.mark.parametrize(("imports", "kind"), [("numpy as np", np.ndarray), ("xpu as np", xpu.ndarray)])
def test_a_library_gets_the_arrays_it_knows(tmp_path, monkeypatch, imports, kind):
    """It may have arrays among its globals, which are not to be compared with anything."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    name = f"drawing_{kind.__module__}"
    (folder / f"{name}.py").write_text(
        f"import {imports}\nTABLE = np.arange(5.0)\ndef draw(rng): return rng.normal(size=3)\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(folder)
    library = importlib.import_module(name)
    drawn = library.draw(xpu.random.default_rng(3))
    assert type(drawn) is kind
    assert drawn.tolist() == np.random.default_rng(3).normal(size=3).tolist()
