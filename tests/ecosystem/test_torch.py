import numpy as np
import pytest

import xpu

torch = pytest.importorskip("torch", reason="torch is not installed")

ROW = (
    "PyTorch",
    "`torch.from_dlpack(x)` shares the host's memory, the array stays there; `torch.tensor(x)` copies",
    "`xpu.from_dlpack(tensor)` shares the host's memory; `xpu.asarray(tensor)` copies",
    "its own way: CUDA memory is to be shared by DLPack (not run on a GPU)",
)


def test_shared_by_dlpack(x):
    tensor = torch.from_dlpack(x)
    tensor[0, 0] = 7.0
    assert x[0, 0] == 7.0
    assert str(x.device) == "cpu"
    source = torch.arange(4.0)
    made = xpu.from_dlpack(source)
    made[0] = 9.0
    assert source[0] == 9.0
    assert type(made).__module__ == "xpu"


def test_copies(x, host):
    copied = torch.tensor(x)
    copied[0, 0] = 1.0
    assert x[0, 0] == 0.0
    back = xpu.asarray(torch.from_numpy(host))
    back[0, 0] = 1.0
    assert host[0, 0] == 0.0


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # torch's own
def test_what_numpy_says_of_a_mixture_xpu_says(x):
    assert isinstance(xpu.sqrt(torch.ones(3)), torch.Tensor)
    with pytest.raises(TypeError):
        np.ones(3) + torch.ones(3)
    with pytest.raises(TypeError):
        xpu.ones(3) + torch.ones(3)
