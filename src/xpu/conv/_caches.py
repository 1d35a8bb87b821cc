"""The sizes of this processor's data caches, which the compiled engines cut their work to."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

__all__ = ["Caches", "caches"]


@dataclass(frozen=True, slots=True)
class Caches:
    """Bytes of data cache one core sees.

    Parameters
    ----------
    first, second : int
        Of the first and second level; the defaults are the least that the last ten years' processors have.
    """

    first: int = 32 << 10
    second: int = 256 << 10


@functools.cache
def caches(folder: str = "/sys/devices/system/cpu/cpu0/cache") -> Caches:
    """Return what Linux says of the first core; the defaults where it says nothing, and on other systems.

    Parameters
    ----------
    folder : str, optional
        Where the kernel describes the caches, one folder each.

    Returns
    -------
    Caches

    Examples
    --------
    >>> caches("nowhere")
    Caches(first=32768, second=262144)
    """
    found: dict[int, int] = {}
    for index in range(8):
        here = os.path.join(folder, f"index{index}")
        try:
            level, kind, size = (_line(os.path.join(here, name)) for name in ("level", "type", "size"))
        except OSError:
            break
        if kind != "Instruction" and level.isdigit() and size.rstrip("KM").isdigit():
            found[int(level)] = int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
    plain = Caches()
    return Caches(found.get(1, plain.first), found.get(2, plain.second))


def _line(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        return file.readline().strip()
