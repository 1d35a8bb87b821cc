"""What one operation is: a row of plain data, and the work that one call of it means.

A row says which arguments are arrays, which are written, what CuPy cannot do, and how to count
bytes and operations. It holds no array and no device, so placement and tests can read it.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["KINDS", "OPS", "Op", "Shaped", "Work", "bucket", "host_only"]

# Cost classes: a machine profile gives each its latency, bandwidth and rate.
KINDS = (
    "elementwise",
    "reduction",
    "scan",
    "sort",
    "gather",
    "copy",
    "creation",
    "matmul",
    "linalg",
    "fft",
    "conv",
    "filter",
    "host",
)


class Shaped(NamedTuple):
    """Shape and dtype of one operand: all that placement may know of its values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return math.prod(self.shape) * self.dtype.itemsize


class Work(NamedTuple):
    """What one call does: its cost class, arithmetic dtype, bytes touched, operations, and its row's name.

    `loops` counts the inner loops that the host starts, over `row` bytes each: 0 where elements are gone
    through in one. `share` is the part of the memory traffic that is left where operands are repeated
    (broadcast, scalars): they are read once, and from a cache after that. `variant` names an inner loop of
    the host that is another one than that of whole operands: `NUMBER`, `ROWS`.
    """

    kind: str
    dtype: np.dtype[Any]
    bytes: float
    ops: float
    op: str = ""
    loops: float = 0.0
    row: float = 0.0
    share: float = 1.0
    variant: str = ""

    @property
    def loop(self) -> str:
        """The name under which its inner loop is known to calibration: ``"add"``, ``"maximum:number"``."""
        return f"{self.op}:{self.variant}" if self.variant else self.op


NUMBER = "number"  # one number against an array: NumPy's vectorised loops of these take two arrays alone
NUMBERED = frozenset({"maximum", "minimum", "fmax", "fmin"})
ROWS = "rows"  # rows are added to one another: a sum along the first axis
IN_ROWS = frozenset({"sum", "mean", "max", "min"})
ROW = 500  # elements of a row where calibration times that


def bucket(work: Work) -> tuple[str, str, int]:
    """Return what a learned factor is kept for: operation, dtype, size to a factor of eight."""
    return work.loop, work.dtype.char, math.frexp(work.ops)[1] // 3


Count = Callable[["Op", Sequence[Shaped], Mapping[str, Any]], Work]


