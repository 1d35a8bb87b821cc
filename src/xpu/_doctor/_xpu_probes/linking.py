"""Probe of one trap: cuBLAS loaded by its path alone picks its libcublasLt by the loader's rules.

The loader looks into LD_LIBRARY_PATH before the folder of libcublas (its RUNPATH), so a system copy
can shadow the one pip installed. CuPy loads libcublasLt first and escapes; other packages do not.
"""

from __future__ import annotations

import ctypes
import os

from . import finding
from .answer import Answer


def probe(answer: Answer, root: str) -> None:
    """Load pip's cuBLAS as a package that knows nothing of the trap would.

    Parameters
    ----------
    answer : Answer
        Where the facts go.
    root : str
        Not used: only installed packages are looked at.
    """
    copies = finding.in_packages("*/lib/libcublas.so.*")
    if not copies:
        return
    with answer.step("load libcublas alone"):
        ctypes.CDLL(copies[0], mode=os.RTLD_NOW)
    partners = finding.loaded("libcublasLt.so")
    answer.fact("cublas", copies[0])
    answer.fact("cublasLt", partners)
