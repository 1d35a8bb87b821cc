"""Calls in pieces on a small pretend card: values, device, reason, bytes moved, and memory never beyond the card's."""

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import xpu
import xpu.ndimage
import xpu.nn
import xpu.signal
from xpu._backends import _machines, backend
from xpu._backends._lost import find
from xpu._backends._pretend import Memory, PretendLost, PretendOutOfMemory
from xpu._chunks._plan import planned, shorter
from xpu._device import parse
from xpu._machine import shipped
from xpu._op import OPS, Shaped
from xpu.errors import FallbackError, FallbackWarning

RNG = np.random.default_rng(0)
MEMORY = 200_000


def machine_with(memory, slow_host=False):
    machine = shipped("h200")
    cpu = machine.cpu
    if slow_host:
        slow = {
            kind: replace(rates, bandwidth=1e5, rate=dict.fromkeys(rates.rate, 1e5))
            for kind, rates in cpu.classes.items()
        }
        cpu = replace(cpu, classes=slow, curves={}, streams={})
    return replace(machine, cpu=cpu, accelerator=replace(machine.accelerator, memory=memory))


@pytest.fixture
def card(monkeypatch):
    """Return a function that gives the pretend device so many bytes of memory."""
    target = backend(parse("pretend"))

    def made(memory=MEMORY, slow_host=False):
        machine = machine_with(memory, slow_host)
        monkeypatch.setattr(target, "machine", machine)
        monkeypatch.setitem(_machines, "pretend:0", machine)
        monkeypatch.setattr(target, "memory", Memory(memory, fragmented=False))
        return target

    yield made
    find(target.device)


def on_host(*arrays):
    with xpu.config(device="cpu"):
        return [xpu.asarray(a) for a in arrays]


X, Y = RNG.normal(size=(120, 400)), RNG.normal(size=(120, 400))
ROW, COLUMN = RNG.normal(size=400), RNG.normal(size=(120, 1))
CUBE = X.reshape(60, 10, 80) + 0j
IMAGE = RNG.normal(size=(900, 40))
KERNEL = RNG.normal(size=(7, 5))
BATCH, WEIGHT = RNG.normal(size=(40, 3, 20, 21)), RNG.normal(size=(4, 3, 3, 3))


def both(path):
    """Return a function of xpu and the library it follows."""
    name = path.removeprefix("np.")
    found, theirs = xpu, {"ndimage": scipy.ndimage, "signal": scipy.signal}.get(name.partition(".")[0], np)
    for part in name.split("."):
        found = getattr(found, part)
    for part in name.split(".")[theirs is not np :]:
        theirs = getattr(theirs, part)
    return found, theirs


