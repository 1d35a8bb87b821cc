"""Which devices hold a valid copy of these bytes; the only place where bytes move.

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
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend, backend, backend_of
from xpu._backends._numpy import owner
from xpu._config import current
from xpu._device import CPU, Device
from xpu._gate import gate
from xpu._op import Shaped, host_only
from xpu.errors import TransferError, TransferWarning, text, warn_user

__all__ = ["PARTIAL", "Block", "Handle", "View", "evict", "home", "ledger", "shaped", "taken"]

Raw = Any
_moving = threading.RLock()


class _Ledger(threading.local):
    """Bytes and transfers of this thread so far; dispatch takes differences."""

    nbytes = 0
    count = 0


ledger = _Ledger()


def _account(nbytes: int, source: Device, target: Device) -> None:
    """Enforce ``on_transfer`` before a transfer, and count it."""
    rule = current().on_transfer
    if rule != "allow" and nbytes:
        problem = f"{nbytes} bytes would move from {source} to {target}"
        if rule == "raise":
            remedy = "Keep the operands on one device, or leave the on_transfer='raise' region."
            raise TransferError(text("config(on_transfer=...)", problem, remedy))
        warn_user(TransferWarning(text("config(on_transfer=...)", problem)))
    ledger.nbytes += nbytes
    ledger.count += bool(nbytes)
    for recorder in current().recorders:
        recorder.moved(nbytes)


class Block:
    """One allocation and its replicas.

    Attributes
    ----------
    nbytes : int
        Size of the allocation.
    roots : dict of Device to raw array
        Flat bytes on each device that has memory for them, valid or not.
    valid : set of Device
        Devices whose root holds the current bytes. Empty only before birth.
    birth : callable or None
        For an array not born yet: makes it on a backend.
    lead : float
        Seconds the accelerator is ahead in hindsight (see `xpu._placement`).
    pin : Device or None
        Where the user put it.
    anchored : bool
        The bytes cannot leave the host: someone else holds them.
    """

    __slots__ = ("__weakref__", "anchored", "birth", "last_use", "lead", "nbytes", "pin", "roots", "valid")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.roots: dict[Device, Raw] = {}
        self.valid: set[Device] = set()
        self.birth: Callable[[Backend], Raw] | None = None
        self.lead = 0.0
        self.pin: Device | None = None
        self.anchored = False
        self.last_use = 0

    def ensure(self, target: Backend, *, contents: bool = True) -> None:
        """Make a replica on `target`, valid unless its contents are about to be overwritten."""
        device = target.device
        if device in self.valid:
            return
        with _moving:
            if self.birth is not None:
                self._be_born(target)
                return
            if contents:
                self._replicate(target)
            elif device not in self.roots:
                self.roots[device] = target.allocate(self.nbytes)

    def _be_born(self, target: Backend) -> None:
        assert self.birth is not None
        self.roots[target.device] = target.root(self.birth(target))
        self.valid.add(target.device)
        self.birth = None

    def _replicate(self, target: Backend) -> None:
        source = CPU if CPU in self.valid else next(iter(self.valid))
        if CPU not in (source, target.device):  # device to device goes through the host
            self._replicate(HOST)
            source = CPU
        _account(self.nbytes, source, target.device)
        root = self.roots.get(target.device)
        if root is None:
            root = target.allocate(self.nbytes)
        if source == CPU:
            target.upload(root, self.roots[CPU])
        else:
            backend(source).download(self.roots[source], root)
        self.roots[target.device] = root
        self.valid.add(target.device)
        _replicated.add(self)

    def written(self, device: Device) -> None:
        """After a write, only this device's replica is valid; the host keeps its memory for later."""
        if len(self.valid) != 1 or device not in self.valid:
            self.valid = {device}
        if len(self.roots) > 1:
            self.roots = {d: r for d, r in self.roots.items() if d in (device, CPU)}


_replicated: weakref.WeakSet[Block] = weakref.WeakSet()


def evict(target: Device) -> int:
    """Drop replicas on `target` that are valid elsewhere too, least recently used first.

    Returns
    -------
    int
        Bytes let go.
    """
    freed = 0
    with _moving:
        for block in sorted(_replicated, key=lambda b: b.last_use):
            if target in block.roots and block.valid - {target}:
                del block.roots[target]
                block.valid.discard(target)
                freed += block.nbytes
            if len(block.roots) < 2:
                _replicated.discard(block)
    return freed


