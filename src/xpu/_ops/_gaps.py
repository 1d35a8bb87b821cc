"""What CuPy 14 lacks, as data: names, and keywords of functions it has.

Read off ``dir(numpy)`` 2.4 against CuPy 14.2 by introspection, which needs no GPU; a test repeats
that where CuPy is installed. A call that meets a gap runs on the CPU with the gap as its reason.
"""

from __future__ import annotations

__all__ = ["KEYWORDS", "MISSING"]

MISSING = frozenset(
    [
        "asmatrix",
        "block",
        "bmat",
        "busday_count",
        "busday_offset",
        "datetime_as_string",
        "datetime_data",
        "einsum_path",
        "frompyfunc",
        "fromregex",
        "geomspace",
        "histogram_bin_edges",
        "insert",
        "is_busday",
        "isnat",
        "matvec",
        "nanpercentile",
        "nanquantile",
        "nested_iters",
        "polyder",
        "polydiv",
        "polyint",
        "spacing",
        "unstack",
        "vecdot",
        "vecmat",
        "linalg.diagonal",
        "linalg.matrix_norm",
        "linalg.multi_dot",
        "linalg.outer",
        "linalg.svdvals",
        "linalg.tensordot",
        "linalg.trace",
        "linalg.vecdot",
        "linalg.vector_norm",
    ]
)

_REDUCING = "where initial"
_MOMENT = "where mean correction"
KEYWORDS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "all": "where",
        "any": "where",
        "amax": _REDUCING,
        "amin": _REDUCING,
        "max": _REDUCING,
        "min": _REDUCING,
        "sum": _REDUCING,
        "prod": _REDUCING,
        "nansum": _REDUCING,
        "nanprod": _REDUCING,
        "nanmax": _REDUCING,
        "nanmin": _REDUCING,
        "mean": "where",
        "nanmean": "where",
        "std": _MOMENT,
        "var": _MOMENT,
        "nanstd": _MOMENT,
        "nanvar": _MOMENT,
        "argpartition": "kind order",
        "partition": "kind order",
        "argsort": "order stable kind",
        "sort": "order stable kind",
        "broadcast_to": "subok",
        "broadcast_arrays": "subok",
        "count_nonzero": "keepdims",
        "cov": "fweights aweights",  # CuPy 14.2 takes them, and does not weight the mean
        "einsum": "dtype casting",  # CuPy casts what NumPy refuses to
        "isin": "kind",
        "linspace": "retstep",  # CuPy's step is an array, NumPy's a scalar
        "percentile": "weights",
        "quantile": "weights",
        "take": "mode",
        "unique": "sorted",
        "packbits": "axis",
        "unpackbits": "axis count",
        "trim_zeros": "axis",
        "linalg.cholesky": "upper",
        "linalg.pinv": "hermitian rtol",
        "linalg.svd": "hermitian",
        "linalg.matrix_rank": "hermitian rtol",
        "fft.fft": "out",
        "fft.fft2": "out",
        "fft.fftn": "out",
        "fft.hfft": "out",
        "fft.ifft": "out",
        "fft.ifft2": "out",
        "fft.ifftn": "out",
        "fft.ihfft": "out",
        "fft.irfft": "out",
        "fft.irfft2": "out",
        "fft.irfftn": "out",
        "fft.rfft": "out",
        "fft.rfft2": "out",
        "fft.rfftn": "out",
        "indices": "sparse",
        "array": "ndmax",
    }.items()
}
