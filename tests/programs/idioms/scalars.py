"""What scripts ask of the numbers that reductions and elements are."""

import math
import numbers
from collections.abc import Iterable, Sized

import numpy as np

x = np.array([1.5, 2.5, 3.0])
i = np.arange(4)
for s in (x.sum(), i.sum(), (x > 2).any(), x.astype(np.float32).mean(), (x * 1j).sum(), x[0], i[1], np.float64(2.5)):
    print(repr(s), str(s), f"{s}", s.dtype, type(s.item()).__name__, s.shape, s.ndim, np.isscalar(s), bool(s))
    print(
        isinstance(s, np.generic),
        isinstance(s, np.number),
        isinstance(s, np.floating),
        isinstance(s, np.integer),
        isinstance(s, np.float64),
        isinstance(s, float),
        isinstance(s, int),
        isinstance(s, complex),
        isinstance(s, np.bool_),
        isinstance(s, np.ndarray),
        isinstance(s, numbers.Number),
        isinstance(s, numbers.Real),
        isinstance(s, numbers.Integral),
        isinstance(s, (list, tuple)),
        isinstance(s, np.complexfloating),
    )
s = x.sum()
print(f"{s:.3f} {s:8.2e} {s:>12} {i.sum():05d} {i.sum():x} {x.mean():+.1%}", "%d %.2f %s" % (i.sum(), s, s))
print("{:.2f} {!r}".format(x.mean(), x.mean()), round(s, 1), round(s), math.sqrt(x[0]), math.sqrt(s), math.floor(s))
print({x.sum(): "a", i.sum(): "b"}[7.0], {6: "six"}[i.sum()], [10, 20, 30, 40][i.max()], "ab" * i[2], range(i.max()))
print(s == 7.0, s != 7, s > 3, 3 < s, s in (7.0, 8), s + 1, 1 + s, s // 2, divmod(s, 2), -s, abs(-s), s**2, 2**s, s % 4)
print(max(x.max(), 2.0), min(i.min(), 3), sum(x), sum([x.sum(), 1]), sorted([x.sum(), i.sum(), 2.0]), s.is_integer())
print(int(s), float(i.sum()), complex(s), s.real, s.imag, s.conjugate(), s.T, s.astype(int), s.item(), s.tolist())
print(np.float64(s) is not None, float(np.float32(0.1)), x.max().view(np.int64), s.hex(), (i.sum()).bit_count())
print(np.sum(x) / np.sum(i), np.mean(x) * np.ones(2), [0] * i.sum())
print(x.argmax() == 2, i[x.argmax()], x[x.argmax()], "abc"[x.argmax()], x.argmax() + 1)
try:
    s[0]
except (TypeError, IndexError) as e:
    print(type(e).__name__)
try:
    s[0] = 1
except TypeError as e:
    print(e)
try:
    iter(s)
except TypeError as e:
    print(type(e).__name__)
try:
    len(s)
except TypeError as e:
    print(type(e).__name__)
total = 0
for v in x:
    total += v
print(total, isinstance(total, np.floating))
print(np.array(3.5).item(), np.array([2.0]).item(), float(np.array(3.5)), int(np.array(3)))
print(np.issubdtype(s.dtype, np.floating), s.dtype == float, s.dtype.kind, s.itemsize, s.nbytes, s.size)

total, count = np.ones(3).sum(), np.arange(3).sum()
for value in (total, count):
    print(hasattr(value, "__len__"), isinstance(value, Iterable), isinstance(value, Sized), bytes(value))
    for ask in (len, list, set, lambda v: 1 in v):
        try:
            ask(value)
        except TypeError:
            print("TypeError", end=" ")
    print()
for value in (total, count):
    for ask in (lambda v: v[0], lambda v: v[0, 1], lambda v: v[None].shape, lambda v: v[()], lambda v: [7, 8, 9, 10][v]):
        try:
            print(ask(value), end=" ")
        except (IndexError, TypeError) as e:
            print(type(e).__name__, str(e) if isinstance(e, IndexError) else "", end=" ")
    print()
table = np.zeros(2, [("x", int), ("y", float), ("z", int)])
print(table[["x", "z"]].dtype.names)
for key in (["x", "q"], [0.5]):
    try:
        table[key]
    except (KeyError, IndexError) as e:
        print(type(e).__name__, e)
