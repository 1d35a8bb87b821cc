"""The table of failures that are recognised: what is seen -> why -> the one command that mends it.

Each was reported by users of CuPy, numba, PyTorch or spaCy; the citations name where. A failure is
recognised by a fact of the machine (`_checks`), by a message of a library, or by either. The rows
stand in the order of causes: what is mended first may mend what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xpu._doctor import _checks as checks
from xpu._doctor._facts import Facts

__all__ = ["SYMPTOMS", "Symptom"]


def _nothing(facts: Facts) -> str:
    return ""


def _always(facts: Facts) -> bool:
    return True


def _with_card(facts: Facts) -> bool:
    return bool(facts.gpus)


def _with_driver(facts: Facts) -> bool:
    return bool(facts.driver or facts.driver_cuda)


def _unexplained(facts: Facts) -> bool:
    """Whether a card is expected and none of the better explanations of its absence holds."""
    better = (checks.no_card, checks.shut_out, checks.stale_driver, checks.hidden)
    return not any(check(facts) for check in better)


@dataclass(frozen=True, slots=True)
class Symptom:
    """One recognised failure.

    Attributes
    ----------
    key : str
        Its stable name.
    part : str
        The row of the table it belongs to.
    cause, mend : str
        One sentence; one command, with the names of `_remedies.words` in braces.
    pattern : str
        A regular expression for the messages it is known by; empty: none.
    fact : callable
        A check of `_checks`; what it returns was seen.
    applies : callable
        Whether a message counts on such a machine (cuDNN cannot start without a card, for one).
    citation : str
        Reports of it.
    number : int
        Its number in the guide; 0: not one of the fifteen.
    """

    key: str
    part: str
    cause: str
    mend: str
    pattern: str = ""
    fact: Callable[[Facts], str] = _nothing
    applies: Callable[[Facts], bool] = _always
    citation: str = ""
    number: int = 0


SYMPTOMS: tuple[Symptom, ...] = (
    Symptom(
        key="no-card",
        part="GPU",
        cause="this machine has no NVIDIA GPU; xpu computes on the CPU. What one would bring:",
        mend="xpu whatif SCRIPT --gpu h200",
        fact=checks.no_card,
    ),
    Symptom(
        key="stale-driver",
        part="NVIDIA driver",
        cause="the driver was updated while its old kernel module still runs.",
        mend="sudo reboot",
        pattern=r"Driver/library version mismatch|LibRmVersionMismatch|RM version mismatch",
        fact=checks.stale_driver,
    ),
    Symptom(
        key="container-without-gpu",
        part="Access",
        cause="this container was started without the GPU.",
        mend="docker run --gpus all IMAGE",
        fact=checks.shut_out,
        citation="cupy/cupy#2549, triton-inference-server/tensorrtllm_backend#336",
        number=2,
    ),
    Symptom(
        key="hidden-devices",
        part="Access",
        cause="CUDA_VISIBLE_DEVICES hides every GPU from this process.",
        mend="unset CUDA_VISIBLE_DEVICES",
        fact=checks.hidden,
        citation="cupy/cupy#2106",
        number=2,
    ),
    Symptom(
        key="no-permission",
        part="Access",
        cause="this user may not open the driver's device files.",
        mend="sudo usermod -aG video,render $USER",
        fact=checks.forbidden,
        citation="cupy/cupy#2106",
        number=2,
    ),
    Symptom(
        key="no-driver",
        part="NVIDIA driver",
        cause="no NVIDIA driver answers, so nothing can reach a GPU.",
        mend="{driver}",
        pattern=r"NVML Shared Library Not Found|LibraryNotFound|DriverNotLoaded|Driver Not Loaded",
        fact=checks.no_driver,
        applies=lambda facts: False,  # the status, not the wording, tells it from other causes
        citation="cupy/cupy#9252",
        number=1,
    ),
    Symptom(
        key="troubled-driver",
        part="NVIDIA driver",
        cause="the driver answers with an error; the kernel's log says more:",
        mend="sudo dmesg | grep -i -e nvrm -e xid",
        fact=checks.troubled_driver,
    ),
    Symptom(
        key="old-driver",
        part="NVIDIA driver",
        cause="the driver is too old for the CUDA release that CuPy was built with.",
        mend="pip uninstall -y {wheels} && pip install {xpu}",
        pattern=r"cudaErrorInsufficientDriver|CUDA driver version is insufficient",
        fact=checks.driver_too_old,
        applies=_with_driver,
        citation="nagadomi/nunif#702, cupy/cupy#9252",
        number=1,
    ),
    Symptom(
        key="no-device",
        part="GPU",
        cause="the driver answers and shows no GPU to this process.",
        mend="nvidia-smi -L",
        pattern=r"cudaErrorNoDevice|CUDA_ERROR_NO_DEVICE|no CUDA-capable device",
        applies=_unexplained,
        citation="cupy/cupy#2106, cupy/cupy#2549",
        number=2,
    ),
    Symptom(
        key="no-cupy",
        part="CuPy",
        cause="CuPy, the NumPy of the GPU, is not installed.",
        mend="pip install {xpu}",
        fact=checks.no_cupy,
    ),
    Symptom(
        key="many-cupys",
        part="CuPy",
        cause="several CuPy packages are installed and overwrite one another.",
        mend="pip uninstall -y {wheels} && pip install {xpu}",
        pattern=r"multiple CuPy packages are installed",
        fact=checks.many_cupys,
        citation="cupy/cupy#3552, rapidsai/cugraph#3057, gpustack/gpustack#5459",
        number=5,
    ),
    Symptom(
        key="rocm-cupy",
        part="CuPy",
        cause="this CuPy is built for AMD cards, which xpu does not drive.",
        mend="pip uninstall -y {wheels} && pip install {xpu}",
        fact=checks.rocm,
    ),
    Symptom(
        key="old-cupy",
        part="CuPy",
        cause="this CuPy is older than version 14, which xpu is written for.",
        mend="pip uninstall -y {wheels} && pip install {xpu}",
        fact=checks.cupy_too_old,
    ),
    Symptom(
        key="wrong-architecture",
        part="GPU",
        cause="the compiler of this CUDA release does not know this GPU (too old, or too new).",
        mend="{architecture}",
        pattern=r"invalid value for --gpu-architecture",
        fact=checks.wrong_architecture,
        citation="cupy/cupy#9475, cupy/cupy#1651",
        number=7,
    ),
    Symptom(
        key="no-cuda-path",
        part="CUDA headers",
        cause="CuPy does not find the root folder of the CUDA toolkit.",
        mend="{toolkit}",
        pattern=r"Failed to auto-detect CUDA root|CUDA path could not be detected",
        fact=checks.rootless_cuda,
        citation="cupy/cupy#9755, NVIDIA/cuda-python#1707",
        number=6,
    ),
    Symptom(
        key="no-toolkit",
        part="CUDA toolkit",
        cause="libraries of the CUDA toolkit that CuPy calls are not installed.",
        mend='pip install "{wheel}[ctk]"',
        pattern=r"Failure finding \"lib(cudart|nvrtc|cublas|cufft|curand|cuso|cusp)|"
        r"lib(cudart|nvrtc|cublas|cufft|curand|cusolver|cusparse)\S* ?: cannot open shared object",
        fact=checks.missing_libraries,
        applies=lambda facts: bool(facts.cupy),
        citation="cupy/cupy#8317, cupy/cupy#9318, rapidsai/cuml#7314",
        number=3,
    ),
    Symptom(
        key="mixed-toolkit",
        part="CUDA headers",
        cause="NVRTC and the CUDA headers come from different releases; kernels may not compile.",
        mend="pip install {runtime}",
        fact=checks.mixed_toolkit,
        citation="cupy/cupy#9719",
        number=9,
    ),
    Symptom(
        key="no-headers",
        part="CUDA headers",
        cause="the CUDA runtime's headers, which every kernel includes, are missing or do not fit.",
        mend="pip install {runtime}",
        pattern=r"cannot open source file|NVRTC_ERROR_COMPILATION",
        fact=checks.missing_headers,
        applies=lambda facts: not checks.mixed_toolkit(facts),
        citation="cupy/cupy#8466, cupy/cupy#8593, cupy/cupy#9295",
        number=4,
    ),
    Symptom(
        key="no-kernel-image",
        part="CuPy",
        cause="CuPy's prebuilt kernels (sort, scan) hold no code for this GPU.",
        mend="pip install -U {wheel}",
        pattern=r"cudaErrorNoKernelImageForDevice|no kernel image is available",
        citation="ingowald/cudaKDTree#18",
        number=8,
    ),
    Symptom(
        key="new-ptx",
        part="NVRTC",
        cause="the toolkit writes PTX that is newer than the driver can read.",
        mend="{ptx}",
        pattern=r"cudaErrorUnsupportedPtxVersion|UNSUPPORTED_PTX_VERSION",
        fact=checks.new_ptx,
        citation="NVIDIA/numba-cuda#163, NVIDIA/nvbandwidth#61",
        number=10,
    ),
    Symptom(
        key="fork",
        part="Fork",
        cause="a process that used CUDA cannot be forked; put this before the workers start:",
        mend='multiprocessing.set_start_method("spawn")',
        pattern=r"cudaErrorInitializationError|initialization error",
        fact=checks.forked,
        citation="explosion/spaCy#5507, MannLabs/alphapept#404",
        number=11,
    ),
    Symptom(
        key="mixed-cudnn",
        part="cuDNN",
        cause="parts of several cuDNN installations are mixed.",
        mend="{one_cudnn}",
        pattern=r"CUDNN_STATUS_SUBLIBRARY_(VERSION_MISMATCH|LOADING_FAILED)",
        fact=checks.mixed_cudnn,
        applies=_with_driver,
        citation="pytorch/pytorch#188892, pytorch/pytorch#185512",
        number=13,
    ),
    Symptom(
        key="full-card",
        part="cuDNN",
        cause="cuDNN does not start: the GPU's memory is full. Who holds it:",
        mend="nvidia-smi --query-compute-apps=pid,name,used_memory --format=csv",
        fact=checks.full_card,
        citation="haotian-liu/LLaVA#392",
        number=12,
    ),
    Symptom(
        key="cudnn-does-not-start",
        part="cuDNN",
        cause="cuDNN does not start: it and the driver do not fit.",
        mend="pip install -U {cudnn}",
        pattern=r"CUDNN_STATUS_NOT_INITIALIZED",
        applies=lambda facts: _with_card(facts) and not checks.full_card(facts),
        citation="haotian-liu/LLaVA#392, coreylowman/cudarc#113",
        number=12,
    ),
    Symptom(
        key="no-cudnn",
        part="cuDNN",
        cause="cuDNN is not installed; convolutions take slower ways.",
        mend="pip install {xpu}",
        fact=checks.no_cudnn,
    ),
    Symptom(
        key="other-cudnn",
        part="cuDNN",
        cause="cuDNN and CuPy are built for different CUDA releases.",
        mend="pip install {xpu}",
        fact=checks.other_cudnn,
    ),
    Symptom(
        key="frontend",
        part="cuDNN frontend",
        cause="cuDNN's Python frontend is missing, or not a version xpu works with.",
        mend='pip install "nvidia-cudnn-frontend>=1.22,<1.29"',
        fact=checks.wrong_frontend,
    ),
    Symptom(
        key="shadowed-cublas",
        part="cuBLAS",
        cause="a system libcublasLt stands before the one that belongs to pip's cuBLAS.",
        mend="unset LD_LIBRARY_PATH",
        pattern=r"undefined symbol: cublasLt|symbol cublasLt\S* version .* not defined",
        fact=checks.shadowed_cublas,
        citation="pytorch/pytorch#174320, pytorch/pytorch#103832",
        number=14,
    ),
    Symptom(
        key="closed-cache",
        part="Kernel cache",
        cause="CuPy cannot write its compiled kernels, so each run would fail or compile anew.",
        mend="export CUPY_CACHE_IN_MEMORY=1",
        pattern=r"(PermissionError|Read-only file system).*(\.cupy|kernel_cache)",
        fact=checks.closed_cache,
        citation="cupy/cupy#2296, cupy/cupy#10271",
        number=15,
    ),
    Symptom(
        key="broken-probe",
        part="Doctor",
        cause="a library crashed, hung or answered nonsense while it was looked at.",
        mend="xpu doctor --json > doctor.json",
        fact=checks.broken_probes,
    ),
)
