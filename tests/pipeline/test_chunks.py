"""Calls in chunks: the same values, pieces that fit, copies beside compute, and only where it pays."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import xpu
from xpu import _chunks, _dispatch
from xpu._backends import backend
from xpu._device import parse
from xpu._machine import shipped
from xpu._op import OPS, Shaped

RNG = np.random.default_rng(0)


def small_card(memory):
    machine = shipped("h200")
    return replace(machine, accelerator=replace(machine.accelerator, memory=memory))


def metas(operands):
    return [Shaped(o.shape, o.dtype) for o in operands]


CASES = {
    "add": ([RNG.normal(size=(64, 50)), RNG.normal(size=(64, 50))], {}),
    "multiply": ([RNG.normal(size=(64, 50)), RNG.normal(size=50)], {}),
    "less": ([RNG.normal(size=(64, 50)), RNG.normal(size=(64, 1))], {}),
    "sqrt": ([RNG.random((64, 3, 17))], {}),
    "sum": ([RNG.normal(size=(64, 50))], {}),
    "max": ([RNG.normal(size=(64, 50))], {}),
    "all": ([np.ones((64, 50), bool)], {}),
    "matmul": ([RNG.normal(size=(64, 8)), RNG.normal(size=(8, 5))], {}),
    "fft.fft": ([RNG.normal(size=(64, 50)) + 0j], {}),
    "fft.ifft": ([RNG.normal(size=(64, 50)) + 0j], {"axis": 0}),
}


def public(name):
    found = xpu
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", CASES)
def test_same_values(name, monkeypatch):
    operands, keywords = CASES[name]
    op, target, machine = OPS[name], backend(parse("pretend")), small_card(80_000)
    monkeypatch.setattr(target, "machine", machine)
    chosen = _chunks.plan(op, metas(operands), keywords, machine)
    assert len(chosen.pieces) > 1
    got = _chunks.run(public(name), op, chosen, operands, keywords, target)
    expected = np.asarray(op.host(*operands, **keywords))
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory", [100_000, 1_000_000, 20_000_000])
def test_pieces_cover_the_axis_and_fit(memory):
    whole = Shaped((10_000, 100), np.dtype("f8"))
    machine = small_card(memory)
    chosen = _chunks.plan(OPS["add"], [whole, whole], {}, machine)
    assert chosen.pieces[0][0] == 0
    assert chosen.pieces[-1][1] == 10_000
    assert all(a[1] == b[0] for a, b in itertools.pairwise(chosen.pieces))
    rows = max(high - low for low, high in chosen.pieces)
    # Three batches may be queued, and each has two operands and a result.
    assert 3 * rows * 100 * 8 * 3 <= memory


@pytest.mark.parametrize(
    ("name", "shapes", "keywords"),
    [
        ("sort", [(64, 50)], {}),
        ("sum", [(64, 50)], {"axis": 1}),
        ("add", [(), ()], {}),
        ("matmul", [(64, 8, 8), (64, 8, 8)], {}),
        ("fft.fft", [(64,)], {}),
        ("linalg.solve", [(64, 64), (64, 1)], {}),
    ],
)
def test_what_does_not_fall_into_pieces(name, shapes, keywords):
    operands = [Shaped(s, np.dtype("f8")) for s in shapes]
    assert _chunks.plan(OPS[name], operands, keywords, small_card(10**6)) is None


def test_a_piece_that_cannot_fit_is_refused():
    huge = Shaped((4, 10**6), np.dtype("f8"))
    assert _chunks.plan(OPS["add"], [huge, huge], {}, small_card(10**5)) is None
    factor = Shaped((1000, 10**5), np.dtype("f8"))
    assert _chunks.plan(OPS["matmul"], [Shaped((50, 1000), np.dtype("f8")), factor], {}, small_card(10**8)) is None


def test_the_cost_model_decides():
    """A sum of two huge arrays waits for the link longer than the host takes; a product does not."""
    machine = small_card(8 * 2**30)
    rows = Shaped((2**18, 2**15), np.dtype("f4"))
    square = Shaped((2**15, 2**10), np.dtype("f4"))
    product = _chunks.plan(OPS["matmul"], [rows, square], {}, machine)
    assert product.pays
    slow = replace(machine, to_device=replace(machine.to_device, pinned_bandwidth=1e9))
    assert not _chunks.plan(OPS["add"], [rows, rows], {}, slow).pays
    assert math.isclose(product.cpu_seconds, machine.cpu.seconds(OPS["matmul"].work([rows, square], {})))


def test_chunks_overlap(monkeypatch):
    target, machine = backend(parse("pretend")), small_card(8_000_000)
    monkeypatch.setattr(target, "machine", machine)
    x = RNG.normal(size=(4096, 256))
    chosen = _chunks.plan(OPS["sqrt"], metas([np.abs(x)]), {}, machine)
    before = target.clock
    with xpu.profile() as p:
        _chunks.run(xpu.sqrt, OPS["sqrt"], chosen, [np.abs(x)], {}, target)
    assert target.clock - before == pytest.approx(chosen.seconds, rel=0.25)
    assert [e.op for e in p.events].count("sqrt") == len(chosen.pieces)
    assert "link busy" in p.events[-1].reason


def test_a_call_that_does_not_fit_is_taken(monkeypatch):
    target, machine = backend(parse("pretend")), small_card(1_000_000)
    monkeypatch.setattr(target, "machine", machine)
    monkeypatch.setattr(_chunks, "machine_for", lambda target: machine)
    with xpu.config(device="cpu"):
        x, w = RNG.normal(size=(4000, 50)), RNG.normal(size=(50, 50))
        a = xpu.asarray(x)
        assert _chunks.attempt(xpu.add, (xpu.ones(3), 1.0), {}, target) is NotImplemented  # it fits
        assert _chunks.attempt(xpu.cumsum, (a,), {}, target) is NotImplemented  # no pieces
        assert _chunks.attempt(xpu.sum, (a, 0), {}, target) is NotImplemented  # a number that is no operand
        slow = replace(machine.cpu, classes={k: replace(r, bandwidth=1e6) for k, r in machine.cpu.classes.items()})
        slower = replace(machine, cpu=slow)
        monkeypatch.setattr(_chunks, "machine_for", lambda target: slower)
        for function, args, expected in (
            (xpu.multiply, (a, 2.5), x * 2.5),
            (xpu.subtract, (1, a), 1 - x),
            (xpu.matmul, (a, xpu.asarray(w)), x @ w),
            (xpu.sum, (a,), x.sum()),
        ):
            got = _chunks.attempt(function, args, {}, target)
            assert isinstance(got, xpu.ndarray)
            np.testing.assert_allclose(xpu.asnumpy(got), expected, rtol=1e-9)


def test_dispatch_cuts_a_call_that_does_not_fit(monkeypatch):
    machine = small_card(20_000_000)
    slow = replace(machine.cpu, classes={k: replace(r, bandwidth=1e6) for k, r in machine.cpu.classes.items()})
    machine, target = replace(machine, cpu=slow), backend(parse("pretend"))
    monkeypatch.setattr(target, "machine", machine)
    monkeypatch.setattr(_chunks, "machine_for", lambda target: machine)
    monkeypatch.setattr(_dispatch, "machine_for", lambda target: machine)
    x = RNG.normal(size=(2000, 1000))
    with xpu.config(device="cpu"):
        a = xpu.asarray(x)
    with xpu.config(device="pretend", on_fallback="raise"), xpu.profile() as p:
        made = a * 2.5
        small = a[:10] * 2.5
    np.testing.assert_array_equal(xpu.asnumpy(made), x * 2.5)
    assert [e.op for e in p.events].count("multiply") > 2
    assert small.device == "pretend:0"
