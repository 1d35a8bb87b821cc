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


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")
def test_a_tensor_before_an_array_gives_a_tensor_as_numpy_does():
    for make in (np.ones, xpu.ones):
        for made in (torch.ones(3) + make(3), torch.ones(3) / make(3), torch.ones(3) == make(3)):
            assert isinstance(made, torch.Tensor)
        assert (torch.ones(3) + make(3)).dtype == torch.float64
        # A scalar is a number to a tensor, from both sides.
        assert (make(3).sum() * torch.ones(3)).dtype == torch.float32
        assert (torch.ones(3) * make(3).sum()).tolist() == [3.0, 3.0, 3.0]
