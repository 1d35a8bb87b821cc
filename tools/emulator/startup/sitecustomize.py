"""Python runs this at its start in every process below `run.py`: CuPy and xpu will find the emulated card there."""

import os
import sys

if os.environ.get("XPU_EMULATOR_FOLDER"):
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    from played import hooks

    hooks.install()
