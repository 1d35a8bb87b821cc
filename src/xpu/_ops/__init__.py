"""Rows of operations: one line per op, one file per group."""
