"""Calls of every row that can run on a GPU, drawn from a seed: what `test_drawn_calls.py` and `tools/examples.py` run.

``draw(name, seed)`` gives a function of a namespace and its arguments, small arrays full of values at which devices
differ: signed zeros, NaN, infinities, bounds of the integers, empty axes, strided and reversed layouts. The same seed
gives the same call again, with fresh arrays. Elementwise functions, reductions, scans and sorts of one array are drawn
by rule; the rest have a line each in `ARGUMENTS`.
"""

import os
import random

import numpy as np

import xpu
from xpu._op import OPS
from xpu.testing._budgets import budget, ulps_apart

DEVICES = ("cpu", "pretend", *(["auto"] if os.environ.get("XPU_PRETEND") else []))
KINDS = {
    "all": "?bBhHiIlLfdFD",
    "numeric": "bBhHiIlLfdFD",
    "real": "bBhHiIlLfd",
    "integer": "bBhHiIlL",
    "integer or boolean": "?bBhHiIlL",
    "floating": "fdFD",
    "real floating": "fd",
}
FLOATS = [0.0, -0.0, 1.0, -1.0, -2.5, 0.5, 3.0, 7.25, 1e3, 1e-3, 1e-40, np.nan, np.inf, -np.inf]
TAME = [1.0, -1.0, 0.5, 2.0, -3.0, 4.25, 0.0, 7.0]
REFUSALS = (TypeError, ValueError, IndexError, ArithmeticError, AttributeError, np.linalg.LinAlgError)


class Keywords(dict):
    """Keyword arguments, the last of what a line of `ARGUMENTS` gives."""


LAYOUTS = {1: lambda a: a[..., ::2], 2: lambda a: a.T, 3: lambda a: a[::-1]}


class Draw(random.Random):
    """Draws arguments.

    Attributes
    ----------
    views : list of (view, base, function)
        Which arrays are views of what, so that xpu's can be views, too.
    """

    def __init__(self, seed):
        super().__init__(seed)
        self.views = []

    def shape(self, low=0, high=3, side=4, least=0):
        return tuple(self.randint(least, side) for _ in range(self.randint(low, high)))

    def values(self, kind, size, tame=False):
        if kind == "?":
            return self.choices([False, True], k=size)
        if kind in "fdFD":
            found = self.choices(TAME if tame else FLOATS, k=size)
            return found if kind in "fd" else [complex(a, b) for a, b in zip(found, found[::-1], strict=True)]
        bounds = np.iinfo(kind)
        few = [0, 1, 2, 3, 5] if tame else [0, 1, 2, 3, 5, 100, bounds.max, bounds.min, max(bounds.min, -1)]
        return self.choices(few, k=size)

    def array(self, kinds="all", shape=None, *, tame=False, **bounds):
        """Draw an array: C order, or a strided, reversed or transposed view."""
        kind = self.choice(KINDS.get(kinds, kinds))
        shape = self.shape(**bounds) if shape is None else shape
        layout = self.randrange(5) if shape else 0
        held = {1: (*shape[:-1], 2 * shape[-1]), 2: shape[::-1]}.get(layout, shape) if shape else shape
        base = np.array(self.values(kind, int(np.prod(held)), tame), kind).reshape(held)
        if layout not in LAYOUTS:
            return base
        made = LAYOUTS[layout](base)
        self.views.append((made, base, LAYOUTS[layout]))
        return made

    def tame(self, shape=None, kinds="fd", **bounds):
        """Draw an array without what turns a rounding into a NaN."""
        return self.array(kinds, shape, tame=True, **bounds)

    def broadcast(self, count, kinds="all", **bounds):
        """Draw arrays whose shapes broadcast."""
        whole = self.shape(**bounds)
        shapes = [
            tuple(1 if self.random() < 0.25 else n for n in whole)[self.choice([0, 0, 0, len(whole)]) :]
            for _ in range(count)
        ]
        return tuple(self.array(kinds, shape) for shape in shapes)

    def axis(self, a):
        return self.randint(-a.ndim, a.ndim - 1) if a.ndim else 0

    def square(self, kinds="fd"):
        """Draw a matrix that is far from singular."""
        n = self.randint(1, 4)
        return (self.tame((n, n), kinds) + 20 * np.eye(n)).astype(self.choice(kinds))

    def several(self, low=1, *, shape=None, kinds="all"):
        """Draw a list of arrays of one shape."""
        shape = self.shape(low, 3, 3) if shape is None else shape
        return [self.array(kinds, shape) for _ in range(self.randint(1, 3))]

    def along(self, *kinds, low=0):
        """Draw an array and, half of the time, an axis by keyword."""
        a = self.array(*kinds, low=low)
        return (a, Keywords(axis=self.axis(a))) if a.ndim and self.random() < 0.5 else (a,)

    def places(self, a, axis=0):
        """Draw indices for an axis, negative ones and repeated ones among them; now and then one that is too large."""
        n = a.shape[axis] if a.ndim else 1
        wrong = 1 if self.random() < 0.1 else 0
        return np.array([self.randint(-n, max(n - 1 + wrong, 0)) for _ in range(self.randint(1, 4))])


