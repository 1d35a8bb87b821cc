"""Classes derived from `xpu.ndarray`: the recipes of NumPy's manual ("Subclassing ndarray"), on every device."""

import inspect
import pickle
from abc import ABC, abstractmethod
from typing import ClassVar

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


class Scaled(Info):
    """Calls the base by its name, as many classes do that were written before ``super()`` was short."""

    def __mul__(self, other):
        return xpu.ndarray.__mul__(self, other)

    def __iadd__(self, other):
        return xpu.ndarray.__iadd__(self, other)

    def __getitem__(self, key):
        return xpu.ndarray.__getitem__(self, key)

    def __setitem__(self, key, value):
        xpu.ndarray.__setitem__(self, key, value)

    def __repr__(self):
        return "Scaled " + xpu.ndarray.__repr__(self)

    def sum(self, *args, **kwargs):
        return xpu.ndarray.sum(self, *args, **kwargs)

    def plain(self):
        return xpu.ndarray.view(self, xpu.ndarray)


def test_unbound_methods():
    scaled = Scaled([1.0, 2.0, 3.0], info="m")
    for made, expected in (
        (scaled * 2, [2.0, 4.0, 6.0]),
        (scaled * xpu.ones(3), [1.0, 2.0, 3.0]),
        (scaled[1:], [2, 3]),
    ):
        assert (type(made), made.info, made.tolist()) == (Scaled, "m", expected)
    same = scaled
    scaled += 1
    scaled[0] = 7.0
    assert same is scaled
    assert repr(scaled) == "Scaled Scaled([7., 3., 4.])"
    assert scaled.sum() == 14.0
    plain = scaled.plain()
    assert type(plain) is xpu.ndarray
    plain[0] = 0.0
    assert scaled.sum() == 7.0


class Asked(xpu.ndarray):
    seen: ClassVar[list[str]] = []

    def __array_function__(self, func, types, args, kwargs):
        Asked.seen.append(func.__name__)
        return xpu.ndarray.__array_function__(self, func, types, args, kwargs)


class Passing(xpu.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [x.view(xpu.ndarray) if isinstance(x, Passing) else x for x in inputs]
        return xpu.ndarray.__array_ufunc__(self, ufunc, method, *plain, **kwargs)


def test_protocols_by_the_name_of_the_class():
    asked = xpu.arange(3.0).view(Asked)
    Asked.seen.clear()
    assert type(xpu.sum(asked)) is Asked  # as in NumPy: a subclass gets no scalar
    joined = xpu.concatenate([asked, xpu.ones(2)])
    assert joined.tolist() == [0.0, 1.0, 2.0, 1.0, 1.0]
    assert Asked.seen == ["sum", "concatenate"]  # and nothing that xpu asks for itself
    passing = xpu.arange(3.0).view(Passing)
    for made in (passing + 1, xpu.add(passing, xpu.ones(3))):
        assert (type(made), made.tolist()) == (xpu.ndarray, [1.0, 2.0, 3.0])


def test_an_unbound_method_takes_any_array():
    assert type(xpu.ndarray.sum(xpu.ones(3))) is xpu.scalar
    theirs = np.arange(3.0)
    made = xpu.ndarray.__getitem__(theirs, slice(1, None))
    made += 1
    assert (type(made), theirs.tolist()) == (xpu.ndarray, [0.0, 2.0, 3.0])
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    assert type(xpu.ndarray.copy(masked)) is np.ma.MaskedArray
    with pytest.raises(TypeError, match="list"):
        xpu.ndarray.sum([1.0, 2.0])


def test_what_a_class_says_of_a_method():
    assert xpu.ndarray.sum is xpu.ndarray.sum
    assert xpu.ndarray.sum.__qualname__ == "ndarray.sum"
    assert inspect.signature(xpu.ndarray.__getitem__) == inspect.signature(
        type.__getattribute__(xpu.ndarray, "__getitem__")
    )
    assert list(map(xpu.ndarray.max, [xpu.ones(2), xpu.zeros(3)])) == [1.0, 0.0]
