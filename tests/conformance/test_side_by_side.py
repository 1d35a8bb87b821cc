"""Lines of code that gave another answer than NumPy's once, run under both: value, dtype, shape, kind of object, error.

A line is statements and one expression, split by ``;;``. Names are `values`.
"""

import copy
import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import xpu


class Above:
    __array_priority__ = 1.0

    def __radd__(self, other):
        return "above"

    def __eq__(self, other):
        return "above"

    __hash__ = None


class Below(Above):
    __array_priority__ = -1.0


class Refuses:
    __array_ufunc__ = None

    def __radd__(self, other):
        return "refuses"


class Handles:
    __array_priority__ = 1000.0

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return f"handles {ufunc.__name__}"


class Two:
    def __index__(self):
        return 2


def values(xp):
    a = xp.asarray(np.arange(12.0).reshape(3, 4))
    return {
        "xp": xp,
        "v": xp.asarray(np.arange(6.0)),
        "w": xp.asarray(np.arange(6)),
        "a": a,
        "F": xp.asarray(np.asfortranarray(np.arange(12.0).reshape(3, 4) ** 2)),
        "s": a.sum(),
        "n": xp.asarray([3, 1]).max(),
        "z": xp.asarray(3),
        "text": xp.asarray(np.array(["a", "b"])),
        **{c.__name__: c for c in (Above, Below, Refuses, Handles, Two, Decimal, Fraction)},
        "copy": copy,
        "pickle": pickle,
    }


def seen(x):
    """Return what can be told apart from outside."""
    if isinstance(x, (xpu.scalar, np.generic)):
        return "scalar", x.dtype, repr(np.asarray(x).tolist())
    if isinstance(x, (np.ndarray, xpu.ndarray)):
        return "array", x.dtype, x.shape, [n > 1 and s for n, s in zip(x.shape, x.strides, strict=True)], x.tolist()
    if isinstance(x, (tuple, list)):
        return type(x), [seen(y) for y in x]
    return type(x), x


def outcome(line, xp):
    names = values(xp)
    *before, last = line.split(";;")
    try:
        for statement in before:
            exec(statement.strip(), names)
        return seen(eval(last, names))
    except Exception as error:
        return "raises", next(t for t in type(error).__mro__ if t.__module__ in ("builtins", "numpy.exceptions"))


