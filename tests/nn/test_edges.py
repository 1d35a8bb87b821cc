"""What a comparison with PyTorch over generated arguments found: empty axes, and windows behind the padding."""

from __future__ import annotations

import numpy as np
import pytest

import xpu


def test_softmax_along_an_empty_axis_and_of_infinities():
    assert xpu.nn.softmax(xpu.zeros((3, 0, 2)), axis=1).shape == (3, 0, 2)
    assert xpu.nn.softmax(xpu.zeros((0, 2)), axis=0).shape == (0, 2)
    got = xpu.asnumpy(xpu.nn.softmax(xpu.asarray([np.inf, 1.0]), axis=0))  # warnings are errors here
    assert np.isnan(got).all()


def test_batch_norm_of_nothing_leaves_the_running_values():
    mean, var = xpu.ones(2), xpu.ones(2)
    assert xpu.nn.batch_norm(xpu.zeros((0, 2, 5)), mean, var, training=True).shape == (0, 2, 5)
    assert mean.tolist() == var.tolist() == [1.0, 1.0]


def test_batch_norm_of_one_value_per_channel_is_refused():
    with pytest.raises(ValueError, match=r"x of shape \(1, 2\) has one value per channel"):
        xpu.nn.batch_norm(xpu.zeros((1, 2)), xpu.ones(2), xpu.ones(2), training=True)
    assert xpu.nn.batch_norm(xpu.zeros((1, 2)), xpu.ones(2), xpu.ones(2)).shape == (1, 2)


@pytest.mark.parametrize("pool", ["max_pool1d", "avg_pool1d"])
def test_ceil_mode_lets_a_window_be_longer_than_the_input(pool):
    x = xpu.asarray([[[3.0, 5.0]]])
    got = getattr(xpu.nn, pool)(x, 3, stride=3, ceil_mode=True)
    assert got.tolist() == [[[5.0 if pool == "max_pool1d" else 4.0]]]
    with pytest.raises(ValueError, match="larger than x of shape"):
        getattr(xpu.nn, pool)(x, 3, stride=3)
