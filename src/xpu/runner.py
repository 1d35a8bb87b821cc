"""Running an unmodified NumPy script: in it, and in the modules beside it, `numpy` is xpu.

So are SciPy's modules that xpu has too (`scipy.signal`, `scipy.ndimage`); the rest of SciPy is itself.

The script's module gets its own ``__builtins__`` with an ``__import__`` that maps them; a finder
that is active only while the script runs loads the modules beside it the same way. Libraries keep
the real NumPy.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

__all__ = ["main", "run_path"]

_PACKAGE = str(Path(__file__).parent)
_IMPORTLIB = ("<frozen importlib", "<frozen runpy")


_OURS = {"signal", "ndimage"}
# Libraries that have to be told of xpu's arrays, and what tells them.
_TOLD = {"einops": "xpu.einops", "pandas": "xpu.pandas", "sklearn.model_selection": "xpu.sklearn"}


class _Scipy(ModuleType):
    """What a script sees as `scipy`: xpu's modules under their names, and SciPy for everything else."""

    def __getattr__(self, name: str) -> Any:
        if name in _OURS:
            return importlib.import_module(f"xpu.{name}")
        return getattr(importlib.import_module("scipy"), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module("scipy"))


_SCIPY = _Scipy("scipy", "SciPy, with `signal` and `ndimage` from xpu.")


def _mapped_import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """Import as Python does, but hand out xpu for numpy, and for the modules of SciPy that it has."""
    first, _, rest = name.partition(".")
    if level or first not in ("numpy", "scipy"):
        library = builtins.__import__(name, globals, locals, fromlist, level)
        for told, by in _TOLD.items():
            if told in sys.modules and by not in sys.modules:
                importlib.import_module(by)
        return library
    real = builtins.__import__(name, globals, locals, fromlist, 0)  # what does not exist must fail here
    if first == "scipy":
        if rest and fromlist:
            return importlib.import_module(f"xpu.{rest}") if rest in _OURS else real
        return _SCIPY
    target = importlib.import_module("xpu")
    found: Any = target
    path = first
    for part in rest.split(".") if rest else ():
        path = f"{path}.{part}"
        found = _submodule(found, path, part)
    for part in fromlist or ():
        if f"{path}.{part}" in sys.modules:
            _submodule(found, f"{path}.{part}", part)
    return found if fromlist else target


def _submodule(parent: Any, path: str, name: str) -> Any:
    """Return xpu's module of that name; a corner of NumPy that xpu leaves alone is bound there, as imports do."""
    if getattr(parent, name, None) is None and isinstance(sys.modules[path], ModuleType):
        parent.__dict__[name] = sys.modules[path]
    return getattr(parent, name)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module whose imports of numpy give xpu."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code with the mapped import."""
        module.__dict__["__builtins__"] = {**builtins.__dict__, "__import__": _mapped_import}
        super().exec_module(module)

    def get_code(self, fullname: str) -> Any:
        """Compile from source: the cache beside the script is Python's, not ours to write."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _inside(path: str, folder: str) -> bool:
    """Return True for the script's own folders; an environment beside the script holds libraries."""
    if path != folder and not path.startswith(folder + os.sep):
        return False
    below = path[len(folder) :].split(os.sep)
    return not {"site-packages", "dist-packages"}.intersection(below)


class _Beside:
    """Finds modules in the script's own folder, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.loaded: list[str] = []

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Return a spec with our loader for a module beside the script."""
        where = [self.folder] if path is None else list(path)
        if not all(_inside(str(p), self.folder) for p in where):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, where)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        spec.loader = _Loader(fullname, str(spec.origin))
        self.loaded.append(fullname)
        return spec


def _as_json(default: Callable[[json.JSONEncoder, Any], Any]) -> Callable[[json.JSONEncoder, Any], Any]:
    """Let `json` write a float64 scalar, as it writes NumPy's, which is a Python float."""

    def encode(self: json.JSONEncoder, value: Any) -> Any:
        if isinstance(value, float):  # by its ``__class__``: a real one does not come here
            return float(value)
        return default(self, value)

    return encode


