"""xpu.nn against PyTorch, where PyTorch is installed (`pip install torch==2.13.0`)."""

import itertools

import numpy as np
import pytest

from xpu import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
functional = torch.nn.functional

RNG = np.random.default_rng(0)
OPTIONS = list(itertools.product([1, 2], [0, 1, 2], [1, 2], [1, 2]))


def _same(got, expected):
    np.testing.assert_allclose(np.asarray(got), expected.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), OPTIONS)
def test_convolutions(rank, stride, padding, dilation, groups):
    x = RNG.normal(size=(2, 4, *[7, 6, 5][:rank]))
    w, bias = RNG.normal(size=(6, 4 // groups, *[3, 2, 1][:rank])), RNG.normal(size=6)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    tx, tw = torch.from_numpy(x), torch.from_numpy(w)
    y = getattr(functional, f"conv{rank}d")(tx, tw, torch.from_numpy(bias), **options)
    _same(getattr(nn, f"conv{rank}d")(x, w, bias, **options), y)
    grads = torch.nn.grad
    dx = getattr(grads, f"conv{rank}d_input")(x.shape, tw, y, **options)
    dw = getattr(grads, f"conv{rank}d_weight")(tx, w.shape, y, **options)
    _same(getattr(nn, f"conv{rank}d_input")(x.shape, w, y.numpy(), **options), dx)
    _same(getattr(nn, f"conv{rank}d_weight")(x, w.shape, y.numpy(), **options), dw)
    more = {**options, "output_padding": min(1, stride - 1)}
    back = getattr(functional, f"conv_transpose{rank}d")(y, tw, **more)
    _same(getattr(nn, f"conv_transpose{rank}d")(y.numpy(), w, **more), back)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling(rank, kernel, stride, padding, ceil_mode):
    x = RNG.normal(size=(2, 3, *[9, 8, 7][:rank]))
    t = torch.from_numpy(x)
    pool = getattr(functional, f"max_pool{rank}d")
    _same(
        getattr(nn, f"max_pool{rank}d")(x, kernel, stride, padding, 1, ceil_mode),
        pool(t, kernel, stride, padding, 1, ceil_mode),
    )
    pool = getattr(functional, f"avg_pool{rank}d")
    for include in (False, True):
        expected = pool(t, kernel, stride, padding, ceil_mode, include)
        _same(getattr(nn, f"avg_pool{rank}d")(x, kernel, stride, padding, ceil_mode, include), expected)


def test_batch_norm_and_softmax():
    x, mean, var = RNG.normal(size=(4, 3, 5, 5)), RNG.normal(size=3), RNG.random(3) + 1
    weight, bias = RNG.normal(size=3), RNG.normal(size=3)
    theirs = [torch.from_numpy(a.copy()) for a in (x, mean, var, weight, bias)]
    for training in (False, True):
        ours = [mean.copy(), var.copy()]
        running = [theirs[1].clone(), theirs[2].clone()]
        expected = functional.batch_norm(theirs[0], *running, *theirs[3:], training)
        _same(nn.batch_norm(x, *ours, weight, bias, training), expected)
        _same(ours[0], running[0])
        _same(ours[1], running[1])
    _same(nn.softmax(x, 1), functional.softmax(theirs[0], 1))
