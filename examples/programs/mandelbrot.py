"""The Mandelbrot set by boolean masks: points that escape drop out of the work."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
y, x = np.ogrid[-1.2 : 1.2 : n * 1j, -2.0 : 0.8 : n * 1j]
c = x + 1j * y
z = np.zeros_like(c)
steps = np.zeros(c.shape, dtype=np.int32)
alive = np.ones(c.shape, dtype=bool)
for _ in range(40):
    z[alive] = z[alive] ** 2 + c[alive]
    alive &= np.abs(z) < 2
    steps[alive] += 1
print("inside", np.count_nonzero(alive), "mean steps", f"{steps.mean():.4f}", "longest edge", steps[~alive].max())
RESULTS = {"steps": steps, "alive": alive}