def _view_of(d):
    a = d.array(low=1, high=2, least=1)
    return a, d.choice([0, -1, slice(None, None, -1), slice(1, None), Ellipsis, None, (slice(None), None)])


def _item(d):
    a = d.array(low=1, high=2, least=1)
    return a, d.choice(
        [d.places(a), d.places(a).tolist(), a > 0 if a.dtype.kind != "c" else a.real > 0, 0, slice(1, 3)]
    )


def _reshaped(d):
    a = d.array()
    return a, d.choice([(-1,), (a.size,), a.shape[::-1], (1, -1), (2, -1), (7, 3)])


def _written(d, *, tame=False):
    a, item = _item(d)
    return a, item, d.array(a.dtype.char, shape=(), tame=tame)


def _masked(d):
    a = d.array(low=1)
    return d.array("?", a.shape), a


def _taken(d):
    a = d.array(low=1, least=1)
    axis = d.axis(a)
    return a, d.places(a, axis), Keywords(axis=axis)


def _along_axis(d, *more):
    a = d.array(low=1, high=2, least=1)
    axis = d.axis(a)
    shape = list(a.shape)
    shape[axis] = d.randint(1, 3)
    n = a.shape[axis]
    index = np.array([d.randint(-n, n - 1) for _ in range(int(np.prod(shape)))]).reshape(shape)
    return (a, index, *[d.array(a.dtype.char, ()) for _ in more], axis)


def _histogram(d):
    return d.tame(low=1, high=1, side=8), d.randint(1, 5), (-4.0, 8.0)


def _two_tame(d, kinds="fd"):
    return d.tame(kinds=kinds, low=1, high=1, side=6, least=1), d.tame(kinds=kinds, low=1, high=1, side=6, least=1)


def _product(d):
    n, m, k = (d.randint(1, 3) for _ in range(3))
    return d.tame((n, m), "fdFDl"), d.tame((m, k), "fdFDl")


def _axes(d):
    a = d.array(low=1)
    return a, d.axis(a), d.axis(a)


def _resized(d):
    return d.array(least=1), d.shape(1, 3, 4)


def _set(d):
    return d.array("?bild", low=1, high=1, side=6), d.array("?bild", low=1, high=1, side=6)


def _sorted_and(d):
    return np.sort(d.tame(low=1, high=1, side=6)), d.tame(low=0, high=2)


def _solved(d):
    a = d.square()
    return a, d.tame((len(a), d.randint(1, 3)), a.dtype.char)


def _tall(d, kinds="fd"):
    return (d.tame((d.randint(1, 4), d.randint(1, 4)), kinds),)


