"""The cuDNN engine: convolutions on CuPy arrays.

NOT RUN ON A GPU. What is tested is the planning (against a description of a device) and, with
genuine ``cupy.ndarray`` objects over addresses that are never read, every pointer, stride, stream
and workspace that is handed to cuDNN. ``tests/gpu/test_cudnn.py`` does the rest where there is one.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xpu.conv._cudnn_graph import CudnnPlan, build_plan
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError, HandlePool, cause, load
from xpu.conv._cudnn_problem import ROLES, UIDS, CudnnOptions, contiguous, packed_strides, refusal
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.errors import text

__all__ = ["CudnnEngine", "Session"]

Raw = Any
Operand = tuple[Raw, Sizes]
Key = tuple[ConvGeometry, tuple[Sizes, ...], bool, CudnnOptions, int]

# The frontend declares every tensor as aligned to 16 bytes, and engines use vector loads on that
# word: a view that starts elsewhere has to be copied first.
_ALIGNMENT = 16
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

    def known(self, key: Key) -> bool:
        """Return whether a plan for this key is built, so that a run would not pay for it."""
        return isinstance(self._plans.get(key), CudnnPlan)

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


_DEFAULT = CudnnOptions()
_PROCESS = Session()


@dataclass(frozen=True)
class CudnnEngine:
    """Convolutions by cuDNN.

    Parameters
    ----------
    options : CudnnOptions
        Precision, determinism and workspace; true float32 and deterministic unless told otherwise.
    session : Session
        Where plans and handles are kept; one for the process unless told otherwise.

    Examples
    --------
    >>> import numpy
    >>> g = ConvGeometry("forward", 1, 1, 3, 8, (5, 6), (3, 3), (1, 1), (1, 1),
    ...                  ((1, 1), (1, 1)), "NCHW", numpy.dtype("complex128"))
    >>> CudnnEngine().supports(g)
    'cuDNN has no complex128 convolution'
    """

    options: CudnnOptions = _DEFAULT
    session: Session = field(default=_PROCESS, compare=False, repr=False)
    name: ClassVar[str] = "cudnn"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return None if cuDNN can be asked for this convolution, else the reason why not.

        The geometry is looked at first; only one that passes makes the libraries load. cuDNN may
        still refuse when it plans (`CudnnRefusedError`).
        """
        return refusal(geometry) or self.session.problem()

    def workspace(self, geometry: ConvGeometry, device: int = 0) -> int:
        """Return the bytes of workspace of the plan for C-contiguous arrays; builds that plan.

        Raises
        ------
        CudnnRefusedError, CudnnUnavailableError
            As `run` does.
        """
        if refusal(geometry):
            return 0
        cupy = importlib.import_module("cupy")
        with cupy.cuda.Device(device):
            return self.session.plan(self._key(geometry, device)).workspace

    def ready(self, geometry: ConvGeometry, device: int = 0) -> bool:
        """Return whether the plan for C-contiguous arrays is built; builds nothing."""
        return self.session.known(self._key(geometry, device))

    def run(
        self,
        xp: Any,
        geometry: ConvGeometry,
        first: Raw,
        second: Raw,
        bias: Raw | None = None,
    ) -> Raw:
        """Compute one convolution or gradient; queued on CuPy's current stream.

        Parameters
        ----------
        xp : module
            CuPy.
        geometry : ConvGeometry
            What to compute.
        first, second : cupy.ndarray
            Operands of ``geometry.operand_shapes``, any strides, on one device.
        bias : cupy.ndarray, optional
            One value per channel of the result; not for ``kind="weight"``. Added inside the same
            kernel for ``kind="forward"``.

        Returns
        -------
        cupy.ndarray
            A new C-contiguous array of ``geometry.result_shape``.

        Raises
        ------
        CudnnRefusedError
            If cuDNN has no plan, or fails to launch it: compute it with another engine.
        CudnnUnavailableError
            If cuDNN is missing or does not start, with the command that mends it.
        ValueError
            If an operand's shape, dtype or device is not what the geometry says.
        MemoryError
            If CuPy's pool cannot give the workspace or the result.
        """
        _check(geometry, first, second, bias)
        device = int(first.device.id)
        with xp.cuda.Device(device):
            if geometry.empty or 0 in geometry.result_shape:
                result = xp.zeros(geometry.result_shape, geometry.dtype)
                return result if bias is None else _add_bias(xp, geometry, result, bias)
            operands = _usable(xp, geometry, first, second)
            if bias is not None and geometry.kind == "forward":
                with contextlib.suppress(CudnnRefusedError):
                    return self._launch(xp, geometry, device, operands, _usable_bias(xp, bias))
            result = self._launch(xp, geometry, device, operands)
            return result if bias is None else _add_bias(xp, geometry, result, bias)

    def _launch(self, xp: Any, geometry: ConvGeometry, device: int, operands: list[Operand], bias: Raw = None) -> Raw:
        """Find the plan, make room, hand over the addresses."""
        strides = tuple(strides for _, strides in operands)
        plan = self.session.plan((geometry, strides, bias is not None, self.options, device))
        result = xp.empty(geometry.result_shape, geometry.dtype)
        # The pool hands memory out in stream order, so it may take the workspace back as soon as
        # the kernels are queued on the same stream.
        room = xp.empty(plan.workspace, "uint8") if plan.workspace else None
        arrays = dict(zip(ROLES[geometry.kind], (*(array for array, _ in operands), result), strict=True))
        if bias is not None:
            arrays["bias"] = bias
        pointers = {UIDS[name]: int(array.data.ptr) for name, array in arrays.items()}
        address = 0 if room is None else int(room.data.ptr)
        stream = int(xp.cuda.get_current_stream().ptr)
        try:
            self.session.execute(plan, pointers, address, device, stream)
        except CudnnUnavailableError:
            raise
        except RuntimeError as error:
            reason = cause(error)
            message = text("nn", f"cuDNN could not run {geometry} with {plan}: {reason}")
            raise CudnnRefusedError(message, reason) from error
        return result

    def _key(self, geometry: ConvGeometry, device: int) -> Key:
        first, second = geometry.operand_shapes
        return geometry, (contiguous(first), contiguous(second)), False, self.options, device