class View:
    """A typed window on a block.

    Either `raw_host` is set (the NumPy array itself, whose place in the block is worked out when
    needed) or offset, shape, strides and dtype are.
    """

    __slots__ = ("_offset", "block", "dtype", "raw_host", "readonly", "shape", "strides")

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
    with _moving:
        settle(handle, host_view(raw, anchored=host_only(raw.dtype)))
    return handle._home


def host_view(raw: np.ndarray[Any, Any], *, anchored: bool = False) -> View:
    """Return a view on the block of a host array's memory, adopting the memory if it is new."""
    holder = owner(raw)
    block = _adopted.get(id(holder))
    if block is None:
        block = Block(holder.nbytes)
        block.anchored = anchored or holder.base is not None or host_only(holder.dtype)
        block.roots[CPU] = holder if block.anchored else HOST.root(holder)
        block.valid.add(CPU)
        _adopted[id(holder)] = block
    elif anchored and not block.anchored:
        block.ensure(HOST)
        block.written(CPU)
        block.anchored = True
    return View.of(block, raw, HOST)


def settle(handle: Handle, view: View) -> None:
    """Give a handle its view; where the bytes cannot move the raw array stays at hand."""
    if not view.block.anchored:
        gate.accelerate()  # such a handle has no raw array: no hot path may see it
    handle._raw = view.raw_host if view.block.anchored else None
    handle._home = view


def shared(handle: Handle) -> View:
    """Return the handle's view, making a block if it has none (something will share its bytes)."""
    view = home(handle)
    if view is not None:
        return view
    raw = handle._raw
    where = backend_of(raw)
    assert where is not None
    if where is HOST:
        view = host_view(raw)
    else:
        root = where.root(raw)
        block = Block(root.nbytes)
        block.roots[where.device] = root
        block.valid.add(where.device)
        view = View.of(block, raw, where)
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
    block.ensure(HOST)
    block.written(CPU)
    block.roots = {CPU: block.roots[CPU]}
    block.anchored = True
    view.raw(HOST)
    settle(handle, view)
    assert view.raw_host is not None
    return view.raw_host


def devices_of(handle: Handle) -> set[Device]:
    """Return the devices that hold a valid replica (none for an array not born yet)."""
    view = home(handle)
    if view is not None:
        return view.block.valid
    found = backend_of(handle._raw)
    return {CPU if found is None else found.device}


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
    if target.device in block.valid or (block.birth is not None and not block.anchored):
        block.ensure(target)
        return view.raw(target)
    if block.anchored or view.nbytes < PARTIAL * block.nbytes:
        return _read_alone(view, target)
    block.ensure(target)
    return view.raw(target)


def taken(handle: Handle, nbytes: int | None = None) -> Raw:
    """Return the host's array because Python asks for its values, or for `nbytes` of them; recorders hear of it."""
    if not gate.open:
        for recorder in current().recorders:
            recorder.read(handle, nbytes)
    return read(handle, HOST)


def _read_alone(view: View, target: Backend) -> Raw:
    """Move a copy of the view's elements."""
    valid = view.block.valid
    source = HOST if CPU in valid else backend(next(iter(valid)))
    if source is HOST:
        return lift(view.raw(HOST), target)
    compact = source.compact(view.raw(source))
    host = lower(compact, source)
    return host if target is HOST else lift(host, target)


def lift(host: np.ndarray[Any, Any], target: Backend) -> Raw:
    """Copy a host array to a device; the copy belongs to nobody yet."""
    if target is HOST:
        return host
    _account(host.nbytes, CPU, target.device)
    root = target.allocate(host.nbytes)
    contiguous = np.ascontiguousarray(host)
    target.upload(root, contiguous.reshape(-1).view(np.uint8))
    return target.view(root, 0, host.shape, contiguous.reshape(host.shape).strides, host.dtype)


def lower(raw: Raw, source: Backend) -> np.ndarray[Any, Any]:
    """Copy a device array to a new host array."""
    if source is HOST:
        return raw  # type: ignore[no-any-return]
    compact = source.compact(raw)
    _account(compact.nbytes, source.device, CPU)
    host = np.empty(raw.shape, raw.dtype)
    root = source.view(
        source.root(compact), source.offset(source.root(compact), compact), (compact.nbytes,), (1,), np.dtype(np.uint8)
    )
    source.download(root, host.reshape(-1).view(np.uint8))
    return host


def write(handle: Handle, target: Backend) -> Raw:
    """Return the handle's raw array on `target`, ready to be written in place.

    The whole block moves, since afterwards only this replica is valid. Call `Block.written` once
    the write has succeeded.
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
    view.block.ensure(target)
    return view.raw(target)