# What each function is called with; a method or an in-place function stands in `HOW` too.
ARGUMENTS = {
    # views
    **dict.fromkeys(["atleast_1d", "atleast_2d", "atleast_3d", "real", "imag"], lambda d: (d.array(),)),
    **dict.fromkeys(
        ["ravel", "squeeze", "flip", "transpose", "flatten", "copy", "fliplr", "flipud"], lambda d: (d.array(),)
    ),
    **dict.fromkeys(["diag", "diagflat"], lambda d: (d.array(low=1, high=2), d.randint(-2, 2))),
    **dict.fromkeys(["diagonal", "rot90", "trace"], lambda d: (d.array(low=2), d.randint(-2, 2))),
    "matrix_transpose": lambda d: (d.array(low=2),),
    **dict.fromkeys(["array_split", "split"], lambda d: (d.array(low=1), d.randint(1, 3), 0)),
    **dict.fromkeys(["hsplit", "vsplit"], lambda d: (d.array(low=2), d.randint(1, 2))),
    "dsplit": lambda d: (d.array(low=3), d.randint(1, 2)),
    **dict.fromkeys(["broadcast_arrays", "meshgrid"], lambda d: d.broadcast(2, low=1, high=1)),
    "broadcast_to": lambda d: (lambda a: (a, (*d.shape(high=1), *(d.randint(0, 3) if n == 1 else n for n in a.shape))))(
        d.array(high=2, side=2)
    ),
    "expand_dims": lambda d: (d.array(), d.randint(-2, 2)),
    **dict.fromkeys(["moveaxis", "swapaxes"], _axes),
    "rollaxis": lambda d: _axes(d)[:2],
    "reshape": _reshaped,
    "getitem_view": _view_of,
    "view": lambda d: (d.array("dlL", low=1), d.choice(["i8", "u8", "f8", "i4", "u1"])),
    "field": lambda d: (d.array("fd"), d.choice(["x", "y"])),
    "lib.stride_tricks.sliding_window_view": lambda d: (d.array(low=1, high=1, side=6), d.randint(1, 4)),
    "lib.stride_tricks.as_strided": lambda d: (np.array(d.values("d", 8)), (2, 3), (16, 8)),
    "linalg.matrix_transpose": lambda d: (d.array(low=1),),
    # copies
    "asarray": lambda d: (d.array(), d.choice([None, "d", "F", "i2"])),
    "astype": lambda d: (d.array(), d.choice("?bBhilLfdD")),
    "from_dlpack": lambda d: (d.array("?bilfd"),),
    "append": lambda d: (d.array(), d.array()),
    **dict.fromkeys(["column_stack", "dstack", "hstack", "vstack"], lambda d: (d.several(),)),
    **dict.fromkeys(["concatenate", "stack"], lambda d: (d.several(), d.randint(-1, 1))),
    "delete": lambda d: (d.array(low=1, high=1, least=1), d.randint(-2, 2)),
    "kron": lambda d: (d.tame(high=2), d.tame(high=2)),
    "pad": lambda d: (
        d.array(low=1, least=1),
        d.randint(0, 2),
        Keywords(mode=d.choice(["constant", "edge", "reflect"])),
    ),
    "repeat": lambda d: (d.array(), d.randint(0, 3)),
    "resize": _resized,
    "roll": lambda d: (d.array(), d.randint(-3, 3)),
    "tile": lambda d: (d.array(high=2), d.choice([0, 1, 2, (2, 1)])),
    "trim_zeros": lambda d: (d.array("ildf", low=1, high=1, side=6),),
    **dict.fromkeys(["tril", "triu"], lambda d: (d.array(low=1), d.randint(-2, 2))),
    # indexing
    "choose": lambda d: (np.array(d.choices([0, 0, 1, 1, 2], k=3)), [d.array("d", (3,)), d.array("d", (3,))]),
    "compress": lambda d: (d.choices([True, False], k=d.randint(1, 4)), d.array(low=1)),
    "extract": _masked,
    "copyto": lambda d: d.broadcast(2, "fd", low=1),
    "fill": lambda d: (d.array("dil"), d.choice([0, 1, 3])),
    "fill_diagonal": lambda d: (d.array("dl", low=2, high=2, least=1), d.choice([0, 5])),
    "getitem": _item,
    "setitem": _written,
    "place": lambda d: (*_masked(d)[::-1], [1, 0, 1]),
    "put": lambda d: (lambda a: (a, d.places(a.ravel()), [1, 0]))(d.array("dlf", low=1, least=1)),
    "putmask": lambda d: (*_masked(d)[::-1], [1, 0]),
    "put_along_axis": lambda d: _along_axis(d, 1),
    "take_along_axis": _along_axis,
    "take": _taken,
    "select": lambda d: ([d.array("?", (3,)) for _ in "ab"], [d.array("d", (3,)) for _ in "ab"], d.choice([0, 2.5])),
    "where": lambda d: (d.array("?", high=2), *d.broadcast(2, high=1)),
    # counting, ordering, sets
    "argwhere": lambda d: (d.array(),),
    **dict.fromkeys(["flatnonzero", "nonzero"], lambda d: (d.array(low=1),)),
    "bincount": lambda d: (np.array(d.choices([0, 1, 2, 5, 7], k=d.randint(0, 6)), d.choice("lB")),),
    **dict.fromkeys(["corrcoef", "cov"], lambda d: (d.tame(low=2, high=2, least=2),)),
    "digitize": lambda d: _sorted_and(d)[::-1],
    "searchsorted": lambda d: (*_sorted_and(d), d.choice(["left", "right"])),
    **dict.fromkeys(["partition", "argpartition"], lambda d: (d.tame(low=1, high=1, least=1), 0)),
    **dict.fromkeys(["percentile", "quantile"], lambda d: (d.array("fd", high=2), d.choice([0, 0.5, 1, [0.25, 0.75]]))),
    "sort_complex": lambda d: (d.array(low=1),),
    "unique_counts": lambda d: (d.array(),),
    "histogram": _histogram,
    "histogram2d": lambda d: (lambda n: (d.tame((n,)), d.tame((n,)), 3, [(-4.0, 8.0)] * 2))(d.randint(0, 6)),
    "histogramdd": lambda d: (d.tame((d.randint(0, 6), 2)), 3, [(-4.0, 8.0)] * 2),
    "lexsort": lambda d: (d.tame((2, d.randint(0, 5))),),
    "argsort": lambda d: (*d.along("real", low=1), Keywords(kind="stable"))[-2:],
    "sort": lambda d: d.along(low=1),
    "ndarray.sort": lambda d: d.along(low=1),
    "ndarray.partition": lambda d: (d.tame(low=1, high=1, least=1), 0),
    **dict.fromkeys(["intersect1d", "isin", "setdiff1d", "setxor1d", "union1d"], _set),
    # products
    **dict.fromkeys(["convolve", "correlate"], lambda d: (*_two_tame(d), d.choice(["full", "same", "valid"]))),
    **dict.fromkeys(["cross", "linalg.cross"], lambda d: (d.tame((d.randint(1, 3), 3)), d.tame((3,)))),
    **dict.fromkeys(["dot", "linalg.matmul"], _product),
    "einsum": lambda d: (d.choice(["ij,jk->ik", "ij,jk", "ij,jk->"]), *_product(d)),
    **dict.fromkeys(
        ["inner", "vdot"], lambda d: (lambda n: (d.tame((n,), "fdFD"), d.tame((n,), "fdFD")))(d.randint(1, 5))
    ),
    **dict.fromkeys(["outer", "linalg.outer"], lambda d: _two_tame(d, "fdl")),
    **dict.fromkeys(["tensordot", "linalg.tensordot"], lambda d: (*_product(d), Keywords(axes=1))),
    # elementwise with more than arrays
    "clip": lambda d: (d.array("ldf"), 0, 3),
    "interp": lambda d: (d.tame(high=2), np.arange(5.0), np.array(d.values("d", 5, True))),
    "isclose": lambda d: d.broadcast(2, "fd"),
    "ldexp": lambda d: (d.array("fd"), d.choice([-2, 0, 3])),
    "vander": lambda d: (d.tame(kinds="fdl", low=1, high=1), d.randint(0, 4)),
    "nan_to_num": lambda d: (d.array("floating"),),
    **dict.fromkeys(["packbits", "unpackbits"], lambda d: (d.array("B", low=1),)),
    "polyval": lambda d: (d.tame(low=1, high=1, least=1), d.tame(high=2)),
    # linear algebra
    **dict.fromkeys(
        ["linalg.cholesky", "linalg.eigh", "linalg.eigvalsh"], lambda d: (lambda a: (a @ a.T,))(d.square())
    ),
    **dict.fromkeys(["linalg.det", "linalg.inv", "linalg.slogdet", "linalg.cond"], lambda d: (d.square("fdFD"),)),
    **dict.fromkeys(["linalg.eig", "linalg.eigvals"], lambda d: (d.square("d"),)),
    "linalg.matrix_power": lambda d: (d.square(), d.randint(-1, 3)),
    **dict.fromkeys(["linalg.matrix_rank", "linalg.norm", "linalg.pinv"], _tall),
    **dict.fromkeys(["linalg.qr", "linalg.svd"], _tall),
    "linalg.lstsq": lambda d: (*_solved(d), Keywords(rcond=None)),
    "linalg.solve": _solved,
    "linalg.tensorinv": lambda d: ((d.tame((4, 4)) + 20 * np.eye(4)).reshape(2, 2, 4), Keywords(ind=2)),
    "linalg.tensorsolve": lambda d: (d.tame((4, 4)) + 20 * np.eye(4), d.tame((4,))),
    # creation
    "arange": lambda d: (d.randint(-3, 3), d.randint(-3, 9), d.choice([1, 2, 0.5, -1])),
    **dict.fromkeys(["empty", "ones", "zeros"], lambda d: (d.shape(), d.choice("dfl?"))),
    **dict.fromkeys(["empty_like", "ones_like", "zeros_like"], lambda d: (d.array(),)),
    **dict.fromkeys(["eye", "tri"], lambda d: (d.randint(0, 4), d.randint(0, 4), d.randint(-2, 2))),
    "full": lambda d: (d.shape(), d.choice([0, 2.5, True, 3])),
    "full_like": lambda d: (d.array("dlf"), d.choice([0, 2, 3])),
    "identity": lambda d: (d.randint(0, 4), d.choice("dl")),
    "indices": lambda d: (d.shape(1, 2),),
    "linspace": lambda d: (d.randint(-3, 3), d.randint(-3, 9), d.randint(0, 7)),
    "logspace": lambda d: (d.randint(-3, 3), d.randint(-3, 3), d.randint(0, 7)),
}


