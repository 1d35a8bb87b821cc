import numpy as np
import pytest

import xpu

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

ROW = ("Pillow", "`Image.fromarray(x)` copies", "`xpu.asarray(image)` copies", "no")


@pytest.mark.parametrize(("shape", "dtype"), [((4, 5, 3), "uint8"), ((4, 5), "uint8"), ((4, 5), "float32")])
def test_there_and_back(shape, dtype, device):
    x = xpu.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    image = Image.fromarray(x)
    assert image.size == (5, 4)
    back = xpu.asarray(image)
    assert type(back).__module__ == "xpu"
    assert back.dtype == dtype
    assert back.tolist() == x.tolist()
    image.putpixel((0, 0), (9, 9, 9) if len(shape) == 3 else 9)
    assert float(x.ravel()[0]) == 0.0
    assert xpu.array(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM))[-1].tolist() == np.asarray(image)[0].tolist()


def test_a_view_with_strides(device):
    x = xpu.arange(40, dtype=xpu.uint8).reshape(5, 8)
    assert np.asarray(Image.fromarray(x[::2, ::-1])).tolist() == x[::2, ::-1].tolist()
