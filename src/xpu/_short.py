"""The short lane: calls on so few host bytes that no accelerator could finish them first.

While an accelerator is in force every operation asks where its operands are. If the host would be
done before the accelerator had launched anything, the answer is known without asking more. Views of
arrays that lie on the host alone need no answer at all. Calls on anything else, and all calls under
a profile, a check or a forced device, take the long way (`_dispatch`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xpu._backends import HOST, automatic, machine_for, on_new_machine
from xpu._block import Handle, View, home, settle, shared
from xpu._device import CPU
from xpu._op import Op, Shaped, Work
from xpu._results import adopt
from xpu._wrap import NUMBERS, kinds, own

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine

__all__ = [
    "TOO_MUCH", "assign_of_few_bytes", "at_hand", "of_few_bytes", "on_few_bytes", "window", "write_of_few_bytes",
]  # fmt: skip

_NUMPY = np.ndarray  # a global of this file: one look-up less on the hot path
TOO_MUCH: Any = object()  # what a call returns that has to take the long way

_FRESH = frozenset({"elementwise", "reduction", "scan"})  # their results share memory with nothing
_ESTIMATED = frozenset({"copy", "elementwise", "fft", "gather", "linalg", "matmul", "reduction", "scan", "sort"})
_WEAK = NUMBERS | {type(None)}
_PLAIN = frozenset({*_WEAK, str, bytes, slice, type(Ellipsis), type, np.dtype, type(np._NoValue)})
_ONLY_HOST = {CPU}
_LARGEST = 1 << 20  # elements beyond which no limit is looked for


class _Limit(NamedTuple):
    """Up to where a row's calls are for the host: bytes of one operand, or an estimate of seconds."""

    nbytes: int
    launch: float
    machine: Machine | None


_NEVER = _Limit(0, 0.0, None)
_ALWAYS = _Limit(0, math.inf, None)
_limits: dict[Op, _Limit] = {}
_verdicts: dict[tuple[Any, ...], bool] = {}  # whether a call on these shapes and dtypes is for the host
_MOST_VERDICTS = 4096
on_new_machine.extend([_limits.clear, _verdicts.clear])


