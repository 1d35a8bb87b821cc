"""xpu.offload: a whole call on one device, what moves for it, and why."""

import os
import subprocess
import sys

import numpy as np
import pytest

import xpu
from xpu._learn import learner


@pytest.fixture
def card(beside):
    return beside("h200")


def rng(*shape):
    return np.random.default_rng(0).normal(size=shape)


@xpu.offload
def heavy(x, w):
    y = xpu.exp(x) @ w
    return y / y.sum()


def placed(function, *args, **kwargs):
    """Return the result, the devices and reasons of what ran, and the bytes moved up and down."""
    with xpu.profile() as p:
        made = function(*args, **kwargs)
    ran = [e for e in p.events if e.reason != "a view: nothing runs"]
    up = sum(t.nbytes for t in p.transfers if t.target != "cpu")
    return made, {(e.device, e.reason) for e in ran}, (up, p.bytes_moved - up)


def test_a_call_runs_as_a_whole_on_the_better_device(card):
    f = xpu.offload(heavy.function)
    x, w = rng(400, 400), rng(400, 400)
    expected = np.exp(x) @ w
    expected = expected / expected.sum()
    first = f(x, w)
    made, where, moved = placed(f, x, w)
    assert where == {("pretend:0", "offload(heavy): faster there, the transfer included")}
    assert moved == (2 * 1_280_000, 1_280_000)  # each argument once, the result once
    assert type(first) is type(made) is np.ndarray
    np.testing.assert_allclose(made, expected)
    np.testing.assert_allclose(first, expected)
    assert made.flags.writeable


def test_a_small_call_stays_on_the_host_and_moves_nothing(card):
    f = xpu.offload(heavy.function)
    x = rng(4, 4)
    f(x, x)
    made, where, moved = placed(f, x, x)
    assert where == {("cpu", "offload(heavy): faster on the host, and its operands are there")}
    assert moved == (0, 0)
    assert type(made) is np.ndarray


def test_every_signature_has_its_own_place(card):
    f = xpu.offload(heavy.function)
    for n in (4, 400, 4, 400):
        f(rng(n, n), rng(n, n))
    assert f.explain(rng(4, 4), rng(4, 4)).device == "cpu"
    assert f.explain(rng(400, 400), rng(400, 400)).device == "pretend:0"
    assert f.explain(rng(401, 401), rng(401, 401)).reason.startswith("the first call")
    assert f.explain(rng(400, 400).astype("f4"), rng(400, 400)).reason.startswith("the first call")


def test_xpu_in_xpu_out_and_arguments_stay_where_they_were_used(card):
    f = xpu.offload(heavy.function)
    x, w = xpu.asarray(rng(400, 400)), xpu.asarray(rng(400, 400))
    f(xpu.asarray(rng(400, 400)), xpu.asarray(rng(400, 400)))
    made, where, moved = placed(f, x, w)
    assert isinstance(made, xpu.ndarray)
    assert made.device == "pretend:0"
    assert {d for d, _ in where} == {"pretend:0"}
    assert moved == (2 * 1_280_000, 0)
    _, where, moved = placed(f, x, w)
    assert where == {("pretend:0", "offload(heavy): faster there, and its operands are there")}
    assert moved == (0, 0)


def test_an_account_moves_an_argument_that_is_used_again_and_again(beside):
    beside("rtx2060-laptop")

    @xpu.offload
    def total(x):
        return x.sum()

    total(xpu.asarray(rng(600, 600)))
    with xpu.config(device="cpu"):
        x = xpu.asarray(rng(600, 600))
    devices = [next(iter(placed(total, x)[1])) for _ in range(12)]
    assert devices[0][0] == "cpu"
    assert devices[-1][0] == "pretend:0"
    assert ("pretend:0", "offload(total): its account has paid for the transfer") in devices


@pytest.mark.parametrize("n", [4, 400])
def test_what_it_writes_is_written_in_the_callers_array(card, n):
    @xpu.offload
    def step(x, out):
        x += 1
        for _ in range(20):
            out[:] = out @ x
        return x, out[1:], out

    x, out = rng(n, n), rng(n, n) / n
    want_x, want = x.copy(), out.copy()
    for _ in range(2):
        want_x += 1
        for _ in range(20):
            want[:] = want @ want_x
        same, view, whole = step(x, out)
        assert same is x
        assert whole is out
        assert np.may_share_memory(view, out)
        np.testing.assert_allclose(x, want_x)
        np.testing.assert_allclose(out, want, rtol=1e-9)
        np.testing.assert_allclose(view, want[1:], rtol=1e-9)
    if n == 400:
        assert step.explain(x, out).device == "pretend:0"


