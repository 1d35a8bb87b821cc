"""A small neural network trained by backpropagation in float32."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 80
rng = np.random.default_rng(4)
x = rng.uniform(-1, 1, size=(n, 2)).astype(np.float32)
y = (x[:, :1] * x[:, 1:] > 0).astype(np.float32)
w1, w2 = rng.normal(size=(2, 16)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
b1 = np.zeros(16, dtype=np.float32)
for _ in range(100):
    h = np.maximum(x @ w1 + b1, 0)
    out = 1 / (1 + np.exp(-(h @ w2)))
    g = (out - y) / n
    gh = (g @ w2.T) * (h > 0)
    w2 -= 2 * (h.T @ g)
    w1 -= 2 * (x.T @ gh)
    b1 -= 2 * gh.sum(axis=0)
loss = -np.mean(y * np.log(out + 1e-7) + (1 - y) * np.log(1 - out + 1e-7))
print(f"loss {loss:.2f}, correct {np.mean((out > 0.5) == (y > 0.5)):.2f}, {w1.dtype}")
RESULTS = {"w2": w2}
