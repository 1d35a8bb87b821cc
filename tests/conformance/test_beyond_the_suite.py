"""What the official suite never runs: `device=`, `to_device`, operands on two devices, `T`, `mT`, `remainder`."""

import numpy as np
import pytest

import xpu

DEVICES = ["cpu", "pretend:0"]
CREATION = {
    "arange": lambda xp, **k: xp.arange(3.0, 9.0, 2.0, **k),
    "asarray": lambda xp, **k: xp.asarray([[1, 2], [3, 4]], **k),
    "eye": lambda xp, **k: xp.eye(3, 4, k=1, **k),
    "empty": lambda xp, **k: xp.empty((2, 3), **k) * 0,
    "full": lambda xp, **k: xp.full((2, 2), 7, **k),
    "linspace": lambda xp, **k: xp.linspace(0.0, 1.0, 5, **k),
    "ones": lambda xp, **k: xp.ones((2, 3), dtype=xp.float32, **k),
    "zeros": lambda xp, **k: xp.zeros(4, dtype=xp.int8, **k),
    "empty_like": lambda xp, **k: xp.empty_like(xp.ones((2, 2)), **k) * 0,
    "full_like": lambda xp, **k: xp.full_like(xp.ones(3), 2.5, **k),
    "ones_like": lambda xp, **k: xp.ones_like(xp.zeros((2, 1)), **k),
    "zeros_like": lambda xp, **k: xp.zeros_like(xp.ones((1, 2)), **k),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CREATION)
def test_arrays_are_born_where_asked(name, device):
    with xpu.config(device="auto"):
        made, expected = CREATION[name](xpu, device=device), CREATION[name](np)
        assert str(made.device) == device
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(xpu.asnumpy(made), expected)
        assert str((made + made).device) == device


@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("source", DEVICES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "complex128"])
def test_to_device(source, target, dtype):
    x = xpu.asarray(np.arange(6).reshape(2, 3).astype(dtype), device=source)
    y = x.to_device(target)
    assert str(y.device) == target
    assert (y is x) == (source == target)
    assert y.dtype == dtype
    assert y.tolist() == x.tolist()
    if source != target:
        y[...] = 0
        assert x.tolist() == np.arange(6).reshape(2, 3).astype(dtype).tolist()


def test_to_device_refuses_what_is_none():
    with pytest.raises(ValueError, match="unknown device 'moon'"):
        xpu.ones(2).to_device("moon")


@pytest.mark.parametrize("devices", [("cpu", "pretend"), ("pretend", "cpu"), ("pretend", "pretend")], ids="-".join)
@pytest.mark.parametrize("name", ["add", "matmul", "where", "concat", "maximum"])
def test_operands_on_two_devices(name, devices):
    host = np.arange(9.0).reshape(3, 3), np.arange(9.0, 0.0, -1.0).reshape(3, 3)
    a, b = (xpu.asarray(h, device=d) for h, d in zip(host, devices, strict=True))
    call = {
        "where": lambda xp, x, y: xp.where(x > y, x, y),
        "concat": lambda xp, x, y: xp.concat([x, y], axis=1),
    }.get(name, lambda xp, x, y: getattr(xp, name)(x, y))
    got = call(xpu, a, b)
    np.testing.assert_array_equal(xpu.asnumpy(got), call(np, *host))
    assert (a.tolist(), b.tolist()) == (host[0].tolist(), host[1].tolist())


@pytest.mark.parametrize("device", DEVICES)
def test_attributes(device):
    host = np.arange(24.0).reshape(2, 3, 4)
    x = xpu.asarray(host, device=device)
    with xpu.profile() as p:
        turned, last = x.mT, x[0].T
        assert (turned.shape, last.shape, x.size, turned.size) == ((2, 4, 3), (4, 3), 24, 24)
    assert p.bytes_moved == 0
    assert str(turned.device) == device
    assert turned.tolist() == np.matrix_transpose(host).tolist()
    assert last.tolist() == host[0].T.tolist()
    last[0, 0] = 99.0
    assert x[0, 0, 0] == 99.0


SIGNED = np.array([-7.5, -3.0, -0.0, 0.0, 0.3, 3.0, 7.5, 1e300, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int64", "uint8"])
def test_remainder(device, dtype):
    values = SIGNED if dtype.startswith("f") else np.array([-7, -3, 0, 1, 3, 100])
    with np.errstate(all="ignore"):
        host = values.astype(dtype)
        a, b = host[:, None], host[None, :]
        expected = np.remainder(a, b)
        x = xpu.asarray(a, device=device)
        got = [xpu.remainder(x, b), x % b, xpu.remainder(x, xpu.asarray(b, device=device))]
    for made in got:
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(xpu.asnumpy(made), expected)
        if dtype.startswith("f"):
            np.testing.assert_array_equal(np.signbit(xpu.asnumpy(made)), np.signbit(expected))
