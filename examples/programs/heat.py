"""The heat equation on a square plate: a five-point stencil on views, in place."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 40
plate = np.zeros((n, n))
plate[0] = 100
plate[:, -1] = np.linspace(100, 0, n)
for _ in range(60):
    inner = plate[1:-1, 1:-1]
    inner += 0.2 * (plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:] - 4 * inner)
print(f"mean {plate.mean():.6f}, warm {np.count_nonzero(plate > 50)}")
RESULTS = {"plate": plate}