def on_few_bytes(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call on the host if its operands are few bytes that lie there alone.

    Parameters
    ----------
    op : Op
        The row.
    args, kwargs
        The user's arguments.

    Returns
    -------
    object
        The result, or `TOO_MUCH`: nothing has happened then.
    """
    limit = _limits.get(op) or _found(op)
    if limit.nbytes:
        return _by_bytes(op, limit.nbytes, args, kwargs)
    return _by_estimate(op, limit, args, kwargs) if limit.launch else TOO_MUCH


def of_few_bytes(op: Op, x: Any, *others: Any) -> Any:
    """Run an operator the same way: its operands alone, no keywords.

    Parameters
    ----------
    op : Op
        The row of a ufunc or a reduction.
    x : ndarray, int, float, complex, bool or numpy.generic
        The first operand.
    *others : ndarray, int, float, complex, bool or numpy.generic
        At most one more.

    Returns
    -------
    object
        The result, or `TOO_MUCH`: nothing has happened then.
    """
    limit = (_limits.get(op) or _found(op)).nbytes
    raw = _near(x)
    if raw is TOO_MUCH or (type(raw) is _NUMPY and raw.nbytes > limit):
        return TOO_MUCH
    if not others:
        result = op.host(raw)
    else:
        other = _near(others[0])
        if other is TOO_MUCH:
            return TOO_MUCH
        if type(other) is _NUMPY:
            if other.nbytes > limit:
                return TOO_MUCH
            if type(raw) is _NUMPY and other.shape != raw.shape and other.ndim and raw.ndim:
                return TOO_MUCH  # a broadcast result may be large
        elif type(raw) is not _NUMPY:
            return TOO_MUCH
        result = op.host(raw, other)
    if type(result) is not _NUMPY:
        return _own(result)
    handle = kinds.new_array()
    handle._raw, handle._home = result, None
    return handle


def _near(value: Any) -> Any:
    """Return a number, or what `at_hand` returns; the commonest first: a fresh result."""
    kind = type(value)
    if kind in _WEAK:
        return value
    if kind not in kinds.both:  # a subclass is one of NumPy's array
        return TOO_MUCH
    raw = value._raw
    return raw if type(raw) is _NUMPY and getattr(value, "_home", value) is None else at_hand(value)


def write_of_few_bytes(op: Op, x: Any, other: Any) -> bool:
    """Run ``x += other`` the same way.

    Parameters
    ----------
    op : Op
        The row of a ufunc.
    x : ndarray
        Read and written.
    other : ndarray, int, float, complex, bool or numpy.generic
        The other operand.

    Returns
    -------
    bool
        False if the call has to take the long way: nothing has happened then.
    """
    limit = (_limits.get(op) or _found(op)).nbytes
    raw = at_hand(x)
    if type(raw) is not np.ndarray or raw.nbytes > limit:
        return False
    if type(other) not in _WEAK:
        other = at_hand(other)
        if other is TOO_MUCH or other.nbytes > limit:
            return False
    with _lock_of(x) as still:
        if still:
            op.host(raw, other, raw)
        return still


def assign_of_few_bytes(op: Op, x: Any, key: Any, value: Any) -> bool:
    """Run ``x[key] = value`` the same way.

    Parameters
    ----------
    op : Op
        The row of the assignment.
    x : ndarray
        Written.
    key : object
        A basic index: numbers, slices, None, Ellipsis, or a tuple of them.
    value : ndarray, int, float, complex, bool or numpy.generic
        What is written.

    Returns
    -------
    bool
        False if the call has to take the long way: nothing has happened then.
    """
    raw = at_hand(x)
    if type(raw) is not np.ndarray or raw.dtype.hasobject:
        return False
    if type(value) not in _WEAK:
        value = at_hand(value)
        if value is TOO_MUCH:
            return False
    target = raw[key]
    if type(target) is np.ndarray and not _is_little(op, target):
        return False
    with _lock_of(x) as still:
        if still:
            raw[key] = value
        return still


class _lock_of:
    """A region in which no other thread moves an array that is at hand; False if one just has."""

    __slots__ = ("_block",)

    def __init__(self, x: Any) -> None:
        view = x._home
        self._block = None if view is None else view.block

    def __enter__(self) -> bool:
        if self._block is None:
            return True
        self._block.lock.acquire()
        return self._block.valid == _ONLY_HOST  # type: ignore[no-any-return]

    def __exit__(self, *raised: object) -> None:
        if self._block is not None:
            self._block.lock.release()


def window(x: Any, result: np.ndarray[Any, Any]) -> Any:
    """Wrap a view of an array that is `at_hand`."""
    handle = kinds.new_array()
    settle(handle, View.of(shared(x).block, result, HOST))
    return handle


# ----------------------------------------------------------------------------- one comparison of bytes


def _by_bytes(op: Op, limit: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    raws, shape = [], None
    for position, value in enumerate(args):
        if type(value) in _WEAK:
            raws.append(value)
            continue
        raw = at_hand(value) if position in op.arrays else TOO_MUCH
        if raw is TOO_MUCH or raw.nbytes > limit:
            return TOO_MUCH
        if raw.ndim:
            if shape is not None and shape != raw.shape:  # a broadcast result may be large
                return TOO_MUCH
            shape = raw.shape
        raws.append(raw)
    if not kwargs:
        return _wrapped(op.host(*raws), raws, args)
    out = kwargs.pop("out", None)
    target = None if out is None else at_hand(out)
    if target is TOO_MUCH or any(type(value) not in _PLAIN and type(value) is not tuple for value in kwargs.values()):
        kwargs.update({} if out is None else {"out": out})
        return TOO_MUCH
    if out is None:
        return _wrapped(op.host(*raws, **kwargs), raws, args)
    with _held([out]) as still:
        if still:
            op.host(*raws, out=target, **kwargs)
            return out
    kwargs["out"] = out
    return TOO_MUCH


@contextmanager
def _held(written: Sequence[Any]) -> Iterator[bool]:
    """Return a region in which no other thread moves what is written; False if one just has."""
    views = [view for value in written if isinstance(value, Handle) and (view := home(value)) is not None]
    with ExitStack() as locks:
        for block in sorted({id(v.block): v.block for v in views}.values(), key=id):
            locks.enter_context(block.lock)
        yield all(view.block.valid == _ONLY_HOST for view in views)


def at_hand(value: Any) -> Any:
    """Return the NumPy array of a handle whose only replica is the host's."""
    if not isinstance(value, Handle):
        return TOO_MUCH
    try:
        view = value._home
    except AttributeError:  # made before there was an accelerator: who shares its bytes is asked once
        view = home(value)
    if view is None:
        raw = value._raw
        return raw if isinstance(raw, (np.ndarray, np.generic)) else TOO_MUCH
    block = view.block
    if block.valid != _ONLY_HOST or block.pin is not None:
        return TOO_MUCH
    return view.raw_host if view.raw_host is not None else view.raw(HOST)


def _wrapped(result: Any, raws: list[Any], args: tuple[Any, ...]) -> Any:
    if type(result) is np.ndarray and (result.base is not None or any(raw is result for raw in raws)):
        return adopt(result, HOST, list(zip(raws, args, strict=True)), _own)
    return _own(result)


def _own(result: Any) -> Any:
    kind = type(result)
    if kind is np.ndarray:
        handle = kinds.new_array()
        handle._raw, handle._home = result, None
        return handle
    if kind is tuple:
        return tuple(_own(r) for r in result)
    return own(result, scalar=True) if isinstance(result, np.generic) else result


# ----------------------------------------------------------------------------- an estimate


def _by_estimate(op: Op, limit: _Limit, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operands: list[tuple[Any, Any]] = []
    raws = [_bare(value, operands) for value in args]
    named = {name: _bare(value, operands) for name, value in kwargs.items()}
    if any(raw is TOO_MUCH for raw in (*raws, *named.values())):
        return TOO_MUCH
    if limit.machine is not None and not _is_for_the_host(op, limit, [raw for raw, _ in operands], kwargs):
        return TOO_MUCH
    written = [args[i] for i in op.writes if i < len(args)]
    if kwargs.get("out") is not None:
        written.append(kwargs["out"])
    if not written:
        return adopt(op.host(*raws, **named), HOST, operands, _own)
    with _held(written) as still:
        result = op.host(*raws, **named) if still else TOO_MUCH
    return TOO_MUCH if result is TOO_MUCH else adopt(result, HOST, operands, _own)


def _is_for_the_host(op: Op, limit: _Limit, raws: list[Any], kwargs: dict[str, Any]) -> bool:
    key = (op, *[(raw.shape, raw.dtype) for raw in raws])
    known = None if kwargs else _verdicts.get(key)
    if known is None:
        work = op.work([Shaped(raw.shape, raw.dtype) for raw in raws], kwargs)
        assert limit.machine is not None
        known = bool(raws) and limit.machine.cpu.seconds(work) <= limit.launch
        if not kwargs:
            if len(_verdicts) >= _MOST_VERDICTS:
                _verdicts.clear()
            _verdicts[key] = known
    return known


def _is_little(op: Op, target: np.ndarray[Any, Any]) -> bool:
    limit = _limits.get(op) or _found(op)
    return limit.machine is None or _is_for_the_host(op, limit, [target], {})


def _bare(value: Any, operands: list[tuple[Any, Any]]) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Handle):
        raw = at_hand(value)
        operands.append((raw, value))
        return raw
    if type(value) in (tuple, list):
        items = [_bare(v, operands) for v in value]
        return TOO_MUCH if any(item is TOO_MUCH for item in items) else type(value)(items)
    if isinstance(value, np.generic):
        return value
    return TOO_MUCH


# ----------------------------------------------------------------------------- limits


def _found(op: Op) -> _Limit:
    found = _limits[op] = _limit(op)
    return found


def _limit(op: Op) -> _Limit:
    if op.view or op.gpu is None:
        return _ALWAYS
    if op.kind not in _ESTIMATED:
        return _NEVER
    # Not what this region's settings allow: limits outlive the region.
    machine = machine_for(automatic.get())
    if machine.accelerator is None:
        return _ALWAYS
    launch = machine.accelerator.seconds(_work(op, 1))
    if op.kind not in _FRESH or not (isinstance(op.host, np.ufunc) or op.kind != "elementwise"):
        return _Limit(0, launch, machine)
    size = 1
    while size < _LARGEST and machine.cpu.seconds(_work(op, 2 * size)) <= launch:
        size *= 2
    return _Limit(8 * size, launch, machine) if machine.cpu.seconds(_work(op, size)) <= launch else _NEVER


def _work(op: Op, size: int) -> Work:
    shapes: Sequence[Shaped] = [Shaped((size,), np.dtype(np.float64))] * max(1, len(op.arrays))
    return op.work(shapes, {})