@contextmanager
def _as_main(path: Path, argv: Sequence[str], module: ModuleType) -> Iterator[None]:
    """Give the interpreter the state a script expects, and put it back after."""
    finder = _Beside(path.parent)
    before = sys.argv, sys.path[:], sys.modules.get("__main__")
    as_json = json.JSONEncoder.default
    json.JSONEncoder.default = _as_json(as_json)  # type: ignore[assignment,method-assign]
    sys.argv = [str(path), *argv]
    sys.path.insert(0, str(path.parent))
    sys.meta_path.insert(0, finder)
    sys.modules.update({"__main__": module})
    try:
        yield
    finally:
        json.JSONEncoder.default = as_json  # type: ignore[method-assign]
        sys.meta_path.remove(finder)
        for name in finder.loaded:
            sys.modules.pop(name, None)
        sys.argv, sys.path[:] = before[0], before[1]
        if before[2] is not None:
            sys.modules.update({"__main__": before[2]})


def run_path(path: str | Path, argv: Sequence[str] = ()) -> dict[str, Any]:
    """Run a script as ``__main__``, with xpu for numpy.

    Parameters
    ----------
    path : str or Path
        The script.
    argv : sequence of str, optional
        Its arguments.

    Returns
    -------
    dict
        The script's globals, as `runpy.run_path` gives them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    Exception
        Whatever the script raises.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "s.py").write_text("import numpy as np; x = np.ones(3).sum()")
    >>> type(run_path(folder / "s.py")["x"]).__module__
    'xpu'
    """
    script = Path(path).resolve()
    if not script.is_file():
        message = f"xpu.run: no script {str(path)!r}"
        raise FileNotFoundError(message)
    loader = _Loader("__main__", str(script))
    spec = importlib.util.spec_from_file_location("__main__", script, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    with _as_main(script, argv, module):
        loader.exec_module(module)
    return dict(module.__dict__)


def main(path: str | Path, argv: Sequence[str] = ()) -> int:
    """Run a script as Python would: exit status, and a traceback of the user's lines alone.

    Parameters
    ----------
    path : str or Path
        The script.
    argv : sequence of str, optional
        Its arguments.

    Returns
    -------
    int
        The script's exit status.
    """
    if not Path(path).is_file():
        print(f"xpu run: no script {str(path)!r}", file=sys.stderr)
        return 2
    status = 1
    threads = threading.excepthook
    threading.excepthook = _show_of_thread
    with _UserTraceback():
        try:
            run_path(path, argv)
            status = 0
        except SystemExit as stop:
            if stop.code is None or isinstance(stop.code, int):
                status = stop.code or 0
            else:
                print(stop.code, file=sys.stderr)
    threading.excepthook = threads
    return status


class _UserTraceback:
    """Prints what a script raised, as Python does, and goes on."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if isinstance(error, Exception):
            _show(error)
            return True
        if error is not None:  # an interrupt ends the process, and its status says so
            sys.excepthook = lambda kind, error, tb: _show(error)
        return False


def _show_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Print what a thread raised, as Python does."""
    if failed.exc_value is not None and not isinstance(failed.exc_value, SystemExit):
        print(f"Exception in thread {failed.thread.name if failed.thread else '?'}:", file=sys.stderr)
        _show(failed.exc_value)


def _show(error: BaseException) -> None:
    """Print a traceback without xpu's own frames, nor those of the errors it came from."""
    remedy = _remedy(error)
    if remedy:
        error.add_note(f"xpu run: {remedy}")
    shown = traceback.TracebackException.from_exception(error)
    waiting = [shown]
    while waiting:
        link = waiting.pop()
        link.stack[:] = [f for f in link.stack if not f.filename.startswith((_PACKAGE, *_IMPORTLIB))]
        waiting += [e for e in (link.__cause__, link.__context__) if e is not None]
    print("".join(shown.format()), end="", file=sys.stderr)


def _remedy(error: BaseException) -> str:
    """Return what to write where compiled code asks for NumPy's own array, which an xpu array is not."""
    said = str(error)
    if not isinstance(error, (TypeError, ValueError)):
        return ""
    if "bytes-like" in said or "buffer API" in said:
        return "xpu's arrays have no buffer of their own; x.data and x.tobytes() have one, in NumPy too."
    asks = "numpy.ndarray" in said or "numpy array" in said
    return "where a library asks for NumPy's own array, give it xpu.asnumpy(x), or a list." if asks else ""
