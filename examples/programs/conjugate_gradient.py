"""Conjugate gradients on a Laplacian, with a stopping test on a scalar."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 50
A = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
b = np.ones(n)
x = np.zeros_like(b)
r = b - A @ x
p = r.copy()
rs = r @ r
steps = 0
while np.sqrt(rs) > 1e-10 and steps < 2 * n:
    Ap = A @ p
    alpha = rs / (p @ Ap)
    x += alpha * p
    r -= alpha * Ap
    new = r @ r
    p = r + (new / rs) * p
    rs = new
    steps += 1
print("solved", np.allclose(A @ x, b), "steps", steps, f"max {x.max():.3f}")
RESULTS = {"x": x}
