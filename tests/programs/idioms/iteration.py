"""Loops over arrays, unpacking, zip, comprehension, sorting with keys, membership, truth."""

import itertools
import functools
import operator
import collections

import numpy as np

a = np.arange(6).reshape(2, 3)
for row in a:
    x, y, z = row
    print(x, y, z, type(row) is type(a), row.sum())
for i, (p, q) in enumerate(zip(a[0], a[1])):
    print(i, p * q, p, q)
print([v**2 for v in a.ravel()], {int(v): v for v in a[0]}, set(a.ravel().tolist()), [*a[0]], list(map(float, a[1])))
print(
    sorted(a[0], reverse=True),
    sorted(range(3), key=lambda k: -a[1][k]),
    max(a[0], key=lambda v: -v),
    list(reversed(a[0])),
)
print(3 in a, 9 in a, [0, 1, 2] in a, a.tolist().index([0, 1, 2]), any(a[0] > 1), all(a[0] >= 0), sum(a), len(a))
print(functools.reduce(operator.add, a), list(itertools.accumulate(a[0])), list(itertools.product(a[0], [1])))
print(collections.Counter(np.array([1, 1, 2])), collections.Counter(np.array(["x", "y", "x"]).tolist()))
for idx, v in np.ndenumerate(a):
    if v > 3:
        print(idx, v)
for idx in np.ndindex(2, 2):
    print(idx, end=" ")
print()
with np.nditer(a.copy(), op_flags=["readwrite"]) as it:
    for v in it:
        v[...] = 2 * v
    print(it.operands[0])
it = np.nditer(a, flags=["multi_index"])
while not it.finished:
    if it[0] == 4:
        print(it.multi_index, it[0])
    it.iternext()
for u, v in np.nditer([a, a.T.reshape(2, 3)]):
    print(u + v, end=" ")
print()
for p, q in np.broadcast(a, [[1], [2]]):
    print(p * q, end=" ")
print(np.broadcast(a, [[1], [2]]).shape)
first, *rest = a.ravel()
(m, n), k = a.shape, a.ndim
print(first, rest, m, n, k, a[0] is a[0], a is a, a[0].tolist() == [0, 1, 2])
print(
    np.vectorize(lambda p, q: p + q if p > 1 else q)(a, 10),
    np.vectorize(str)(a[0]),
    np.frompyfunc(lambda v: v * 2, 1, 1)(a),
)
print(
    np.apply_along_axis(lambda r: r.max() - r.min(), 1, a),
    np.apply_along_axis(np.sort, 0, a),
    np.fromfunction(lambda i, j: i + j, (2, 2)),
)
print(np.apply_over_axes(np.sum, a, [0, 1]), np.piecewise(a[0] * 1.0, [a[0] < 1, a[0] >= 1], [-1, lambda v: v * 2]))
print(
    np.fromiter((v * v for v in range(4)), float),
    np.array([v for v in a[0]]),
    np.array(list(a)),
    np.array([a[0], a[1]]),
    np.array([[a[0, 0], 1.5]]),
)
print(
    np.array([a.sum(), a.max()]),
    np.array((a[0].mean(), 2)),
    np.asarray([a[0].sum(), a[1].sum()]).dtype,
    np.array([a[0].mean()] * 3),
)
print(
    np.sum([a[0], a[1]], axis=0),
    np.mean([a.mean(), 1.0]),
    np.max([a[0].max(), 7]),
    np.hstack([a[0], 9]),
    np.append(a[0], [a[1].sum()]),
)
print(
    np.sum(v for v in [1, 2]) if False else "",
    np.r_[a[0], 0, a[1]],
    np.c_[a[0], a[1]],
    np.r_[0:1:3j],
    np.s_[1:3],
    np.ix_([0], a[0])[1],
)
d = {"w": np.ones(2), "b": np.zeros(2)}
for name, value in d.items():
    value -= 0.5
print(d, dict(zip("xy", a[0])))
assert (a == a).all() and not (a != a).any()
if a.size and a[0, 1]:
    print("truth", bool(a[0, 1]), a.any() and "yes", (a > 100).any() or "no")
print(
    a[0, 1] if a[1, 2] > 3 else None,
    "big" if a.max() > 3 else "small",
    np.where(a > 2, "x", "y"),
    range(a[0, 2]),
    [0] * a[0, 2],
    "ab"[a[0, 1]],
)
