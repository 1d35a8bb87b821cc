"""The wave equation in three arrays that take turns, with out= and no temporary; energy by einsum and gradient."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 48
y, x = np.mgrid[0:n, 0:n] / n
now = np.exp(-200 * ((x - 0.3) ** 2 + (y - 0.5) ** 2))
before, after, work = now.copy(), np.empty_like(now), np.empty((n - 2, n - 2))
speed = np.where(x > 0.6, 0.1, 0.25)[1:-1, 1:-1]
for _ in range(80):
    np.add(now[:-2, 1:-1], now[2:, 1:-1], out=work)
    work += now[1:-1, :-2]
    work += now[1:-1, 2:]
    work -= 4 * now[1:-1, 1:-1]
    np.multiply(work, speed, out=work)
    after[1:-1, 1:-1] = 2 * now[1:-1, 1:-1] - before[1:-1, 1:-1] + work
    after[[0, -1]] = after[:, [0, -1]] = 0.0
    before, now, after = now, after, before
gy, gx = np.gradient(now)
energy = 0.5 * np.einsum("ij,ij->", now - before, now - before) + 0.5 * np.sum(gx**2 + gy**2)
peak = np.unravel_index(np.abs(now).argmax(), now.shape)
print(f"energy {energy:.6f} largest {np.abs(now).max():.5f}", tuple(int(k) for k in peak), now.flags.c_contiguous)
RESULTS = {"now": now}
