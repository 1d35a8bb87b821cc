"""Run ``-c CODE ARGUMENTS`` watched by coverage, which cannot start in the doctor's children: they see no packages."""

import os
import sys

sys.path.append(os.environ["XPU_COVERAGE"])
import coverage

sys.path.pop()
coverage.process_startup()
code, sys.argv = sys.argv[2], ["-c", *sys.argv[3:]]
exec(code)
