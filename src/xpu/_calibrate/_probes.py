"""What calibration times: for each row of the op table, operands of a given size and dtype.

Universal functions need no list: their arity and dtypes are read off NumPy. Everything else says here
how it is called. Values are chosen so that every function is defined on them.
"""

from __future__ import annotations

import functools
import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpu._donors import loop_dtype
from xpu._op import NUMBER, OPS, ROW, ROWS, Op
from xpu._ops import fourier as fourier  # its rows are in the table once it is loaded

__all__ = ["CODES", "COMMON", "Probe", "probes", "values"]

Array = np.ndarray[Any, Any]
# The common dtypes first. Those of the last row run in loops much like those before; they come last.
COMMON = ("f8", "f4", "i8", "i4", "b1", "u1", "c16", "f2")
CODES = COMMON + ("i1", "i2", "u2", "u4", "u8", "c8")
# No powers of two: arrays of such sizes lie so that their addresses collide in the caches.
ELEMENTS = (1, 1000, 8000, 30_000, 120_000, 500_000, 2_000_000)
SIDES = (1, 4, 16, 36, 70, 130, 260, 520)
SMOOTH = (16, 24, 48, 96, 192, 360, 720, 1440)  # sides of two-dimensional transforms: no large prime factor


@dataclass(frozen=True)
class Probe:
    """One row, dtype and variant of its loop: `make(n)` gives the arguments of a call of size n, for n in `sizes`."""

    op: Op
    code: str
    sizes: tuple[int, ...]
    make: Callable[[int], tuple[Any, ...]]
    variant: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def loop(self) -> str:
        """Row and variant, as `Work.loop`."""
        return f"{self.op.name}:{self.variant}" if self.variant else self.op.name

    @property
    def name(self) -> str:
        """What is timed, and the dtype."""
        return f"{self.loop} {self.code}"


@functools.lru_cache(maxsize=256)
def values(n: int | tuple[int, ...], code: str, seed: int = 0) -> Array:
    """Return n values of a dtype on which every function of the table is defined (acosh apart)."""
    dtype = np.dtype(code)
    size = n if isinstance(n, int) else math.prod(n)
    drawn = _drawn(seed, size)
    made = _room(size, dtype, seed)
    if dtype.kind == "b":
        np.less(drawn, 0.5, out=made)
    elif dtype.kind in "iu":
        np.multiply(drawn, 99, out=made, casting="unsafe")
        np.add(made, dtype.type(1), out=made)
    else:
        parts = [made.real, made.imag] if dtype.kind == "c" else [made]
        for i, part in enumerate(parts):
            np.multiply(_drawn(seed + 7 * i, size), 0.8, out=part, casting="unsafe")
        np.add(made, dtype.type(0.1 + 0.1j if dtype.kind == "c" else 0.1), out=made)
    return made.reshape(n)


@functools.lru_cache(maxsize=16)
def _pool(seed: int) -> Array:
    made = _room(_LONGEST, np.dtype(np.float64), seed)
    np.random.default_rng(seed).random(out=made)
    return made


def _drawn(seed: int, size: int) -> Array:
    """Return so many numbers of [0, 1): the beginning of a longer draw, over again where it ends."""
    return _repeated(_pool(seed), size)


def _repeated(pool: Array, size: int) -> Array:
    return pool[:size] if size <= len(pool) else np.resize(pool, size)


@functools.lru_cache(maxsize=64)
def _spread(n: int, code: str, seed: int) -> Array:
    made = _room(n, np.dtype(code), seed)
    if made.dtype.kind == "c":
        np.multiply(values(n, code, seed), 4.0, out=made)
    else:
        np.multiply(0.1, _repeated(_powers(seed), n), out=made, casting="unsafe")
    return made


@functools.lru_cache(maxsize=4)
def _powers(seed: int) -> Array:
    return np.asarray(_SPREAD ** _pool(seed))


def _room(size: int, dtype: np.dtype[Any], seed: int) -> Array:
    """Return an empty array in memory that the allocator does not manage.

    A thread other than the first gets its memory from glibc in heaps of 64 MiB. Were operands there, every
    few of them would fill one, and a result that starts the next one has that heap made and given back, with
    page faults, by every call (``arena.c``, ``heap_trim``); the same call from the main thread has none.
    """
    nbytes = size * dtype.itemsize
    if nbytes < _SMALL:
        return np.empty(size, dtype)
    # Somewhere in a page, as a program's arrays lie, and elsewhere for every size. On AMD's Zen 3 ``memcpy`` takes six
    # times as long where the result begins 8 to 16 bytes after the source in its page (64 kB: 46 instead of 8 us, with
    # glibc 2.36): with one offset for all sizes, that struck a whole operation, once in some calibrations.
    offset = 16 * (4 + (20 * seed + 29 * (size % 1009)) % 240)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    memory = mmap.mmap(-1, nbytes + offset, **private)
    if nbytes >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)  # as NumPy does
    return np.frombuffer(memory, dtype, size, offset)


