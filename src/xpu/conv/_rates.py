"""The rates that convolutions are priced with: those of the machine in force.

``xpu.calibrate()`` measures matrix products and streams anyway; before it, the machine is made of what the
hardware reports. So a plan follows calibration, ``XPU_MACHINE`` and the number of threads like any decision.
"""

from __future__ import annotations

import functools

from xpu._backends import machine_for, on_new_machine
from xpu._machine import Machine
from xpu.conv._engine import Rates

__all__ = ["in_force", "of_machine"]


def of_machine(machine: Machine, cores: int) -> Rates:
    """Return one thread's rates on the host of a machine.

    Parameters
    ----------
    machine : Machine
        Its matrix products run on every core, its elementwise operations on one.
    cores : int
        Cores those products ran on.

    Returns
    -------
    Rates
        For one thread.

    Examples
    --------
    >>> from xpu._machine import shipped
    >>> of_machine(shipped("generic"), 2).flops
    80000000000.0
    """
    classes, plain = machine.cpu.classes, Rates()
    products, streams = classes.get("matmul"), classes.get("elementwise")
    flops = products.rate.get("f4", 0.0) / cores if products else 0.0
    return Rates(flops or plain.flops, streams.bandwidth if streams else plain.bandwidth, plain.call)


@functools.lru_cache(maxsize=64)
def in_force(threads: int, cores: int) -> Rates:
    """Return the rates of this machine's host for a number of threads; ``cores`` as of `of_machine`."""
    return of_machine(machine_for(None), cores).for_threads(threads)


on_new_machine.append(in_force.cache_clear)
