"""Images and series through strides: sliding windows, block means, a median filter, an integral image, im2col."""

import sys

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

n = int(sys.argv[1]) if len(sys.argv) > 1 else 24
rng = np.random.default_rng(12)
image = np.clip(rng.normal(100, 40, size=(n, n)), 0, 255).astype(np.uint8)
padded = np.pad(image, 1, mode="edge")
median = np.median(sliding_window_view(padded, (3, 3)), axis=(2, 3))
blocks = image.reshape(n // 4, 4, n // 4, 4).mean(axis=(1, 3))
integral = image.astype(np.int64).cumsum(0).cumsum(1)
box = integral[8:, 8:] - integral[:-8, 8:] - integral[8:, :-8] + integral[:-8, :-8]
step = image.strides
columns = as_strided(image, (n - 2, n - 2, 3, 3), step + step).reshape(-1, 9)
sobel = columns.astype(float) @ np.array([1, 0, -1, 2, 0, -2, 1, 0, -1])
edges = np.abs(sobel).reshape(n - 2, n - 2) > 200
flipped = image[::-1, ::2].T
values, counts = np.unique(image >> 5, return_counts=True)
print(
    f"{median.mean():.4f} {blocks.std():.4f}", box.max(), edges.sum(), flipped.shape, values.tolist(), counts.tolist()
)
stretched = ((image - image.min()) * (255.0 / np.ptp(image))).round().astype(np.uint8)
print(stretched.min(), stretched.max(), np.percentile(stretched, [10, 50, 90]).tolist(), stretched.dtype)
RESULTS = {"median": median, "blocks": blocks, "box": box, "edges": edges, "stretched": stretched}
