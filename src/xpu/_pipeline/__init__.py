"""Feeding the GPU: copies in, compute and copies out overlap, batch after batch."""
