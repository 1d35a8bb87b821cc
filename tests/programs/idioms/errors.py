"""The same exceptions with the same words."""

import warnings

import numpy as np

warnings.simplefilter("error")
a, b = np.ones((2, 3)), np.ones((4,))


def attempt(f):
    try:
        print("fine", f())
    except Exception as e:
        print(type(e).__name__, "|", str(e)[:200])


attempt(lambda: a + b)
attempt(lambda: a @ a)
attempt(lambda: np.concatenate([a, b]))
attempt(lambda: a.reshape(4, 2))
attempt(lambda: a[5])
attempt(lambda: a[0, 9])
attempt(lambda: a[:, :, 0])
attempt(lambda: a["x"])
attempt(lambda: a[1.5])
attempt(lambda: a[[0, 7]])
attempt(lambda: a[np.array([True, False, True])])
attempt(lambda: a.sum(axis=2))
attempt(lambda: np.stack([a, b]))
attempt(lambda: np.linalg.inv(np.zeros((2, 2))))
attempt(lambda: np.linalg.cholesky(-np.eye(2)))
attempt(lambda: np.linalg.solve(np.ones((2, 2)), np.ones(2)))
attempt(lambda: np.linalg.inv(a))
attempt(lambda: int(a))
attempt(lambda: float(np.ones(1)))
attempt(lambda: bool(a))
attempt(lambda: not b)
attempt(lambda: a.no_such if hasattr(a, "no_such") else None)
attempt(lambda: np.zeros(3) / 0)
attempt(lambda: np.log(np.array([-1.0])))
attempt(lambda: np.array([1, 2], dtype=np.uint8) + 300)
attempt(lambda: np.array([[1, 2], [3]]))
attempt(lambda: np.array(["a", "b"]) + 1)
attempt(lambda: np.array(["x"]).astype(float))
attempt(lambda: np.zeros(2, dtype="nonsense"))
attempt(lambda: np.arange(3).view(np.int16).reshape(5, 5))
attempt(lambda: np.mean(np.array([])))
attempt(lambda: np.max(np.array([])))
attempt(lambda: np.argmax([]))
attempt(lambda: np.random.default_rng(0).choice(3, 5, replace=False))
attempt(lambda: np.random.default_rng(0).normal(scale=-1))
attempt(lambda: np.datetime64("nonsense"))
attempt(lambda: np.einsum("ij,jk", a, a))
attempt(lambda: np.dot(a, b))
attempt(lambda: np.interp(1, [1, 2], [1]))
attempt(lambda: np.split(np.arange(5), 2))
attempt(lambda: np.broadcast_to(b, (3, 3)))
attempt(lambda: np.add(1, 2, 3, 4, 5))
attempt(lambda: np.sum(a, nonsense=1))
attempt(lambda: np.ones(-1))
attempt(lambda: np.linspace(0, 1, -1))
attempt(lambda: a.astype(complex).astype(float))
attempt(lambda: np.int8(200))


attempt(lambda: len(np.array(1)))
attempt(lambda: [v for v in np.array(1)])
attempt(lambda: np.array([1, 2]).__iadd__(0.5))
attempt(lambda: np.vstack([]))
attempt(lambda: np.array(5)[0])
attempt(lambda: np.searchsorted(a, 1))
attempt(lambda: np.polyfit([1], [1, 2], 1))
attempt(lambda: np.loadtxt("/nonexistent/file"))
attempt(lambda: np.testing.assert_allclose(a, a + 1))
attempt(lambda: np.testing.assert_array_equal([1, 2], [1, 3]))
attempt(lambda: np.pad(a, 1, mode="nonsense"))
attempt(lambda: np.unravel_index(10, (2, 3)))
attempt(lambda: np.cross(np.ones(4), np.ones(4)))
try:
    with np.errstate(all="raise"):
        np.array([1.0]) / np.array([0.0])
except FloatingPointError as e:
    print(e)
try:
    a[...] = np.ones(5)
except ValueError as e:
    print(e)
try:
    x = np.arange(3)
    x += 0.5
except TypeError as e:
    print(type(e).__name__, e)
r = np.broadcast_to(np.ones(1), (3,))
try:
    r[0] = 2
except ValueError as e:
    print(e)
