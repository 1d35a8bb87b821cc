"""NumPy code on the CPU or the GPU, each step where it finishes first.

``import xpu as np`` and a NumPy program runs; `profile` shows what ran where, `explain` says why,
`config` and ``device=`` decide instead. ``docs/architecture.md`` follows one call through the files.
"""

# fmt: off
import importlib
from typing import TYPE_CHECKING, Any

import numpy
from numpy import (
    False_, ScalarType, True_, asmatrix, base_repr, binary_repr, bool, bool_, broadcast, busdaycalendar, byte,
    bytes_, cdouble, character, clongdouble, complex64, complex128, complexfloating, csingle, datetime64,
    datetime_data, double, dtype, e, errstate, euler_gamma, flatiter, flexible, float16, float32, float64,
    floating, format_float_positional, format_float_scientific, frompyfunc, generic, get_include,
    get_printoptions, getbufsize, geterr, geterrcall, half, index_exp, inexact, inf, info,
    int8, int16, int32, int64,
    int_, intc, integer, intp, issubdtype, little_endian, long, longdouble, longlong, matrix, memmap,
    mintypecode, nan, ndenumerate, ndindex, newaxis, number, object_, pi, poly1d,
    printoptions, promote_types, recarray, record, s_, sctypeDict, set_printoptions, setbufsize, seterr,
    show_config, show_runtime,
    seterrcall, short, signedinteger, single, str_, timedelta64, typecodes, typename, ubyte, uint, uint8,
    uint16, uint32, uint64, uintc, uintp, ulong, ulonglong, unsignedinteger, ushort, void,
)

from xpu import _warned, errors, linalg  # noqa: F401  # `_warned` is at work from here on
from xpu._array import ndarray
from xpu._scalar import scalar
from xpu._backends import (
    devices, machine,
)
from xpu._calibration import (
    calibrate,
)
from xpu._config import (
    config, set_config,
)
from xpu._device import (
    Device,
)
from xpu._namespace import (
    __array_namespace_info__, astype, broadcast_shapes, can_cast, common_type, finfo, iinfo, iscomplexobj,
    isdtype, isfortran, isrealobj, isscalar, iterable, may_share_memory, min_scalar_type, ndim, require,
    result_type, shape, shares_memory, size,
)
from xpu._ops._make import (
    UFunc as ufunc,
)
from xpu._ops.creation import (
    arange, array, asanyarray, asarray, asarray_chkfinite, ascontiguousarray, asfortranarray, asnumpy, c_, copy,
    empty, empty_like, eye, from_dlpack, frombuffer, fromfunction, full, full_like, geomspace, identity,
    indices, linspace, logspace, meshgrid, mgrid, ogrid, ones, ones_like, r_, tri, tril, triu, vander, zeros,
    zeros_like,
)
from xpu._ops.elementwise import (
    abs, absolute, acos, acosh, add, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, asin, asinh,
    atan, atan2, atanh, bitwise_and, bitwise_count, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, cbrt, ceil, conj, conjugate, copysign, cos, cosh, deg2rad, degrees,
    divide, divmod, equal, exp, exp2, expm1, fabs, float_power, floor, floor_divide, fmax, fmin, fmod, frexp,
    gcd, greater, greater_equal, heaviside, hypot, invert, isfinite, isinf, isnan, isnat, lcm, ldexp,
    left_shift, less, less_equal, log, log1p, log2, log10, logaddexp, logaddexp2, logical_and, logical_not,
    logical_or, logical_xor, matmul, maximum, minimum, mod, modf, multiply, negative, nextafter, not_equal,
    positive, pow, power, rad2deg, radians, reciprocal, remainder, right_shift, rint, sign, signbit, sin, sinh,
    spacing, sqrt, square, subtract, tan, tanh, true_divide, trunc, vecdot,
)
from xpu._ops.composite import argsort, clip, nan_to_num, sort
from xpu._ops.rest import (
    all, allclose, amax, amin, angle, any, append, apply_along_axis, apply_over_axes, argmax, argmin,
    argpartition, argwhere, around, array2string, array_equal, array_equiv, array_repr, array_split,
    array_str, atleast_1d, atleast_2d, atleast_3d, average, bartlett, bincount, blackman, block, bmat,
    broadcast_arrays, broadcast_to, busday_count, busday_offset, choose, column_stack, compress, concat,
    concatenate, convolve, copyto, corrcoef, correlate, count_nonzero, cov, cross, cumprod, cumsum,
    cumulative_prod, cumulative_sum, datetime_as_string, delete, diag, diag_indices, diag_indices_from,
    diagflat, diagonal, diff, digitize, dot, dsplit, dstack, ediff1d, einsum, einsum_path, expand_dims, extract,
    fill_diagonal, fix, flatnonzero, flip, fliplr, flipud, fromfile, fromiter, fromregex, fromstring,
    genfromtxt, gradient, hamming, hanning, histogram, histogram2d, histogram_bin_edges, histogramdd, hsplit,
    hstack, i0, imag, inner, insert, interp, intersect1d, is_busday, isclose, iscomplex, isin, isneginf,
    isposinf, isreal, ix_, kaiser, kron, lexsort, load, loadtxt, mask_indices, matrix_transpose, matvec, max,
    mean, median, min, moveaxis, nanargmax, nanargmin, nancumprod, nancumsum, nanmax, nanmean,
    nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar, nonzero, outer, packbits,
    pad, partition, percentile, permute_dims, piecewise, place, poly, polyadd, polyder, polydiv, polyfit,
    polyint, polymul, polysub, polyval, prod, ptp, put, put_along_axis, putmask, quantile, ravel,
    ravel_multi_index, real, real_if_close, repeat, reshape, resize, roll, rollaxis, roots, rot90, round, save,
    savetxt, savez, savez_compressed, searchsorted, select, setdiff1d, setxor1d, sinc, sort_complex,
    split, squeeze, stack, std, sum, swapaxes, take, take_along_axis, tensordot, tile, trace, transpose,
    trapezoid, tril_indices, tril_indices_from, trim_zeros, triu_indices, triu_indices_from, union1d, unique,
    unique_all, unique_counts, unique_inverse, unique_values, unpackbits, unravel_index, unstack, unwrap, var,
    vdot, vecmat, vsplit, vstack, where,
)

