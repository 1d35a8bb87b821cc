"""``python -m xpu``: the command line."""

import sys

from xpu.cli import main

if __name__ == "__main__":
    sys.exit(main())
