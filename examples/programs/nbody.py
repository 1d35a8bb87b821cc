"""Gravity among n bodies, leapfrog: broadcasting, in-place sums, einsum."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 20
rng = np.random.default_rng(1)
x, v, m = rng.normal(size=(n, 3)), np.zeros((n, 3)), rng.uniform(0.5, 1.5, size=n)


def acceleration(x):
    d = x[None] - x[:, None]
    r2 = np.einsum("ijk,ijk->ij", d, d) + 0.05
    return (d * (m / r2**1.5)[..., None]).sum(axis=1)


a = acceleration(x)
for _ in range(20):
    v += 0.005 * a
    x += 0.01 * v
    a = acceleration(x)
    v += 0.005 * a
energy = 0.5 * (m * (v**2).sum(axis=1)).sum()
print(f"kinetic energy {energy:.6f}, momentum {np.abs(m @ v).max() < 1e-12}")
RESULTS = {"x": x, "v": v}