_SMALL, _HUGE = 1 << 12, 1 << 22  # bytes
_LONGEST = 1 << 18  # numbers of a draw: no processor learns so many branches
_ABOVE_ONE = ("arccosh",)
_WHOLE = ("i8", "u1")  # computed in double and in half precision; the other integers by what these take on top
_BELOW_ONE = frozenset({"arcsin", "arccos", "arctanh"})
_SPREAD = 90.0  # elsewhere from a tenth to nine: many functions change their method at one


def _universal(op: Op, code: str) -> Probe | None:
    """Return the probe of a universal function, or None where it does not take the dtype."""
    host: Any = op.host
    if not isinstance(host, np.ufunc) or host.signature is not None or host.nout > 2:
        return None
    if loop_dtype(op.name, np.dtype(code)) != code:  # NumPy casts, then runs another dtype's loop
        return _on_whole_numbers(op, code) if code in _WHOLE and op.name not in _BELOW_ONE | {"ldexp"} else None

    def make(n: int) -> tuple[Any, ...]:
        shift = 1 if op.name in _ABOVE_ONE else 0
        made = _spread if code[0] in "fc" and op.name not in _BELOW_ONE else values
        return tuple(made(n, code, i) + shift if shift else made(n, code, i) for i in range(host.nin))

    if op.name == "ldexp":
        return None if code not in ("f4", "f8") else Probe(op, code, ELEMENTS, _ldexp(code))
    try:
        with np.errstate(all="ignore"):
            host(*make(1))
    except TypeError:
        return None
    return Probe(op, code, ELEMENTS, make)


def _on_whole_numbers(op: Op, code: str) -> Probe:
    """Return the probe of a function of floating point on integers: other branches than on fractions, often."""
    host: Any = op.host
    return Probe(op, code, ELEMENTS, lambda n: tuple(values(n, code, i) % 9 + 1 for i in range(host.nin)))


def _ldexp(code: str) -> Callable[[int], tuple[Any, ...]]:
    return lambda n: (values(n, code), values(n, "i4"))


_NUMBERS = ("f8", "f4", "i8", "i4")
_FLOATS = ("f8", "f4")


def _one(n: int, code: str) -> tuple[Any, ...]:
    return (values(n, code),)


def _square(n: int, code: str) -> Array:
    """Return a well-conditioned symmetric positive definite matrix."""
    a = values((n, n), code)
    return np.asarray((a + a.T.conj()) / 2 + n * np.eye(n), dtype=code)


def _vector(*more: Any) -> Callable[[int, str], tuple[Any, ...]]:
    return lambda n, code: (values(n, code), *more)


def _where(n: int, code: str) -> tuple[Any, ...]:
    return values(n, "b1"), values(n, code, 1), values(n, code, 2)


def _picked(n: int, code: str) -> tuple[Any, ...]:
    return values(n, code), _indices(n)


@functools.lru_cache(maxsize=8)
def _indices(n: int) -> Array:
    made = _room(n, np.dtype(np.int64), 1)
    np.multiply(_drawn(1, n), n, out=made, casting="unsafe")
    return made


def _grid(side: int, code: str) -> tuple[Any, ...]:
    return (values((side, side), code),)


