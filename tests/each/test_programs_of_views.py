"""Random programs of views, in-place writes, moves and out=, on xpu and NumPy side by side.

This is the test that matters most: after every step every array is compared, so a stale replica, a
lost write or a view of the wrong bytes shows at the step that made it. Every replica that is called valid is
looked at where it lies: comparing moves nothing, so arrays stay on the device from step to step.
"""

import contextlib
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import xpu
from xpu import _windows
from xpu._backends import HOST, backend
from xpu._block import home
from xpu.testing import faults

DEVICES = st.sampled_from(["cpu", "pretend", "auto"])
STEPS = st.sampled_from([1, 2, -1, -2, 3])
UNARY = st.sampled_from(["sin", "negative", "square", "abs", "floor", "isnan", "sqrt"])
BINARY = st.sampled_from(["add", "subtract", "multiply", "maximum", "less", "copysign", "arctan2"])
REDUCE = st.sampled_from(["sum", "max", "argmax", "mean", "any", "cumsum", "sort", "argsort"])


class Programs(RuleBasedStateMachine):
    """Pairs of (xpu array, NumPy array) that must stay equal whatever happens to either."""

    pairs = Bundle("pairs")
    names: ClassVar = {}  # what another device than "pretend" is called, in a subclass

    def __init__(self):
        super().__init__()
        self.all = []
        self.trouble = {}

    @contextlib.contextmanager
    def on(self, device):
        """Run on a device, with the trouble that is due there."""
        trouble, self.trouble = self.trouble, {}
        with contextlib.ExitStack() as stack:
            if trouble:
                stack.enter_context(faults(**trouble))
                stack.enter_context(xpu.config(on_fallback="allow"))
            stack.enter_context(xpu.config(device=self.names.get(device, device)))
            yield

    def seen(self, raw):
        """Return the values of a raw array of any device, as NumPy's, moving nothing."""
        return getattr(raw, "_data", raw)

    def replicas(self, x):
        """Yield what every valid replica of an array holds; nothing for an array not born yet."""
        view = home(x)  # one made before an accelerator was in force has yet to look for its block
        if x._raw is not None:
            yield self.seen(x._raw)
        for device in view.block.valid if view is not None else ():
            if device == "cpu":
                yield HOST.view(view.block.roots[device], view.offset, view.shape, view.strides, view.dtype)
            else:
                yield self.seen(view.raw(backend(device)))

    def keep(self, x, n):
        assert isinstance(x, (xpu.ndarray, xpu.scalar)), type(x)
        assert isinstance(x, xpu.scalar) == isinstance(n, np.generic), (type(x), type(n))
        self.all.append((x, n))
        self.all[:] = self.all[-12:]
        return x, n

    def both(self, device, name, ours, theirs, **keywords):
        """Call on both; where NumPy refuses, xpu must refuse with the same type of exception."""
        with np.errstate(all="ignore"):
            try:
                expected = getattr(np, name)(*theirs, **keywords)
            except (TypeError, ValueError, IndexError) as error:
                with self.on(device), pytest.raises(type(error)):
                    getattr(xpu, name)(*ours, **keywords)
                return None
            with self.on(device):
                made = getattr(xpu, name)(*ours, **keywords)
        return self.keep(made, expected)

    @initialize(
        target=pairs,
        rows=st.integers(1, 40),
        columns=st.integers(1, 40),
        kind=st.sampled_from("dfilD"),
    )
    def start(self, rows, columns, kind):
        _windows.forget()  # what an earlier program asked is asked again, so that a failure can be made again
        n = (np.arange(rows * columns).reshape(rows, columns) % 7 - 2).astype(kind)
        return self.keep(xpu.asarray(n), n)

    @rule(
        target=pairs,
        size=st.integers(0, 3000),
        value=st.sampled_from([0, 1, 2.5, 7]),
        device=DEVICES,
    )
    def born(self, size, value, device):
        with self.on(device):
            x = xpu.full(size, value)
        return self.keep(x, np.full(size, value))

    @rule(target=pairs, pair=pairs, step=STEPS, start=st.integers(0, 3), dropped=st.integers(0, 2))
    def slice(self, pair, step, start, dropped):
        x, n = pair
        if not n.ndim:
            return pair
        key = slice(start, len(n) - dropped, step) if step > 0 else slice(None, None, step)
        return self.keep(x[key], n[key])

    @rule(
        target=pairs,
        pair=pairs,
        how=st.sampled_from(["T", "ravel", "flip", "column", "new", "real", "pairs", "copy", "row"]),
    )
    def reshape(self, pair, how):
        x, n = pair
        if not n.ndim:
            return pair

        def apply(a, np):
            if how == "T":
                return a.T
            if how == "ravel":
                return a.ravel()
            if how == "flip":
                return np.flip(a)
            if how == "column":
                return a[..., 0] if a.shape[-1] else a
            if how == "new":
                return a[None, ..., None]
            if how == "real":
                return a.real
            if how == "row":
                return a[0] if len(a) and a.ndim > 1 else a
            if how == "pairs":
                return a.reshape(-1, 2) if a.size % 2 == 0 else a
            return a.copy()

        return self.keep(apply(x, xpu), apply(n, np))

    @rule(pair=pairs, value=st.sampled_from([0, 1, -3, 2.5]), device=DEVICES, step=STEPS)
    def write_slice(self, pair, value, device, step):
        x, n = pair
        if not n.ndim:
            return
        with self.on(device):
            x[::step] = value
        n[::step] = value

    @rule(pair=pairs, device=DEVICES)
    def add_in_place(self, pair, device):
        x, n = pair
        if not n.ndim:
            return
        if n.dtype == bool:  # NumPy refuses; so must xpu, and nothing may have changed
            with self.on(device), pytest.raises(TypeError):
                x += 1
            return
        with self.on(device):
            x += 1
            x[1:] *= 2
        n += 1
        n[1:] *= 2

    @rule(target_pair=pairs, source=pairs, device=DEVICES)
    def write_out(self, target_pair, source, device):
        (x, n), (y, m) = target_pair, source
        if not n.ndim or isinstance(y, xpu.scalar) or n.dtype != m.dtype or n.shape != m.shape:
            return
        with self.on(device):
            assert xpu.add(y, y, out=x) is x
        np.add(m, m, out=n)

    @rule(target=pairs, pair=pairs, name=UNARY, device=DEVICES)
    def unary(self, pair, name, device):
        x, n = pair
        return self.both(device, name, (x,), (n,)) or pair

    @rule(target=pairs, one=pairs, two=pairs, name=BINARY, device=DEVICES)
    def binary(self, one, two, name, device):
        (x, n), (y, m) = one, two
        if n.shape != m.shape:
            return one
        return self.both(device, name, (x, y), (n, m)) or one

    @rule(target=pairs, pair=pairs, name=REDUCE, device=DEVICES)
    def reduce(self, pair, name, device):
        x, n = pair
        keywords = {"kind": "stable"} if name == "argsort" else {}
        return self.both(device, name, (x,), (n,), **keywords) or pair

    @rule(target=pairs, pair=pairs, device=DEVICES)
    def mask(self, pair, device):
        x, n = pair
        if not n.ndim or n.dtype.kind == "c":
            return pair
        with self.on(device):
            made = x[x > 0]
            x[x < 0] = 1
        expected = n[n > 0]
        n[n < 0] = 1
        return self.keep(made, expected)

    @rule(
        target=pairs,
        pair=pairs,
        index=st.lists(st.integers(-3, 3), min_size=1, max_size=4),
        device=DEVICES,
    )
    def take(self, pair, index, device):
        x, n = pair
        if not n.ndim or len(n) < 4:
            return pair
        with self.on(device):
            made = x[index]
        return self.keep(made, n[index])

    @rule(target=pairs, pair=pairs, device=st.sampled_from(["cpu", "pretend"]))
    def move(self, pair, device):
        x, n = pair
        wanted = self.names.get(device, device)
        made = x.to_device(wanted)
        assert made.device.kind == wanted
        if made is x:
            return self.keep(made, n)
        return self.keep(made, n.copy())

    @rule(
        kind=st.sampled_from(["out_of_memory", "failing_calls", "failing_uploads"]),
        count=st.integers(1, 4),
    )
    def make_trouble(self, kind, count):
        """The device of the next step fails so many times; the result must not show it."""
        self.trouble = {kind: count}

    @rule(pair=pairs)
    def read(self, pair):
        x, n = pair
        same(np.asarray(x), n)

    @invariant()
    def equal(self):
        for x, n in self.all:
            assert x.dtype == n.dtype
            assert x.shape == n.shape
            for got in self.replicas(x):
                same(got, n)

    def teardown(self):
        for x, n in self.all:
            same(np.asarray(x), n)


def same(got, expected):
    """Compare values, NaN equal to NaN; most pairs are equal to the bit, which is quickly seen."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.tobytes() != expected.tobytes():
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9, equal_nan=True)


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(settings.get_profile("ci"), stateful_step_count=25)
