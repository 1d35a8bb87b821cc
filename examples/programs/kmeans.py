"""Lloyd's k-means on three clouds: broadcasting, argmin, boolean masks."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
rng = np.random.default_rng(0)
points = np.concatenate([rng.normal(c, 0.3, size=(n, 2)) for c in ((0, 0), (3, 0), (0, 3))])
centres = points[[0, n, 2 * n]].copy()
for _ in range(10):
    distance = ((points[:, None] - centres[None]) ** 2).sum(axis=-1)
    label = distance.argmin(axis=1)
    for k in range(3):
        centres[k] = points[label == k].mean(axis=0)
print(np.round(centres, 3))
print("sizes", np.bincount(label).tolist(), f"inertia {distance.min(axis=1).sum():.4f}")
RESULTS = {"centres": centres, "label": label}
