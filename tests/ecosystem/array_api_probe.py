"""Run by the tests of SciPy and scikit-learn with SCIPY_ARRAY_API=1, which both read when they are imported."""

import importlib.util
import json
import sys

import numpy as np
import scipy.cluster.vq
import scipy.fft
import scipy.integrate
import scipy.optimize.elementwise
import scipy.signal
import scipy.special
import scipy.stats

import xpu

SCIPY = {
    "fft.fft": lambda x: scipy.fft.fft(x),
    "fft.dct": lambda x: scipy.fft.dct(x),
    "special.expit": lambda x: scipy.special.expit(x),
    "special.logsumexp": lambda x: scipy.special.logsumexp(x, axis=1),
    "special.softmax": lambda x: scipy.special.softmax(x),
    "stats.zscore": lambda x: scipy.stats.zscore(x),
    "stats.skew": lambda x: scipy.stats.skew(x),
    "stats.ttest_ind": lambda x: scipy.stats.ttest_ind(x[0], x[1]).pvalue,
    "signal.hilbert": lambda x: scipy.signal.hilbert(x),
    "signal.fftconvolve": lambda x: scipy.signal.fftconvolve(x, x),
    "cluster.vq.whiten": lambda x: scipy.cluster.vq.whiten(x * x),
    "integrate.trapezoid": lambda x: scipy.integrate.trapezoid(x),
}


def learners():
    import sklearn.decomposition
    import sklearn.linear_model
    import sklearn.metrics
    import sklearn.preprocessing

    return {
        "StandardScaler": lambda x: sklearn.preprocessing.StandardScaler().fit_transform(x),
        "MinMaxScaler": lambda x: sklearn.preprocessing.MinMaxScaler().fit_transform(x),
        "PCA": lambda x: abs(sklearn.decomposition.PCA(2, svd_solver="full").fit_transform(x * x)),
        "Ridge": lambda x: sklearn.linear_model.Ridge(solver="svd").fit(x * x, x[:, 0]).predict(x),
        "euclidean_distances": lambda x: sklearn.metrics.pairwise.euclidean_distances(x),
    }


def probe(function, host):
    """Return whether a function gives xpu arrays, NumPy's values, and where xpu's operations ran."""
    expected = function(host)
    found = {}
    for device in ("cpu", "pretend"):
        with xpu.config(device=device, on_fallback="raise"), xpu.profile() as p:
            got = function(xpu.asarray(host))
            found[device] = {
                "kind": type(got).__module__,
                "agrees": bool(np.allclose(np.asarray(got), expected, rtol=1e-10, atol=1e-12)),
                "ran": sorted({e.device for e in p.events if e.reason != "a view: nothing runs"}),
            }
    return found


def main():
    host = np.arange(12.0).reshape(3, 4) + 1
    found = {"scipy": {name: probe(f, host) for name, f in SCIPY.items()}}
    if importlib.util.find_spec("sklearn"):
        import sklearn

        with sklearn.config_context(array_api_dispatch=True):
            found["sklearn"] = {name: probe(f, host) for name, f in learners().items()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
