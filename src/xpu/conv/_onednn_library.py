"""oneDNN in this process: found beside the interpreter, loaded on first need, or the reason why not.

The wheel of the extra ``onednn`` brings ``libdnnl.so.3`` and no Python module, so its C API is called
through `ctypes`; the interpreter lock is released during every call. Signatures and numbers are those
of ``dnnl.h`` and ``dnnl_types.h`` of 3.2, which major version 3 keeps.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xpu.errors import XpuError, text

__all__ = ["Library", "OnednnError", "Owned", "Pointer", "building", "forked", "library", "loaded", "problem"]

Pointer = ctypes.c_void_p
_PACKAGE = "onednn-cpu-gomp"
_FILE = "libdnnl.so.3"
_OPENMP = "libgomp.so.1"
_MAJOR, _OLDEST_MINOR = 3, 2
_RUNTIME_OMP = 2
_KIND_CPU, _IN_ORDER, _SCRATCHPAD_USER, _TAG_ANY = 1, 1, 1, 1
_STATUS = {1: "out of memory", 2: "invalid arguments", 3: "unimplemented", 4: "no implementation", 5: "runtime error"}

# oneDNN plans under locks of its own: while this one is held across a fork, no thread is inside them.
building = threading.RLock()


class OnednnError(XpuError, RuntimeError):
    """oneDNN refused a call; `status` is its ``dnnl_status_t``."""

    def __init__(self, call: str, status: int) -> None:
        self.status = status
        self.reason = _STATUS.get(status, f"status {status}")
        super().__init__(text("nn", f"oneDNN's {call} answers {self.reason}", "Use another engine."))


class _Version(ctypes.Structure):
    _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int), ("patch", ctypes.c_int)]
    _fields_ += [("hash", ctypes.c_char_p), ("cpu_runtime", ctypes.c_uint), ("gpu_runtime", ctypes.c_uint)]


class _Argument(ctypes.Structure):
    _fields_ = [("number", ctypes.c_int), ("memory", Pointer)]


Dims = ctypes.c_int64 * 12
_DIMS, _INT, _OUT = ctypes.POINTER(ctypes.c_int64), ctypes.c_int, ctypes.POINTER(Pointer)
# Every function we call: its arguments; all of these return a status.
_SIGNATURES: dict[str, list[Any]] = {
    "engine_create": [_OUT, _INT, ctypes.c_size_t],
    "stream_create": [_OUT, Pointer, ctypes.c_uint],
    "stream_wait": [Pointer],
    "stream_destroy": [Pointer],
    "memory_desc_create_with_strides": [_OUT, _INT, _DIMS, _INT, _DIMS],
    "memory_desc_create_with_tag": [_OUT, _INT, _DIMS, _INT, _INT],
    "memory_desc_destroy": [Pointer],
    "memory_create": [_OUT, Pointer, Pointer, Pointer],
    "memory_set_data_handle": [Pointer, Pointer],
    "memory_destroy": [Pointer],
    "primitive_attr_create": [_OUT],
    "primitive_attr_set_scratchpad_mode": [Pointer, _INT],
    "primitive_desc_query": [Pointer, _INT, _INT, Pointer],
    "primitive_desc_destroy": [Pointer],
    "primitive_create": [_OUT, Pointer],
    "primitive_execute": [Pointer, Pointer, _INT, ctypes.POINTER(_Argument)],
    "primitive_destroy": [Pointer],
    "reorder_primitive_desc_create": [_OUT, Pointer, Pointer, Pointer, Pointer, Pointer],
    "convolution_forward_primitive_desc_create": [_OUT, Pointer, _INT, _INT, *[Pointer] * 4, *[_DIMS] * 4, Pointer],
    "convolution_backward_data_primitive_desc_create": [_OUT, Pointer, _INT, *[Pointer] * 3, *[_DIMS] * 4]
    + [Pointer] * 2,
    "convolution_backward_weights_primitive_desc_create": [_OUT, Pointer, _INT, *[Pointer] * 4, *[_DIMS] * 4]
    + [Pointer] * 2,
}


class Owned:
    """An object of oneDNN's, destroyed when nothing here refers to it any more."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: int, destroy: Callable[[Pointer], int]) -> None:
        self.value = value
        weakref.finalize(self, destroy, Pointer(value)).atexit = False


