"""Where shared libraries lie: the search the probes use beside, and without, cuda-pathfinder."""

from __future__ import annotations

import glob
import os
import re
import sys


def in_packages(pattern: str) -> list[str]:
    """Return the files under the ``nvidia`` folder of every package folder that match.

    Parameters
    ----------
    pattern : str
        A glob, relative to ``nvidia``, for example ``"*/lib/libcudnn.so.*"``.

    Returns
    -------
    list of str
        Paths, in the order of ``sys.path``.
    """
    return [
        path
        for folder in dict.fromkeys(sys.path)
        for path in sorted(glob.glob(os.path.join(folder or ".", "nvidia", pattern)))
    ]


def in_folders(name: str, root: str) -> list[str]:
    """Return the copies of a library in the folders the loader and CUDA's installers use.

    Parameters
    ----------
    name : str
        A glob for the file's name, for example ``"libcudnn.so.*"``.
    root : str
        Root of the file system.

    Returns
    -------
    list of str
        Paths; those of ``LD_LIBRARY_PATH`` first, as the loader takes them.
    """
    folders = [f for f in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if f]
    for variable in ("CUDA_PATH", "CUDA_HOME", "CONDA_PREFIX"):
        if os.environ.get(variable):
            folders += [os.path.join(os.environ[variable], part) for part in ("lib64", "lib")]
    system = ("usr/local/cuda*/lib64", "usr/lib/*-linux-gnu", "usr/lib64", "usr/lib/wsl/lib")
    folders += [os.path.join(root, part) for part in system]
    return [p for folder in folders for p in sorted(glob.glob(os.path.join(folder, name)))]


def loaded(name: str) -> list[str]:
    """Return the files mapped into this process whose name begins so (Linux; elsewhere none)."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            paths = [line.split(None, 5)[5].strip() for line in file if line.count("/")]
    except (OSError, IndexError):
        return []
    return sorted({path for path in paths if os.path.basename(path).startswith(name)})


def major(path: str) -> int:
    """Return the number after ``.so.`` in a library's file name, 0 if there is none."""
    found = re.search(r"\.so\.(\d+)", os.path.basename(path))
    return int(found[1]) if found else 0
