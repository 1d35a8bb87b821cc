"""Ten whole programs over a namespace with NumPy's names: the same text runs under NumPy, CuPy and xpu."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["PROGRAMS"]


def heat(np: Any, n: int) -> Any:
    """Jacobi steps of the heat equation on a square plate."""
    u = np.zeros((n, n))
    u[0, :] = 1.0
    for _ in range(20):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
    return u.sum()


def mandelbrot(np: Any, n: int) -> Any:
    """Escape counts of the Mandelbrot set."""
    x = np.linspace(-2.0, 0.5, n)
    y = np.linspace(-1.2, 1.2, n)
    c = x[None, :] + 1j * y[:, None]
    z = np.zeros_like(c)
    count = np.zeros(c.shape)
    for _ in range(15):
        z = np.where(np.abs(z) < 2.0, z * z + c, z)
        count = count + (np.abs(z) < 2.0)
    return count.sum()


def power_iteration(np: Any, n: int) -> Any:
    """Largest eigenvalue of a symmetric matrix."""
    i = np.arange(n, dtype=float)
    a = 1.0 / (1.0 + np.abs(i[:, None] - i[None, :]))
    v = np.ones(n)
    for _ in range(20):
        v = a @ v
        v = v / np.sqrt((v * v).sum())
    return v @ (a @ v)


def least_squares(np: Any, n: int) -> Any:
    """A polynomial fit by the normal equations."""
    x = np.linspace(-1.0, 1.0, n * n)
    basis = np.stack([x**k for k in range(8)], axis=1)
    y = np.sin(3.0 * x)
    return np.linalg.solve(basis.T @ basis, basis.T @ y).sum()


def low_pass(np: Any, n: int) -> Any:
    """A low-pass filter of an image by the FFT."""
    i = np.arange(n, dtype=float)
    image = np.sin(i[:, None] * 0.1) * np.cos(i[None, :] * 0.07)
    spectrum = np.fft.rfft2(image)
    spectrum[n // 8 : -n // 8, :] = 0.0
    return np.abs(np.fft.irfft2(spectrum, s=image.shape)).sum()


def order_statistics(np: Any, n: int) -> Any:
    """A trimmed mean by sorting."""
    x = np.sin(np.arange(n * n, dtype=float) * 12.9898) * 43758.5453
    x = np.sort(x - np.floor(x))
    cut = n * n // 10
    return x[cut:-cut].mean()


def logistic_regression(np: Any, n: int) -> Any:
    """Gradient descent on a logistic loss."""
    i = np.arange(n * n, dtype=float)
    features = np.stack([np.sin(i), np.cos(1.7 * i), np.ones(n * n)], axis=1)
    labels = (features[:, 0] + 0.5 * features[:, 1] > 0).astype(float)
    w = np.zeros(3)
    for _ in range(15):
        p = 1.0 / (1.0 + np.exp(-(features @ w)))
        w = w - 0.5 * (features.T @ (p - labels)) / (n * n)
    return w.sum()


def nearest_centres(np: Any, n: int) -> Any:
    """Steps of k-means on points of a plane."""
    i = np.arange(n * n, dtype=float)
    points = np.stack([np.sin(i), np.cos(1.3 * i)], axis=1)
    centres = points[:8] * 1.0
    for _ in range(5):
        squared = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
        member = (squared == squared.min(axis=1)[:, None]).astype(float)
        centres = (member.T @ points) / np.maximum(member.sum(axis=0), 1.0)[:, None]
    return centres.sum()


def bodies(np: Any, n: int) -> Any:
    """Steps of a gravitational system, all pairs."""
    i = np.arange(2 * n, dtype=float)
    place = np.stack([np.sin(i), np.cos(2.1 * i), np.sin(0.7 * i)], axis=1)
    speed = np.zeros_like(place)
    for _ in range(3):
        apart = place[None, :, :] - place[:, None, :]
        inverse = ((apart**2).sum(axis=2) + 0.01) ** -1.5
        speed = speed + 1e-3 * (apart * inverse[:, :, None]).sum(axis=1)
        place = place + 1e-3 * speed
    return np.abs(place).sum()


def option_price(np: Any, n: int) -> Any:
    """The price of an option from paths of a random walk, with a fixed sequence for the noise."""
    i = np.arange(n * n, dtype=float)
    price = np.full(n * n, 100.0)
    for step in range(12):
        noise = np.sin((i + step * 0.618) * 12.9898) * 43758.5453
        noise = (noise - np.floor(noise) - 0.5) * 3.4641
        price = price * np.exp(-0.005 + 0.1 * noise)
    return np.maximum(price - 100.0, 0.0).mean()


PROGRAMS: dict[str, Callable[[Any, int], Any]] = {
    f.__name__: f
    for f in (
        heat,
        mandelbrot,
        power_iteration,
        least_squares,
        low_pass,
        order_statistics,
        logistic_regression,
        nearest_centres,
        bodies,
        option_price,
    )
}
