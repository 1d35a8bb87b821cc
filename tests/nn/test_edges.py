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


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"stride": 0}, "stride=0"),
        ({"padding": -1}, "padding=-1"),
        ({"groups": 3}, "groups=3"),
        ({"dilation": 9}, "reaches over 19"),
        ({"padding": "same", "stride": 2}, "PyTorch defines"),
    ],
)
def test_every_mistake_names_the_shapes(options, names):
    x, w = xpu.ones((1, 4, 8, 8)), xpu.ones((6, 4, 3, 3))
    with pytest.raises(ValueError, match=names) as caught:
        xpu.nn.conv2d(x, w, **options)
    assert "(1, 4, 8, 8)" in str(caught.value)
    assert "(6, 4, 3, 3)" in str(caught.value)


@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("i8", "i8")])
def test_a_wrong_dtype_names_the_shapes(dtypes):
    x, w = (xpu.ones(s, dtype=d) for s, d in zip([(1, 4, 8, 8), (6, 4, 3, 3)], dtypes, strict=True))
    with pytest.raises(TypeError, match=r"The shapes are x \(1, 4, 8, 8\), w \(6, 4, 3, 3\)"):
        xpu.nn.conv2d(x, w)


def test_what_is_no_number_or_no_array_is_refused():
    x = xpu.ones((1, 4, 8, 8))
    with pytest.raises(TypeError, match="an operand is None"):
        xpu.nn.conv2d(None, x)
    for name, dtype, more in [("max_pool2d", "c8", (2,)), ("avg_pool2d", "i8", (2,)), ("relu", "c8", ())]:
        with pytest.raises(TypeError, match=rf"xpu.nn.{name}: x has dtype \w+ and shape \(1, 4, 8, 8\)"):
            getattr(xpu.nn, name)(x.astype(dtype), *more)
    with pytest.raises(TypeError, match="Give floats"):
        xpu.nn.batch_norm(x.astype("i8"), xpu.ones(4), xpu.ones(4))