def _half(n: int, code: str) -> tuple[Any, ...]:
    return (values(n // 2 + 1, code),)  # the half spectrum of n values


Make = Callable[[int, str], tuple[Any, ...]]
_REDUCTIONS = ("all", "any", "max", "min", "sum", "prod", "mean", "std", "var", "argmax", "argmin", "count_nonzero")
_MORE_REDUCTIONS = ("ptp", "nansum", "nanmax", "nanmin", "nanmean", "linalg.norm", "linalg.vector_norm", "nanvar")
_RARE_REDUCTIONS = ("nanstd", "nanprod", "nanargmax", "nanargmin", "average", "trapezoid")
_CAST = {"f8": "f4", "f4": "f8", "i8": "f8", "i4": "f8", "i1": "f2", "u1": "f2", "u2": "f4", "u4": "f8", "u8": "f8"}
_FACTORS = ("cholesky", "det", "slogdet", "eigh", "eigvalsh", "inv", "pinv", "qr", "svd", "eig", "eigvals", "svdvals")
_PLAIN = ["cumsum", "cumprod", "sort", "argsort", "unique", "median", "diff", "isclose", "angle"]


def _near_one(n: int, code: str) -> tuple[Any, ...]:
    """Return values whose product neither vanishes nor overflows soon."""
    drawn = values(n, code)
    return (np.asarray(0.999 + 0.002 * drawn, dtype=code) if drawn.dtype.kind == "f" else drawn,)


_CALLS: dict[str, tuple[tuple[str, ...], tuple[int, ...], Make]] = {
    **dict.fromkeys(_REDUCTIONS, (("f8", "f4", "i8", "i4", "b1"), ELEMENTS, _one)),
    **dict.fromkeys(_MORE_REDUCTIONS, (_NUMBERS, ELEMENTS, _one)),
    **dict.fromkeys(_RARE_REDUCTIONS, (_FLOATS, ELEMENTS, _one)),
    **dict.fromkeys(_PLAIN, (_NUMBERS, ELEMENTS, _one)),
    **dict.fromkeys(("prod", "cumprod"), (("f8", "f4", "i8", "i4"), ELEMENTS, _near_one)),
    "nanprod": (_FLOATS, ELEMENTS, _near_one),
    "isclose": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), values(n, c, 1))),
    **dict.fromkeys(("nancumsum", "ediff1d", "sinc", "fix", "flatten"), (_FLOATS, ELEMENTS, _one)),
    "extract": (_FLOATS, ELEMENTS, lambda n, c: (values(n, "b1"), values(n, c))),
    "digitize": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), np.linspace(0, 1, 20))),
    "polyval": (_FLOATS, ELEMENTS, lambda n, c: (values(4, c), values(n, c))),
    "clip": (_NUMBERS, ELEMENTS, lambda n, c: (values(n, c), np.dtype(c).type(0), np.dtype(c).type(1))),
    "round": (_FLOATS, ELEMENTS, _vector(1)),
    "nan_to_num": (_FLOATS, ELEMENTS, _one),
    **dict.fromkeys(("percentile", "nanpercentile"), (_FLOATS, ELEMENTS, _vector(50))),
    "quantile": (_FLOATS, ELEMENTS, _vector(0.5)),
    "partition": (_NUMBERS, ELEMENTS, lambda n, c: (values(n, c), n // 2)),
    "histogram": (_FLOATS, ELEMENTS, _vector(20)),
    "bincount": (("i8",), ELEMENTS, _one),
    "searchsorted": (_NUMBERS, ELEMENTS, lambda n, c: (np.sort(values(n, c)), values(n, c, 1))),
    "interp": (("f8",), ELEMENTS, lambda n, c: (values(n, c, 1), np.linspace(0, 1, n), values(n, c))),
    "where": (("f8", "f4", "i8", "c16"), ELEMENTS, _where),
    "take": (_FLOATS, ELEMENTS, _picked),
    "getitem": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), values(n, "b1", 3))),
    "compress": (_FLOATS, ELEMENTS, lambda n, c: (values(n, "b1"), values(n, c))),
    "nonzero": (("b1", "f8"), ELEMENTS, _one),
    "flatnonzero": (("b1", "f8"), ELEMENTS, _one),
    "concatenate": (_FLOATS, ELEMENTS, lambda n, c: ([values(n, c), values(n, c, 1)],)),
    "stack": (_FLOATS, ELEMENTS, lambda n, c: ([values(n, c), values(n, c, 1)],)),
    # What a ufunc does to operands of a dtype it has no loop for: int8 to float16, int32 to float64.
    "astype": (tuple(_CAST), ELEMENTS, lambda n, c: (values(n, c), _CAST[c])),
    "roll": (_FLOATS, ELEMENTS, _vector(3)),
    "repeat": (_FLOATS, ELEMENTS, _vector(2)),
    "tile": (_FLOATS, ELEMENTS, _vector(2)),
    "pad": (_FLOATS, ELEMENTS, _vector(2)),
    "outer": (_FLOATS, tuple(max(1, int(n**0.5)) for n in ELEMENTS), lambda n, c: (values(n, c), values(n, c, 1))),
    "vdot": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), values(n, c, 1))),
    "gradient": (_FLOATS, ELEMENTS, _one),
    "copyto": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c).copy(), values(n, c, 1))),
    **dict.fromkeys(
        ("matmul", "dot", "inner"),
        (("f8", "f4", "c16", "i8"), SIDES, lambda n, c: (values((n, n), c), values((n, n), c, 1))),
    ),
    "einsum": (_FLOATS, SIDES, lambda n, c: ("ij,jk->ik", values((n, n), c), values((n, n), c, 1))),
    "matvec": (_FLOATS, SIDES + (1050, 2100), lambda n, c: (values((n, n), c), values(n, c, 1))),
    **dict.fromkeys(
        [f"linalg.{n}" for n in _FACTORS],
        (_FLOATS, SIDES, lambda n, c: (_square(n, c),)),
    ),
    "linalg.solve": (_FLOATS, SIDES, lambda n, c: (_square(n, c), values(n, c))),
    "linalg.lstsq": (_FLOATS, SIDES, lambda n, c: (_square(n, c), values(n, c))),
    "fft.fft": (("f8", "f4", "c16", "c8"), ELEMENTS[1:], _one),
    "fft.rfft": (_FLOATS, ELEMENTS[1:], _one),
    "fft.irfft": (("c16", "c8"), ELEMENTS[1:], _half),
    "fft.fft2": (("f8", "f4", "c16", "c8"), SMOOTH, _grid),
    **dict.fromkeys(("fft.rfft2", "fft.irfft2"), (("f8",), SMOOTH, _grid)),
    **dict.fromkeys(("nanmedian", "histogram_bin_edges", "i0", "unwrap", "unique_inverse"), (_FLOATS, ELEMENTS, _one)),
    "argpartition": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), n // 2)),
    "delete": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), n // 2)),
    "insert": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), n // 2, 0.5)),
    **dict.fromkeys(("column_stack", "dstack"), (_FLOATS, ELEMENTS, lambda n, c: ([values(n, c), values(n, c, 1)],))),
    **dict.fromkeys(
        ("isin", "intersect1d", "setxor1d"), (("f8", "i8"), ELEMENTS, lambda n, c: (values(n, c), values(n, c, 1)))
    ),
    "lexsort": (("f8",), ELEMENTS, lambda n, c: ((values(n, c), values(n, c, 1)),)),
    "take_along_axis": (("f8",), ELEMENTS, lambda n, c: (*_picked(n, c), 0)),
    "put": (("f8",), ELEMENTS, lambda n, c: (values(n, c).copy(), _picked(n, c)[1], values(n, c, 1))),
    "putmask": (("f8",), ELEMENTS, lambda n, c: (values(n, c).copy(), values(n, "b1"), values(n, c, 1))),
    "place": (("f8",), ELEMENTS, lambda n, c: (values(n, c).copy(), values(n, "b1"), values(n, c, 1))),
    "setitem": (("f8",), ELEMENTS, lambda n, c: (values(n, c).copy(), values(n, "b1"), 0.5)),
    "select": (
        ("f8",),
        ELEMENTS,
        lambda n, c: ([values(n, "b1"), values(n, "b1", 1)], [values(n, c), values(n, c, 1)]),
    ),
    **dict.fromkeys(("tril", "triu"), (("f8",), SIDES, _grid)),
    "packbits": (("b1",), ELEMENTS, _one),
    "unpackbits": (("u1",), ELEMENTS, _one),
    "cross": (_FLOATS, ELEMENTS, lambda n, c: (values((n // 3 + 1, 3), c), values((n // 3 + 1, 3), c, 1))),
    "convolve": (_FLOATS, ELEMENTS, lambda n, c: (values(n, c), values(15, c, 1))),
}


def probes(only: frozenset[str] | None = None) -> list[Probe]:
    """Return every probe of the op table, the common dtypes first.

    Parameters
    ----------
    only : frozenset of str, optional
        Row names; all if omitted.
    """
    found = []
    casts = [_listed(OPS["astype"], code) for code in _CAST] if only is None else []  # every other dtype needs them
    found += [cast for cast in casts if cast is not None]
    for code in CODES:
        for name, op in tuple(OPS.items()):
            if (only is None and name != "astype") or (only is not None and name in only):
                made = _listed(op, code) if name in _CALLS else _universal(op, code)
                if made is not None:
                    found.append(made)
        if only is None:
            found += [variant for variant in _variants() if variant.code == code]
    return found


def _variants() -> list[Probe]:
    """Return the probes of inner loops that are other ones than those of whole operands."""

    def against_one(code: str) -> Callable[[int], tuple[Any, ...]]:
        return lambda n: (values(n, code), np.dtype(code).type(1))

    def in_rows(code: str) -> Callable[[int], tuple[Any, ...]]:
        return lambda n: (values((math.ceil(n / ROW), ROW), code),)

    numbers = [Probe(OPS["maximum"], code, ELEMENTS, against_one(code), NUMBER) for code in _NUMBERS + ("u1",)]
    down = {"axis": 0}
    rows = [Probe(OPS[name], c, ELEMENTS[1:], in_rows(c), ROWS, down) for name in ("sum", "max") for c in _NUMBERS]
    return numbers + rows


def _listed(op: Op, code: str) -> Probe | None:
    codes, sizes, make = _CALLS[op.name]
    if code not in codes or not _runs(op, make, sizes[0], code):
        return None
    return Probe(op, code, sizes, lambda n: make(n, code))


def _runs(op: Op, make: Make, size: int, code: str) -> bool:
    try:
        with np.errstate(all="ignore"):
            op.host(*make(size, code))
    except (TypeError, ValueError, NotImplementedError):  # the last: not in this NumPy
        return False
    return True
