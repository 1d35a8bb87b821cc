"""cuBLAS as far as CuPy's products need it, by NumPy: column-major matrices at pointers."""

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from played import memory

TYPES = {2: "e", 0: "f", 1: "d", 4: "F", 5: "D"}  # cudaDataType
CONSTANTS = {
    "CUBLAS_OP_N": 0,
    "CUBLAS_OP_T": 1,
    "CUBLAS_OP_C": 2,
    "CUBLAS_FILL_MODE_LOWER": 0,
    "CUBLAS_FILL_MODE_UPPER": 1,
    "CUBLAS_SIDE_LEFT": 0,
    "CUBLAS_SIDE_RIGHT": 1,
    "CUBLAS_POINTER_MODE_HOST": 0,
    "CUBLAS_POINTER_MODE_DEVICE": 1,
    "CUBLAS_GEMM_DEFAULT": -1,
    "CUBLAS_GEMM_DEFAULT_TENSOR_OP": 99,
    "CUBLAS_COMPUTE_32F": 68,
    "CUBLAS_COMPUTE_32F_PEDANTIC": 69,
    "CUBLAS_COMPUTE_32F_FAST_TF32": 77,
    "CUBLAS_COMPUTE_64F": 70,
    "CUBLAS_COMPUTE_64F_PEDANTIC": 71,
    "CUBLAS_DEFAULT_MATH": 0,
    "CUBLAS_TENSOR_OP_MATH": 1,
}


class CUBLASError(RuntimeError):
    """What CuPy catches by this name."""


def _matrix(pointer: int, kind: str, rows: int, columns: int, leading: int) -> np.ndarray:
    flat = memory.at(pointer, kind, leading * max(columns - 1, 0) + rows)
    return as_strided(flat, (rows, columns), (flat.itemsize, leading * flat.itemsize))


def _operand(pointer: int, kind: str, rows: int, columns: int, leading: int, how: int) -> np.ndarray:
    if how == 0:
        return _matrix(pointer, kind, rows, columns, leading)
    turned = _matrix(pointer, kind, columns, rows, leading).T
    return turned.conj() if how == 2 else turned


def _product(ta: int, tb: int, m: int, n: int, k: int, a: tuple, b: tuple, c: tuple) -> None:
    """Multiply; a matrix is (pointer, type, leading dimension). Half precision is summed in float32, as asked."""
    out = _matrix(c[0], c[1], m, n, c[2])
    wide = "f" if c[1] == "e" else c[1]
    left = _operand(a[0], a[1], m, k, a[2], ta).astype(wide)
    out[...] = (left @ _operand(b[0], b[1], k, n, b[2], tb).astype(wide)).astype(c[1])


def _one_and_zero(alpha: int, beta: int, kind: str) -> None:
    scale = "f" if kind == "e" else kind
    if memory.at(alpha, scale, 1)[0] != 1 or memory.at(beta, scale, 1)[0] != 0:
        msg = "the emulator plays products with alpha 1 and beta 0"
        raise NotImplementedError(msg)


def gemmEx(h, ta, tb, m, n, k, alpha, a, at, lda, b, bt, ldb, beta, c, ct, ldc, *_):
    """Play cublasGemmEx."""
    _one_and_zero(alpha, beta, TYPES[ct])
    _product(ta, tb, m, n, k, (a, TYPES[at], lda), (b, TYPES[bt], ldb), (c, TYPES[ct], ldc))


def gemmStridedBatchedEx(h, ta, tb, m, n, k, alpha, a, at, lda, sa, b, bt, ldb, sb, beta, c, ct, ldc, sc, batch, *_):
    """Play cublasGemmStridedBatchedEx."""
    _one_and_zero(alpha, beta, TYPES[ct])
    sizes = [np.dtype(TYPES[t]).itemsize for t in (at, bt, ct)]
    for i in range(batch):
        here = [p + i * s * size for p, s, size in zip((a, b, c), (sa, sb, sc), sizes, strict=True)]
        matrices = zip(here, (TYPES[at], TYPES[bt], TYPES[ct]), (lda, ldb, ldc), strict=True)
        _product(ta, tb, m, n, k, *matrices)


def _gemm(kind, h, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    _one_and_zero(alpha, beta, kind)
    _product(ta, tb, m, n, k, (a, kind, lda), (b, kind, ldb), (c, kind, ldc))


def _gemm_batched(kind, h, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, batch):
    _one_and_zero(alpha, beta, kind)
    for x, y, z in zip(*(memory.at(p, np.uintp, batch).tolist() for p in (a, b, c)), strict=True):
        _product(ta, tb, m, n, k, (x, kind, lda), (y, kind, ldb), (z, kind, ldc))


def _dot(kind, conjugated, h, n, x, step_x, y, step_y, result):
    a = memory.at(x, kind, 1 + (n - 1) * step_x)[::step_x]
    b = memory.at(y, kind, 1 + (n - 1) * step_y)[::step_y]
    memory.at(result, kind, 1)[0] = ((a.conj() if conjugated else a) * b).sum()


def _functions() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {"gemmEx": gemmEx, "gemmStridedBatchedEx": gemmStridedBatchedEx}
    for letter, kind in zip("sdcz", "fdFD", strict=True):
        found[f"{letter}gemm"] = partial(_gemm, kind)
        found[f"{letter}gemmBatched"] = partial(_gemm_batched, kind)
    for name, kind, conjugated in [("sdot", "f", False), ("ddot", "d", False), ("cdotu", "F", False)]:
        found[name] = partial(_dot, kind, conjugated)
    for name, kind, conjugated in [("cdotc", "F", True), ("zdotu", "D", False), ("zdotc", "D", True)]:
        found[name] = partial(_dot, kind, conjugated)
    for name in ("setStream", "setMathMode", "setPointerMode", "destroy"):
        found[name] = lambda *_: None
    return {**found, "create": lambda: 1, "getPointerMode": lambda _: 0, "getVersion": lambda _: 130000}


def module() -> ModuleType:
    """Return what takes the place of `cupy_backends.cuda.libs.cublas`."""
    made = ModuleType("cupy_backends.cuda.libs.cublas")
    made.__dict__.update(CONSTANTS, CUBLASError=CUBLASError, **_functions())
    return made