CASES = [
    # elementwise
    ("add", (X, Y), {}),
    ("multiply", (X, ROW), {}),
    ("less", (X, COLUMN), {}),
    ("subtract", (1.5, X), {}),
    ("add", (X, Y), {"dtype": np.float32, "casting": "same_kind"}),
    ("divmod", (X, Y), {}),
    ("clip", (X, -0.5, 0.5), {}),
    ("where", (X > 0, X, 0.0), {}),
    ("round", (X, 2), {}),
    ("sqrt", (np.abs(X).reshape(1, 1, -1),), {}),
    # reductions
    *[(name, (X,), {"axis": axis}) for name in ("sum", "max", "mean", "var", "argmax") for axis in (None, 0, 1)],
    ("sum", (X,), {"axis": 0, "keepdims": True}),
    ("mean", (X,), {"keepdims": True}),
    ("std", (X,), {"axis": (0, 1), "ddof": 1}),
    ("min", (X.reshape(30, 4, 400),), {"axis": (0, 2)}),
    ("var", (X.reshape(30, 4, 400),), {"axis": (0, 2), "keepdims": True}),
    ("prod", (X,), {"axis": 0}),
    ("any", (np.repeat(X > 4, 5, axis=0),), {}),
    ("all", (np.repeat(X > -9, 5, axis=0),), {"axis": 0}),
    ("count_nonzero", (np.repeat(X > 0, 5, axis=0),), {}),
    ("ptp", (X,), {"axis": 0}),
    ("argmin", (X,), {"keepdims": True}),
    ("argmin", (X,), {"axis": 0, "keepdims": True}),
    ("sum", (np.full((300, 500), 200, np.int16),), {}),
    ("sum", (X.reshape(1, -1),), {}),
    ("mean", (X.astype("f2").repeat(4, axis=0),), {"axis": 0}),
    ("var", (X + 1j * Y,), {"axis": 0}),
    # products
    ("matmul", (X, RNG.normal(size=(400, 7))), {}),
    ("matmul", (RNG.normal(size=(7, 120)), X), {}),
    ("matmul", (X, ROW), {}),
    ("dot", (X.ravel(), Y.ravel()), {}),
    ("matmul", (RNG.normal(size=(3, 9000)), RNG.normal(size=(9000, 3))), {}),
    ("matmul", (RNG.normal(size=(400, 50)), RNG.normal(size=(50, 400))), {}),
    ("matmul", (X.reshape(24, 5, 400), Y.reshape(24, 400, 5)), {}),
    # Fourier transforms
    ("fft.fft", (X,), {}),
    ("fft.ifft", (X + 0j,), {"axis": 0}),
    ("fft.rfft", (X,), {"n": 300, "norm": "ortho"}),
    ("fft.irfft", (X + 0j,), {}),
    ("fft.fft2", (X,), {}),
    ("fft.rfft2", (X,), {"s": (100, 380), "axes": (0, 1)}),
    ("fft.irfft2", (X + 0j,), {}),
    ("fft.fft2", (X.reshape(60, 10, 80),), {}),
    ("fft.ifftn", (CUBE,), {}),
    # filters
    *[("ndimage.convolve", (IMAGE, KERNEL), {"mode": mode}) for mode in ("reflect", "wrap", "constant", "mirror")],
    ("ndimage.correlate1d", (IMAGE, KERNEL[0]), {"axis": 0, "mode": "grid-wrap", "origin": 1}),
    ("ndimage.correlate1d", (IMAGE, KERNEL[0]), {"axis": 1}),
    ("ndimage.gaussian_filter", (IMAGE, 2.0), {}),
    ("ndimage.gaussian_laplace", (IMAGE, 1.0), {}),
    ("ndimage.uniform_filter", (IMAGE,), {"size": (5, 3)}),
    ("ndimage.median_filter", (IMAGE,), {"size": 3, "mode": "nearest"}),
    ("ndimage.maximum_filter", (IMAGE, 4), {}),
    ("ndimage.sobel", (IMAGE,), {"axis": 0}),
    ("ndimage.laplace", (IMAGE,), {}),
    *[("signal.convolve", (IMAGE, KERNEL), {"mode": mode}) for mode in ("full", "same", "valid")],
    *[("signal.correlate", (IMAGE, KERNEL[:6]), {"mode": mode}) for mode in ("full", "same", "valid")],
    ("signal.fftconvolve", (IMAGE, KERNEL), {"mode": "same"}),
    ("signal.oaconvolve", (IMAGE.ravel(), KERNEL.ravel()), {}),
    ("signal.convolve2d", (IMAGE, KERNEL), {"mode": "same"}),
    ("convolve", (IMAGE.ravel(), KERNEL.ravel()), {"mode": "same"}),
]


