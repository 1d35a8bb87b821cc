"""Print options, reprs, formatting."""

import numpy as np

a = np.arange(12.0).reshape(3, 4) / 7
print(a)
with np.printoptions(precision=2, suppress=True):
    print(a)
    print(repr(a * 1e-5))
np.set_printoptions(precision=3, threshold=5, edgeitems=1, linewidth=60)
print(np.arange(100), repr(np.arange(100)))
np.set_printoptions(precision=8, threshold=1000, edgeitems=3, linewidth=75)
print(np.get_printoptions()["precision"])
for v in (
    np.array([]),
    np.zeros((0, 3)),
    np.array(1.5),
    np.array(["a", "bc"]),
    np.array([True, False]),
    np.array([1 + 2j]),
    np.array([None, "a"], dtype=object),
    np.float32([1, 2]),
    np.array([np.nan, np.inf]),
    np.array([b"ab"]),
    np.array(["2020-01-01"], "M8"),
    np.array([1, 2], dtype=">i4"),
    np.zeros(2, [("a", int), ("b", "U3")]),
    np.ma.array([1, 2], mask=[0, 1]),
):
    print(v, repr(v), f"{v}", v.dtype)
print(f"{a[0]} {a.mean():.3f} {a.shape} {a.dtype!r} {a.dtype.name} {a.size:d}")
try:
    f"{a:.2f}"
except TypeError as e:
    print(e)
print("%s %r" % (a[0], a[1]), "{}".format(a[0, :2]), str(a.shape), a.T.shape)
print(np.array_str(a[0], precision=2), np.array_repr(a[0]), np.format_float_positional(a[0, 1], precision=3))
print(a.astype(int).tolist(), a.flags.c_contiguous, a.T.flags["F_CONTIGUOUS"], a.strides, a[::2].base is not None)
