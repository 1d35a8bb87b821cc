"""xpu.explain: what it says is what happens, and asking changes nothing."""

import json
import operator
from dataclasses import replace

import numpy as np
import pytest

import xpu
from xpu._transfer import ledger


@pytest.fixture
def card(beside):
    return beside("rtx4060-laptop")


def on_host(*shape, dtype=float):
    return xpu.asarray(np.random.default_rng(0).normal(size=shape).astype(dtype))


def says_and_does(function, *args, **kwargs):
    told = xpu.explain(function, *args, **kwargs)
    before = ledger.nbytes
    with xpu.profile() as p:
        function(*args, **kwargs)
    ran = next(e for e in p.events if e.reason != "a view: nothing runs")
    assert (told.op, told.device, told.reason) == (ran.op, ran.device, ran.reason)
    assert told.bytes_to_move == ran.bytes_moved == ledger.nbytes - before
    assert told.seconds == pytest.approx(ran.predicted, rel=1e-9, nan_ok=True)
    return told


CALLS = {
    "add": lambda x: (xpu.add, x, x),
    "numpy": lambda x: (np.sin, x),
    "operator": lambda x: (operator.mul, x, 2.0),
    "method": lambda x: (x.sum,),
    "ufunc method": lambda x: (xpu.add.reduce, x),
    "numpy ufunc method": lambda x: (np.add.reduce, x),
    "linalg": lambda x: (xpu.linalg.svd, x),
    "fft": lambda x: (xpu.fft.fft, x),
    "composite": lambda x: (xpu.sort, x),
    "composite with a view": lambda x: (xpu.argsort, x),
    "random": lambda x: (xpu.random.normal, 0.0, 1.0, 10),
    "gap": lambda x: (xpu.nanpercentile, x, 50),
}


@pytest.mark.parametrize("n", [4, 300])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_it_says_is_what_happens(card, call, n):
    function, *args = call(on_host(n, n))
    says_and_does(function, *args)


@pytest.mark.parametrize("n", [8, 256])
def test_nn_with_options_by_position(card, n):
    x, w = on_host(1, 3, n, n, dtype="f4"), on_host(8, 3, 3, 3, dtype="f4")
    told = says_and_does(xpu.nn.conv2d, x, w, None, 2, 1)
    same = xpu.explain(xpu.nn.conv2d, x, w, stride=2, padding=1)
    assert told.cpu == same.cpu
    assert told.cpu.total < xpu.explain(xpu.nn.conv2d, x, w, stride=1, padding=1).cpu.total


def test_fused_and_vectorized(card):
    x = on_host(1000, 1000)

    @xpu.fuse
    def f(a):
        return xpu.sqrt(a * a + 1.0)

    assert xpu.explain(f, x).op == "fuse(f)"


def test_asking_changes_no_account(card):
    x = on_host(500, 500)
    first = xpu.explain(xpu.sum, x)
    for _ in range(50):
        assert xpu.explain(xpu.sum, x).operands == first.operands
    (account,) = first.operands
    assert account.where == ("cpu",)
    assert 0 < account.lead_after - account.lead < account.transfer


def test_after_so_many_calls_it_moves(beside, monkeypatch):
    card = beside("rtx2060-laptop")
    slow = card.machine.to_device.__class__(1e-5, 1e9, 1e9)
    monkeypatch.setattr(card, "machine", replace(card.machine, to_device=slow, to_host=slow))
    x = on_host(1000, 1000)
    told = xpu.explain(xpu.sum, x)
    assert told.device == "cpu"
    (calls,) = [c.amount for c in told.changes if c.kind == "calls"]
    assert calls > 3
    assert f"after {calls} more such calls on these operands" in str(told)
    for _ in range(int(calls)):
        with xpu.profile() as p:
            x.sum()
        assert p.events[0].device == "cpu"
    with xpu.profile() as p:
        x.sum()
    assert (p.events[0].device, p.events[0].reason) == ("pretend:0", "its account has paid for the transfer")
    assert p.bytes_moved == 8_000_000


def test_the_cost_is_split(card):
    x = on_host(1000, 1000)
    told = xpu.explain(xpu.matmul, x, x)
    for cost in (told.cpu, told.accelerator):
        assert cost.total == pytest.approx(cost.launch + cost.compute + cost.transfer)
        assert min(cost) >= 0
    assert told.cpu.transfer == 0
    assert told.accelerator.transfer == pytest.approx(card.machine.to_device.seconds(8_000_000))  # x moves once
    assert told.accelerator.launch == card.machine.accelerator.classes["matmul"].latency


def test_pins_settings_and_keywords_that_decide(card):
    x = on_host(1000, 1000)
    with xpu.config(device="cpu"):
        told = xpu.explain(xpu.exp, x)
    assert (told.device, told.reason) == ("cpu", "forced by config(device=...)")
    assert [c.text for c in told.changes] == ["with config(device='auto')"]
    held = on_host(2000, 2000).to_device("cpu")
    told = xpu.explain(xpu.sort, held)
    assert told.operands[0].pinned == "cpu"
    assert [c.text for c in told.changes] == ["without the pin to the cpu"]
    told = xpu.explain(xpu.sum, xpu.ones((2000, 2000)) + 1, where=np.ones((2000, 2000), bool))
    assert told.reason == "the GPU library's sum has no where="
    assert told.accelerator.total != told.accelerator.total
    assert told.break_even is None


def test_a_size_from_which_it_pays(card):
    told = xpu.explain(xpu.exp, on_host(10, 10))
    (at,) = [c.amount for c in told.changes if c.kind == "size"]
    assert told.break_even == at
    side = round(at**0.5)
    assert xpu.explain(xpu.exp, on_host(side + 1, side + 1)).device == "pretend:0"
    assert xpu.explain(xpu.exp, on_host(side - 2, side - 2)).device == "cpu"


def test_a_view(card):
    x = on_host(10, 10)
    told = xpu.explain(xpu.reshape, x, -1)
    assert (told.device, told.reason, told.bytes_to_move) == ("cpu", "a view: nothing runs", 0)


def test_a_call_in_pieces(card, monkeypatch):
    small = replace(card.machine, accelerator=replace(card.machine.accelerator, memory=1 << 26))
    monkeypatch.setattr(card, "machine", small)
    x = on_host(3000, 3000)
    told = xpu.explain(xpu.sin, x)
    assert told.pieces > 1
    assert (told.device, told.reason) == (
        "pretend:0",
        f"too large for the accelerator; faster there in {told.pieces} pieces of axis 0",
    )
    told = xpu.explain(xpu.cumsum, x)
    assert (told.device, told.reason) == ("cpu", "too large for the accelerator, and it cannot be cut")


def test_plain_data(card):
    told = xpu.explain(xpu.sum, on_host(100, 100), where=True)
    data = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert data["cpu"]["total"] == told.cpu.total
    assert data["operands"][0]["shape"] == [100, 100]
    assert str(told).splitlines()[0] == f"sum runs on cpu: {told.reason}"
    assert "break-even size: " in str(told)


def test_a_function_of_ones_own_is_refused(card):
    ran = []

    def mine(x):
        ran.append(1)
        return xpu.sin(x) + 1

    with pytest.raises(TypeError, match=r"'mine' is not a function that xpu places.*xpu.profile"):
        xpu.explain(mine, on_host(3))
    with pytest.raises(TypeError, match="is not a function"):
        xpu.explain(3)
    assert not ran