if TYPE_CHECKING:
    from xpu._explain import explain, no_transfers
    from xpu._iterators import nditer, nested_iters
    from xpu._kernels._fuse import fuse
    from xpu._kernels._vectorize import vectorize
    from xpu._offload import offload
    from xpu._plan import plan
    from xpu._pipeline._feed import pipeline, prefetch
    from xpu._profile import profile
    from xpu import (
        char, ctypeslib, dtypes, emath, exceptions, fft, lib, ma, ndimage, nn, polynomial, random, rec, signal, strings,
        testing, typing,
    )

__version__ = "0.1.0"
__array_api_version__ = "2025.12"

__all__ = [
    "Device", "False_", "ScalarType", "True_", "__array_namespace_info__", "abs", "absolute", "acos", "acosh",
    "add", "all", "allclose", "amax", "amin", "angle", "any", "append", "apply_along_axis", "apply_over_axes",
    "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin",
    "argpartition", "argsort", "argwhere", "around", "array", "array2string", "array_equal", "array_equiv",
    "array_repr", "array_split", "array_str", "asanyarray", "asarray", "asarray_chkfinite", "ascontiguousarray",
    "asfortranarray", "asin", "asinh", "asmatrix", "asnumpy", "astype", "atan", "atan2", "atanh", "atleast_1d",
    "atleast_2d", "atleast_3d", "average", "bartlett", "base_repr", "binary_repr", "bincount", "bitwise_and",
    "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "blackman", "block", "bmat", "bool", "bool_", "broadcast", "broadcast_arrays",
    "broadcast_shapes", "broadcast_to", "busday_count", "busday_offset", "busdaycalendar", "byte", "bytes_", "c_",
    "calibrate", "can_cast", "cbrt", "cdouble", "ceil", "char", "character", "choose", "clip", "clongdouble",
    "column_stack", "common_type", "complex128", "complex64", "complexfloating", "compress", "concat",
    "concatenate", "config", "conj", "conjugate", "convolve", "copy", "copysign", "copyto", "corrcoef", "correlate",
    "cos", "cosh", "count_nonzero", "cov", "cross", "csingle", "ctypeslib", "cumprod", "cumsum", "cumulative_prod",
    "cumulative_sum", "datetime64", "datetime_as_string", "datetime_data", "deg2rad", "degrees", "delete",
    "devices", "diag", "diag_indices", "diag_indices_from", "diagflat", "diagonal", "diff", "digitize", "divide",
    "divmod", "dot", "double", "dsplit", "dstack", "dtype", "dtypes", "e", "ediff1d", "einsum", "einsum_path",
    "emath", "empty", "empty_like", "equal", "errors", "errstate", "euler_gamma", "exceptions", "exp", "exp2",
    "expand_dims", "explain", "expm1", "extract", "eye", "fabs", "fft", "fill_diagonal", "finfo", "fix", "flatiter",
    "flatnonzero", "flexible", "flip", "fliplr", "flipud", "float16", "float32", "float64", "float_power",
    "floating", "floor", "floor_divide", "fmax", "fmin", "fmod", "format_float_positional",
    "format_float_scientific", "frexp", "from_dlpack", "frombuffer", "fromfile", "fromfunction", "fromiter",
    "frompyfunc", "fromregex", "fromstring", "full", "full_like", "fuse", "gcd", "generic", "genfromtxt",
    "geomspace", "get_include", "get_printoptions", "getbufsize", "geterr", "geterrcall", "gradient", "greater",
    "greater_equal", "half", "hamming", "hanning", "heaviside", "histogram", "histogram2d", "histogram_bin_edges",
    "histogramdd", "hsplit", "hstack", "hypot", "i0", "identity", "iinfo", "imag", "index_exp", "indices",
    "inexact", "inf", "info", "inner", "insert", "int16", "int32", "int64", "int8", "int_", "intc", "integer",
    "interp", "intersect1d", "intp", "invert", "is_busday", "isclose", "iscomplex", "iscomplexobj", "isdtype",
    "isfinite", "isfortran", "isin", "isinf", "isnan", "isnat", "isneginf", "isposinf", "isreal", "isrealobj",
    "isscalar", "issubdtype", "iterable", "ix_", "kaiser", "kron", "lcm", "ldexp", "left_shift", "less",
    "less_equal", "lexsort", "lib", "linalg", "linspace", "little_endian", "load", "loadtxt", "log", "log10",
    "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor",
    "logspace", "long", "longdouble", "longlong", "ma", "machine", "mask_indices", "matmul", "matrix",
    "matrix_transpose", "matvec", "max", "maximum", "may_share_memory", "mean", "median", "memmap", "meshgrid",
    "mgrid", "min", "min_scalar_type", "minimum", "mintypecode", "mod", "modf", "moveaxis", "multiply", "nan",
    "nan_to_num", "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "ndarray", "ndenumerate", "ndim",
    "ndimage", "ndindex", "nditer", "negative", "nested_iters", "newaxis", "nextafter", "nn", "no_transfers",
    "nonzero", "not_equal", "number", "object_", "offload", "ogrid", "ones", "ones_like", "outer", "packbits", "pad",
    "partition", "percentile", "permute_dims", "pi", "piecewise", "pipeline", "place", "plan", "poly", "poly1d",
    "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polynomial", "polysub", "polyval", "positive",
    "pow", "power", "prefetch", "printoptions", "prod", "profile", "promote_types", "ptp", "put", "put_along_axis",
    "putmask", "quantile", "r_", "rad2deg", "radians", "random", "ravel", "ravel_multi_index", "real",
    "real_if_close", "rec", "recarray", "reciprocal", "record", "remainder", "repeat", "require", "reshape",
    "resize", "result_type", "right_shift", "rint", "roll", "rollaxis", "roots", "rot90", "round", "s_", "save",
    "savetxt", "savez", "savez_compressed", "scalar", "sctypeDict", "searchsorted", "select", "set_config",
    "set_printoptions", "setbufsize", "setdiff1d", "seterr", "seterrcall", "setxor1d", "shape", "shares_memory",
    "short", "show_config", "show_runtime", "sign", "signal", "signbit", "signedinteger", "sin", "sinc", "single",
    "sinh", "size", "sort", "sort_complex", "spacing", "split", "sqrt", "square", "squeeze", "stack", "std", "str_",
    "strings", "subtract", "sum", "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensordot", "testing",
    "tile", "timedelta64", "trace", "transpose", "trapezoid", "tri", "tril", "tril_indices", "tril_indices_from",
    "trim_zeros", "triu", "triu_indices", "triu_indices_from", "true_divide", "trunc", "typecodes", "typename",
    "typing", "ubyte", "ufunc", "uint", "uint16", "uint32", "uint64", "uint8", "uintc", "uintp", "ulong",
    "ulonglong", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values",
    "unpackbits", "unravel_index", "unsignedinteger", "unstack", "unwrap", "ushort", "vander", "var", "vdot",
    "vecdot", "vecmat", "vectorize", "void", "vsplit", "vstack", "where", "zeros", "zeros_like",
]
# fmt: on