def _changed(method):
    def call(np, a, *rest, **keywords):
        method(np, a, *rest, **keywords)
        return a

    return call


HOW = {
    "astype": lambda np, a, kind: a.astype(kind),
    "copyto": _changed(lambda np, a, b: np.copyto(a, b)),
    "empty": lambda np, *args: np.zeros_like(np.empty(*args)),
    "empty_like": lambda np, a: np.zeros_like(np.empty_like(a)),
    "field": lambda np, a, name: np.asarray(a)[...] if name == "x" else a.T,
    "fill": _changed(lambda np, a, value: a.fill(value)),
    "flatten": lambda np, a: a.flatten(),
    "getitem": lambda np, a, key: a[key],
    "getitem_view": lambda np, a, key: a[key],
    "ndarray.partition": _changed(lambda np, a, k: a.partition(k)),
    "ndarray.sort": _changed(lambda np, a, **k: a.sort(**k)),
    "setitem": _changed(lambda np, a, key, value: a.__setitem__(key, value)),
    "view": lambda np, a, kind: a.view(kind),
    **{n: _changed(lambda np, a, *r, n=n: getattr(np, n)(a, *r)) for n in ("fill_diagonal", "place", "put", "putmask")},
    "put_along_axis": _changed(lambda np, a, *rest: np.put_along_axis(a, *rest)),
}
HOST_ALONE = {"field"}  # of structured arrays, which stay on the host
NAMES = sorted(name for name, op in OPS.items() if op.gpu is not None and op.kind not in ("conv", "fft", "filter"))


