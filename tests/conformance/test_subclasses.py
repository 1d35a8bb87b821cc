"""Classes derived from `xpu.ndarray`: the recipes of NumPy's manual ("Subclassing ndarray"), on every device."""

import pickle
from abc import ABC, abstractmethod

import numpy as np
import pytest

import xpu


@pytest.fixture(params=["cpu", "pretend"], autouse=True)
def device(request):
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param


class Info(xpu.ndarray):
    def __new__(cls, values, info=None):
        made = xpu.asarray(values).view(cls)
        made.info = info
        return made

    def __array_finalize__(self, parent):
        self.info = getattr(parent, "info", None)


class Shaped(xpu.ndarray):
    def __new__(cls, shape, dtype=float, buffer=None, info=None):
        made = super().__new__(cls, shape, dtype, buffer)
        made.info = info
        return made

    def __array_finalize__(self, parent):
        self.info = getattr(parent, "info", None)


class Old(xpu.ndarray):
    def __new__(cls, shape):
        return xpu.ndarray.__new__(cls, shape, dtype=int)

    def __array_wrap__(self, made, context=None, return_scalar=False):
        return xpu.ndarray.__array_wrap__(self, made, context, return_scalar)


class Older(Old):
    def __new__(cls, length):
        return Old.__new__(cls, (length, length))


class Counting(xpu.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        args = [i.view(xpu.ndarray) if isinstance(i, Counting) else i for i in inputs]
        if out:
            kwargs["out"] = tuple(o.view(xpu.ndarray) if isinstance(o, Counting) else o for o in out)
        made = super().__array_ufunc__(ufunc, method, *args, **kwargs)
        if made is NotImplemented:
            return NotImplemented
        made = out[0] if out else xpu.asarray(made).view(Counting)
        if isinstance(made, Counting):
            made.seen = [getattr(i, "seen", 0) for i in inputs]
        return made


def test_what_is_made_of_a_subclass_is_one(device):
    x = xpu.arange(5000.0)
    info = Info(x, "metres")
    made = [info, info[1:], info + 1, 1 + info, x + info, info + x, xpu.sqrt(info), info.T, info.copy()]
    made.append(info.reshape(2, -1))
    assert {type(m) for m in made} == {Info}
    assert {m.info for m in made} == {"metres"}
    assert info.sum() == x.sum()
    assert type(pickle.loads(pickle.dumps(info))) is Info


def test_it_shares_memory_with_what_it_is_a_view_of(device):
    x = xpu.arange(5000.0)
    info = Info(x)
    info[0] = 7.0
    assert x[0] == 7.0
    x[1] = 8.0
    assert info[1] == 8.0
    plain = xpu.asarray(info)
    assert type(plain) is xpu.ndarray
    plain[2] = 9.0
    assert info[2] == x[2] == 9.0
    assert str(plain.device) == "cpu"


def test_it_is_an_array_and_converts_as_one(device):
    info = Info([1.0, 2.0], "metres")
    assert isinstance(info, xpu.ndarray)
    assert isinstance(info, np.ndarray)
    assert issubclass(Info, xpu.ndarray)
    assert not isinstance(xpu.ones(2), Info)
    assert type(info.view(xpu.ndarray)) is xpu.ndarray
    assert type(xpu.array(info)) is xpu.ndarray
    assert xpu.array(info, subok=True).info == "metres"
    assert xpu.asanyarray(info) is info
    assert type(xpu.asanyarray(xpu.ones(2))) is xpu.ndarray
    assert type(xpu.arange(4).view(np.recarray)) is np.recarray


def test_constructors(device):
    memory = xpu.arange(4.0)
    made = Shaped((2, 2), buffer=memory, info="x")
    made[0, 0] = 5.0
    assert (type(made), made.info, made[0].info, memory[0]) == (Shaped, "x", "x", 5.0)
    old = Old((3,))
    old[:] = 2
    assert type(old * 2) is Old
    assert (old * 2).tolist() == [4, 4, 4]
    assert Older(3).shape == (3, 3)


def test_a_subclass_handles_ufuncs(device):
    c = xpu.arange(3.0).view(Counting)
    assert type(xpu.sin(c)) is Counting
    assert (c + xpu.ones(3)).tolist() == [1.0, 2.0, 3.0]
    assert (xpu.ones(3) + c).seen == [0, 0]
    c += 1
    assert (type(c), c.tolist(), c.seen) == (Counting, [1.0, 2.0, 3.0], [0, 0])
    target = xpu.zeros(3)
    assert xpu.add(c, c, out=target) is target
    assert target.tolist() == [2.0, 4.0, 6.0]


def test_abstract_bases(device):
    class Plan(ABC):
        @abstractmethod
        def price(self): ...

    class Priced(Plan, xpu.ndarray):
        def price(self):
            return self.sum()

    assert xpu.ones(3).view(Priced).price() == 3.0


def test_an_unbound_method_says_what_to_write():
    class Scaled(xpu.ndarray):
        def __mul__(self, other):
            return xpu.ndarray.__mul__(self, other)

        def __getitem__(self, key):
            return xpu.ndarray.__getitem__(self, key)

    scaled = xpu.ones(3).view(Scaled)
    for wrong in (lambda: scaled * 2, lambda: scaled * scaled, lambda: scaled[0]):
        with pytest.raises(TypeError, match=r"NumPy class. Call super\(\).method"):
            wrong()