@pytest.mark.parametrize(("path", "args", "keywords"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_in_pieces(path, args, keywords, card):
    memory = MEMORY if args[0] is not CUBE else 2 * MEMORY
    function, theirs = both(path)
    expected = theirs(*args, **keywords)
    given = [on_host(a)[0] if isinstance(a, np.ndarray) else a for a in args]
    target = card(memory)
    before = target.memory.used
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        got = function(*given, **keywords)
    (event,) = p.events
    assert event.device == "pretend:0"
    assert event.reason.startswith("too large for the accelerator: ")
    assert int(event.reason.split()[5]) > 1  # pieces
    arrays = sum(a.nbytes for a in args if isinstance(a, np.ndarray))
    results = expected if isinstance(expected, tuple) else (expected,)
    assert arrays <= event.bytes_moved == p.bytes_moved
    assert target.memory.peak <= memory
    for ours, numpys in zip(got if isinstance(expected, tuple) else (got,), results, strict=True):
        assert (ours.dtype, ours.shape) == (numpys.dtype, numpys.shape)
        assert type(ours) is (xpu.scalar if np.ndim(numpys) == 0 else xpu.ndarray)
        rtol = 2e-3 if ours.dtype == np.float16 else 1e-5 if ours.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(xpu.asnumpy(ours), numpys, rtol=rtol, atol=1e-9)
    assert target.memory.used == before  # nothing is left behind


def test_exactly_what_has_to_move_moves(card):
    a, b, w = on_host(X, Y, RNG.normal(size=(400, 5)))
    card()
    with xpu.config(device="pretend"), xpu.profile() as p:
        a + b
        a @ w
    add, product = p.events
    assert add.bytes_moved == 3 * X.nbytes
    assert product.bytes_moved == X.nbytes + 400 * 5 * 8 + 120 * 5 * 8  # the right factor once


CONVOLUTIONS = [
    (BATCH, WEIGHT, {"padding": 1}),
    (BATCH, WEIGHT, {"stride": 2, "padding": ((2, 0), (1, 1)), "dilation": (2, 1)}),
    (BATCH[:1].repeat(40, axis=2), WEIGHT, {"padding": 1}),  # one image: tiles
    (BATCH[:1].repeat(40, axis=2), WEIGHT, {"stride": (3, 2), "padding": (4, 1), "dilation": (2, 1)}),
    (BATCH[:1].repeat(40, axis=2), WEIGHT, {"padding": "same"}),
    (np.moveaxis(BATCH[:1].repeat(40, axis=2), 1, -1).copy(), WEIGHT, {"padding": (3, 0), "layout": "NHWC"}),
]


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS, ids=range(6))
def test_convolutions(x, w, options, card):
    with xpu.config(device="cpu"):
        bias = xpu.asarray(np.arange(4.0))
        expected = xpu.asnumpy(xpu.nn.conv2d(x, w, bias, **options))
    target, (a, b) = card(400_000), on_host(x, w)
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        got = xpu.nn.conv2d(a, b, bias, **options)
    (event,) = p.events
    what = "the batch" if len(x) > 1 else "axis 1 in tiles" if "layout" in options else "axis 2 in tiles"
    assert event.device == "pretend:0"
    assert f"pieces of {what}" in event.reason
    assert target.memory.peak <= 400_000
    np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-10, atol=1e-10)


def test_gradients_and_layers_by_batch(card):
    y = RNG.normal(size=(40, 4, 18, 19))
    calls = {
        "conv2d_input": lambda nn, a, b, c: nn.conv2d_input(BATCH.shape, b, c),
        "conv2d_weight": lambda nn, a, b, c: nn.conv2d_weight(a, WEIGHT.shape, c),
        "conv_transpose2d": lambda nn, a, b, c: nn.conv_transpose2d(c, b),
        "max_pool2d": lambda nn, a, b, c: nn.max_pool2d(a, 2),
        "avg_pool2d": lambda nn, a, b, c: nn.avg_pool2d(a, 3, stride=1, padding=1),
        "softmax": lambda nn, a, b, c: nn.softmax(a, axis=1),
    }
    for name, call in calls.items():
        with xpu.config(device="cpu"):
            given = on_host(BATCH, WEIGHT, y)
            expected = xpu.asnumpy(call(xpu.nn, *given))
        target = card(300_000)
        with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
            got = call(xpu.nn, *given)
        (event,) = p.events
        assert "pieces of the batch" in event.reason, name
        assert target.memory.peak <= 300_000
        np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-9, atol=1e-9, err_msg=name)


def test_users_kernels_and_casts(card):
    @xpu.fuse
    def curve(x, y):
        return xpu.sqrt(x * x + y * y) * 0.5

    (a, b), target = on_host(X, Y), card()
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        curved, cast = curve(a, b), a.astype("f4")
    np.testing.assert_allclose(xpu.asnumpy(curved), np.hypot(X, Y) * 0.5)
    np.testing.assert_array_equal(xpu.asnumpy(cast), X.astype("f4"))
    assert all(e.device == "pretend:0" and "pieces" in e.reason for e in p.events)
    assert target.memory.peak <= MEMORY


@given(st.data())
def test_reductions_over_any_axes(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))
    axis = data.draw(st.one_of(st.none(), st.sets(st.integers(0, len(shape) - 1)).map(tuple)))
    keepdims = data.draw(st.booleans())
    name = data.draw(st.sampled_from(["sum", "mean", "std", "max", "ptp", "argmin"]))
    if name == "argmin" and axis is not None:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(0).integers(-4, 5, shape).astype(data.draw(st.sampled_from(["f4", "f8", "i4"])))
    (a,) = on_host(x)
    target, before = backend(parse("pretend")), backend(parse("pretend")).machine
    machine = machine_with(max(64, x.nbytes))
    target.machine = _machines["pretend:0"] = machine
    try:
        with xpu.config(device="pretend"), xpu.profile() as p:
            got = getattr(xpu, name)(a, axis=axis, keepdims=keepdims)
    finally:
        target.machine = _machines["pretend:0"] = before
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-5, atol=1e-6)
    assert len(p.events) == 1


