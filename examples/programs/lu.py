"""LU factorisation with partial pivoting, row swaps and rank-one updates in place; two triangular solves."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 24
rng = np.random.default_rng(9)
A = rng.normal(size=(n, n))
b = rng.normal(size=n)
LU, order = A.copy(), np.arange(n)
for k in range(n - 1):
    p = k + np.argmax(np.abs(LU[k:, k]))
    if p != k:
        LU[[k, p]], order[[k, p]] = LU[[p, k]], order[[p, k]]
    LU[k + 1 :, k] /= LU[k, k]
    LU[k + 1 :, k + 1 :] -= np.outer(LU[k + 1 :, k], LU[k, k + 1 :])
y = b[order]
for i in range(1, n):
    y[i] -= LU[i, :i] @ y[:i]
x = y
for i in reversed(range(n)):
    x[i] = (x[i] - LU[i, i + 1 :] @ x[i + 1 :]) / LU[i, i]
L, U = np.tril(LU, -1) + np.eye(n), np.triu(LU)
print("factors", np.allclose(L @ U, A[order]), "solution", np.allclose(A @ x, b), "pivots", order[:6].tolist())
RESULTS = {"LU": LU, "x": x, "order": order}
