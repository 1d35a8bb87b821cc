"""A low-pass filter in the frequency domain, and a spectrum's peak."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 512
t = np.arange(n) / n
signal = np.sin(2 * np.pi * 5 * t) + 0.5 * np.sin(2 * np.pi * 60 * t)
spectrum = np.fft.rfft(signal)
frequency = np.fft.rfftfreq(n, 1 / n)
spectrum[frequency > 20] = 0
clean = np.fft.irfft(spectrum, n)
error = np.sqrt(np.mean((clean - np.sin(2 * np.pi * 5 * t)) ** 2))
print("peak", frequency[np.abs(spectrum).argmax()], f"error {error:.1e}" if error > 1e-9 else "clean")
RESULTS = {"clean": clean}