def _usable(xp: Any, geometry: ConvGeometry, *arrays: Raw) -> list[Operand]:
    """Return each operand with its strides; a compact copy of one that cuDNN would not take."""
    found = []
    for name, array in zip(ROLES[geometry.kind], arrays, strict=False):
        channels = 1 if name == "w" or geometry.layout == "NCHW" else array.ndim - 1
        strides = packed_strides(array.shape, array.strides, array.itemsize, channels)
        if strides is None or array.data.ptr % _ALIGNMENT:
            array = xp.array(array, order="C", copy=True)
            strides = contiguous(array.shape)
        found.append((array, strides))
    return found


def _usable_bias(xp: Any, bias: Raw) -> Raw:
    if bias.flags.c_contiguous and bias.data.ptr % _ALIGNMENT == 0:
        return bias
    return xp.array(bias, order="C", copy=True)


def _add_bias(xp: Any, geometry: ConvGeometry, result: Raw, bias: Raw) -> Raw:
    after = geometry.rank if geometry.layout == "NCHW" else 0
    return xp.add(result, bias.reshape((-1,) + (1,) * after), out=result)


def _check(geometry: ConvGeometry, first: Raw, second: Raw, bias: Raw | None) -> None:
    """Refuse operands that are not what the geometry says: cuDNN gets bare addresses."""
    named = list(zip(ROLES[geometry.kind], (first, second), geometry.operand_shapes, strict=False))
    if bias is not None:
        channels = {
            "forward": geometry.out_channels,
            "input": geometry.in_channels,
            "weight": -1,  # a weight gradient takes none: no shape fits
        }
        named.append(("bias", bias, (channels[geometry.kind],)))
    for name, array, shape in named:
        if tuple(array.shape) != shape or array.dtype != geometry.dtype:
            found = f"{name} is {array.dtype} of shape {tuple(array.shape)}"
            problem = f"{found}, {geometry} takes {geometry.dtype} of shape {shape}"
            raise ValueError(text("nn", problem, "Pass the arrays the geometry was made from."))
        if array.device.id != first.device.id:
            problem = f"{name} is on cuda:{array.device.id}, its partner on cuda:{first.device.id}"
            raise ValueError(text("nn", problem, "Move them to one device first."))
