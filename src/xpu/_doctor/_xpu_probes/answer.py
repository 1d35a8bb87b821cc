"""How a probe tells what it found: one marked JSON line per fact, written at once.

A line at a time, because a probe that crashes or is stopped must not lose what it knew already;
marked, because libraries print to the standard output as they please.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

MARK = "@xpu-doctor "
LONGEST_TEXT = 2000

# What a missing, mismatched or broken library raises while it is imported, loaded or called.
FAILURES: tuple[type[Exception], ...] = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    ValueError,
    TypeError,
    LookupError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)


class Answer:
    """The facts of one probe on their way to the parent process.

    Parameters
    ----------
    descriptor : int
        An open file descriptor; every fact is one write to it, with no buffer in between.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fact(self, key: str, value: object) -> None:
        """Report one fact; a later one under the same key replaces it.

        Parameters
        ----------
        key : str
            Its name in `Probe.facts`.
        value : object
            Anything JSON can write.
        """
        line = MARK + json.dumps({"key": key, "value": value}) + "\n"
        os.write(self._descriptor, line.encode())

    def error(self, step: str, text: str) -> None:
        """Report that one step failed, in the words of the library."""
        line = MARK + json.dumps({"step": step, "error": text[:LONGEST_TEXT]}) + "\n"
        os.write(self._descriptor, line.encode())

    @contextmanager
    def step(self, name: str, *more: type[Exception]) -> Iterator[None]:
        """Report a failure inside the block as an error of this step, and go on after it.

        Parameters
        ----------
        name : str
            The step, named in the error.
        *more : type of Exception
            Kinds of failure a library defines for itself, beside `FAILURES`.
        """
        try:
            yield
        except (*FAILURES, *more) as problem:
            self.error(name, f"{type(problem).__name__}: {problem}")
