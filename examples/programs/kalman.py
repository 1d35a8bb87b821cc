"""A Kalman filter over noisy positions: small matrices in a long loop, results written row by row."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 60
rng = np.random.default_rng(10)
dt = 0.1
F = np.array([[1, 0, dt, 0], [0, 1, 0, dt], [0, 0, 1, 0], [0, 0, 0, 1.0]])
H = np.eye(2, 4)
Q, R = 1e-2 * np.diag([0.1, 0.1, 1, 1]), 0.25 * np.eye(2)
truth = np.cumsum(np.column_stack([np.full(n, 0.1), 0.1 * np.sin(np.arange(n) / 8)]), axis=0)
seen = truth + rng.normal(scale=0.5, size=truth.shape)
state, P = np.zeros(4), np.eye(4)
track = np.empty((n, 4))
for k, z in enumerate(seen):
    state, P = F @ state, F @ P @ F.T + Q
    S = H @ P @ H.T + R
    K = np.linalg.solve(S, H @ P).T
    state = state + K @ (z - H @ state)
    P = (np.eye(4) - K @ H) @ P
    track[k] = state
error = np.linalg.norm(track[n // 2 :, :2] - truth[n // 2 :], axis=1)
print(f"seen {np.abs(seen - truth).mean():.4f} filtered {error.mean():.4f} trace {np.trace(P):.6f}")
RESULTS = {"track": track, "P": P}
