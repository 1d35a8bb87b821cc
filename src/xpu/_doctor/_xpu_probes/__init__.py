"""The half of `xpu doctor` that touches the GPU's software, run in child processes only.

A driver that hangs, a library that aborts or a wheel that crashes the interpreter ends one child,
never the user's process. These files import nothing but the standard library at the top, and one
another, so that a child starts in hundredths of a second and a broken package cannot stop it.
"""
