"""Principal components by the singular value decomposition."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
rng = np.random.default_rng(2)
data = rng.normal(size=(n, 3)) @ np.diag([3.0, 1.0, 0.1]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
data -= data.mean(axis=0)
_, s, vt = np.linalg.svd(data, full_matrices=False)
vt *= np.sign(vt[np.arange(3), np.abs(vt).argmax(axis=1)])[:, None]
scores = data @ vt.T
share = s**2 / np.sum(s**2)
print("explained", np.round(share, 4), "order", np.argsort(-share).tolist())
RESULTS = {"share": share, "scores": scores}
