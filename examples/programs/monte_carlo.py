"""Option prices by Monte Carlo: cumulative sums of draws, where, percentiles, a control variate."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 400
rng = np.random.default_rng(8)
steps, rate, sigma, spot, strike = 25, 0.02, 0.3, 100.0, 105.0
dt = 1 / steps
draws = rng.standard_normal((n, steps))
draws = np.concatenate([draws, -draws])
paths = spot * np.exp(np.cumsum((rate - sigma**2 / 2) * dt + sigma * np.sqrt(dt) * draws, axis=1))
payoff = np.where(paths[:, -1] > strike, paths[:, -1] - strike, 0.0) * np.exp(-rate)
asian = np.maximum(paths.mean(axis=1) - strike, 0) * np.exp(-rate)
beta = np.cov(payoff, asian)[0, 1] / np.var(payoff, ddof=1)
low, high = np.percentile(paths[:, -1], [5, 95])
print(f"european {payoff.mean():.4f} asian {asian.mean():.4f} beta {beta:.4f} range {low:.2f} {high:.2f}")
print("barrier hit", f"{(paths.max(axis=1) > 130).mean():.3f}", "best path", int(payoff.argmax()))
RESULTS = {"payoff": payoff, "asian": asian}
