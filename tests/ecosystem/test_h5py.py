import numpy as np
import pytest

import xpu

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

ROW = (
    "h5py",
    "`create_dataset(data=x)`, `dataset[...] = x`, attributes: read in place",
    "`dataset[...]` is NumPy's; `xpu.asarray(dataset)` and functions of xpu give xpu arrays; "
    "`read_direct` fills NumPy's only",
    "no",
)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as f:
        yield f


def test_writing(file, x, host):
    file.create_dataset("a", data=x, chunks=(1, 4), compression="gzip")
    file["b"] = x
    file["a"][0] = x[2]
    file["a"][1:, ::2] = x[1:, ::2] * 10
    file.attrs["row"], file.attrs["sum"] = x[0], x.sum()
    expected = host.copy()
    expected[0] = host[2]
    expected[1:, ::2] = host[1:, ::2] * 10
    assert file["a"][...].tolist() == expected.tolist()
    assert file["b"][...].tolist() == host.tolist()
    assert file.attrs["row"].tolist() == host[0].tolist()
    assert file.attrs["sum"] == host.sum()


def test_reading(file, x, host):
    file["a"] = host
    assert isinstance(file["a"][...], np.ndarray)
    for made in (xpu.asarray(file["a"]), xpu.array(file["a"][1:]), xpu.sqrt(file["a"])):
        assert type(made).__module__ == "xpu"
    assert xpu.asarray(file["a"]).tolist() == host.tolist()
    assert file["a"][x[:, 0] > 3].tolist() == host[1:].tolist()
    assert file["a"][x[0, :2].astype(int)].tolist() == host[:2].tolist()
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        file["a"].read_direct(xpu.zeros((3, 4)))
