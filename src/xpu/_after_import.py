"""Calling a function as soon as a module of another library has been imported, without importing it.

Python has no such hook. This is a finder before all others: it finds nothing itself, asks the others, and runs the
function when the module's own code has run.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["after_import"]


class _Then(Loader):
    """A module's own loader, and what follows it."""

    def __init__(self, loader: Loader, action: Callable[[], None]) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # the module's source is still found through it
        self._loader.exec_module(module)
        self._action()


class _Waiting(MetaPathFinder):
    """The modules that are waited for."""

    def __init__(self) -> None:
        self.actions: dict[str, Callable[[], None]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        action = self.actions.pop(name, None)
        if action is None:
            return None
        spec = importlib.util.find_spec(name)  # not asked here again: it is no longer waited for
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader, action)
        return spec


_waiting = _Waiting()


def after_import(name: str, action: Callable[[], None]) -> None:
    """Call `action` once the module `name` has been imported: now, if it has been.

    Parameters
    ----------
    name : str
        Full name of a module. Its import is not started, and need never happen.
    action : callable
        Called once, by the thread that imports the module, before the import statement returns. One for each name.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and not getattr(loaded.__spec__, "_initializing", False):
        action()
        return
    if _waiting not in sys.meta_path:
        sys.meta_path.insert(0, _waiting)
    _waiting.actions[name] = action
