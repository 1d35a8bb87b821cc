"""Which devices hold a valid copy of these bytes, and when they have to move (`_transfer` moves them).

A `Block` is one allocation in NumPy's sense: at most one replica (a root of bytes) per device, and
the set of devices whose replica is valid. A `View` is a typed window on a block and can be rebuilt
on any replica, so views and in-place writes mean the same wherever the bytes are. A `Handle` is
what the rest of xpu holds: a raw array nobody else shares, or a view.

States of a handle (`_raw`, `_home`):

=============  ==========  ===================================================================
`_raw`         `_home`     meaning
=============  ==========  ===================================================================
NumPy array    not set     made while the gate was open: on the host, sharing not yet known
raw array      None        nobody else shares these bytes
None           View        bytes in a block
NumPy array    View        bytes that cannot leave the host (foreign, exported, host-only dtype)
=============  ==========  ===================================================================

Threads: a block's lock is held while a replica is made and while the block is written, so no replica is taken of bytes
that are being written, and nothing is evicted under a reader. Several locks are taken in one order (`writing`); tables
have locks of their own, the innermost.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from xpu._accounts import Kind
from xpu._backends import HOST, Backend, backend, backend_of
from xpu._backends._numpy import foreign, owner
from xpu._config import current
from xpu._device import CPU, Device
from xpu._gate import gate
from xpu._op import Shaped, host_only
from xpu._transfer import download, lift, lower, permit, upload

__all__ = ["PARTIAL", "Block", "Handle", "View", "evict", "home", "shaped", "uses", "writing"]

Raw = Any
_homing = threading.RLock()  # handles find their blocks
_listing = threading.RLock()  # which blocks have replicas
uses = itertools.count(1)


def _after_fork() -> None:
    """A forked child has none of the threads that may have held these."""
    global _homing, _listing
    _homing, _listing = threading.RLock(), threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class Block:
    """One allocation and its replicas.

    Attributes
    ----------
    nbytes : int
        Size of the allocation.
    roots : dict of Device to raw array
        Flat bytes on each device that has memory for them, valid or not.
    valid : frozenset of Device
        Devices whose root holds the current bytes. Empty only before birth. Replaced, never changed: other threads
        look at it.
    birth : callable or None
        For an array not born yet: makes it on a backend.
    last_use : int
        When an accelerator last read or wrote it; larger is later.
    lock : threading.RLock
        Held while a replica is made, and while the block is written.
    lead : float
        Seconds the accelerator is ahead in hindsight (see `xpu._placement`).
    kind : Kind or None
        The kind of call that made it (see `xpu._accounts`).
    pin : Device or None
        Where the user put it.
    anchored : bool
        The bytes cannot leave the host: someone else holds them.
    """

    __slots__ = (
        "__weakref__",
        "anchored",
        "birth",
        "kind",
        "last_use",
        "lead",
        "lock",
        "nbytes",
        "pin",
        "roots",
        "valid",
    )

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.roots: dict[Device, Raw] = {}
        self.valid: frozenset[Device] = frozenset()
        self.birth: Callable[[Backend], Raw] | None = None
        self.lead = 0.0
        self.kind: Kind | None = None
        self.pin: Device | None = None
        self.anchored = False
        self.last_use = 0
        self.lock = threading.RLock()

    def ensure(self, target: Backend) -> None:
        """Make a valid replica on `target`. An interruption anywhere leaves only what is whole in `valid`."""
        with self.lock:
            if target.device in self.valid:
                return
            if self.valid:
                self._replicate(target)
            else:
                self._be_born(target)

    def _be_born(self, target: Backend) -> None:
        assert self.birth is not None
        self.roots[target.device] = target.root(self.birth(target))
        self.valid = frozenset({target.device})
        self.birth = None

    def _replicate(self, target: Backend) -> None:
        source = CPU if CPU in self.valid else next(iter(self.valid))
        if CPU not in (source, target.device):  # device to device goes through the host
            self._replicate(HOST)
            source = CPU
        permit(self.nbytes, source, target.device)
        root = self.roots.get(target.device)
        if root is None:
            root = target.allocate(self.nbytes)
        if source == CPU:
            upload(target, root, self.roots[CPU])
        else:
            download(backend(source), self.roots[source], root)
        self.roots[target.device] = root
        self.valid |= {target.device}
        with _listing:
            _replicated.add(self)

    def written(self, device: Device) -> None:
        """Only this device's replica is valid from now on; the host keeps its memory for later."""
        if len(self.valid) != 1 or device not in self.valid:
            self.valid = frozenset({device})
        if len(self.roots) > 1:
            self.roots = {d: r for d, r in self.roots.items() if d in (device, CPU)}

    def forget(self, device: Device) -> None:
        """Let a device's replica go; the bytes are valid elsewhere, or lost."""
        self.valid -= {device}
        self.roots.pop(device, None)


_replicated: weakref.WeakSet[Block] = weakref.WeakSet()


