"""Which backends there are, and which accelerator and machine are in force here.

Backends load on first use; no CUDA library is touched before an array could pay for it. A GPU that
is there but unusable gives one warning, and the CPU computes.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xpu._backends._base import Backend
from xpu._backends._lost import lose, lost
from xpu._backends._numpy import NumpyBackend
from xpu._backends._probe import NoAnswerError, within_limit
from xpu._config import Settings
from xpu._device import CPU, Device, parse
from xpu._gate import gate
from xpu._learn import learner
from xpu.errors import (
    DeviceError,
    DeviceWarning,
    text,
    warn_user,
)

if TYPE_CHECKING:  # loaded when a machine is asked for: import xpu stays cheap
    from xpu._machine import Machine

__all__ = [
    "HOST",
    "Backend",
    "accelerator",
    "automatic",
    "backend",
    "backend_of",
    "devices",
    "forget_machines",
    "loaded",
    "machine",
    "machine_for",
    "now",
    "on_new_machine",
]

HOST = NumpyBackend()
_loaded: dict[str, Backend] = {CPU: HOST}
_lock = threading.RLock()
_silent: dict[Device, str] = {}  # devices that did not answer, and what was said of it
_DRIVER_TRACES = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")


def _driver_present() -> bool:
    """Return True if the operating system shows an NVIDIA driver (cheap, makes no CUDA context)."""
    if os.name == "nt":
        return os.path.exists(os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll"))
    return any(os.path.exists(trace) for trace in _DRIVER_TRACES)


class _Automatic:
    """The accelerator that automatic placement may choose: none, pretend, or the first GPU."""

    def __init__(self) -> None:
        self.profile = os.environ.get("XPU_PRETEND", "")
        self.possible = bool(self.profile) or _driver_present()
        self.asked = False
        self.found: Backend | None = None

    def get(self) -> Backend | None:
        """Find it, once."""
        if not self.asked:
            with _lock:
                if not self.asked:
                    self.found = self._find()
                    self.asked = True
        return self.found

    def _find(self) -> Backend | None:
        if self.profile:
            return backend(parse("pretend"))
        if not self.possible:
            return None
        try:
            return backend(parse("cuda"))
        except DeviceError as error:
            warn_user(DeviceWarning(str(error)))
            return None


automatic = _Automatic()
if automatic.possible:
    gate.accelerate()


def backend(device: Device) -> Backend:
    """Return the backend of a device, loading its library on first use.

    Raises
    ------
    DeviceError
        If this machine has no such device; the message says why and what to do.
    """
    found = _loaded.get(device)
    if found is None:
        with _lock:
            found = _loaded.get(device)
            if found is None:
                if device in _silent:
                    raise DeviceError(_silent[device])
                found = _loaded[device] = _load_pretend(device) if device.kind == "pretend" else _load_cuda(device)
                gate.accelerate()
    return found


def loaded(name: str) -> Backend | None:
    """Return the backend of a device by its name, if it has been used before."""
    return _loaded.get(name)  # a Device is its name


def _load_pretend(device: Device) -> Backend:
    if device.index:
        raise DeviceError(text("devices", f"there is one pretend device, got {str(device)!r}", "Use 'pretend'."))
    profile = automatic.profile or "h200"
    machines = importlib.import_module("xpu._machine")
    model = machines.load(profile) if profile.endswith(".json") else machines.shipped(profile)
    made: Backend = importlib.import_module("xpu._backends._pretend").PretendBackend(device, model)
    return made


def _load_cuda(device: Device) -> Backend:
    remedy = "The CPU computes instead; run `xpu doctor` to see what is missing and how to mend it."
    if not _driver_present():
        raise DeviceError(text("devices", f"{str(device)!r} needs an NVIDIA driver, and none is visible", remedy))

    def load() -> Backend:
        visible = _count_gpus()
        if not visible > device.index:
            raise DeviceError(text("devices", f"{str(device)!r} is not among the {visible} visible GPUs", remedy))
        try:
            module = importlib.import_module("xpu._backends._cupy")
        except (ImportError, OSError, RuntimeError) as error:
            problem = f"{str(device)!r} needs CuPy, which does not import ({type(error).__name__}: {error})"
            raise DeviceError(text("devices", problem, remedy)) from error
        made: Backend = module.CupyBackend(device)
        return made

    try:
        made: Backend = within_limit(f"the driver of {device}", load, (DeviceError,))
    except NoAnswerError as error:
        _silent[device] = str(error)  # asking again would take as long again
        raise
    return made


def _count_gpus() -> int:
    """Count GPUs through NVML (no CUDA context, so a later fork stays safe), else through CuPy."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([v for v in visible.split(",") if v.strip() and v.strip() != "-1"])
    try:
        nvml: Any = importlib.import_module("pynvml")
        nvml.nvmlInit()
        return int(nvml.nvmlDeviceGetCount())
    except ImportError:
        return 1 if _driver_present() else 0
    except (OSError, RuntimeError):
        return 0
    except nvml.NVMLError:
        return 0


