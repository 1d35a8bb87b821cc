"""Entry of the child process: run one probe, named on the command line.

The standard output is kept for the answer and libraries' own prints are sent to the standard error;
no core file is written when a library crashes, and the Python stack of the crash is.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable, Sequence

from . import cudnn_probe, cupy_probe, libraries, linking, machine, nvml
from .answer import Answer

PROBES: dict[str, Callable[[Answer, str], None]] = {
    "machine": machine.probe,
    "nvml": nvml.probe,
    "libraries": libraries.probe,
    "linking": linking.probe,
    "cupy": cupy_probe.probe,
    "cudnn": cudnn_probe.probe,
}


def main(arguments: Sequence[str]) -> None:
    """Run the probe ``arguments[0]`` over the file system rooted at ``arguments[1]``.

    Parameters
    ----------
    arguments : sequence of str
        Name of the probe, then the root folder (``/``, or a made-up one under test).
    """
    name, root = arguments
    faulthandler.enable()
    _no_core_file()
    descriptor = os.dup(1)
    os.dup2(2, 1)
    answer = Answer(descriptor)
    PROBES[name](answer, root)
    answer.fact("done", True)


def _no_core_file() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
