"""Conway's Game of Life: rolls, logical operations, unsigned integers."""

import sys

import numpy as np

n = int(sys.argv[1]) if len(sys.argv) > 1 else 32
board = np.random.default_rng(3).integers(0, 2, size=(n, n), dtype=np.uint8)
for _ in range(20):
    neighbours = sum(
        np.roll(board, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
    )
    board = ((neighbours == 3) | ((board == 1) & (neighbours == 2))).astype(np.uint8)
print("alive", board.sum(), "rows", np.flatnonzero(board.any(axis=1))[:5].tolist())
RESULTS = {"board": board}
