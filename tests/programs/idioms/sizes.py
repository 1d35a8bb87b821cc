"""Numbers that came out of arrays as sizes, axes, bounds and shifts."""

import numpy as np

a = np.arange(12)
i = np.array([3, 4, 2])
n, m = i.max(), i[0]
print(np.zeros(n), np.ones((n, m)).shape, np.full(n, m), np.full((2,), a.mean()), np.arange(n), np.arange(m, n))
print(a.reshape(m, n), a.reshape(n, -1).shape, a.reshape((m, n)).shape, np.reshape(a, (n, m)).shape, np.eye(m)[0])
print(
    np.linspace(0, n, m), np.roll(a, i.argmax()), np.repeat(a[:2], n), np.tile(a[:2], m), a[:n], a[m:n], a[::m], a[-n]
)
print(a[n], a[[n, m]], a.take(n), np.split(a, m)[1], np.array_split(a, n)[0], np.pad(a[:2], m), np.empty((n, 0)).shape)
b = a.reshape(3, 4)
print(b[i.argmin()], b[:, n - 1], b[n - 3 :, : m - 1], b.sum(axis=i.argmax()), np.moveaxis(b, 0, i.argmax()).shape)
print(
    np.expand_dims(b, i.argmax()).shape,
    np.delete(a, n),
    np.insert(a, n, 99),
    np.clip(a, m, n),
    np.where(a > a.mean(), a, m),
)
print(np.diff(a, i.argmax()), np.random.default_rng(0).normal(size=n), np.random.default_rng(0).integers(n, size=m))
print(
    [0] * n,
    "x" * m,
    range(n),
    list(range(m)),
    [1, 2, 3, 4, 5][n],
    {n: 1}[4],
    divmod(a.sum(), n),
    a.sum() // n,
    -n,
    n**2,
)
print(np.histogram(a, bins=n, range=(a.min(), a.max())), np.bincount(i, minlength=a.max()), np.digitize(a.mean(), a))
h, w = b.shape
print(
    h * w,
    b.size // h,
    (b.shape[0] * m, n),
    np.broadcast_to(n, (2,)),
    np.tri(m),
    np.vander(i, n).shape,
    np.identity(m)[1],
)
print(np.fft.fft(a, n=n).round(3), np.fft.rfftfreq(n, d=m), np.polyfit(a, a * n, 1).round(6), np.quantile(a, i / 5))
for k in range(n):
    a[k] = a[k - 1] + k
print(
    a,
    np.array([n, m, n / m]),
    np.array([[n, m]]).shape,
    np.concatenate([[n], a[:1]]),
    max(n, m),
    np.max([n, m]),
    abs(-n),
)
print(
    np.int64(n),
    np.float32(a.mean()),
    int(n),
    float(m),
    complex(n),
    bool(n),
    str(n),
    repr(n),
    hash(n) == hash(4),
    n == 4,
)
print(
    np.uint8(a.max() * 10),
    np.array(a.mean(), dtype=int),
    np.dtype(n.dtype),
    np.result_type(n, 1.5),
    np.can_cast(n.dtype, "f4"),
)