class Op:
    """One row.

    Attributes
    ----------
    name : str
        Path below ``xpu`` and ``numpy``: ``"add"``, ``"linalg.svd"``.
    kind : str
        Cost class, one of `KINDS`.
    host : callable
        What runs on the host: NumPy's function, or xpu's own for a composite.
    gpu : str or None
        Path below ``cupy``; None where CuPy has no such function; ``"self"`` where `host` is xpu's
        own and takes raw arrays of any library.
    arrays : tuple of int
        Positions of array arguments (lists there become arrays on a GPU).
    sequence : bool
        The first argument is a sequence of arrays.
    writes : tuple of int
        Positions of arguments written in place (``out=`` is always written).
    gaps : frozenset of str
        Keywords CuPy lacks; a call that uses one runs on the CPU.
    weight : float
        Operations per element.
    count : callable
        From operands to `Work`.
    dtypes : str
        Category of the dtypes it takes, for the property tests.
    ulp : float
        Rounding budget between devices, in units in the last place of the result.
    keeps_0d : bool
        A 0-d result is an array (as from ``reshape``), not a scalar (as from ``sum``).
    view : bool
        The result is a view: it stays where its operand is, and nothing runs.
    """

    # Written out: a dataclass of this size takes as long to make as all its rows.
    __slots__ = (
        "arrays", "count", "dtypes", "gaps", "gpu", "host", "keeps_0d", "kind", "name", "sequence", "ulp", "view",
        "weight", "writes",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: str,
        host: Callable[..., Any],
        gpu: str | None,
        arrays: tuple[int, ...] = (0,),
        sequence: bool = False,
        writes: tuple[int, ...] = (),
        gaps: frozenset[str] = frozenset(),
        weight: float = 1.0,
        count: Count | None = None,
        dtypes: str = "numeric",
        ulp: float = 0.0,
        keeps_0d: bool = False,
        view: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.host = host
        self.gpu = gpu
        self.arrays = arrays
        self.sequence = sequence
        self.writes = writes
        self.gaps = gaps
        self.weight = weight
        self.count = count
        self.dtypes = dtypes
        self.ulp = ulp
        self.keeps_0d = keeps_0d
        self.view = view

    def __repr__(self) -> str:
        return f"<row {self.name}: {self.kind}>"

    def work(self, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
        """Count what a call with these operands does."""
        return (self.count or _by_elements)(self, operands, keywords)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the array arguments, for callers who pass them by keyword."""
        return _parameter_names(self.host, self.arrays)


@functools.cache
def _parameter_names(host: Callable[..., Any], positions: tuple[int, ...]) -> tuple[str, ...]:
    if isinstance(host, np.ufunc):
        return ()
    try:
        parameters = inspect.signature(host).parameters
    except ValueError:  # a C function without a signature
        return ()
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return ()  # `meshgrid` and its like: what follows is no array
    names = list(parameters)
    return tuple(names[i] for i in positions if i < len(names))


OPS: dict[str, Op] = {}


def arithmetic_dtype(operands: Sequence[Shaped]) -> np.dtype[Any]:
    """Return the widest dtype among the operands: what the arithmetic runs in, nearly always."""
    if not operands:
        return np.dtype(np.float64)
    return max((o.dtype for o in operands), key=lambda d: d.itemsize)


def _by_elements(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Elementwise: read every operand, write one result of the size they broadcast to."""
    dtype = arithmetic_dtype(operands)
    shape = _common_shape(operands) if op.kind == "elementwise" else None
    if shape is None:
        largest = max((o.size for o in operands), default=1)
        moved = sum(o.nbytes for o in operands) + largest * dtype.itemsize
        return Work(op.kind, dtype, moved, largest * op.weight, op.name)
    size = math.prod(shape)
    written = size * dtype.itemsize
    moved, spared, repeated = written, 0.0, 0
    if isinstance(op.host, np.ufunc):
        spared = max(0, op.host.nin - len(operands)) * written  # Python numbers among the arguments
    fresh = size if op.name in _TRUTHS else written
    for o in operands:
        own = math.prod(o.shape)
        moved += own * o.dtype.itemsize
        if own < size:
            spared += (size - own) * o.dtype.itemsize
            repeated += own > 1
    traffic = float(moved - written + _WRITING * fresh)
    variant = NUMBER if op.name in NUMBERED and _against_a_number(op, operands, shape) else ""
    if not repeated:
        share = traffic / (traffic + spared) if spared else 1.0
        return Work(op.kind, dtype, moved, size * op.weight, op.name, 0.0, 0.0, share, variant)
    run = _run(operands, shape)
    row = run * dtype.itemsize
    if 2 * run <= _BUFFER:
        variant = ""  # the number is copied to a buffer as well
    else:
        row = 0  # used as it lies: again and again from the second cache, at about half the price
        half = sum(size * o.dtype.itemsize for o in operands if 1 < math.prod(o.shape) < size and o.shape[-1] != 1) / 2
        spared, traffic = spared - half, traffic + half
    share = traffic / (traffic + spared)
    return Work(op.kind, dtype, moved, size * op.weight, op.name, repeated * (size // run), row, share, variant)


def _against_a_number(op: Op, operands: Sequence[Shaped], shape: tuple[int, ...]) -> bool:
    """Return True if an operand is the same element all along an inner loop."""
    host: Any = op.host
    return len(operands) < host.nin or any(not o.shape or o.shape[-1] != shape[-1] for o in operands)


# Times the bytes of a result: what is written to memory is fetched first, what is written to a cache is not.
_WRITING = 1.5
# Write a byte an element, whatever they read.
_TRUTHS = frozenset(
    {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal", "logical_and", "logical_or", "logical_xor"}
)
# NumPy copies repeated operands to a buffer of so many elements, if two rows go in; longer rows are used as they lie.
_BUFFER = 8192


def _common_shape(operands: Sequence[Shaped]) -> tuple[int, ...] | None:
    """Return the shape that operands broadcast to; None where they do not."""
    shape: tuple[int, ...] = ()
    for operand in operands:
        other = operand.shape
        if other == shape or not other:
            continue
        if not shape:
            shape = other
            continue
        short, long = sorted((shape, other), key=len)
        short = (1,) * (len(long) - len(short)) + short
        if any(a != b and a != 1 and b != 1 for a, b in zip(short, long, strict=True)):
            return None
        shape = tuple(b if a == 1 else a for a, b in zip(short, long, strict=True))
    return shape


def _run(operands: Sequence[Shaped], shape: tuple[int, ...]) -> int:
    """Return the length of an inner loop: the last axes, as long as the same operands are repeated along them."""
    run, before = 1, None
    for axis in range(1, len(shape) + 1):
        length = shape[-axis]
        if length != 1:
            repeated = [len(o.shape) < axis or o.shape[-axis] != length for o in operands]
            if before is not None and repeated != before:
                break
            run, before = run * length, repeated
    return max(1, run)


def by_outer(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Outer products: one result of every pair."""
    dtype = arithmetic_dtype(operands)
    result = math.prod(o.size for o in operands)
    moved = float(sum(o.nbytes for o in operands) + result * dtype.itemsize)
    return Work(op.kind, dtype, moved, result * op.weight, op.name)


def by_tensordot(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Contractions: 2 operations per pair of elements that meet."""
    axes = keywords.get("axes", 2)
    if len(operands) < 2 or not isinstance(axes, (int, tuple, list)):
        return by_product(op, operands, keywords)
    a, b = operands[0], operands[1]
    if isinstance(axes, int):
        met = a.shape[len(a.shape) - axes :] if axes > 0 else ()
    else:
        first = axes[0] if isinstance(axes[0], (tuple, list)) else (axes[0],)
        met = tuple(a.shape[i] for i in first if -len(a.shape) <= i < len(a.shape))
    length = max(1, math.prod(met))
    dtype = arithmetic_dtype(operands)
    pairs = a.size * b.size // length
    moved = float(a.nbytes + b.nbytes + pairs // length * dtype.itemsize)
    return Work(op.kind, dtype, moved, 2.0 * pairs * (4 if dtype.kind == "c" else 1), op.name)


def by_reading(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Reductions: read the operands, write next to nothing; along an axis, in as many loops as there are rows."""
    dtype = arithmetic_dtype(operands)
    axis = keywords.get("axis")
    loops = 0 if axis is None or not operands else _rows(operands[0].shape, axis)
    total = sum(o.size for o in operands)
    moved = sum(o.nbytes for o in operands)
    variant = ROWS if loops and op.name in IN_ROWS and not _along_the_last(operands[0].shape, axis) else ""
    return Work(op.kind, dtype, moved, total * op.weight, op.name, loops, moved / loops if loops else 0.0, 1.0, variant)


def _along_the_last(shape: tuple[int, ...], axis: Any) -> bool:
    return any(a is not None and a % len(shape) == len(shape) - 1 for a in _whole(axis))


def _rows(shape: tuple[int, ...], axis: Any) -> int:
    """Return the inner loops of a reduction along axes: one per run of axes that are all reduced or all kept."""
    dimensions = len(shape)
    reduced = {a % dimensions for a in _whole(axis) if a is not None and -dimensions <= a < dimensions}
    if not reduced or len(reduced) == dimensions:
        return 0
    last = dimensions - 1
    while last > 0 and (last - 1 in reduced) == (dimensions - 1 in reduced):
        last -= 1
    return math.prod(shape[:last])


def by_sorting(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Comparison sorts: n log2 n operations."""
    dtype = arithmetic_dtype(operands)
    total = sum(o.size for o in operands)
    return Work(op.kind, dtype, 2 * sum(o.nbytes for o in operands), total * math.log2(total + 2) * op.weight, op.name)


def by_product(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Matrix products: 2 m n k operations, times the batch (four times that for complex)."""
    dtype = arithmetic_dtype(operands)
    moved = float(sum(o.nbytes for o in operands))
    if len(operands) < 2 or not operands[0].shape or not operands[1].shape:
        return Work(op.kind, dtype, moved, sum(o.size for o in operands) * 2.0, op.name)
    a, b = operands[0], operands[1]
    columns = b.shape[-1] if len(b.shape) > 1 else 1
    batch = max(1, math.prod(b.shape[:-2])) if len(b.shape) > len(a.shape) else 1
    ops = 2.0 * a.size * columns * batch * (4 if dtype.kind == "c" else 1)
    rows = a.shape[-2] if len(a.shape) > 1 else 1
    return Work(op.kind, dtype, moved + rows * columns * batch * dtype.itemsize, ops, op.name)


def by_cube(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Dense factorisations: weight times n cubed operations per matrix."""
    dtype = arithmetic_dtype(operands)
    ops = 0.0
    for o in operands[:1]:
        n, m = (o.shape[-1], o.shape[-2]) if len(o.shape) > 1 else (o.size, 1)
        ops += op.weight * max(1, math.prod(o.shape[:-2])) * n * m * min(n, m)
    return Work(op.kind, dtype, 2.0 * sum(o.nbytes for o in operands), ops, op.name)


def by_fft(op: Op, operands: Sequence[Shaped], keywords: Mapping[str, Any]) -> Work:
    """Fast Fourier transforms of each axis: 5 n log2 n operations for a power of two (Cooley and Tukey's count)."""
    dtype = arithmetic_dtype(operands)
    shape = (operands[0].shape if operands else ()) or (1,)
    several = op.name.endswith(("2", "n"))
    axes, sizes = keywords.get("axes" if several else "axis"), keywords.get("s" if several else "n")
    ops = _transforms(op.name.rpartition(".")[2], shape, tuple(a for a in _whole(axes) if a is not None), _whole(sizes))
    return Work(op.kind, dtype, 4.0 * sum(o.nbytes for o in operands), ops, op.name)


def _whole(values: Any) -> tuple[int | None, ...]:
    """Return the integers that a user gave, one or several, and None for anything else, which NumPy may refuse."""
    values = values if isinstance(values, (tuple, list)) else (values,)
    return tuple(int(v) if isinstance(v, (int, np.integer)) else None for v in values)


@functools.lru_cache(maxsize=1024)
def _transforms(name: str, shape: tuple[int, ...], axes: tuple[int, ...], sizes: tuple[int | None, ...]) -> float:
    dimensions = len(shape)
    if not axes:
        count = dimensions if name.endswith("n") else min(2, dimensions) if name.endswith("2") else 1
        axes = tuple(range(-count, 0))
    lengths = {a % dimensions: shape[a] for a in axes if -dimensions <= a < dimensions}
    if lengths and name.startswith(("irfft", "hfft")):  # from half a spectrum
        last = list(lengths)[-1]
        lengths[last] = 2 * max(0, shape[last] - 1)
    lengths.update((a, n) for a, n in zip(lengths, sizes, strict=False) if n is not None and n > 0)
    elements = math.prod(lengths.get(axis, length) for axis, length in enumerate(shape))
    return 2.5 * elements * sum(_steps(length) for length in lengths.values())


def _steps(length: int) -> float:
    """Return the cost of a transform per element: 2 for each factor 2, the factor itself for a larger one.

    The guess by which PocketFFT, NumPy's library, chooses its method (Reinecke, ``cost_guess``): a length with large
    prime factors is transformed as a convolution of more than twice that length (Bluestein), at 1.5 times its cost.

    Examples
    --------
    >>> _steps(1024), _steps(1000), round(_steps(1009))
    (20.0, 21.0, 132)
    """
    convolved = 1.5 * 2 * 2 * 2.0 * math.log2(2.0 * max(1, length))  # two transforms, twice as long
    steps, rest, factor = 0.0, length, 2
    while rest > 1 and factor * factor <= rest and factor <= convolved:
        while rest % factor == 0:
            steps += factor if factor < 7 else 1.1 * factor
            rest //= factor
        factor += 1
    if rest > 1:
        steps += rest if rest < 7 else 1.1 * rest
    return min(steps, convolved) if length > 50 else max(1.0, steps)


# Constant arrays that automatic placement makes on the device that first uses them, from this many bytes on
# (a smaller one is cheaper to make than to postpone).
POSTPONED = ("zeros", "ones", "full")
POSTPONED_BYTES = 4096

_HOST_KINDS = "OSUVMmT"


def host_only(dtype: np.dtype[Any]) -> bool:
    """Return True for the dtypes no GPU library takes: they stay on the host.

    Objects, strings, dates, structures, extended precision and foreign byte orders
    (CuPy 14 raises ``ValueError: Unsupported dtype`` for each).
    """
    return dtype.kind in _HOST_KINDS or dtype.char in "gG" or not dtype.isnative