def accelerator(settings: Settings) -> Backend | None:
    """Return the accelerator that these settings let operations use, or None."""
    name = settings.device
    if name == "auto":
        return automatic.get()
    if name == "cpu":
        # A region on the CPU must still be able to read what lies elsewhere.
        return None
    try:
        return backend(parse(name))
    except DeviceError as error:
        _warn_once(str(error))
        return None


def _after_fork() -> None:
    """Runs in a forked child: a CUDA context does not survive a fork."""
    for device, found in _loaded.items():
        if not found.survives_fork and device not in lost:
            lose(Device(device), "this process was forked after the device was first used; start it by spawn instead")


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)

_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warn_user(DeviceWarning(message))


def backend_of(raw: Any) -> Backend | None:
    """Return the backend a raw array belongs to; None if `raw` is not a raw array."""
    kind = type(raw)
    for found in tuple(_loaded.values()):
        if issubclass(kind, found.raw_type):
            if found.device.kind != "cuda":
                return found
            name = f"cuda:{raw.device.id}"  # all GPUs have one raw type
            return _loaded.get(name) or backend(Device(name))
    if kind.__module__.partition(".")[0] == "cupy" and hasattr(raw, "data"):
        return backend(Device(f"cuda:{raw.device.id}"))
    return None


def now(where: Backend) -> float:
    """Return the seconds on the one clock that host, devices and link share.

    It is the host's, once a GPU's queue is empty. Where the pretend device plays a part, its virtual
    time goes on beside the host's, and the time that the host spends on playing it does not count.
    """
    played: Any = _loaded.get("pretend:0")
    if played is None:
        return where.seconds()
    if played.frozen is not None:
        return float(played.frozen + played.clock)
    own = HOST.seconds() if where is played else where.seconds()
    return float(own - played.acted + played.clock)


def devices() -> list[Device]:
    """List the devices that operations can use here.

    Returns
    -------
    list of Device
        ``cpu`` first; then usable GPUs; ``pretend:0`` where ``XPU_PRETEND`` or a setting asked
        for it.

    Examples
    --------
    >>> import xpu
    >>> xpu.devices()[0]
    Device('cpu')
    """
    found = [CPU]
    usable = automatic.get() if automatic.possible and not automatic.profile else None
    if usable is not None:
        found += [Device(f"cuda:{i}") for i in range(_count_gpus())]
    if automatic.profile or "pretend:0" in _loaded:
        found.append(parse("pretend"))
    return found


# ----------------------------------------------------------------------------- machines

_machines: dict[str, Machine] = {}


def machine() -> Machine:
    """Return the machine in force: the rates and links that decide.

    Returns
    -------
    Machine
        From ``XPU_MACHINE``, else from the pretend profile, else from calibration, else made of what
        the hardware reports.

    Raises
    ------
    MachineFileError
        If ``XPU_MACHINE`` names a file that cannot be used: a frozen machine is never replaced in silence.

    Examples
    --------
    >>> import xpu
    >>> xpu.machine().cpu.classes["elementwise"].bandwidth > 0
    True
    """
    return machine_for(automatic.get() if automatic.possible else None)


def machine_for(target: Backend | None) -> Machine:
    """Return the machine whose accelerator is `target`."""
    key = "cpu" if target is None else str(target.device)
    if key not in _machines:
        _machines[key] = _resolve(target)
    return _machines[key]


on_new_machine: list[Callable[[], object]] = []  # who keeps what was derived from the machine in force


def forget_machines(calibrated: Machine | None = None) -> None:
    """Look the machine up again at the next decision; a fresh calibration is in force at once."""
    _machines.clear()
    if calibrated is not None and not os.environ.get("XPU_MACHINE"):
        _machines["cpu"] = calibrated
        target = automatic.found
        if target is not None and target.device.kind != "pretend":
            _machines[str(target.device)] = calibrated
            learner.start(calibrated)
    for forget in on_new_machine:
        forget()


def _resolve(target: Backend | None) -> Machine:
    frozen = os.environ.get("XPU_MACHINE")
    if frozen:
        named: Machine = importlib.import_module("xpu._machine").named(frozen)
        return named
    posing: Machine | None = getattr(target, "machine", None)  # the pretend device's
    if posing is not None:
        return posing
    hardware, store = importlib.import_module("xpu._hardware"), importlib.import_module("xpu._store")
    if target is not None:
        card = hardware.card_of(str(target.device))
    else:
        card = hardware.first_card() if _driver_present() else None
    found: Machine = store.saved(hardware.identity(card)) or hardware.start(card)
    if target is not None:
        learner.start(found)
    return found
