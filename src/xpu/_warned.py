"""NumPy's warnings name the user's line.

C code warns at the innermost Python frame (``warnings``' own ``skip_file_prefixes`` does not reach it), which for
``a / 0`` is a line of xpu. So one entry of `warnings.filters` takes every warning that points into this package and
gives it again at the first frame outside. It costs nothing until something warns. The entry stays first: what a
program puts at the front later (``simplefilter("always")``) goes behind it, and decides about the warning given again.

An entry is (action, message, category, module, line); the interpreter asks the three in the middle, in this order:
message, module, category.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from itertools import dropwhile
from types import FrameType
from typing import Any, SupportsIndex

__all__ = ["Redirected"]

_PACKAGE = os.path.dirname(__file__) + os.sep


class _Asked(threading.local):
    """What the interpreter has asked so far about the warning at hand."""

    text: str | None = None
    ours = False


_asked = _Asked()


class _Text:
    """Matches every message, and remembers it."""

    pattern = ""

    def match(self, text: str) -> bool:
        """Return True."""
        _asked.text = text
        return True


class _Module:
    """Matches the modules of this package."""

    pattern = r"xpu(\.|$)"

    def match(self, module: str) -> bool:
        """Return True for a module of this package."""
        _asked.ours = module.startswith("xpu.")
        return _asked.ours


class _Category(type):
    """Asked last, with the category: by then all is known."""

    def __subclasscheck__(cls, category: type) -> bool:
        ours, text, _asked.ours, _asked.text = _asked.ours, _asked.text, False, None
        return ours and text is not None and _given_again(text, category)


class Redirected(Warning, metaclass=_Category):
    """Stands for every category in the entry of `warnings.filters`; never raised."""


def _files() -> Iterator[tuple[int, str]]:
    """Yield the file of each frame, with the level that names it from `_given_again`."""
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None:
        yield level, frame.f_code.co_filename
        frame = frame.f_back
        level += 1


def _given_again(text: str, category: type) -> bool:
    """Warn at the first frame outside this package, below the one that was named; return False if there is none."""
    files = dropwhile(lambda at: at[1] == __file__, list(_files()))
    files = dropwhile(lambda at: not at[1].startswith(_PACKAGE), files)  # NumPy's, which asked for a level below
    files = dropwhile(lambda at: at[1].startswith(_PACKAGE), files)
    level, _ = next(files, (0, ""))
    if level:
        warnings.warn(text, category, stacklevel=level)
    return level > 0


_ENTRY = ("ignore", _Text(), Redirected, _Module(), 0)


class _Filters(list[Any]):
    """The interpreter's list, whose front is behind our entry; so are the copies that ``catch_warnings`` makes."""

    def insert(self, at: SupportsIndex, entry: Any) -> None:
        """Insert an entry; position 0 is the one after ours."""
        super().insert(1 if at == 0 and self[:1] == [_ENTRY] else at, entry)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Filters(found) if isinstance(key, slice) else found


warnings.filters = _Filters([_ENTRY, *warnings.filters])