LINES = """
v[[]]
a[[], 1]
a[1, []]
v[[]] = 5 ;; v
a[[]] = 5 ;; a
v[[1.0]]
v == 'a', v != 'a', 'a' == v
'a' in v, None in v
v == text, text == text, text != v[:2]
s == 'a', s != 'a'
v < 'a'
v == Above(), v == Below(), v == Refuses()
v + Above()
v + Below()
v + Refuses()
v += Refuses()
v += Above() ;; v
v + Handles()
w + Decimal(1), Decimal(1) - w, w * Fraction(1, 2), v + Fraction(1, 2)
s + Fraction(1, 2), n * Decimal(2)
w + [Decimal(1)] * 6
xp.add(w, Fraction(1, 2))
copy.copy(s), copy.deepcopy(s), s.copy(), copy.deepcopy([s, s])
n.numerator, n.denominator
bytes(v), bytes(w), bytes(s)
s.T, s.real, s.imag, s.astype('f4'), s.astype(int), s.view('i8'), s.squeeze(), s.transpose(), xp.squeeze(s), s.conj()
s.reshape(()), s.reshape(1), s[...], s[()], xp.imag(s)
s.flags.writeable, n.T.flags.writeable
w.reshape(z, -1), w.reshape((z, 2)), w.reshape(xp.asarray([3, 2])), xp.reshape(w, shape=(2, 3)), w.reshape(n, Two())
xp.broadcast_to(v, xp.asarray([2, 6])), xp.transpose(a, xp.asarray([1, 0])), a.swapaxes(z - 3, z - 2)
xp.split(v, xp.asarray([1, 3])), xp.expand_dims(v, z - 2), xp.moveaxis(a, z - 3, 1), xp.flip(a, axis=z - 2)
xp.broadcast_arrays(w, a[:, :1].astype(int), z), xp.atleast_2d(z, w)
xp.squeeze(a=v), xp.transpose(a=a), xp.ravel(a=a)
a.reshape(3, 'a')
a.reshape(2.0, 6)
v[Two()], v[Two():]
v.flags.writeable = False ;; v.flags.writeable
v.flags.writeable = False ;; v[0] = 1
v.flags.writeable = False ;; v += 1
v.flags['WRITEABLE'] = False ;; v.fill(1)
x = v.view() ;; x.flags.writeable = False ;; v[0] = 9 ;; x
x = v.view() ;; x.flags.writeable = False ;; x[0] = 9
v.flags.writeable = False ;; v.flags.writeable = True ;; v[0] = 3 ;; v
v.flags.c_contiguous = True
v.flags['C_CONTIGUOUS'] = True
v.flags['nothing']
v.flags.nothing = 1
a.flags == a.flags, a.flags == a.T.flags, v.flags.aligned, v.flags['W']
a.copy().base is None, a.T.base is None, a.reshape(2, 6).base is None, a[1:].base is None, (a + 1).base is None
(a + 1).flags.owndata, a.T.flags.owndata, a.T.flags['OWNDATA'], xp.broadcast_to(v, (2, 6)).base is None
v.dtype = 'i8' ;; v
v.dtype = 'f4' ;; v.shape
a.T.dtype = 'f4'
xp.put(v, [9, -9], [1, 2], mode='clip') ;; v
v.put([0, 20], 1, mode='clip') ;; v
v.put([0, 20], 1)
v.astype('i4', casting='safe')
v.astype('f4', casting='same_kind'), w.astype('f8', casting='safe')
xp.tensordot(v, v, 1), xp.cov(v), xp.einsum('i,i', v, v), xp.inner(v, v), xp.linalg.tensordot(v, v, axes=1)
xp.linspace(0, 1, 3, retstep=True)
[x.tolist() for x in (*xp.gradient(F), xp.diff(F), xp.diff(F, axis=0), xp.ediff1d(F))]
[x.tolist() for x in (xp.outer(F, F[0]), xp.cross(F[:, :3], F[:, 1:]))]
F + F, F + a, a + F, F + F[0], F * 2, F > 2, xp.sin(F), F.T + 1, F[1:] + 1, a[:, ::2].T + 1, F[::-1] - F
xp.add(a, a, order='F'), xp.add(F, F, order='C'), xp.add(F, F, order='A'), xp.add(F, F, dtype='f4')
xp.clip(F, 1, 3), F.round(1), xp.nan_to_num(F), xp.divmod(F, 3), xp.isclose(F, a)
xp.sin(s, s)
xp.add(v, 1, out=s)
xp.copyto(s, 1)
xp.add(v, v, out=v) is v, xp.sin(v, out=v) is v, v
xp.modf(v, out=xp.zeros(6))
xp.divmod(v, 2, out=xp.zeros(6))
xp.frexp(v, out=xp.zeros(6))
xp.add(v, a, out=v)
xp.sum(xp.ones((600, 700)), axis=(0, None))
xp.max(xp.ones((600, 700)), axis=(0, 'x'))
xp.mean(xp.ones((600, 700)), axis=(0, np.array([1, 2])))
xp.sum(xp.ones((600, 700)), axis=np.int64(0)).shape
a[np.True_], a[np.False_].shape, a[np.True_, 1:].shape
xp.array_repr(z, s) ;; s
xp.zeros_like(v, v.dtype), xp.repeat(s, n)
xp.isin(z, z), xp.roll(z, 1), xp.real_if_close(s), xp.pad(z, 0), xp.select([v > 9], [v], z).shape
xp.split(w, w), xp.array_split(w, z), xp.unstack(v), xp.unstack(a), xp.flip(z).shape
xp.hsplit(v, s)
xp.isdtype(v.dtype, 'real floating'), xp.isdtype(xp.float32, 'integral')
xp.isdtype('f4', 'real floating')
[pickle.loads(pickle.dumps(x, p)) for x in (v[::2], s, F, a.T) for p in range(2, 6)]
"""


@pytest.mark.parametrize("device", ["cpu", "pretend"])
@pytest.mark.parametrize("line", LINES.strip().splitlines())
@pytest.mark.filterwarnings("ignore:.*(__array_wrap__|Setting the dtype):DeprecationWarning")
def test_a_line_gives_numpys_answer(line, device):
    expected = outcome(line, np)
    with xpu.config(device=device):
        assert outcome(line, xpu) == expected
