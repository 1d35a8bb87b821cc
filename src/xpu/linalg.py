"""Linear algebra: ``numpy.linalg`` where it finishes first."""

from numpy.linalg import LinAlgError

from xpu._ops.rest import linalg_cholesky as cholesky
from xpu._ops.rest import linalg_cond as cond
from xpu._ops.rest import linalg_cross as cross
from xpu._ops.rest import linalg_det as det
from xpu._ops.rest import linalg_diagonal as diagonal
from xpu._ops.rest import linalg_eig as eig
from xpu._ops.rest import linalg_eigh as eigh
from xpu._ops.rest import linalg_eigvals as eigvals
from xpu._ops.rest import linalg_eigvalsh as eigvalsh
from xpu._ops.rest import linalg_inv as inv
from xpu._ops.rest import linalg_lstsq as lstsq
from xpu._ops.rest import linalg_matmul as matmul
from xpu._ops.rest import linalg_matrix_norm as matrix_norm
from xpu._ops.rest import linalg_matrix_power as matrix_power
from xpu._ops.rest import linalg_matrix_rank as matrix_rank
from xpu._ops.rest import linalg_matrix_transpose as matrix_transpose
from xpu._ops.rest import linalg_multi_dot as multi_dot
from xpu._ops.rest import linalg_norm as norm
from xpu._ops.rest import linalg_outer as outer
from xpu._ops.rest import linalg_pinv as pinv
from xpu._ops.rest import linalg_qr as qr
from xpu._ops.rest import linalg_slogdet as slogdet
from xpu._ops.rest import linalg_solve as solve
from xpu._ops.rest import linalg_svd as svd
from xpu._ops.rest import linalg_svdvals as svdvals
from xpu._ops.rest import linalg_tensordot as tensordot
from xpu._ops.rest import linalg_tensorinv as tensorinv
from xpu._ops.rest import linalg_tensorsolve as tensorsolve
from xpu._ops.rest import linalg_trace as trace
from xpu._ops.rest import linalg_vecdot as vecdot
from xpu._ops.rest import linalg_vector_norm as vector_norm

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
