"""Statistics of particle tracks: a small package that runs where its arrays are.

Positions are float arrays of shape (frames, particles, axes), in micrometres. Functions take and return xpu arrays.
"""

import xpu as np


def displacements(positions, lag=1):
    """Return how far every particle moved in `lag` frames, shape (frames - lag, particles, axes)."""
    if not 0 < lag < len(positions):
        message = f"lag must lie between 1 and {len(positions) - 1} frames, got {lag}"
        raise ValueError(message)
    return positions[lag:] - positions[:-lag]


def mean_squared_displacement(positions, lag=1):
    """Return the mean squared displacement over all particles and start frames, in square micrometres."""
    return np.mean(np.sum(displacements(positions, lag) ** 2, axis=-1))


def wrap(positions, box):
    """Move every position into a periodic box of side `box`, in place."""
    positions -= np.floor(positions / box) * box
    positions[positions >= box] = 0.0  # rounding may put a position on the far wall, which is the near one


def nearest_neighbours(points, box):
    """Return every point's distance to its nearest neighbour in a periodic box; `points` has shape (n, axes)."""
    gaps = np.abs(points[:, None, :] - points[None, :, :])
    gaps = np.minimum(gaps, box - gaps)
    squared = np.sum(gaps**2, axis=-1)
    np.fill_diagonal(squared, np.inf)
    return np.sqrt(np.min(squared, axis=1))


def diffusion(positions, frame_time, lags=4):
    """Return the diffusion coefficient from a fit through the first lags, in square micrometres a second."""
    axes = positions.shape[-1]
    times = frame_time * np.arange(1, lags + 1)
    squares = np.stack([mean_squared_displacement(positions, lag) for lag in range(1, lags + 1)])
    return np.sum(times * squares) / np.sum(times * times) / (2 * axes)
