"""Kernels that users write in Python: scalar functions (`vectorize`) and array expressions (`fuse`)."""
