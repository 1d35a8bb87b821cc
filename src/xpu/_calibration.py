"""The public door to calibration: what measures is loaded when somebody measures.

Calibration is run once per machine and `import xpu` in every program, so `_calibrate` is not imported
before it is asked for.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine

__all__ = ["calibrate"]


def calibrate(
    *,
    seconds: float = 10.0,
    limit: float = 30.0,
    export: str | os.PathLike[str] | None = None,
    save: bool = True,
    progress: bool | None = None,
) -> Machine:
    """Measure this machine, save what was found, and put it in force.

    Every operation is timed by itself at growing sizes, the common dtypes first, on the host and on the
    first GPU; then the link between them. A pretend device is never measured.

    Parameters
    ----------
    seconds : float, optional
        Time for each device. What was not reached takes the rates of its cost class.
    limit : float, optional
        Seconds that a single step may take before calibration is given up.
    export : path, optional
        Write the machine there too: a file that ``XPU_MACHINE`` can name, here or elsewhere.
    save : bool, optional
        Keep it in the cache folder (``XPU_CACHE_DIR``) for later processes.
    progress : bool, optional
        Show a progress bar; where there is a terminal if omitted.

    Returns
    -------
    Machine
        What is in force now.

    Raises
    ------
    CalibrationError
        If a step hangs or the clock jumps; what was in force stays in force, in memory and on disk.
    OSError
        If `export` cannot be written.

    Warns
    -----
    MachineFileWarning
        If the cache folder cannot be written; the result is in force in this process then.

    Examples
    --------
    >>> import xpu
    >>> machine = xpu.calibrate(seconds=0.05, save=False)
    >>> machine.name, machine.cpu.classes["elementwise"].latency > 0
    ('calibrated', True)
    """
    package: Any = importlib.import_module("xpu._calibrate")
    made: Machine = package.run(seconds, limit, export, save, progress)
    return made
