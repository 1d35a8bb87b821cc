"""`xpu.ndimage` and `xpu.signal` give SciPy's results on every device."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import xpu

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(12, 17))
VOLUME = RNG.normal(size=(5, 6, 7))
SPOTS = (IMAGE > 0.8).astype(np.int32)
LABELS = scipy.ndimage.label(IMAGE > 0)[0]
KERNEL = RNG.normal(size=(3, 4))
LINE = RNG.normal(size=200)
B, A = scipy.signal.butter(3, 0.2)
SOS = scipy.signal.butter(4, 0.2, output="sos")

NDIMAGE = {
    "affine_transform": (IMAGE, np.array([[1.0, 0.1], [0.0, 0.9]])),
    "binary_closing": (SPOTS,),
    "binary_dilation": (SPOTS,),
    "binary_erosion": (SPOTS,),
    "binary_fill_holes": (SPOTS,),
    "binary_hit_or_miss": (SPOTS,),
    "binary_opening": (SPOTS,),
    "binary_propagation": (SPOTS,),
    "black_tophat": (IMAGE, 3),
    "center_of_mass": (np.abs(IMAGE),),
    "convolve": (IMAGE, KERNEL),
    "convolve1d": (IMAGE, KERNEL[0]),
    "correlate": (VOLUME, VOLUME[:2, :3, :2]),
    "correlate1d": (VOLUME, KERNEL[0], 1),
    "distance_transform_bf": (SPOTS,),
    "distance_transform_cdt": (SPOTS,),
    "distance_transform_edt": (SPOTS,),
    "extrema": (IMAGE, LABELS, [1, 2]),
    "fourier_ellipsoid": (IMAGE.astype(complex), 2),
    "fourier_gaussian": (IMAGE.astype(complex), 2),
    "fourier_shift": (IMAGE.astype(complex), 2),
    "fourier_uniform": (IMAGE.astype(complex), 2),
    "gaussian_filter": (VOLUME, 1.5),
    "gaussian_filter1d": (IMAGE, 1.5),
    "gaussian_gradient_magnitude": (IMAGE, 1.0),
    "gaussian_laplace": (IMAGE, 1.0),
    "grey_closing": (IMAGE, 3),
    "grey_dilation": (IMAGE, 3),
    "grey_erosion": (IMAGE, 3),
    "grey_opening": (IMAGE, 3),
    "histogram": (IMAGE, -2.0, 2.0, 5),
    "label": (SPOTS,),
    "laplace": (IMAGE,),
    "map_coordinates": (IMAGE, np.array([[1.5, 2.0], [3.0, 4.5]])),
    "maximum": (IMAGE, LABELS, [1, 2]),
    "maximum_filter": (IMAGE, 3),
    "maximum_filter1d": (IMAGE, 3),
    "maximum_position": (IMAGE,),
    "mean": (IMAGE, LABELS, [1, 2]),
    "median": (IMAGE, LABELS, [1, 2]),
    "median_filter": (IMAGE, 3),
    "minimum": (IMAGE,),
    "minimum_filter": (VOLUME, 2),
    "minimum_filter1d": (IMAGE, 3),
    "minimum_position": (IMAGE,),
    "morphological_gradient": (IMAGE, 3),
    "morphological_laplace": (IMAGE, 3),
    "percentile_filter": (IMAGE, 30, 3),
    "prewitt": (IMAGE, 0),
    "rank_filter": (IMAGE, 2, 3),
    "rotate": (IMAGE, 30.0),
    "shift": (IMAGE, 1.5),
    "sobel": (IMAGE,),
    "spline_filter": (IMAGE,),
    "spline_filter1d": (IMAGE,),
    "standard_deviation": (IMAGE,),
    "sum": (IMAGE, LABELS, [1, 2]),
    "sum_labels": (IMAGE,),
    "uniform_filter": (IMAGE, 3),
    "uniform_filter1d": (IMAGE, 3),
    "variance": (IMAGE,),
    "watershed_ift": (SPOTS.astype(np.uint8), LABELS.astype(np.int16)),
    "white_tophat": (IMAGE, 3),
    "zoom": (IMAGE, 1.5),
}

SIGNAL = {
    "coherence": (LINE, LINE[::-1].copy(), 1.0, "hann", 32),
    "convolve": (LINE, B),
    "convolve2d": (IMAGE, KERNEL),
    "correlate": (LINE, B),
    "correlate2d": (IMAGE, KERNEL),
    "csd": (LINE, LINE[::-1].copy(), 1.0, "hann", 32),
    "decimate": (LINE, 2),
    "detrend": (LINE,),
    "fftconvolve": (LINE, B),
    "filtfilt": (B, A, LINE),
    "find_peaks": (LINE,),
    "firwin": (11, 0.3),
    "hilbert": (LINE,),
    "hilbert2": (IMAGE,),
    "lfilter": (B, A, LINE),
    "medfilt": (LINE, 3),
    "medfilt2d": (IMAGE, 3),
    "oaconvolve": (LINE, B),
    "periodogram": (LINE,),
    "resample": (LINE, 100),
    "resample_poly": (LINE, 3, 2),
    "savgol_filter": (LINE, 5, 2),
    "sosfilt": (SOS, LINE),
    "sosfiltfilt": (SOS, LINE),
    "spectrogram": (LINE, 1.0, "hann", 32),
    "stft": (LINE, 1.0, "hann", 32),
    "upfirdn": (B, LINE, 2, 3),
    "welch": (LINE, 1.0, "hann", 32),
    "wiener": (IMAGE,),
}


def _ours(value):
    return xpu.asarray(value) if isinstance(value, np.ndarray) else value


def _agree(expected, got, rtol=1e-9):
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for e, g in zip(expected, got, strict=True):
            _agree(e, g)
    elif isinstance(expected, dict):
        assert expected.keys() == got.keys()
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert isinstance(got, (xpu.ndarray, xpu.scalar))
        host = xpu.asnumpy(got)
        assert (host.shape, host.dtype) == (expected.shape, expected.dtype)
        scale = float(np.max(np.abs(expected), initial=1.0, where=np.isfinite(expected)))
        np.testing.assert_allclose(host, expected, rtol=rtol, atol=rtol * scale)
    else:
        assert got == expected


@pytest.mark.parametrize("name", NDIMAGE)
def test_every_function_of_ndimage(name, policy):
    given_ = NDIMAGE[name]
    _agree(getattr(scipy.ndimage, name)(*given_), getattr(xpu.ndimage, name)(*map(_ours, given_)))


@pytest.mark.parametrize("name", SIGNAL)
def test_functions_of_signal(name, policy):
    given_ = SIGNAL[name]
    _agree(getattr(scipy.signal, name)(*given_), getattr(xpu.signal, name)(*map(_ours, given_)))


SHAPES = st.sampled_from([(7,), (300,), (9, 11), (33, 20), (4, 5, 6)])
KERNELS = st.sampled_from([(1,), (3,), (4,), (500,), (2, 2), (3, 5), (4, 3), (15, 15), (12, 9), (2, 3, 2)])


@st.composite
def problems(draw):
    """An array and a kernel of one rank, of a dtype, some of it not finite."""
    shape = draw(SHAPES)
    kernel = draw(KERNELS.filter(lambda k: len(k) == len(shape)))
    dtype = draw(st.sampled_from(["f4", "f8", "c8", "c16", "i4", "u1"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    a, k = (rng.normal(size=s) * 9 for s in (shape, kernel))
    if dtype[0] == "f" and draw(st.booleans()):
        a.flat[draw(st.integers(0, a.size - 1))] = draw(st.sampled_from([np.inf, np.nan]))
    return (np.abs(a) if dtype[0] in "u" else a).astype(dtype), (np.abs(k) if dtype[0] in "u" else k).astype(dtype)


def _same(theirs, ours, a, k, *args, **kwargs):
    """Compare results, or the types of exceptions."""
    tolerance = 2e-5 if a.dtype in (np.float32, np.complex64) else 1e-11
    with np.errstate(all="ignore"):
        try:
            expected = theirs(a, k, *args, **kwargs)
        except (ValueError, TypeError, RuntimeError) as error:
            with pytest.raises(type(error)):
                ours(xpu.asarray(a), xpu.asarray(k), *args, **kwargs)
            return
        _agree(expected, ours(xpu.asarray(a), xpu.asarray(k), *args, **kwargs), tolerance)


@pytest.mark.filterwarnings("ignore:Use of fft convolution on input with NAN")
@given(
    problem=problems(),
    mode=st.sampled_from(["full", "same", "valid", "none"]),
    name=st.sampled_from(["convolve", "correlate"]),
)
def test_convolve_and_correlate(problem, mode, name):
    _same(getattr(scipy.signal, name), getattr(xpu.signal, name), *problem, mode)


@given(
    problem=problems(),
    mode=st.sampled_from(["full", "same", "valid"]),
    boundary=st.sampled_from(["fill", "wrap", "symm", "nowhere"]),
    fill=st.sampled_from([0, 1.5]),
    name=st.sampled_from(["convolve2d", "correlate2d"]),
)
def test_convolve2d_and_correlate2d(problem, mode, boundary, fill, name):
    _same(getattr(scipy.signal, name), getattr(xpu.signal, name), *problem, mode, boundary, fill)


@given(
    problem=problems(),
    mode=st.sampled_from(["reflect", "mirror", "nearest", "wrap", "constant", "grid-wrap", "nowhere"]),
    origin=st.sampled_from([0, 1]),
    name=st.sampled_from(["convolve", "correlate"]),
)
def test_nd_convolve_and_correlate(problem, mode, origin, name):
    _same(getattr(scipy.ndimage, name), getattr(xpu.ndimage, name), *problem, None, mode, 1.5, origin)


def test_output_is_written_wherever_it_is(policy):
    image, made = xpu.asarray(IMAGE), xpu.zeros(IMAGE.shape)
    view = made[:, ::-1]
    assert xpu.ndimage.gaussian_filter(image, 1.0, output=view) is view
    expected = scipy.ndimage.gaussian_filter(IMAGE, 1.0)
    np.testing.assert_allclose(xpu.asnumpy(made), expected[:, ::-1])
    assert xpu.ndimage.sobel(image, output=np.float32).dtype == np.float32
    foreign = np.zeros(IMAGE.shape)
    xpu.ndimage.gaussian_filter(image, 1.0, output=foreign)
    np.testing.assert_allclose(foreign, expected)


def test_float32_stays_float32(policy):
    image = xpu.asarray(IMAGE.astype(np.float32))
    assert xpu.ndimage.gaussian_filter(image, 1.0).dtype == np.float32
    assert xpu.signal.convolve2d(image, image[:3, :3]).dtype == np.float32
    assert xpu.ndimage.convolve(image, xpu.ones((11, 11), dtype=np.float32)).dtype == np.float32


def test_where_it_ran_and_why():
    with xpu.config(device="pretend"), xpu.profile() as p:
        image = xpu.asarray(IMAGE)
        xpu.ndimage.sobel(image)
        xpu.ndimage.watershed_ift(SPOTS.astype(np.uint8), LABELS.astype(np.int16))
        xpu.ndimage.gaussian_filter1d(image, 1.0, radius=3)
        xpu.ndimage.generic_filter(image, np.max, 3)
    assert [(e.op, e.device, e.reason) for e in p.events if e.op.startswith("ndimage")] == [
        ("ndimage.sobel", "pretend:0", "forced by config(device=...)"),
        ("ndimage.watershed_ift", "cpu", "the GPU library has no ndimage.watershed_ift"),
        ("ndimage.gaussian_filter1d", "cpu", "the GPU library's ndimage.gaussian_filter1d has no radius="),
        ("ndimage.generic_filter", "cpu", "the GPU library has no ndimage.generic_filter"),
    ]
