"""Blur, find edges and deblur a photograph: plain NumPy and SciPy.

python photo.py PICTURE OUT_FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import signal


def gaussian(sigma):
    x = np.arange(-int(4 * sigma), int(4 * sigma) + 1)
    k = np.exp(-0.5 * (x / sigma) ** 2)
    return k / k.sum()


def separable(image, kernel):
    """Convolve rows, then columns, by shifted slices; edges are repeated."""
    r = len(kernel) // 2
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (r, r)
        wide = np.pad(image, pad, mode="edge")
        out = np.zeros_like(image)
        for i, w in enumerate(kernel):
            window = [slice(None), slice(None)]
            window[axis] = slice(i, i + image.shape[axis])
            out += w * wide[tuple(window)]
        image = out
    return image


def sobel(image):
    dx = image[1:-1, 2:] - image[1:-1, :-2]
    dy = image[2:, 1:-1] - image[:-2, 1:-1]
    edges = np.zeros_like(image)
    edges[1:-1, 1:-1] = np.hypot(2 * dx, 2 * dy)
    return edges / edges.max()


def deblur(blurred, kernel, steps):
    """Richardson and Lucy's iteration, W. H. Richardson, J. Opt. Soc. Am. 62 (1972)."""
    r = len(kernel) // 2
    wide = np.pad(blurred, r, mode="edge")  # what lies outside is as bright as the edge, not black
    psf = kernel[:, None] * kernel[None, :]
    estimate = np.full(wide.shape, wide.mean())
    for _ in range(steps):
        seen = signal.convolve(estimate, psf, mode="same")
        ratio = wide / np.maximum(seen, 1e-6)
        estimate *= signal.correlate(ratio, psf, mode="same")
        np.clip(estimate, 0, 1, out=estimate)
    return estimate[r:-r, r:-r]


def psnr(a, b):
    return 10 * np.log10(1 / np.mean((a - b) ** 2))


def save(name, image):
    Image.fromarray(np.asarray((image * 255).round().astype(np.uint8))).save(out / name)


picture, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
photo = np.array(Image.open(picture).convert("L"), dtype=np.float64) / 255

kernel = gaussian(2.0)
blurred = np.clip(separable(photo, kernel), 0, 1)
edges = sobel(blurred)
restored = deblur(blurred, kernel, 15)
middle = (slice(32, -32), slice(32, -32))

for name, image in (("photo", photo), ("blurred", blurred), ("edges", edges), ("restored", restored)):
    save(name + ".png", image)
print(f"photo {photo.shape[1]} x {photo.shape[0]}, mean {photo.mean():.4f}")
print(f"blurred:  PSNR {psnr(photo[middle], blurred[middle]):.2f} dB")
print(f"restored: PSNR {psnr(photo[middle], restored[middle]):.2f} dB")
print(f"edges: {np.count_nonzero(edges > 0.25)} pixels above a quarter of the strongest")