# ----------------------------------------------------------------------------- numerics


def test_a_variance_far_from_zero(card):
    x = (RNG.normal(size=(400, 300)) + 1e6).astype("f8")
    (a,) = on_host(x)
    card()
    with xpu.config(device="pretend"):
        np.testing.assert_allclose(float(a.var()), x.var(), rtol=1e-11)
        np.testing.assert_allclose(xpu.asnumpy(a.std(axis=0)), x.std(axis=0), rtol=1e-11)
    single = (RNG.normal(size=(400, 300)) + 1000).astype("f4")
    (b,) = on_host(single)
    with xpu.config(device="pretend"):
        np.testing.assert_allclose(float(b.var()), single.astype("f8").var(), rtol=1e-4)


def test_infinities_and_nan(card):
    x = X.copy()
    x[70, 3], x[100, 5], x[20, 7], x[90, 7] = np.inf, np.nan, np.nan, np.nan
    (a,) = on_host(x)
    card()
    with xpu.config(device="pretend"), np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in ("mean", "var", "max", "argmax", "argmin", "sum"):
            for axis in (None, 0, 1):
                expected = getattr(np, name)(x, axis=axis)
                got = xpu.asnumpy(getattr(xpu, name)(a, axis=axis))
                np.testing.assert_allclose(got, expected, rtol=1e-12, err_msg=f"{name} {axis}")


def test_the_first_of_equals(card):
    x = np.zeros((300, 200))
    x[[50, 150, 250], :] = 1.0
    (a,) = on_host(x)
    card()
    with xpu.config(device="pretend"):
        assert int(a.argmax()) == 50 * 200
        assert set(xpu.asnumpy(a.argmax(axis=0))) == {50}


# ----------------------------------------------------------------------------- what decides


def test_the_cost_model_decides(card):
    (a,) = on_host(X)
    card(slow_host=True)
    with xpu.config(device="cpu"):
        assert xpu.explain(xpu.sum, a).device == "cpu"
    with xpu.config(device="pretend"):
        chosen = xpu.explain(xpu.sum, a)
    assert (chosen.device, chosen.reason.partition(":")[0]) == ("pretend:0", "too large for the accelerator")


def test_automatic_placement(card, monkeypatch):
    from xpu._backends import automatic

    (a, b), target = on_host(X, Y), card(slow_host=True)
    monkeypatch.setattr(automatic, "found", target)
    monkeypatch.setattr(automatic, "asked", True)
    monkeypatch.setattr(automatic, "possible", True)
    with xpu.config(device="auto"), xpu.profile() as p:
        a + b
        card()
        a + b
        xpu.sort(a)
    assert [e.device for e in p.events] == ["pretend:0", "cpu", "cpu"]
    assert p.events[0].reason.startswith("too large for the accelerator; faster there in ")
    assert p.events[1].reason.endswith("pieces of axis 0 slower than the host")
    assert p.events[2].reason == "too large for the accelerator, and it cannot be cut"
    assert p.events[1].bytes_moved == p.events[2].bytes_moved == 0


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda a: xpu.cumsum(a), "it cannot be cut"),
        (lambda a: xpu.linalg.solve(a[:, :120], a), "it cannot be cut"),
        (lambda a: xpu.fft.fft(a.reshape(-1)), "it cannot be cut"),
        (lambda a: xpu.add(a, a[::-1], out=a.reshape(1, -1).reshape(120, 400)), None),
    ],
)
def test_what_does_not_fall_into_pieces(call, why, card):
    (a,) = on_host(X)
    card(100_000)
    with xpu.config(device="pretend"), xpu.profile() as p:
        call(a)
    event = p.events[-1]
    if why is None:  # overlapping operands are copied first
        np.testing.assert_array_equal(xpu.asnumpy(a), X + X[::-1])
        return
    assert (event.device, event.reason) == ("cpu", f"too large for the accelerator, and {why}")


def test_pins_and_residents(card, monkeypatch):
    target = card(10**9)
    with xpu.config(device="pretend"):
        there = xpu.asarray(X) + 0.0
        pinned = xpu.asarray(X).to_device("cpu")
    room = target.memory
    card(X.nbytes)
    monkeypatch.setattr(target, "memory", room)
    with xpu.config(device="pretend"), xpu.profile() as p:
        made = there * 2.0
        pinned * 2.0
    np.testing.assert_array_equal(xpu.asnumpy(made), X * 2.0)
    first, second = p.events
    assert (first.device, first.bytes_moved) == (
        "pretend:0",
        3 * X.nbytes,
    )  # to the host, then in pieces there and back
    assert room.used == 0  # its replica made room
    assert (second.device, second.reason) == (
        "cpu",
        "too large for the accelerator, and an operand is pinned to the host",
    )