def follow(np, name):
    """Return a function of a namespace by its dotted name."""
    for part in name.split("."):
        np = getattr(np, part)
    return np


def draw(name, seed):
    """Return a call (a function of a namespace and arguments), its arguments, keywords and which are views."""
    d, op = Draw(f"{name} {seed}"), OPS[name]
    if name in ARGUMENTS:
        args = ARGUMENTS[name](d)
    elif isinstance(op.host, np.ufunc):
        args = d.broadcast(op.host.nin, op.dtypes, high=2)
        if name in ("matmul", "vecdot", "matvec", "vecmat"):
            args = tuple(d.array(op.dtypes, (3, 3)) for _ in args)
    else:
        args = d.along(op.dtypes)
    keywords = {}
    if args and isinstance(args[-1], Keywords):
        args, keywords = args[:-1], args[-1]
    how = HOW.get(name) or (lambda np, *a, **k: follow(np, name)(*a, **k))
    return how, args, keywords, d.views


def _ours(value, views):
    if isinstance(value, np.ndarray):
        known = next(((base, layout) for view, base, layout in views if view is value), None)
        return xpu.asarray(value) if known is None else known[1](xpu.asarray(known[0]))
    return [_ours(v, views) for v in value] if isinstance(value, list) else value


def difference(name, seed, devices=DEVICES):
    """Run one drawn call on NumPy and on every device; say how they differ, or nothing."""
    how, args, keywords, _ = draw(name, seed)
    _, again, same, views = draw(name, seed)  # some calls write into NumPy's arrays; xpu is given copies of these
    expected = refused = None
    try:
        expected = how(np, *args, **keywords)
    except REFUSALS as error:
        refused = error
    for device in devices:
        with xpu.config(device=device, on_fallback="allow"):
            try:
                got = how(xpu, *[_ours(a, views) for a in again], **same)
            except REFUSALS as error:
                if refused is None or not isinstance(error, type(refused)):
                    return f"{device}: {error!r}, NumPy gave {expected if refused is None else refused!r}"
                continue
            if refused is not None:
                return f"{device}: {got!r}, NumPy refused it: {refused!r}"
            found = unlike(name, got, expected, again)
            if found:
                return f"{device}: {found}"
    return ""


