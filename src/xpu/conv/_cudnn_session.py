"""cuDNN as one process uses it: handles by thread and device, plans by problem, and the launch.

NOT RUN ON A GPU: see `xpu.conv._cudnn`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from xpu.conv._cudnn_graph import CudnnPlan, build_plan
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError, HandlePool, cause, load
from xpu.conv._cudnn_problem import CudnnOptions, contiguous
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.errors import text

__all__ = ["Key", "Session"]

# What a plan is kept under: geometry, strides of the operands, fused bias, options, device.
Key = tuple[ConvGeometry, tuple[Sizes, ...], bool, CudnnOptions, int]
_PLANS_KEPT = 256


class Session:
    """cuDNN as one process uses it: its handles and its plans.

    Parameters
    ----------
    library : callable
        Returns the frontend's module, or raises `CudnnUnavailableError`.
    capacity : int
        Plans and refusals kept; the least recently used goes first.
    """

    def __init__(self, library: Callable[[], Any] = load, capacity: int = _PLANS_KEPT) -> None:
        self._library = library
        self._capacity = capacity
        self._plans: OrderedDict[Key, CudnnPlan | CudnnRefusedError] = OrderedDict()
        self._lock = threading.Lock()
        self._handles = HandlePool(self._new_handle)

    def __len__(self) -> int:
        """Return the number of plans and refusals kept."""
        return len(self._plans)

    def clear(self) -> None:
        """Forget every plan and refusal."""
        with self._lock:
            self._plans.clear()

    def problem(self) -> str | None:
        """Return why cuDNN cannot be loaded, or None. The first call loads it (about 0.1 s)."""
        try:
            self._library()
        except CudnnUnavailableError as error:
            return error.reason
        return None

    def known(self, key: Key) -> CudnnPlan | CudnnRefusedError | None:
        """Return what is kept for a key: a plan, a refusal, or None. Builds nothing."""
        return self._plans.get(key)

    def plan(self, key: Key) -> CudnnPlan:
        """Return the plan for a key, built on first use; the key's device must be current.

        Raises
        ------
        CudnnRefusedError
            Now, or when this key was first asked for: a refusal is kept like a plan.
        CudnnUnavailableError
            If cuDNN is missing or does not start.
        """
        with self._lock:  # also while building: two threads that want one plan build it once
            found = self._plans.get(key) or self._build(key)
            if isinstance(found, CudnnPlan) or found.lasting:
                self._plans[key] = found
                self._plans.move_to_end(key)
                if len(self._plans) > self._capacity:
                    self._plans.popitem(last=False)
        if isinstance(found, CudnnPlan):
            return found
        # A fresh exception each time: one that is kept would gather tracebacks.
        raise CudnnRefusedError(str(found), found.reason)

    def execute(self, plan: CudnnPlan, pointers: dict[int, int], workspace: int, device: int, stream: int) -> None:
        """Queue a plan on a stream of the current device, and return at once.

        Parameters
        ----------
        plan : CudnnPlan
            Built for this device, by any thread.
        pointers : dict of int to int
            Device address of every tensor, by its uid.
        workspace : int
            Device address of ``plan.workspace`` bytes.
        device, stream : int
            Number of the device; address of the CUDA stream.
        """
        handle = self._handles.get(device)
        self._library().set_stream(handle=handle, stream=stream)
        with plan.lock:
            plan.graph.execute(pointers, workspace, handle=handle)

    def _build(self, key: Key) -> CudnnPlan | CudnnRefusedError:
        geometry, strides, bias, options, device = key
        cudnn = self._library()
        every = (*strides, contiguous(geometry.result_shape))
        handle = self._handles.get(device)
        try:
            return build_plan(cudnn, geometry, options, strides=every, bias=bias, handle=handle)
        except CudnnRefusedError as error:
            return CudnnRefusedError(str(error), error.reason)

    def _new_handle(self) -> Any:
        try:
            return self._library().create_handle()
        except CudnnUnavailableError:
            raise
        except RuntimeError as error:
            reason = f"cuDNN does not start on this device: {cause(error)}"
            message = text("nn", reason, "Run `xpu doctor`.")
            raise CudnnUnavailableError(message, reason) from error
