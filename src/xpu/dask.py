"""For clusters: `DevicePerWorker` gives each dask worker a device of its own.

xpu's arrays need no import of this module to be chunks of a dask array.
"""

from xpu._dask import DevicePerWorker

__all__ = ["DevicePerWorker"]
