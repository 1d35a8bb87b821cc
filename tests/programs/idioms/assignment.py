"""In-place work: mixed dtypes, fancy keys, views, at, out=."""

import numpy as np

a = np.arange(20).reshape(4, 5)
a[1] *= 2
a[:, 0] -= 1
a[a > 15] = 0
a[[0, 2], [1, 3]] += 100
a[[0, 0, 1]] += 1
a[::2, ::-1] += np.arange(5)
a[..., -1] = [7, 8, 9, 10]
a[1:3, 1:3] = a[0:2, 0:2]
print(a)
f = a.astype(np.float32)
f /= 3
f **= 2
f //= 1
f %= 5
f @= np.eye(5, dtype=np.float32)
print(f, f.dtype)
f[np.isclose(f, 0)] = np.nan
f[np.isnan(f)] = -1
print(f.round(2).tolist())
h = np.zeros(4, int)
np.add.at(h, [0, 1, 1, 3, 3, 3], 1)
np.subtract.at(h, np.array([0, 0]), np.array([5, 6]))
np.maximum.at(h, [1], 9)
print(h)
out = np.empty((4, 5))
r = np.sqrt(np.abs(a), out=out)
np.add(out, 1, out=out)
np.multiply(out, a, out=out, where=a > 3)
print(r is out, out.round(3).tolist())
o2 = np.empty(4)
print(a.sum(axis=1, out=np.empty(4, int)), np.mean(a, axis=1, out=o2) is o2, o2)
q, m = np.empty(3), np.empty(3)
np.divmod([7.0, 8.0, 9.0], 2.0, out=(q, m))
print(q, m)
x = np.arange(10)
v = x[2:8:2]
v += 100
w = v[::-1]
w[0] = -1
print(x, v, w, v.base is not None, np.shares_memory(v, x))
x[x % 2 == 0], x[-1] = 5, 77
x[1:], x[0] = x[:-1].copy(), 3
print(x)
np.put(x, [0, 1], [8, 9])
np.place(x, x > 50, [1, 2])
np.copyto(x, -x, where=x < 3)
np.putmask(x, x == 5, 55)
np.fill_diagonal(a, 42)
print(x, a.diagonal())
i, j = np.tril_indices(4)
sq = np.zeros((4, 4))
sq[i, j] = np.arange(i.size)
sq[np.triu_indices(4, 1)] = sq.T[np.triu_indices(4, 1)]
print(sq)
b = np.zeros(3, dtype=bool)
b |= np.array([True, False, True])
b ^= True
print(b, ~b, b & True, -x[:2])
u = np.array([250, 5], dtype=np.uint8)
u += np.uint8(10)
u <<= 1
print(u, u.dtype)
c = np.zeros(3, complex)
c.real = [1, 2, 3]
c.imag[1:] = 5
c *= 1j
print(c, c.real.base is not None)
s = np.zeros((3, 2))
s[:] = [[1], [2], [3]]
s.T[0] = 9
s.flat[1] = 7
s.flat[[2, 3]] = 4
s.ravel()[5] = 6
s.shape = 2, 3
print(s, s.flat[3], list(s.flat)[:2], s.flat[1:3])
d = np.array([3, 1, 2])
d.sort()
d[:2], d[2] = d[1::-1], 0
d.resize(5, refcheck=False)
d.fill(2) if False else None
print(d, np.take(d, [0, -1]), d.take([1, 1]), d.choose([10 * np.ones(5, int)] * 3).tolist())
e = np.empty(3, dtype=object)
e[0], e[1], e[2] = [1, 2], "s", None
e[1] = e[1] + "t"
print(e, e.tolist(), e[0].append(3), e[0])
l = [np.zeros(2), np.ones(2)]
l[0][1], l[1][:] = 5, l[0]
print(l)
swap = np.arange(4)
swap[[0, 3]] = swap[[3, 0]]
swap[1], swap[2] = swap[2], swap[1]
print(swap, np.flip(swap), np.roll(swap, 1)[::-1])
