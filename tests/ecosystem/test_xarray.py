import numpy as np
import pytest

import xpu

xr = pytest.importorskip("xarray", reason="xarray is not installed")

ROW = (
    "xarray",
    "`DataArray(x)` holds the xpu array itself",
    "`.data` is an xpu array; `.values` reads in place (read-only); `interp` gives NumPy",
    "yes: arithmetic, reductions, indexing, rolling, groupby",
)
EXPRESSIONS = {
    "arithmetic": lambda a: a * 2 + a.mean("r"),
    "ufunc": np.sqrt,
    "reduction": lambda a: a.std("c"),
    "selection": lambda a: a.isel(r=[2, 0]).sel(c=slice(1, 2)),
    "where": lambda a: a.where(a > 2),
    "concat": lambda a: xr.concat([a, a], "r"),
    "rolling": lambda a: a.rolling(c=2).mean(),
    "groupby": lambda a: a.groupby("g").sum(),
    "dot": lambda a: xr.dot(a, a, dim="c"),
    "transpose": lambda a: a.T,
}


def labelled(values):
    return xr.DataArray(values, dims=("r", "c"), coords={"c": [0, 1, 2, 3], "g": ("r", [0, 1, 0])})


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_stay_xpu_arrays(name, x, host):
    got, expected = EXPRESSIONS[name](labelled(x)), EXPRESSIONS[name](labelled(host))
    assert type(got.data).__module__ == "xpu"
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(xpu.asnumpy(got.data), expected.values, rtol=1e-12)


def test_what_it_holds_and_where_it_runs(x, device, where):
    a = labelled(x)
    assert a.data is x
    assert np.shares_memory(a.values, np.asarray(x))
    assert isinstance(a.interp(c=[0.5]).data, np.ndarray)
    assert where(lambda: a * 2) == {"cpu" if device == "cpu" else "pretend:0"}
    assert "array" in repr(xr.Dataset({"v": a}))
