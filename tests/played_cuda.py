"""A CUDA device played by the host: genuine ``cupy.ndarray`` objects over host memory.

CuPy cannot launch or copy without a GPU, so those four methods are played with NumPy. Everything else
is the real backend: the array type, roots, offsets, views, sharing, and which functions CuPy has.
"""

import time

import cupy
import numpy as np
from numpy.lib.stride_tricks import as_strided

from xpu._backends._base import follow
from xpu._backends._cupy import CupyBackend
from xpu._backends._differences import cupys_way
from xpu._backends._same import as_numpy


def on_device(host):
    """Return a ``cupy.ndarray`` over a copy of a NumPy array's bytes; as from CuPy's pool, in a multiple of 512."""
    host = np.array(host, order="K", copy=True)
    flat = np.zeros(max(-(-host.nbytes // 512), 1) * 512, np.uint8)
    flat[: host.nbytes] = host.ravel("K").view(np.uint8)
    memory = cupy.cuda.UnownedMemory(flat.ctypes.data, flat.nbytes, flat, device_id=0)
    return cupy.ndarray(host.shape, host.dtype, memptr=cupy.cuda.MemoryPointer(memory, 0), strides=host.strides)


def seen(raw):
    """Return a NumPy view of the memory of a played array."""
    if not raw.size:
        return np.empty(raw.shape, raw.dtype)
    memory = raw.data.mem
    whole = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_uint8 * memory.size).from_address(memory.ptr))
    start = raw.data.ptr - memory.ptr
    first = whole[start : start + raw.dtype.itemsize].view(raw.dtype)
    return as_strided(first, raw.shape, raw.strides)


class PlayedCuda(CupyBackend):
    """The CuPy backend with its kernels and copies played by NumPy."""

    def __init__(self, device):
        super().__init__(device)
        self.ran = []

    def function(self, op):
        if super().function(op) is None:
            return None
        return as_numpy(op, cupys_way(op))

    def run(self, function, args, kwargs, work):
        self.ran.append(function)
        met = {}

        def inside(value):
            if isinstance(value, cupy.ndarray):
                view = seen(value)
                met[id(view)] = (view, value)
                return view
            if isinstance(value, np.ndarray):
                message = "a NumPy array reached the GPU library"
                raise TypeError(message)
            return type(value)(map(inside, value)) if type(value) in (list, tuple) else value

        def outside(value):
            if isinstance(value, (list, tuple)):
                items = [outside(v) for v in value]
                return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
            if id(value) in met:
                return met[id(value)][1]
            return on_device(value) if isinstance(value, (np.ndarray, np.generic)) else value

        return outside(function(*map(inside, args), **{k: inside(v) for k, v in kwargs.items()}))

    def allocate(self, nbytes):
        return on_device(np.zeros(nbytes, np.uint8))

    def upload(self, root, host):
        seen(root)[: host.size] = host

    def download(self, root, host):
        host[...] = seen(root)[: host.size]

    def compact(self, raw):
        return on_device(np.array(seen(raw), order="C"))

    def seconds(self):
        return time.perf_counter()

    def release(self):
        """The host has no pool to empty."""


def library_has(op):
    """Return True if the installed CuPy has the function that a row names."""
    return op.gpu == "self" or follow(op.gpu, cupy) is not None
