"""A CUDA card played by the host, for CuPy to run on (see README.md)."""
