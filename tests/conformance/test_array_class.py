"""What an array and a scalar are, on every device: classes, constructor, views, shared memory, iterators."""

import json
import numbers

import numpy as np
import pytest

import xpu


@pytest.fixture(params=["cpu", "pretend"], autouse=True)
def device(request):
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool", "complex128"])
def test_a_scalar_is_an_instance_of_what_numpys_is(dtype, device):
    theirs, ours = np.ones(3, dtype).max(), xpu.asarray(np.ones(3, dtype)).max()
    assert type(ours) is xpu.scalar
    for kind in (np.generic, np.floating, np.integer, np.float64, float, int, complex, np.bool_, np.ndarray):
        assert isinstance(ours, kind) == isinstance(theirs, kind), kind
    for kind in (numbers.Number, numbers.Real, numbers.Integral):
        assert isinstance(ours, kind) == isinstance(theirs, kind), kind
    assert not isinstance(ours, xpu.ndarray)
    assert isinstance(ours, xpu.scalar)
    assert xpu.isscalar(ours)


def test_being_asked_for_its_class_moves_nothing(device):
    s = xpu.arange(5000.0).sum()
    with xpu.profile() as p:
        assert isinstance(s, float)
    assert p.bytes_moved == 0


def test_a_scalar_as_an_operand_is_not_a_plain_number(device):
    x = xpu.arange(5000.0)
    s = x.max()
    with xpu.profile() as p:
        made = xpu.full((5000,), s) + s
    assert {e.device for e in p.events if e.op == "add"} == {"cpu" if device == "cpu" else "pretend:0"}
    assert made.tolist() == [9998.0] * 5000


def test_a_scalar_repeats_sequences_as_numpys_does():
    n = xpu.asarray([2, 3]).max()
    assert [0] * n == [0, 0, 0]
    assert n * "ab" == "ababab"
    with pytest.raises(TypeError, match="non-int"):
        [0] * xpu.ones(2).sum()


def test_a_scalar_as_a_length(device):
    a, n = xpu.arange(6000), xpu.asarray([2, 3]).max()
    assert a.reshape(n, -1).shape == (3, 2000)
    assert a.reshape((n, 2000)).shape == (3, 2000)
    assert str(a.reshape(n, -1).device) == ("cpu" if device == "cpu" else "pretend:0")


def test_the_constructor_shares_a_buffer():
    memory = bytearray(16)
    x = xpu.ndarray((2,), dtype=float, buffer=memory)
    x[:] = [1.0, 2.0]
    x *= 2
    assert np.frombuffer(memory).tolist() == [2.0, 4.0]
    assert xpu.ndarray((1,), float, memory, 8).tolist() == [4.0]
    assert xpu.ndarray((2, 3), "i4", order="F").strides == (4, 8)
    with pytest.raises(TypeError, match="too small"):
        xpu.ndarray((3,), float, memory)
    with pytest.raises(TypeError):
        xpu.ndarray()


def test_shared_memory_is_seen_where_the_bytes_are(device):
    x = xpu.arange(6000.0) * 1
    v, w = x[::2], x[1::2]
    with xpu.profile() as p:
        assert xpu.shares_memory(x, v)
        assert not xpu.shares_memory(v, w)
        assert xpu.may_share_memory(v, w)
        assert not xpu.may_share_memory(x, x * 1)
    assert p.bytes_moved == 0
    assert x.base is None
    assert v.base is not None
    assert v.base.tolist() == x.tolist()


def test_what_is_written_through_an_iterator_is_written(device):
    x, y = xpu.arange(3.0), xpu.zeros(3)
    with xpu.nditer([x, y], op_flags=[["readonly"], ["writeonly"]]) as it:
        for a, b in it:
            b[...] = 2 * a
        assert isinstance(it, xpu.nditer)
    assert y.tolist() == [0.0, 2.0, 4.0]
    assert [v.tolist() for v in xpu.nditer(x)] == x.tolist()


def test_annotations():
    assert "ndarray" in str(xpu.ndarray[int, np.dtype[np.float64]])
    assert isinstance(xpu.zeros(1), xpu.ndarray | None)


def test_json_takes_what_python_calls_a_float():
    with pytest.raises(TypeError, match="float64 is not JSON"):
        json.dumps(xpu.ones(2).sum())
    assert json.dumps(xpu.ones(2).sum(), default=float) == "2.0"


def test_writing_can_be_forbidden_where_the_bytes_are(device):
    x = xpu.arange(5000.0) * 1
    whole = x[:]
    with xpu.profile() as p:
        x.flags.writeable = False
        assert not x.flags.writeable
        assert not x[1:].flags["WRITEABLE"]
    assert p.bytes_moved == 0
    view = x[:10]
    for write in (
        lambda: x.__setitem__(0, 1.0),
        lambda: view.__setitem__(0, 1.0),
        lambda: x.__iadd__(1.0),
        lambda: x.fill(2.0),
        lambda: xpu.add(whole, 1.0, out=x),
        lambda: x.sort(),
    ):
        with pytest.raises(ValueError, match="read-only"):
            write()
    whole[0] = 3.0
    assert x[0] == 3.0
    with xpu.profile() as p:
        y = x + 1
    assert (y[0], p.events[-1].device) == (4.0, "cpu" if device == "cpu" else "pretend:0")
    x.setflags(write=True)
    x[0] = 5.0
    assert whole[0] == 5.0
    x.flags["W"] = False
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 6.0
    assert x.flags == x.flags
    assert "WRITEABLE : False" in repr(x.flags)


def test_the_base_of_a_view_is_the_array_itself(device):
    x = xpu.arange(6000.0) * 1
    v = x[::2]
    with xpu.profile() as p:
        assert v.base is x
        assert v[1:].base is x
        assert x.reshape(60, 100).T.base is x
        assert x.base is None
    assert p.bytes_moved == 0
    assert (x * 2)[1:].base.tolist() == (x * 2).tolist()


def test_bytes_are_those_of_the_memory(device):
    assert bytes(xpu.arange(3)) == np.arange(3).tobytes()
    assert bytes(xpu.arange(3, dtype=np.uint8)) == b"\x00\x01\x02"
    assert bytes(xpu.arange(3.0).sum()) == bytes(np.arange(3.0).sum())
