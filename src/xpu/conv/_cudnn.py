"""The cuDNN engine: convolutions on CuPy arrays.

NOT RUN ON A GPU. What is tested is the planning (against a description of a device) and, with
genuine ``cupy.ndarray`` objects over host memory, every pointer, stride, stream and workspace that
is handed to cuDNN. ``tests/gpu/test_cudnn.py`` does the rest where there is a GPU.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from typing import Any, Literal, NamedTuple

from xpu.conv._cudnn_graph import CudnnPlan
from xpu.conv._cudnn_library import CudnnRefusedError, CudnnUnavailableError, cause
from xpu.conv._cudnn_problem import ROLES, UIDS, CudnnOptions, contiguous, packed_strides, refusal
from xpu.conv._cudnn_session import Key, Session
from xpu.conv._engine import Rates, itemcost
from xpu.conv._geometry import ConvGeometry, Sizes
from xpu.errors import text

__all__ = ["CudnnEngine"]

Raw = Any
Operand = tuple[Raw, Sizes]

# The frontend declares every tensor as aligned to 16 bytes, and engines use vector loads on that
# word: a view that starts elsewhere has to be copied first.
_ALIGNMENT = 16
# Share of a matrix product's rate that a convolution reaches. ASSUMED, never measured; an observed
# time replaces the estimate.
_EFFICIENCY = 0.5
# Tensor cores against plain float32: data sheet of the H200, dense, 989 (float16, bfloat16) and
# 494 (TF32) against 67 TFLOP/s, halved here for what convolutions reach of the former. ASSUMED.
_HALF_SPEEDUP = 7.0
_TF32_SPEEDUP = 3.5
_DEFAULT = CudnnOptions()
_PROCESS = Session()


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

    device: Literal["any", "cpu", "cuda"] = "cuda"

    def __init__(self, options: CudnnOptions = _DEFAULT, session: Session = _PROCESS) -> None:
        self.options = options
        self.session = session
        # One name per way of computing, so that a plan says which, and engines of several settings stand side by side.
        self.name = "cudnn" + "-tf32" * options.tf32 + "-nondeterministic" * (not options.deterministic)
        self.name += f":{options.choice}" if options.choice else ""

    def __repr__(self) -> str:
        return f"CudnnEngine({self.options})"

    def supports(self, geometry: ConvGeometry) -> str | None:
        """Return None if cuDNN can be asked for this convolution, else the reason why not.

        The geometry is looked at first, then whether cuDNN refused it before; only one that passes
        makes the libraries load. cuDNN may still refuse when it plans (`CudnnRefusedError`).
        """
        reason = refusal(geometry)
        if reason is None:
            known = self.session.known(self._key(geometry, 0))
            reason = f"cuDNN refused it: {known.reason}" if isinstance(known, CudnnRefusedError) else None
        return reason or self.session.problem()

    def workspace(self, geometry: ConvGeometry, device: int = 0) -> int:
        """Return the bytes of workspace of the plan for C-contiguous arrays; builds that plan.

        Raises
        ------
        CudnnRefusedError, CudnnUnavailableError
            As `run` does; the latter also where there is no such device.
        """
        if refusal(geometry):
            return 0
        try:
            cupy = importlib.import_module("cupy")
            with cupy.cuda.Device(device):
                return self.session.plan(self._key(geometry, device)).workspace
        except (CudnnRefusedError, CudnnUnavailableError):
            raise
        except (ImportError, RuntimeError) as error:
            reason = f"cuda:{device} cannot be used: {cause(error)}"
            message = text("nn", f"cuDNN has no plan for {geometry}, {reason}", "Run `xpu doctor`.")
            raise CudnnUnavailableError(message, reason) from error

    def seconds(self, geometry: ConvGeometry, rates: Rates) -> float:
        """Return the predicted run time on a device of these rates, once the plan is built.

        A roofline: one launch, then the slower of arithmetic and memory. The shares of the peak it
        assumes were never measured; a calibrated or observed time should replace it.
        """
        speedup = 1.0
        if geometry.dtype.name in ("float16", "bfloat16"):
            speedup = _HALF_SPEEDUP
        elif geometry.dtype.name == "float32" and self.options.tf32:
            speedup = _TF32_SPEEDUP
        arithmetic = geometry.flops * itemcost(geometry) / (_EFFICIENCY * speedup * rates.flops)
        return rates.call + max(arithmetic, geometry.bytes / rates.bandwidth)

    def ready(self, geometry: ConvGeometry, device: int = 0) -> bool:
        """Return whether the plan for C-contiguous arrays is built; builds nothing."""
        return isinstance(self.session.known(self._key(geometry, device)), CudnnPlan)

    def run(self, xp: Any, geometry: ConvGeometry, first: Raw, second: Raw, bias: Raw | None = None) -> Raw:
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
        outline = _outline(geometry)
        _check(geometry, outline, first, second, bias)
        device = int(first.device.id)
        with xp.cuda.Device(device):
            if outline.empty:
                result = xp.zeros(outline.result, geometry.dtype)
                return result if bias is None else _add_bias(xp, geometry, result, bias)
            operands = _usable(xp, outline, first, second)
            if bias is not None and geometry.kind == "forward":
                with contextlib.suppress(CudnnRefusedError):
                    return self._launch(xp, geometry, device, operands, _usable_bias(xp, bias))
            result = self._launch(xp, geometry, device, operands)
            return result if bias is None else _add_bias(xp, geometry, result, bias)

    def _launch(self, xp: Any, geometry: ConvGeometry, device: int, operands: list[Operand], bias: Raw = None) -> Raw:
        """Find the plan, make room, hand over the addresses."""
        (first, first_strides), (second, second_strides) = operands
        key = (geometry, (first_strides, second_strides), bias is not None, self.options, device)
        plan = self.session.plan(key)
        outline = _outline(geometry)
        result = xp.empty(outline.result, geometry.dtype)
        # The pool hands memory out in stream order, so it may take the workspace back as soon as
        # the kernels are queued on the same stream.
        room = xp.empty(plan.workspace, "uint8") if plan.workspace else None
        pointers = dict(zip(outline.uids, (first.data.ptr, second.data.ptr, result.data.ptr), strict=True))
        if bias is not None:
            pointers[UIDS["bias"]] = bias.data.ptr
        address = 0 if room is None else room.data.ptr
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
        return geometry, _outline(geometry).dense, False, self.options, device


class _Outline(NamedTuple):
    """What a run needs of a geometry, worked out once: properties of a geometry are not cached."""

    names: tuple[str, str]
    uids: tuple[int, int, int]
    operands: tuple[Sizes, Sizes]
    result: Sizes
    empty: bool
    channels: tuple[int, int]
    dense: tuple[Sizes, Sizes]
    dense_bytes: tuple[Sizes, Sizes]


@functools.lru_cache(maxsize=1024)
def _outline(geometry: ConvGeometry) -> _Outline:
    roles = ROLES[geometry.kind]
    operands = geometry.operand_shapes
    last = 1 if geometry.layout == "NCHW" else geometry.rank + 1
    first_dense, second_dense = (contiguous(shape) for shape in operands)
    size = geometry.dtype.itemsize
    return _Outline(
        names=roles[:2],
        uids=(UIDS[roles[0]], UIDS[roles[1]], UIDS[roles[2]]),
        operands=operands,
        result=geometry.result_shape,
        empty=geometry.empty or 0 in geometry.result_shape,
        channels=(1 if roles[0] == "w" else last, 1 if roles[1] == "w" else last),
        dense=(first_dense, second_dense),
        dense_bytes=(tuple(size * s for s in first_dense), tuple(size * s for s in second_dense)),
    )


def _usable(xp: Any, outline: _Outline, *arrays: Raw) -> list[Operand]:
    """Return each operand with its strides; a compact copy of one that cuDNN would not take."""
    found = []
    for index, array in enumerate(arrays):
        strides: Sizes | None = outline.dense[index]
        if array.strides != outline.dense_bytes[index]:
            strides = packed_strides(array.shape, array.strides, array.itemsize, outline.channels[index])
        if strides is None or array.data.ptr % _ALIGNMENT:
            array = xp.array(array, order="C", copy=True)
            strides = outline.dense[index]
        found.append((array, strides))
    return found


def _usable_bias(xp: Any, bias: Raw) -> Raw:
    if bias.flags.c_contiguous and bias.data.ptr % _ALIGNMENT == 0:
        return bias
    return xp.array(bias, order="C", copy=True)


def _add_bias(xp: Any, geometry: ConvGeometry, result: Raw, bias: Raw) -> Raw:
    after = geometry.rank if geometry.layout == "NCHW" else 0
    return xp.add(result, bias.reshape((-1,) + (1,) * after), out=result)


def _check(geometry: ConvGeometry, outline: _Outline, first: Raw, second: Raw, bias: Raw | None) -> None:
    """Refuse operands that are not what the geometry says: cuDNN gets bare addresses."""
    named = list(zip(outline.names, (first, second), outline.operands, strict=True))
    if bias is not None:
        channels = {
            "forward": geometry.out_channels,
            "input": geometry.in_channels,
            "weight": -1,  # a weight gradient takes none: no shape fits
        }
        named.append(("bias", bias, (channels[geometry.kind],)))
    device = first.device.id
    for name, array, shape in named:
        if array.shape != shape or array.dtype != geometry.dtype:
            found = f"{name} is {array.dtype} of shape {array.shape}"
            problem = f"{found}, {geometry} takes {geometry.dtype} of shape {shape}"
            raise ValueError(text("nn", problem, "Pass the arrays the geometry was made from."))
        if array.device.id != device:
            problem = f"{name} is on cuda:{array.device.id}, its partner on cuda:{device}"
            raise ValueError(text("nn", problem, "Move them to one device first."))
