"""Make `tracks` importable without installing it, and keep CI's examples the same from run to run."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
settings.load_profile("ci")
