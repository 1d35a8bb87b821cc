"""Where measured plans are kept: one small JSON file per convolution, in the user's cache folder.

A file is written beside its place and renamed into it, so that processes that write at once never leave
half of one; what is read is checked field by field and is never more than numbers under known names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from typing import Any

from xpu import _store
from xpu.errors import MachineFileWarning, text, warn_user

__all__ = ["FORMAT", "MOST", "get", "path_of", "put"]

# Changes where an engine or the way of measuring changes so much that old times mislead.
FORMAT = 1
# Files kept; the one whose use is longest ago goes first.
MOST = 512


def path_of(key: Mapping[str, Any]) -> str:
    """Return the file of a key."""
    told = json.dumps(key, sort_keys=True)
    return os.path.join(_store.folder(), "conv", f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.json")


def get(key: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the seconds kept under a key, or None; a file that cannot be used is set aside aloud."""
    path = path_of(key)
    try:
        with open(path, encoding="utf-8") as file:
            seconds = _checked(json.load(file), key)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:  # broken JSON and broken UTF-8 are ValueErrors
        remedy = "It is set aside; the engines are measured again."
        warn_user(MachineFileWarning(text("conv", f"{path!r} cannot be used: {error}", remedy)))
        return None
    with contextlib.suppress(OSError):  # a folder that cannot be written
        os.utime(path)
    return seconds


def _checked(data: Any, key: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of a file's content, or raise ValueError with the field that is wrong."""
    if not isinstance(data, dict):
        message = f"it holds {type(data).__name__}, not an object"
        raise ValueError(message)
    for name, wanted in (("format", FORMAT), ("key", dict(key))):
        if data.get(name) != wanted:
            message = f"field {name!r} is {data.get(name)!r}, not {wanted!r}"
            raise ValueError(message)
    seconds = data.get("seconds")
    if not isinstance(seconds, dict) or not seconds:
        message = f"field 'seconds' is {seconds!r}, not engines with their times"
        raise ValueError(message)
    for engine, time in seconds.items():
        if engine not in key["engines"]:
            message = f"field 'seconds.{engine}' names no engine that was measured"
            raise ValueError(message)
        if isinstance(time, bool) or not isinstance(time, (int, float)) or not 0 < time < math.inf:
            message = f"field 'seconds.{engine}' is {time!r}, not a positive number"
            raise ValueError(message)
    return {engine: float(time) for engine, time in seconds.items()}


def put(key: Mapping[str, Any], seconds: Mapping[str, float]) -> bool:
    """Keep the seconds under a key; return whether the folder took them."""
    path = path_of(key)
    place = os.path.dirname(path)
    content = json.dumps({"format": FORMAT, "key": key, "seconds": dict(seconds)}, allow_nan=False) + "\n"
    try:
        os.makedirs(place, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=".plan-", suffix=".tmp", dir=place)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(beside, path)
        _drop_oldest(place)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        return False
    return True


def _drop_oldest(place: str) -> None:
    with os.scandir(place) as entries:
        found = [entry for entry in entries if entry.name.endswith(".json")]
    if len(found) <= MOST:
        return
    used: dict[str, float] = {}
    for entry in found:
        with contextlib.suppress(OSError):  # another process dropped it
            used[entry.path] = entry.stat().st_mtime
    for path in sorted(used, key=lambda p: used[p])[: len(found) - MOST]:
        with contextlib.suppress(OSError):
            os.unlink(path)