class Library:
    """The C API, typed and checked; one engine for the process, one stream per thread."""

    def __init__(self, dnnl: ctypes.CDLL, openmp: ctypes.CDLL) -> None:
        self._functions = {name: getattr(dnnl, f"dnnl_{name}") for name in _SIGNATURES}
        for name, arguments in _SIGNATURES.items():
            self._functions[name].argtypes = arguments
            self._functions[name].restype = _INT
        self._md_of = dnnl.dnnl_primitive_desc_query_md
        self._md_of.argtypes, self._md_of.restype = [Pointer, _INT, _INT], Pointer
        self._md_size = dnnl.dnnl_memory_desc_get_size
        self._md_size.argtypes, self._md_size.restype = [Pointer], ctypes.c_size_t
        self._md_equal = dnnl.dnnl_memory_desc_equal
        self._md_equal.argtypes, self._md_equal.restype = [Pointer, Pointer], _INT
        self._most, self._put = openmp.omp_get_max_threads, openmp.omp_set_num_threads
        self._put.argtypes, self._put.restype = [_INT], None
        self._mine = threading.local()
        self.engine = self._make("engine_create", _KIND_CPU, 0)
        self.attributes = self._make("primitive_attr_create")
        self.call("primitive_attr_set_scratchpad_mode", self.attributes, _SCRATCHPAD_USER)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function by its name without ``dnnl_``.

        Raises
        ------
        OnednnError
            For every status but success.
        """
        status = self._functions[name](*arguments)
        if status:
            raise OnednnError(name, status)

    def _make(self, name: str, *arguments: Any) -> int:
        made = Pointer()
        self.call(name, ctypes.byref(made), *arguments)
        assert made.value is not None
        return made.value

    def make(self, name: str, *arguments: Any) -> Owned:
        """Call a function that makes an object, and own the object."""
        kinds = ("memory_desc", "reorder_primitive_desc", "memory", "primitive", "stream")
        kind = "primitive_desc" if "primitive_desc" in name else next(k for k in kinds if name.startswith(k))
        return Owned(self._make(name, *arguments), self._functions[f"{kind}_destroy"])

    def described(self, dims: Sequence[int], kind: int, strides: Sequence[int] | None) -> Owned:
        """Return a memory descriptor; without strides (in elements) oneDNN chooses the layout."""
        if strides is None:
            return self.make("memory_desc_create_with_tag", len(dims), Dims(*dims), kind, _TAG_ANY)
        return self.make("memory_desc_create_with_strides", len(dims), Dims(*dims), kind, Dims(*strides))

    def tagged(self, dims: Sequence[int], kind: int, tag: int) -> Owned:
        """Return a memory descriptor of a ``dnnl_format_tag_t``."""
        return self.make("memory_desc_create_with_tag", len(dims), Dims(*dims), kind, tag)

    def chosen(self, plan: Owned, query: int) -> int:
        """Return the memory descriptor a primitive descriptor holds; it belongs to that."""
        return int(self._md_of(plan.value, query, 0) or 0)

    def size(self, descriptor: int) -> int:
        """Return the bytes of a memory descriptor."""
        return int(self._md_size(descriptor)) if descriptor else 0

    def equal(self, one: int, two: int) -> bool:
        """Return whether two memory descriptors say the same."""
        return bool(self._md_equal(one, two))

    def told(self, plan: Owned, query: int) -> str:
        """Return a text a primitive descriptor holds, such as the implementation's name."""
        found = ctypes.c_char_p()
        self.call("primitive_desc_query", plan.value, query, 0, ctypes.byref(found))
        return (found.value or b"").decode("ascii", "replace")

    def execute(self, primitive: Owned, count: int, arguments: Any) -> None:
        """Run a primitive on this thread's stream; it is done on return with OpenMP."""
        self.call("primitive_execute", primitive.value, self._stream(), count, arguments)

    def _stream(self) -> int:
        stream: Owned | None = getattr(self._mine, "stream", None)
        if stream is None:
            stream = self._mine.stream = self.make("stream_create", self.engine, _IN_ORDER)
        return stream.value

    @contextlib.contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Give OpenMP's regions of this thread so many threads inside the ``with`` block."""
        before = self._most()
        self._put(count)
        try:
            yield
        finally:
            self._put(before)

    @staticmethod
    def arguments(pairs: Sequence[tuple[int, Owned]]) -> Any:
        """Return execution arguments as an array of C."""
        return (_Argument * len(pairs))(*(_Argument(number, memory.value) for number, memory in pairs))


class _State:
    """What is known of the library in this process."""

    forked = False


def _path() -> str | None:
    """Return the library's file in the installed wheel."""
    try:
        files = importlib.metadata.distribution(_PACKAGE).files or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    found = next((file for file in files if file.name == _FILE), None)
    return None if found is None else os.path.realpath(str(found.locate()))


@functools.cache
def _open() -> tuple[Library | None, str]:
    path = _path()
    if path is None:
        return None, "oneDNN is not installed; install the extra 'onednn'"
    try:
        dnnl, openmp = ctypes.CDLL(path), ctypes.CDLL(_OPENMP)
        dnnl.dnnl_version.restype = ctypes.POINTER(_Version)
        version = dnnl.dnnl_version().contents
        if version.major != _MAJOR or version.minor < _OLDEST_MINOR or version.cpu_runtime != _RUNTIME_OMP:
            found = f"{version.major}.{version.minor}.{version.patch} (runtime {version.cpu_runtime})"
            return None, f"oneDNN {found} is not the 3.2 or newer with OpenMP that xpu calls"
        return Library(dnnl, openmp), ""
    except (OSError, AttributeError, OnednnError) as error:
        return None, f"oneDNN cannot be loaded ({type(error).__name__}: {error})"


def problem() -> str:
    """Return why oneDNN cannot be used, or an empty string; loads it."""
    with building:
        return _open()[1]


def library() -> Library:
    """Return the library.

    Raises
    ------
    ImportError
        If there is none, with the reason.
    """
    with building:
        found, why = _open()
    if found is None:
        message = text("nn", why, 'Run: pip install "xpu-array[onednn]".')
        raise ImportError(message)
    return found


def loaded() -> bool:
    """Return whether it was looked for already; asking then costs nothing."""
    return _open.cache_info().currsize > 0


def forked() -> bool:
    """Return whether this process is a fork: OpenMP's threads do not exist in it, and it would wait for them."""
    return _State.forked


def _in_child() -> None:
    _State.forked = True
    building.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=building.acquire, after_in_parent=building.release, after_in_child=_in_child)
