import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

ROW = ("scikit-learn", "read in place", "NumPy arrays; xpu arrays from `train_test_split`", "no")
ROW_ARRAY_API = (
    "scikit-learn, `array_api_dispatch=True`",
    "taken as xpu arrays",
    "xpu arrays",
    "estimators written for the standard: `StandardScaler`, `PCA`, `Ridge(solver='svd')`, ...",
)


def test_estimators_without_dispatch(x, host):
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    for make in (StandardScaler, lambda: PCA(2)):
        made = make().fit_transform(x)
        assert type(made) is np.ndarray
        np.testing.assert_allclose(made, make().fit_transform(host), atol=1e-12)
    np.testing.assert_allclose(LinearRegression().fit(x, x[:, 0]).predict(x), host[:, 0], atol=1e-9)
    for part in train_test_split(x, random_state=0):
        assert type(part).__module__ == "xpu"


def test_a_search_takes_arrays_of_values(x, host):
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, ParameterGrid

    import xpu.sklearn

    values = np.logspace(-2, 1, 4)
    rows = np.concatenate([host, host[::-1]])
    ours = GridSearchCV(Ridge(), {"alpha": x[0, :2] + 1}, cv=3).fit(xpu.asarray(rows), rows[:, 0])
    theirs = GridSearchCV(Ridge(), {"alpha": host[0, :2] + 1}, cv=3).fit(rows, rows[:, 0])
    assert ours.best_params_ == theirs.best_params_
    assert list(ParameterGrid({"alpha": x[0]})) == list(ParameterGrid({"alpha": host[0]}))
    assert list(ParameterGrid({"alpha": values})) == [{"alpha": v} for v in values]
    with pytest.raises(TypeError, match="needs to be a list"):
        ParameterGrid({"alpha": x[0].sum()})


def test_random_states(x, host):
    """One stream, whoever draws from it: a library gets NumPy's arrays, the program xpu's."""
    from sklearn.model_selection import ShuffleSplit
    from sklearn.utils import check_random_state, resample

    import xpu

    ours, theirs = xpu.random.RandomState(3), np.random.RandomState(3)
    assert check_random_state(ours) is ours
    assert resample(host, random_state=ours).tolist() == resample(host, random_state=theirs).tolist()
    drawn = [[part.tolist() for part in next(ShuffleSplit(1, random_state=r).split(host))] for r in (ours, theirs)]
    assert drawn[0] == drawn[1]
    assert ours.normal(size=3).tolist() == theirs.normal(size=3).tolist()
    assert type(ours.normal(size=3)) is xpu.ndarray


def test_estimators_with_dispatch(dispatched):
    for name, found in dispatched["sklearn"].items():
        for device in ("cpu", "pretend"):
            assert found[device]["kind"] == "xpu", name
            assert found[device]["agrees"], name
        assert "pretend:0" in found["pretend"]["ran"], name
