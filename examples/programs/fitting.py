"""Curves through data: polynomials old and new, Gauss-Newton, residual statistics, vectorised Python functions."""

import sys

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

n = int(sys.argv[1]) if len(sys.argv) > 1 else 80
rng = np.random.default_rng(14)
x = np.linspace(-1, 1, n)
y = 1 - 2 * x + 0.5 * x**3 + rng.normal(scale=0.01, size=n)
old, covariance = np.polyfit(x, y, 3, cov=True)
new = Polynomial.fit(x, y, 3).convert()
cheb = Chebyshev.fit(x, y, 3)
print(
    np.round(old, 3), np.round(new.coef, 3), f"{np.abs(np.polyval(old, x) - cheb(x)).max() < 1e-12}", covariance.shape
)
print("roots", np.round(np.sort(np.roots(old).real), 2), "slope", round(float(new.deriv()(0.0)), 3))
p = np.array([1.0, 0.5])
t = np.linspace(0, 2, n)
data = 2 * np.exp(-1.3 * t) + rng.normal(scale=0.01, size=n)
for _ in range(12):
    model = p[0] * np.exp(-p[1] * t)
    J = np.stack([model / p[0], -t * model], axis=1)
    p = p + np.linalg.lstsq(J, data - model, rcond=None)[0]
residual = data - p[0] * np.exp(-p[1] * t)
print(
    "rates",
    np.round(p, 2),
    f"rms {np.sqrt(np.mean(residual**2)):.3f}",
    f"lag {np.corrcoef(residual[:-1], residual[1:])[0, 1]:.2f}",
)


@np.vectorize
def kind(r, limit=0.01):
    return "high" if r > limit else "low" if r < -limit else "fine"


labels = kind(residual)
names, counts = np.unique(labels, return_counts=True)
print(dict(zip(names.tolist(), counts.tolist(), strict=True)), labels.dtype.kind)
RESULTS = {"old": old, "p": p, "residual": residual}
