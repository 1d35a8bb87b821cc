"""Solves, factors and what their results are."""

import numpy as np

rng = np.random.default_rng(5)
A = rng.normal(size=(4, 4))
S = A @ A.T + 4 * np.eye(4)
b = rng.normal(size=4)
x = np.linalg.solve(S, b)
print(
    np.allclose(S @ x, b),
    np.linalg.norm(S @ x - b) < 1e-12,
    np.linalg.det(S).round(6),
    np.linalg.matrix_rank(S),
    np.trace(S).round(6),
)
w, v = np.linalg.eigh(S)
print(w.round(5), np.allclose(v @ np.diag(w) @ v.T, S), np.allclose(v.T @ v, np.eye(4)), (v * w @ v.T).shape)
r = np.linalg.eigh(S)
print(r.eigenvalues.round(4), type(r).__name__, r[0].shape)
u, s, vt = np.linalg.svd(A)
print(s.round(5), np.allclose((u * s) @ vt, A), np.linalg.svd(A, compute_uv=False).round(4))
q, t = np.linalg.qr(A)
print(np.allclose(q @ t, A), np.allclose(np.triu(t), t), np.linalg.cond(S).round(4))
L = np.linalg.cholesky(S)
print(np.allclose(L @ L.T, S), L.shape, np.linalg.slogdet(S).logabsdet.round(6), tuple(np.linalg.slogdet(S))[0])
c, res, rank, sv = np.linalg.lstsq(np.vander(np.arange(5.0), 3), np.arange(5.0) ** 2, rcond=None)
print(c.round(6) + 0.0, rank, sv.round(4), res.shape)
print(
    np.linalg.pinv(A).shape,
    np.allclose(np.linalg.inv(A) @ A, np.eye(4)),
    np.linalg.matrix_power(S, 2).shape,
    np.linalg.norm(A, axis=1).round(4),
    np.linalg.norm(A, "fro").round(6),
    np.linalg.norm(b, 1).round(6),
)
try:
    np.linalg.inv(np.zeros((3, 3)))
except np.linalg.LinAlgError as e:
    print("caught", e)
try:
    np.linalg.cholesky(np.array([[1.0, 2], [2, 1]]))
except np.linalg.LinAlgError:
    S2 = np.eye(2)
    print("fallback", np.linalg.cholesky(S2))
print(
    np.dot(b, b).round(6),
    b @ b == np.inner(b, b),
    np.outer(b, b).shape,
    np.kron(np.eye(2), np.ones((1, 2))),
    np.einsum("ij,j->i", A, b).round(4),
    np.einsum("ii", A).round(5),
    np.tensordot(A, A, 2).round(5),
)
print(
    np.cross([1, 0, 0], [0, 1, 0]),
    np.vdot([1j], [1j]),
    np.multiply.outer([1, 2], [3, 4]),
    np.add.reduce([[1, 2], [3, 4]], axis=1),
    np.logical_and.accumulate([True, False, True]),
    np.add.reduceat(np.arange(8), [0, 4]),
)
print(
    np.cov(A).shape,
    np.corrcoef(A)[0, 0].round(6),
    np.convolve([1, 2, 3], [0, 1, 0.5]),
    np.correlate([1, 2, 3], [0, 1, 0.5], "same"),
    np.interp(2.5, [1, 2, 3], [3, 2, 0]),
    np.trapezoid([1, 2, 3]),
    np.gradient([1.0, 4, 9]),
    np.cumsum(b).round(3),
)
lu = S.copy()
for k in range(4):
    for i in range(k + 1, 4):
        lu[i, k] /= lu[k, k]
        lu[i, k + 1 :] -= lu[i, k] * lu[k, k + 1 :]
print(np.prod(np.diag(lu)).round(6), lu.round(4)[1].tolist())
M = np.matrix([[1, 2], [3, 4]])
print(M * M, M.I.round(2), M.T, M[0], np.asarray(M) * 2, type(M).__name__, np.bmat([[M, M]]).shape)
f = np.fft.rfft(b)
print(
    np.abs(f).round(4),
    np.fft.irfft(f, 4).round(4).tolist() == b.round(4).tolist(),
    np.fft.fftfreq(4),
    np.fft.fftshift(np.arange(4)),
    np.angle(f[1]).round(4),
)
