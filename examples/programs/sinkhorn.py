"""Optimal transport by Sinkhorn's scaling: exp, matrix-vector products, division."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 50
grid = np.linspace(0, 1, n)
a = np.exp(-((grid - 0.2) ** 2) / 0.01)
b = np.exp(-((grid - 0.7) ** 2) / 0.02)
a /= a.sum()
b /= b.sum()
K = np.exp(-np.subtract.outer(grid, grid) ** 2 / 0.01)
u = np.ones(n)
for _ in range(100):
    v = b / (K.T @ u)
    u = a / (K @ v)
plan = u[:, None] * K * v
with np.errstate(divide="ignore"):
    entropy = -np.sum(plan * np.where(plan > 0, np.log(np.maximum(plan, 1e-300)), 0))
print(f"marginal error {np.abs(plan.sum(axis=1) - a).max():.1e}, entropy {entropy:.5f}")
RESULTS = {"plan": plan}
