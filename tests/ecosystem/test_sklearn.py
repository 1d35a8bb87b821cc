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


def test_estimators_with_dispatch(dispatched):
    for name, found in dispatched["sklearn"].items():
        for device in ("cpu", "pretend"):
            assert found[device]["kind"] == "xpu", name
            assert found[device]["agrees"], name
        assert "pretend:0" in found["pretend"]["ran"], name