def test_small_calls_are_not_cut(card):
    (a,) = on_host(X[:10])
    card()
    with xpu.config(device="pretend"), xpu.profile() as p:
        a + 1.0
    assert p.events[0].reason == "forced by config(device=...)"


# ----------------------------------------------------------------------------- in place, and trouble


def test_in_place(card):
    a, b = on_host(X, Y)
    view, target = a[:, ::2], card()
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        a += b
        a *= 2.0
    assert [e.device for e in p.events] == ["pretend:0"] * 2
    np.testing.assert_array_equal(xpu.asnumpy(a), (X + Y) * 2.0)
    np.testing.assert_array_equal(xpu.asnumpy(view), ((X + Y) * 2.0)[:, ::2])
    assert target.memory.peak <= MEMORY


def test_in_place_checks_come_first(card):
    (a,) = on_host(X.astype("i4"))
    card(100_000)
    with xpu.config(device="pretend"), pytest.raises(TypeError, match="Cannot cast ufunc 'add' output"):
        a += X
    np.testing.assert_array_equal(xpu.asnumpy(a), X.astype("i4"))


@pytest.mark.parametrize("error", [PretendOutOfMemory("full"), PretendLost("gone")])
def test_trouble_on_the_way(error, card, monkeypatch):
    a, b = on_host(X, Y)
    target, runs = card(), []

    def fault(where):
        if where == "run":
            runs.append(where)
            if len(runs) in (4, 5, 6):
                raise error

    monkeypatch.setattr(target, "fault", fault)
    gone = isinstance(error, PretendLost)
    with xpu.config(device="pretend", on_fallback="allow"), xpu.profile() as p:
        a += b
    np.testing.assert_array_equal(xpu.asnumpy(a), X + Y)
    (event,) = p.events
    assert ("what was left ran on the host" in event.reason) == gone
    assert event.bytes_moved > 0
    assert target.memory.peak <= MEMORY


def test_no_memory_at_all(card, monkeypatch):
    a, b = on_host(X, Y)
    target = card()

    def fault(where):
        if where == "allocate":
            raise PretendOutOfMemory(where)

    monkeypatch.setattr(target, "fault", fault)
    with xpu.config(device="pretend", on_fallback="warn"), pytest.warns(FallbackWarning, match="add.*ran on the CPU"):
        made = a + b
    np.testing.assert_array_equal(xpu.asnumpy(made), X + Y)
    with xpu.config(device="pretend", on_fallback="raise"), pytest.raises(FallbackError, match="add"):
        a + b


def test_errors_are_numpys(card):
    (a,) = on_host(X)
    card()
    with xpu.config(device="pretend"), pytest.raises(ValueError, match="broadcast"):
        a + xpu.ones((7, 3))
    with xpu.config(device="pretend"), pytest.raises(np.exceptions.AxisError):
        a.sum(axis=5)


# ----------------------------------------------------------------------------- plans


@pytest.mark.parametrize("memory", [100_000, 1_000_000, 20_000_000])
def test_pieces_cover_the_axis_and_fit(memory):
    whole = Shaped((10_000, 100), np.dtype("f8"))
    plan = planned(OPS["add"], (0, 0), {}, [whole, whole], machine_with(memory))
    pieces = plan.steps[0].pieces
    assert (pieces[0][0], pieces[-1][1]) == (0, 10_000)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))
    assert 4 * max(high - low for low, high in pieces) * 100 * 8 * 3 <= memory


def test_the_prediction_is_what_happens(card):
    """On the virtual clock a call takes what its plan says."""
    (a,), target = on_host(np.abs(RNG.normal(size=(4096, 256)))), card(8_000_000)
    with xpu.config(device="pretend"), xpu.profile() as p:
        xpu.sqrt(a)
    (event,) = p.events
    assert event.actual == pytest.approx(event.predicted, rel=0.3)
    assert "link busy" in event.reason
    assert target.memory.peak <= 8_000_000


def test_smaller_pieces():
    assert shorter([(0, 8), (8, 16)], 8) == ((8, 10), (10, 12), (12, 14), (14, 16))
    assert shorter([(0, 8), (8, 16)], 10) == ((10, 12), (12, 13), (13, 14), (14, 16))
    assert shorter([(0, 1), (1, 2)], 1) is None