# Loaded on first use, as NumPy does: most programs need few of them.
_SUBMODULES = frozenset({
    "char", "ctypeslib", "dask", "dtypes", "einops", "emath", "exceptions", "fft", "lib", "ma", "ndimage", "nn",
    "pandas", "polynomial", "random", "rec", "signal", "sklearn", "strings", "testing", "typing",
})
# Functions of files that most programs do not need.
_LATE = {
    "explain": "xpu._explain", "no_transfers": "xpu._explain", "profile": "xpu._profile",
    "offload": "xpu._offload", "plan": "xpu._plan",
    "fuse": "xpu._kernels._fuse", "pipeline": "xpu._pipeline._feed", "prefetch": "xpu._pipeline._feed",
    "nditer": "xpu._iterators", "nested_iters": "xpu._iterators", "vectorize": "xpu._kernels._vectorize",
}
# NumPy's own: types that it has on some platforms only, and what it is about to drop.
_NUMPYS_OWN = frozenset({"complex192", "complex256", "core", "f2py", "float96", "float128", "row_stack"})


def __getattr__(name: str) -> Any:
    """Load a submodule on its first use (PEP 562); answer an unknown name with the nearest ones."""
    if name in _SUBMODULES:
        return importlib.import_module(f"xpu.{name}")
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name in _NUMPYS_OWN:
        return getattr(numpy, name)
    hint = "" if name.startswith("_") else _gone(name) or errors.nearest(name, __all__)
    message = f"module 'xpu' has no attribute {name!r}. {hint}"
    raise AttributeError(message.rstrip(), name=name)


def _gone(name: str) -> str:
    """Return what NumPy says of a name that it once had, such as ``np.float``."""
    try:
        getattr(numpy, name)
    except AttributeError as error:
        before, _, after = str(error).partition(f"has no attribute {name!r}")
        return after.lstrip(".\n") if before.startswith("module") else before
    return ""


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES})