def evict(target: Device, nbytes: float = float("inf"), spare: Iterable[Block] = ()) -> int:
    """Drop replicas on `target` that are valid elsewhere too, least recently used first.

    Parameters
    ----------
    target : Device
        Where memory is short.
    nbytes : float, optional
        Stop once so many bytes are free; by default all such replicas go.
    spare : iterable of Block, optional
        Blocks that are about to be used: they stay.

    Returns
    -------
    int
        Bytes let go.
    """
    kept, freed = {id(block) for block in spare}, 0
    with _listing:
        replicated = sorted(_replicated, key=lambda block: block.last_use)
    for block in replicated:
        if freed >= nbytes:
            break
        if id(block) in kept or not block.lock.acquire(blocking=False):  # another thread is at it
            continue
        try:
            if target in block.roots and block.valid - {target}:
                block.forget(target)
                freed += block.nbytes
            if len(block.roots) < 2:
                with _listing:
                    _replicated.discard(block)
        finally:
            block.lock.release()
    return freed


class View:
    """A typed window on a block.

    Either `raw_host` is set (the NumPy array itself, whose place in the block is worked out when
    needed) or offset, shape, strides and dtype are.
    """

    __slots__ = ("_offset", "block", "derived", "dtype", "raw_host", "readonly", "shape", "strides")

    def __init__(
        self,
        block: Block,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int | None,
        raw_host: np.ndarray[Any, Any] | None = None,
        readonly: bool = False,
    ) -> None:
        self.block = block
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self._offset = offset
        self.raw_host = raw_host
        self.readonly = readonly
        self.derived = raw_host is None or raw_host.base is not None  # a view of another array, not what is viewed

    @classmethod
    def of(cls, block: Block, raw: Raw, where: Backend) -> View:
        """Return the view that a raw array on `where` has on `block`."""
        if where is HOST:
            return cls(block, raw.shape, raw.strides, raw.dtype, None, raw, not raw.flags.writeable)
        offset = where.offset(block.roots[where.device], raw)
        return cls(block, raw.shape, raw.strides, raw.dtype, offset)

    @property
    def offset(self) -> int:
        """Bytes from the start of the block to the first element."""
        if self._offset is None:
            assert self.raw_host is not None
            self._offset = HOST.offset(self.block.roots[CPU], self.raw_host)
        return self._offset

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def raw(self, where: Backend) -> Raw:
        """Build the raw array on a device that has a root."""
        if where is HOST:
            if self.raw_host is None:
                self.raw_host = HOST.view(self.block.roots[CPU], self.offset, self.shape, self.strides, self.dtype)
                if self.readonly:
                    self.raw_host.flags.writeable = False
            return self.raw_host
        return where.view(self.block.roots[where.device], self.offset, self.shape, self.strides, self.dtype)


class Handle:
    """What dispatch sees of an array; `xpu.ndarray` adds the methods."""

    __slots__ = ("__weakref__", "_home", "_raw")
    _raw: Raw
    _home: View | None


def shaped(handle: Handle) -> Shaped:
    """Return shape and dtype without touching bytes."""
    source = handle._home if handle._raw is None else handle._raw
    return Shaped(source.shape, source.dtype)  # type: ignore[union-attr]


_adopted: weakref.WeakValueDictionary[int, Block] = weakref.WeakValueDictionary()


def home(handle: Handle) -> View | None:
    """Return the handle's view, or None if nobody shares its bytes.

    A handle made while the gate was open does not know: its memory is looked up by the NumPy array
    that owns it, so that all such handles over one allocation come to share one block.
    """
    try:
        return handle._home
    except AttributeError:
        pass
    if not gate.accelerated:  # nothing ever left the host: no need to know
        return None
    raw = handle._raw
    if not isinstance(raw, np.ndarray):  # a NumPy scalar: immutable, shared with nobody
        handle._home = None
        return None
    with _homing:
        if getattr(handle, "_home", None) is None:
            settle(handle, host_view(raw, anchored=host_only(raw.dtype)))
    return handle._home


def host_view(raw: np.ndarray[Any, Any], *, anchored: bool = False) -> View:
    """Return a view on the block of a host array's memory, adopting the memory if it is new."""
    holder = owner(raw)
    with _homing:
        block = _adopted.get(id(holder))
        if block is None:
            block = Block(holder.nbytes)
            block.anchored = anchored or foreign(holder) or host_only(holder.dtype)
            block.roots[CPU] = holder if block.anchored else HOST.root(holder)
            block.valid = frozenset({CPU})
            _adopted[id(holder)] = block
    if anchored and not block.anchored:
        with block.lock:
            block.ensure(HOST)
            block.written(CPU)
            block.anchored = True
    return View.of(block, raw, HOST)


def settle(handle: Handle, view: View) -> None:
    """Give a handle its view; where the bytes cannot move the raw array stays at hand."""
    if not (view.block.anchored or gate.accelerated):
        gate.accelerate()  # such a handle has no raw array: no hot path may see it
    handle._home = view  # first: at no time is a handle without its bytes
    handle._raw = view.raw_host if view.block.anchored else None