def test_arguments_that_share_memory_are_left_to_the_host(card):
    @xpu.offload
    def shift(a, b):
        a[:] = xpu.exp(b) @ b
        return b + 1

    base = rng(401, 400)
    for _ in range(2):
        made, where, _ = placed(shift, base[:-1], base[1:])
    assert where == {("cpu", "offload(shift): its arguments share memory")}
    assert made.shape == (400, 400)


def test_structures_scalars_and_keywords(card):
    @xpu.offload
    def both(pair, *, scale=1.0):
        a, b = pair["a"], pair["b"][0]
        return {"sum": (a + b) * scale, "total": a.sum(), "n": 3}

    for _ in range(2):
        made = both({"a": np.ones(3), "b": [np.ones(3)]}, scale=2.0)
    assert made["sum"].tolist() == [4.0, 4.0, 4.0]
    assert type(made["total"]) is np.float64
    assert made["n"] == 3


def test_an_operation_that_only_the_host_has_is_priced_with_its_transfers(card):
    @xpu.offload
    def f(x):
        return xpu.nanpercentile(xpu.exp(x), 50)

    x = rng(300, 300)
    f(x)
    _, where, moved = placed(f, x)
    lacking = ("cpu", "the GPU library has no nanpercentile")
    assert where == {("pretend:0", "offload(f): faster there, the transfer included"), lacking}
    assert moved == (720_000, 720_000)

    @xpu.offload
    def g(x):
        return xpu.nanpercentile(x, 50)

    g(x)
    _, where, moved = placed(g, x)
    assert where == {("cpu", "offload(g): the GPU library has no nanpercentile")}
    assert moved == (0, 0)


def test_a_setting_decides_over_it(card):
    f = xpu.offload(heavy.function)
    x = rng(400, 400)
    f(x, x)
    with xpu.config(device="cpu"):
        _, where, moved = placed(f, x, x)
        assert f.explain(x, x).reason == "forced by config(device=...)"
    assert where == {("cpu", "forced by config(device=...)")}
    assert moved == (0, 0)


def test_errors_are_the_functions_own_and_the_next_call_works(card):
    @xpu.offload
    def f(x):
        if x.shape[0] == 3:
            raise KeyError("three")
        return x + 1

    for _ in range(2):
        with pytest.raises(KeyError, match="three"):
            f(np.ones(3))
    assert f(np.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(TypeError, match=r"xpu.offload: the function must be callable, got int"):
        xpu.offload(3)


def test_as_a_method_and_without_an_accelerator():
    class Model:
        weight = 2.0

        @xpu.offload
        def predict(self, x):
            return x * self.weight

    assert Model().predict(np.ones(2)).tolist() == [2.0, 2.0]
    with xpu.config(device="cpu"):
        assert Model().predict.func.explain(None, np.ones(2)).device == "cpu"


def test_explain_through_xpu(card):
    f = xpu.offload(heavy.function)
    x = rng(400, 400)
    f(x, x)
    told = xpu.explain(f, x, x)
    assert told.device == "pretend:0"
    assert told.operations == 4
    assert "predicted" in str(told)
    assert told.to_dict()["function"] == "heavy"


def test_observed_times_decide_where_the_machine_is_not_frozen(card, monkeypatch):
    f = xpu.offload(heavy.function)
    x = rng(400, 400)
    f(x, x)
    monkeypatch.setattr(learner, "on", True)
    (known,) = f._known.values()
    assert placed(f, x, x)[1] == {("pretend:0", "offload(heavy): faster there, the transfer included")}
    assert known.choice.observed == {}  # the first call there was cold
    f(x, x)
    assert set(known.choice.observed) == {"accelerator"}
    known.choice.observed["accelerator"] = 10.0  # it turns out to be slow
    assert f.explain(x, x).device == "cpu"
    f(x, x)
    assert set(known.choice.observed) == {"accelerator", "cpu"}


def test_two_runs_with_a_frozen_machine_decide_alike(tmp_path):
    code = (
        "import numpy as np, xpu\n"
        "f = xpu.offload(lambda x: (xpu.sin(x) @ x).sum())\n"
        "for n in (8, 64, 200, 64, 200, 8):\n"
        "    with xpu.profile() as p: f(np.ones((n, n)))\n"
        "    print(n, [(e.op, e.device, e.reason) for e in p.events], p.bytes_moved)\n"
    )
    env = {**os.environ, "XPU_MACHINE": "rtx4060-laptop", "XPU_PRETEND": "rtx4060-laptop", "XPU_DEVICE": "auto"}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert "offload(<lambda>)" in runs[0]