def difference_the_second_time(name, seed):
    """Run one drawn call twice on operands that lie on the pretend device: the second is known (`xpu._resident`)."""
    how, args, keywords, _ = draw(name, seed)
    _, again, same, _ = draw(name, seed)
    try:
        expected = how(np, *args, **keywords)
    except REFUSALS:
        return ""
    with xpu.config(device="pretend", on_fallback="allow"):
        for _ in range(2):
            there = [xpu.copy(xpu.asarray(a)) if isinstance(a, np.ndarray) else _ours(a, ()) for a in again]
            got = how(xpu, *there, **same)
    return unlike(name, got, expected, again)


# Complex numbers that are not finite, to a power or as one: C leaves the value open, and NumPy gives its library's.
UNSPECIFIED = frozenset({"power", "float_power"})
# Which of several equal elements stands for them, 0.0 or -0.0, is the luck of a sort that is not stable.
REPRESENTATIVES = frozenset({"unique_all", "unique_counts", "unique_inverse", "unique_values"})


def unlike(name, got, expected, operands):
    """Say how a result differs from NumPy's beyond the published budget; nothing if it does not."""
    if isinstance(expected, (tuple, list)):
        if len(got) != len(expected):
            return f"{len(got)} results for {len(expected)}"
        return next(filter(None, (unlike(name, g, e, operands) for g, e in zip(got, expected, strict=True))), "")
    if not isinstance(expected, (np.ndarray, np.generic)):
        return "" if got == expected or (got != got and expected != expected) else f"{got!r} for {expected!r}"
    alike = isinstance(got, (xpu.ndarray, xpu.scalar)) and isinstance(got, xpu.scalar) == isinstance(
        expected, np.generic
    )
    if not alike and type(got) is not type(expected):  # full integer keys give NumPy's own scalars
        return f"a {type(got).__name__} for a {type(expected).__name__}"
    value = np.asarray(got)
    if (value.dtype, value.shape) != (expected.dtype, expected.shape):
        return f"{value.dtype}{value.shape} for {expected.dtype}{expected.shape}"
    if value.tobytes() == expected.tobytes():
        return ""
    if value.dtype.kind not in "fc":
        return "" if np.array_equal(value, expected) else f"{value!r} for {expected!r}"
    if name in UNSPECIFIED and value.dtype.kind == "c":
        told = np.broadcast_to(np.logical_and.reduce(np.broadcast_arrays(*map(np.isfinite, operands))), value.shape)
        value, expected = value[told], expected[told]
    wide = [a.dtype for a in operands if isinstance(a, np.ndarray) and a.dtype.kind == "c"]  # a real result, perhaps
    allowed = max(budget(name, dtype) for dtype in (value.dtype, *wide))
    apart = ulps_apart(value, np.asarray(expected), largest(operands) if allowed else 0.0)
    if apart > allowed:
        return f"{value!r} for {expected!r}: {apart:.3g} units in the last place apart, {allowed:g} allowed"
    known = ~np.isnan(np.asarray(expected))
    signs = [np.signbit(v.real[known]) for v in (value, expected)]
    if not allowed and name not in REPRESENTATIVES and not np.array_equal(*signs):
        return f"signs of zeros: {value!r} for {expected!r}"
    return ""


def largest(operands):
    """Return the largest finite magnitude among floating operands: what their terms' rounding is measured by."""
    floats = [np.abs(a[np.isfinite(a)]) for a in operands if isinstance(a, np.ndarray) and a.dtype.kind in "fc"]
    return max((float(f.max()) for f in floats if f.size), default=0.0)