def shared(handle: Handle) -> View:
    """Return the handle's view, making a block if it has none (something will share its bytes)."""
    view = home(handle)
    if view is not None:
        return view
    with _homing:  # two threads that look for one handle's block must find one
        if getattr(handle, "_home", None) is not None:
            return handle._home  # type: ignore[return-value]
        raw = handle._raw
        where = backend_of(raw)
        assert where is not None
        if where is HOST:
            view = host_view(raw)
        else:
            root = where.root(raw)
            block = Block(root.nbytes)
            block.roots[where.device] = root
            block.valid = frozenset({where.device})
            view = View.of(block, raw, where)
            view.derived = False
        settle(handle, view)
    return view


def anchor(handle: Handle) -> np.ndarray[Any, Any]:
    """Bring a handle's bytes to the host for good, because someone else will hold them."""
    if isinstance(handle._raw, np.generic):
        return np.asarray(handle._raw)
    for recorder in current().recorders:
        recorder.read(handle, for_good=True)
    if not gate.accelerated:
        settle(handle, host_view(handle._raw, anchored=True))
        return handle._raw  # type: ignore[no-any-return]
    view = shared(handle)
    block = view.block
    with block.lock:
        block.ensure(HOST)
        block.written(CPU)
        block.roots = {CPU: block.roots[CPU]}
        block.anchored = True
        view.raw(HOST)
        settle(handle, view)
    assert view.raw_host is not None
    return view.raw_host


def devices_of(handle: Handle) -> frozenset[Device]:
    """Return the devices that hold a valid replica (none for an array not born yet)."""
    view = home(handle)
    if view is not None:
        return view.block.valid
    found = backend_of(handle._raw)
    return frozenset({CPU if found is None else found.device})


# A view smaller than this share of its block moves alone; a larger one takes the block along.
PARTIAL = 0.5


def read(handle: Handle, target: Backend) -> Raw:
    """Return a raw array with the handle's values on `target`, moving bytes if need be.

    Whoever only reads calls this. A small view of a large block moves alone, and is not kept.
    """
    view = home(handle)
    if view is None:
        raw = handle._raw
        source = backend_of(raw) or HOST
        if source is target:
            return raw
        if isinstance(raw, np.generic):
            return lift(np.asarray(raw), target)
        view = shared(handle)
    block = view.block
    with block.lock:
        if target is not HOST:
            block.last_use = next(uses)
        alone = block.anchored or view.nbytes < PARTIAL * block.nbytes
        if alone and block.valid and target.device not in block.valid:
            return _read_alone(view, target)
        block.ensure(target)
        return view.raw(target)


def _read_alone(view: View, target: Backend) -> Raw:
    """Move a copy of the view's elements."""
    valid = view.block.valid
    source = HOST if CPU in valid else backend(next(iter(valid)))
    if source is HOST:
        return lift(view.raw(HOST), target)
    try:
        compact = source.compact(view.raw(source))
    except source.out_of_memory:  # not even for the elements by themselves: the whole block goes
        view.block.ensure(HOST)
        return view.raw(HOST) if target is HOST else lift(view.raw(HOST), target)
    host = lower(compact, source)
    return host if target is HOST else lift(host, target)


def write(handle: Handle, target: Backend) -> Raw:
    """Return the handle's raw array on `target`, ready to be written in place inside `writing`.

    The whole block moves, since afterwards only this replica is valid.
    """
    view = home(handle)
    if view is None:
        raw = handle._raw
        if (backend_of(raw) or HOST) is target:
            return raw
        view = shared(handle)
    if view.readonly and target is not HOST:
        message = f"assignment destination of shape {view.shape} is read-only"
        raise ValueError(message)
    block = view.block
    with block.lock:
        if target is not HOST:
            block.last_use = next(uses)
        block.ensure(target)
        return view.raw(target)


@contextmanager
def writing(blocks: Iterable[Block], target: Backend) -> Iterator[Callable[[], None]]:
    """Return a region in which blocks are written on `target`; it gives what to call when the writing begins.

    From that call on only the replica on `target` is valid. If the region ends in an error, the replicas that
    were valid elsewhere are so again, whole and from before the write; where there were none, what is on `target` is
    all there is.
    """
    ordered = sorted({id(block): block for block in blocks}.values(), key=id)
    device = target.device
    before: list[tuple[Block, frozenset[Device], dict[Device, Raw]]] = []

    def begin() -> None:
        for block in ordered:
            before.append((block, block.valid, block.roots))
            block.written(device)

    finished = False
    with ExitStack() as held:
        for block in ordered:
            held.enter_context(block.lock)
        try:
            yield begin
            finished = True
        finally:
            for block, valid, roots in () if finished else before:
                if valid - {device}:
                    block.roots, block.valid = roots, valid - {device}
