import numpy as np
import pytest

import xpu

jnp = pytest.importorskip("jax.numpy", reason="jax is not installed")
dlpack = pytest.importorskip("jax.dlpack")

ROW = (
    "JAX",
    "`jnp.asarray(x)`, `jax.dlpack.from_dlpack(x)` and operators with JAX's arrays; "
    "JAX's functions ask for `jnp.asarray`",
    "`xpu.from_dlpack(array)` shares read-only memory; `xpu.asarray(array)` copies",
    "its own way: CUDA memory is to be shared by DLPack (not run on a GPU)",
)


def test_into_jax(device):
    x = xpu.arange(4, dtype=xpu.float32)
    for made in (jnp.asarray(x), dlpack.from_dlpack(x), x + jnp.zeros(4), jnp.zeros(4) + x):
        assert type(made) is type(jnp.ones(1))
        assert np.asarray(made).tolist() == [0.0, 1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"jax\.numpy\.array"):
        jnp.sqrt(x)


def test_out_of_jax(device):
    source = jnp.arange(4, dtype=jnp.float32)
    shared = xpu.from_dlpack(source)
    assert np.shares_memory(np.asarray(shared), np.asarray(source))
    with pytest.raises(ValueError, match="read-only"):
        shared[0] = 1.0
    copied = xpu.asarray(source)
    copied[0] = 1.0
    assert source[0] == 0.0
    assert (xpu.ones(4, dtype=xpu.float32) + copied).dtype == xpu.float32
