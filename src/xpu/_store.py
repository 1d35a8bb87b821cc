"""Where calibrated machines are kept: one JSON file per machine in the user's cache folder.

A file is written beside its place and renamed into it, so that a reader never sees half of one, and of
two processes that write at once the last wins whole. A file that cannot be used is set aside aloud.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from xpu._hardware import digest
from xpu._machine import Machine, load
from xpu.errors import MachineFileError, MachineFileWarning, text, warn_user

__all__ = ["folder", "path_of", "put", "saved", "write"]


def folder() -> str:
    """Return the cache folder: ``XPU_CACHE_DIR``, else the system's place for caches."""
    named = os.environ.get("XPU_CACHE_DIR")
    if named:
        return named
    import platformdirs

    return platformdirs.user_cache_dir("xpu", appauthor=False)


def path_of(named: Mapping[str, str]) -> str:
    """Return the file of the machine with this identity."""
    return os.path.join(folder(), f"machine-{digest(named)}.json")


def saved(named: Mapping[str, str]) -> Machine | None:
    """Return the calibrated machine with this identity, or None; an unusable file warns."""
    path = path_of(named)
    try:
        machine = load(path)
        if machine.extra.get("identity") != dict(named):
            problem = f"{path}: field 'extra.identity' is {machine.extra.get('identity')!r}, not this machine's"
            raise MachineFileError(text("machine", problem, "Run `xpu calibrate`."))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (MachineFileError, OSError) as error:
        remedy = "It is set aside; run `xpu calibrate` to replace it."
        warn_user(MachineFileWarning(text("machine", f"{path!r} cannot be used: {str(error).rstrip('.')}", remedy)))
        return None
    return machine


def put(machine: Machine, named: Mapping[str, str]) -> str:
    """Save a calibrated machine under its identity and return the file's path.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full; the file that was there stays.
    """
    path = path_of(named)
    write(replace(machine, extra={**machine.extra, "identity": dict(named)}), path)
    return path


def write(machine: Machine, path: str | os.PathLike[str]) -> None:
    """Write a machine file in one step: it is there whole, or what was there stays.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import json
    import tempfile  # only when a file is written: import xpu stays cheap

    place = os.path.dirname(os.path.abspath(path))
    os.makedirs(place, exist_ok=True)
    content = json.dumps(machine.to_dict(), separators=(",", ":"), allow_nan=False) + "\n"
    handle, beside = tempfile.mkstemp(prefix=".machine-", suffix=".tmp", dir=place)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
