import numpy as np
import pytest

import xpu

pd = pytest.importorskip("pandas", reason="pandas is not installed")

ROW = (
    "pandas",
    "`DataFrame(x)` copies; `Series(x)` reads in place and is read-only (`copy=True` to write)",
    "`xpu.asarray(frame)` copies; a ufunc of a frame gives a frame",
    "no",
)


def test_into_frames_and_series(x, host):
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["e"] = x[:, 0]
    pd.testing.assert_frame_equal(frame[list("abcd")], pd.DataFrame(host, columns=list("abcd")))
    assert not np.shares_memory(frame["a"].to_numpy(), np.asarray(x))
    frame.loc[0, "a"] = 7.0
    assert x[0, 0] == 0.0
    series = pd.Series(x[1], index=x[0].astype(int).tolist(), name="s")
    assert series.dtype == float
    assert series.mean() == host[1].mean()
    with pytest.raises(ValueError, match="read-only"):
        series[0] = 1.0
    writable = pd.Series(x[1], copy=True)
    writable[0] = 1.0
    assert writable[0] == 1.0
    assert pd.Index(x[0]).equals(pd.Index(host[0]))
    assert pd.cut(x[0], 2).codes.tolist() == pd.cut(host[0], 2).codes.tolist()


def test_out_of_frames_and_series(x, host, device):
    frame = pd.DataFrame(host, columns=list("abcd"))
    back = xpu.asarray(frame)
    assert type(back).__module__ == "xpu"
    assert back.tolist() == host.tolist()
    back[0, 0] = 9.0
    assert frame.loc[0, "a"] == 0.0
    assert isinstance(xpu.sqrt(frame), pd.DataFrame)
    assert isinstance(xpu.log1p(frame["a"]), pd.Series)
    pd.testing.assert_series_equal(frame["a"] + x[:, 0], frame["a"] + host[:, 0])
    pd.testing.assert_series_equal(x[:, 0] * frame["a"], host[:, 0] * frame["a"])


def test_a_frame_is_never_sent_to_the_device(device):
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with xpu.profile() as p:
        made = xpu.add(frame, xpu.ones((2, 1)))
    assert isinstance(made, pd.DataFrame)
    (event,) = [e for e in p.events if e.op == "add"]
    assert event.device == "cpu"
    assert device == "cpu" or event.reason == "the GPU library takes no DataFrame"


def test_masks(x, host):
    import xpu.pandas  # noqa: F401

    frame, series = pd.DataFrame(host), pd.Series(host[:, 0])
    mask, theirs = x[:, 0] > 1, host[:, 0] > 1
    for rows in (frame, series, frame.loc, frame.iloc, series.loc):
        assert rows[mask].equals(rows[theirs])
    assert frame.iloc[x[:, 0].argmax()].equals(frame.iloc[2])
    assert frame.loc[x[:, 0].argmax(), x[0].argmin()] == host[2, 0]
    frame[mask] = -1.0
    assert (frame.to_numpy() == -1).sum() == 2 * host.shape[1]
    assert frame[[0, 1]].shape == (3, 2)
