"""Replaces the CUDA runtime and driver under CuPy: its Cython modules find every entry point in `__pyx_capi__`."""

import ctypes
from pathlib import Path
from typing import Any

ENTRY_POINTS = {
    **dict.fromkeys(["malloc", "mallocManaged", "mallocAsync", "mallocFromPoolAsync", "hostAlloc"], "allocate"),
    **dict.fromkeys(["free", "freeAsync", "freeHost"], "release"),
    **dict.fromkeys(["memcpy", "memcpyAsync"], "copy"),
    **dict.fromkeys(["memset", "memsetAsync"], "fill"),
    **dict.fromkeys(["launchKernel", "launchCooperativeKernel"], "launch"),
    **dict.fromkeys(["eventQuery", "streamQuery"], "zero_object"),
    "deviceGetAttribute": "attribute",
    "driverGetVersion": "version",
    "eventElapsedTime": "one_millisecond",
    "funcGetAttribute": "function_attribute",
    "getDeviceCount": "one",
    "getDeviceProperties": "properties",
    "memGetInfo": "memory",
    "moduleGetFunction": "find",
    "moduleLoadData": "load",
    "pointerGetMemoryType": "one",
}
# Touch memory or code in ways that are not played: they raise instead of doing nothing.
REFUSED = ("memcpy", "malloc", "graph", "link", "create", "launchHost", "_launchHost", "streamAdd", "moduleLoad")
REFUSED_TOO = {"streamBeginCapture", "streamEndCapture", "moduleGetGlobal", "memPoolCreate"}
# Ask no driver, or give structures that nothing here needs.
GENUINE = {"check_status", "get_build_version", "runtimeGetVersion", "_getCUDAMajorVersion", "pointerGetAttributes"}
BY_RESULT = {
    "PyObject *": "none",
    "int": "zero",
    "size_t": "zero",
    "unsigned int": "zero",
    "intptr_t": "handle",
}
# The same, where CuPy's Python code asks the module.
_MODULE = {
    "_ensure_context": (None, ctypes.py_object),
    "deviceGetAttribute": ("attribute", ctypes.c_int),
    "deviceSynchronize": (None, ctypes.py_object),
    "driverGetVersion": ("version", ctypes.c_int),
    "eventCreateWithFlags": ("handle", ctypes.c_ssize_t),
    "eventQuery": ("zero", ctypes.c_int),
    "free": (None, ctypes.py_object),
    "getDevice": ("zero", ctypes.c_int),
    "getDeviceCount": ("one", ctypes.c_int),
    "getDeviceProperties": ("properties", ctypes.py_object),
    "memGetInfo": ("memory", ctypes.py_object),
    "pointerGetMemoryType": ("one", ctypes.c_int),
    "setDevice": (None, ctypes.py_object),
    "streamCreateWithFlags": ("handle", ctypes.c_ssize_t),
    "streamIsCapturing": ("zero", ctypes.c_int),
    "streamQuery": ("zero", ctypes.c_int),
    "streamSynchronize": (None, ctypes.py_object),
}
_signatures: list[bytes] = []  # capsules point to them


def played_by(name: str, signature: str) -> str | None:
    """Return the C function that plays an entry point, or None where CuPy's own stays.

    Examples
    --------
    >>> played_by("memset", "PyObject *(intptr_t, int, size_t, int)"), played_by("memcpy3D", "PyObject *(intptr_t)")
    ('fill', 'refused')
    """
    if name in ENTRY_POINTS:
        return ENTRY_POINTS[name]
    if name in GENUINE or "(" not in signature:  # variables have no parenthesis
        return None
    result = signature.partition("(")[0].strip()
    handles = name.startswith(("eventCreate", "streamCreate", "ctxCreate"))
    if not handles and (name.startswith(REFUSED) or name in REFUSED_TOO):
        return "refused"
    return BY_RESULT.get(result)


def play(library: Path) -> None:
    """Replace the entry points of `cupy_backends`; CuPy must not have been imported yet."""
    import cupy_backends.cuda.api.driver as driver
    import cupy_backends.cuda.api.runtime as runtime

    functions = ctypes.PyDLL(str(library))
    for module in (runtime, driver):
        _play_module(module, functions)
    for name, (function, result) in _MODULE.items():
        setattr(runtime, name, _for_python(functions[function] if function else None, result))


def _for_python(function: Any, result: Any) -> Any:
    if function is None:
        return lambda *_: None
    function.restype = result
    return lambda *arguments: function(*arguments)


def _play_module(module: Any, functions: ctypes.PyDLL) -> None:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    for name, capsule in list(module.__pyx_capi__.items()):
        signature = api.PyCapsule_GetName(capsule)
        player = played_by(name, signature.decode())
        if player:
            _signatures.append(signature)
            address = ctypes.cast(functions[player], ctypes.c_void_p).value
            module.__pyx_capi__[name] = api.PyCapsule_New(address, signature, None)
