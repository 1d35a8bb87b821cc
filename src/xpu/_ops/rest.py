"""Functions that are not universal: one row each, by section of the array API standard and NumPy's manual.

A row names the cost class and how to count its work; sharing of memory, identity, scalars, gaps and
fallback are the dispatcher's business, so a NumPy function costs one line.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from xpu._op import by_cube, by_outer, by_product, by_reading, by_sorting, by_tensordot
from xpu._ops._make import Function, function, view


def _reduction(name: str, dtypes: str = "numeric", **fields: Any) -> Function:
    return function(name, "reduction", by_reading, dtypes=dtypes, **fields)


def _scan(name: str, **fields: Any) -> Function:
    return function(name, "scan", **fields)


def _sort(name: str, **fields: Any) -> Function:
    return function(name, "sort", by_sorting, **fields)


def _gather(name: str, **fields: Any) -> Function:
    return function(name, "gather", **fields)


def _copy(name: str, **fields: Any) -> Function:
    return function(name, "copy", fields.pop("count", None), **fields)


def _host(name: str, **fields: Any) -> Function:
    return function(name, "host", gpu=None, **fields)


def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """As NumPy's, read-only at once: reading the flags of NumPy's own result warns."""
    shape = np.broadcast_shapes(*[np.shape(a) for a in args])
    fits = [isinstance(a, np.ndarray) and a.shape == shape for a in args]
    return tuple(a if fit else np.broadcast_to(a, shape, subok) for a, fit in zip(args, fits, strict=True))


# fmt: off
# --- manipulation: views stay where they are
atleast_1d = view("atleast_1d")
atleast_2d = view("atleast_2d")
atleast_3d = view("atleast_3d")
array_split = view("array_split")
broadcast_arrays = view("broadcast_arrays", host=_broadcast_arrays, gpu="self", arrays=(0, 1))
broadcast_to = view("broadcast_to")
diag = view("diag")
diagonal = view("diagonal")
dsplit = view("dsplit")
expand_dims = view("expand_dims")
flip = view("flip", keeps_0d=False)
fliplr = view("fliplr")
flipud = view("flipud")
hsplit = view("hsplit")
imag = view("imag")
matrix_transpose = view("matrix_transpose")
moveaxis = view("moveaxis")
ravel = view("ravel")
real = view("real")
reshape = view("reshape")
rollaxis = view("rollaxis")
rot90 = view("rot90")
split = view("split")
squeeze = view("squeeze")
swapaxes = view("swapaxes")
transpose = permute_dims = view("transpose")
unstack = view("unstack")
vsplit = view("vsplit")
# --- manipulation: copies
append = _copy("append", arrays=(0, 1))
block = _copy("block", sequence=True)
bmat = _host("bmat")
column_stack = _copy("column_stack", sequence=True)
concatenate = concat = _copy("concatenate", sequence=True)
delete = _copy("delete")
diagflat = _copy("diagflat")
dstack = _copy("dstack", sequence=True)
hstack = _copy("hstack", sequence=True)
insert = _copy("insert", arrays=(0, 2))
kron = _copy("kron", count=by_outer, arrays=(0, 1))
pad = _copy("pad", keeps_0d=True)
repeat = _copy("repeat")
resize = _copy("resize", keeps_0d=True)
roll = _copy("roll", keeps_0d=True)
stack = _copy("stack", sequence=True)
tile = _copy("tile")
trim_zeros = _copy("trim_zeros")
vstack = _copy("vstack", sequence=True)
# --- indexing
choose = _gather("choose", sequence=False, arrays=(0,))
compress = _gather("compress", arrays=(0, 1))
copyto = function("copyto", "copy", arrays=(0, 1), writes=(0,))
extract = _gather("extract", arrays=(0, 1))
fill_diagonal = function("fill_diagonal", "gather", writes=(0,))
place = _gather("place", arrays=(0, 1, 2), writes=(0,))


@functools.wraps(np.put)
def _put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    """Find a bad index before the first element is written: NumPy writes up to it."""
    if mode == "raise":
        np.take(np.broadcast_to(np.False_, (np.size(a),)), ind)
    np.put(a, ind, v, mode)


put = _gather("put", host=_put, arrays=(0, 1, 2), writes=(0,))
put_along_axis = _gather("put_along_axis", arrays=(0, 1, 2), writes=(0,))
putmask = _gather("putmask", arrays=(0, 1, 2), writes=(0,))
select = _gather("select", sequence=True, keeps_0d=True)
piecewise = _host("piecewise")
take = _gather("take", arrays=(0, 1))
take_along_axis = _gather("take_along_axis", arrays=(0, 1))
where = _gather("where", arrays=(0, 1, 2), keeps_0d=True)
# --- statistics
all = _reduction("all", "all")
amax = max = _reduction("max", "real")
amin = min = _reduction("min", "real")
any = _reduction("any", "all")
average = _reduction("average", arrays=(0,))
bincount = _scan("bincount", dtypes="integer")
corrcoef = function("corrcoef", "matmul", arrays=(0, 1), ulp=64)
count_nonzero = _reduction("count_nonzero", "all")
cov = function("cov", "matmul", arrays=(0, 1), ulp=64, keeps_0d=True)
cumprod = _scan("cumprod", ulp=64)
cumsum = _scan("cumsum", ulp=64)
cumulative_prod = _scan("cumulative_prod", ulp=64)
cumulative_sum = _scan("cumulative_sum", ulp=64)
diff = function("diff", "elementwise")
digitize = _sort("digitize", arrays=(0, 1))
ediff1d = function("ediff1d", "elementwise")
gradient = function("gradient", "elementwise", weight=4)
histogram = _sort("histogram")
histogram2d = _sort("histogram2d", arrays=(0, 1))
histogram_bin_edges = _reduction("histogram_bin_edges")
histogramdd = _sort("histogramdd")
mean = _reduction("mean", ulp=64)
median = _sort("median")
nancumprod = _scan("nancumprod", ulp=64)
nancumsum = _scan("nancumsum", ulp=64)
nanargmax = _reduction("nanargmax", "real")
nanargmin = _reduction("nanargmin", "real")
nanmax = _reduction("nanmax", "real")
nanmean = _reduction("nanmean", ulp=64)
nanmedian = _sort("nanmedian")
nanmin = _reduction("nanmin", "real")
nanpercentile = _sort("nanpercentile")
nanprod = _reduction("nanprod", ulp=64)
nanquantile = _sort("nanquantile")
nanstd = _reduction("nanstd", ulp=64)
nansum = _reduction("nansum", ulp=64)
nanvar = _reduction("nanvar", ulp=64)
percentile = _sort("percentile")
prod = _reduction("prod", ulp=64)
ptp = _reduction("ptp", "real")
quantile = _sort("quantile")
std = _reduction("std", "floating", ulp=64)
sum = _reduction("sum", ulp=64)
trapezoid = _reduction("trapezoid", ulp=64)
var = _reduction("var", "floating", ulp=64)
# --- searching and sorting
argmax = _reduction("argmax", "real")
argmin = _reduction("argmin", "real")
argpartition = _sort("argpartition")
argsort = _sort("argsort")
argwhere = _gather("argwhere")
flatnonzero = _gather("flatnonzero")
lexsort = _sort("lexsort", sequence=True)
nonzero = _gather("nonzero")
partition = _sort("partition")
searchsorted = _sort("searchsorted", arrays=(0, 1))
sort = _sort("sort")
sort_complex = _sort("sort_complex")
# --- sets
intersect1d = _sort("intersect1d", arrays=(0, 1))
isin = _sort("isin", arrays=(0, 1), keeps_0d=True)
setdiff1d = _sort("setdiff1d", arrays=(0, 1))
setxor1d = _sort("setxor1d", arrays=(0, 1))
union1d = _sort("union1d", arrays=(0, 1))
unique = _sort("unique", keeps_0d=True)
unique_all = _sort("unique_all", keeps_0d=True)
unique_counts = _sort("unique_counts", keeps_0d=True)
unique_inverse = _sort("unique_inverse", keeps_0d=True)
unique_values = _sort("unique_values", keeps_0d=True)
# --- products
convolve = function("convolve", "conv", by_product, arrays=(0, 1), ulp=64)
correlate = function("correlate", "conv", by_product, arrays=(0, 1), ulp=64)
cross = function("cross", "elementwise", arrays=(0, 1), weight=6)
dot = function("dot", "matmul", by_product, arrays=(0, 1), ulp=64)
einsum = function("einsum", "matmul", by_product, arrays=(1, 2, 3), ulp=64)
einsum_path = _host("einsum_path")
inner = function("inner", "matmul", by_product, arrays=(0, 1), ulp=64)
matvec = function("matvec", "matmul", by_product, arrays=(0, 1), ulp=64)
outer = function("outer", "elementwise", by_outer, arrays=(0, 1))
tensordot = function("tensordot", "matmul", by_tensordot, arrays=(0, 1), ulp=64, keeps_0d=True)
trace = _reduction("trace")
vdot = function("vdot", "reduction", by_reading, arrays=(0, 1), ulp=64)
vecmat = function("vecmat", "matmul", by_product, arrays=(0, 1), ulp=64)
# --- mathematics beyond ufuncs
angle = function("angle", "elementwise", weight=30, ulp=6)
around = round = function("round", "elementwise")
clip = function("clip", "elementwise", arrays=(0, 1, 2), weight=2)
fix = function("fix", "elementwise")
i0 = function("i0", "elementwise", weight=60, ulp=16, keeps_0d=True)
interp = _sort("interp", arrays=(0, 1, 2))
iscomplex = function("iscomplex", "elementwise")
isclose = function("isclose", "elementwise", arrays=(0, 1), weight=4)
isneginf = function("isneginf", "elementwise")
isposinf = function("isposinf", "elementwise")
isreal = function("isreal", "elementwise")
nan_to_num = function("nan_to_num", "elementwise")
real_if_close = _host("real_if_close", keeps_0d=True)
sinc = function("sinc", "elementwise", weight=25, ulp=8)
unwrap = _scan("unwrap")
packbits = _copy("packbits")
unpackbits = _copy("unpackbits")
# --- comparisons that end on the host
allclose = _host("allclose")
array_equal = _host("array_equal")
array_equiv = _host("array_equiv")
# --- polynomials (NumPy's old ones)
poly = _host("poly")
polyadd = _host("polyadd")
polyder = _host("polyder")
polydiv = _host("polydiv")
polyfit = _host("polyfit")
polyint = _host("polyint")
polymul = _host("polymul")
polysub = _host("polysub")
polyval = function("polyval", "elementwise", arrays=(0, 1), weight=8)
roots = _host("roots")
# --- functional, text and files: Python code, so the host
apply_along_axis = _host("apply_along_axis")
apply_over_axes = _host("apply_over_axes")
array2string = _host("array2string")
array_repr = _host("array_repr")
array_str = _host("array_str")
busday_count = _host("busday_count")
busday_offset = _host("busday_offset")
datetime_as_string = _host("datetime_as_string")
fromfile = _host("fromfile")
fromiter = _host("fromiter")
fromregex = _host("fromregex")
fromstring = _host("fromstring")
genfromtxt = _host("genfromtxt")
is_busday = _host("is_busday")
ix_ = _host("ix_")
load = _host("load")
loadtxt = _host("loadtxt")
save = _host("save")
savetxt = _host("savetxt")
savez = _host("savez")
savez_compressed = _host("savez_compressed")
# --- windows and index makers
bartlett = _host("bartlett")
blackman = _host("blackman")
diag_indices = _host("diag_indices")
diag_indices_from = _host("diag_indices_from")
hamming = _host("hamming")
hanning = _host("hanning")
kaiser = _host("kaiser")
mask_indices = _host("mask_indices")
ravel_multi_index = _host("ravel_multi_index")
tril_indices = _host("tril_indices")
tril_indices_from = _host("tril_indices_from")
triu_indices = _host("triu_indices")
triu_indices_from = _host("triu_indices_from")
unravel_index = _host("unravel_index")
# --- linalg
_CUBE = {"ulp": 1024, "dtypes": "floating"}
linalg_cholesky = function("linalg.cholesky", "linalg", by_cube, weight=0.4, **_CUBE)
linalg_cond = function("linalg.cond", "linalg", by_cube, weight=8.0, **_CUBE)
linalg_cross = function("linalg.cross", "elementwise", arrays=(0, 1), weight=6)
linalg_det = function("linalg.det", "linalg", by_cube, weight=0.7, **_CUBE)
linalg_diagonal = view("linalg.diagonal")
linalg_eig = function("linalg.eig", "linalg", by_cube, weight=25.0, **_CUBE)
linalg_eigh = function("linalg.eigh", "linalg", by_cube, weight=9.0, **_CUBE)
linalg_eigvals = function("linalg.eigvals", "linalg", by_cube, weight=10.0, **_CUBE)
linalg_eigvalsh = function("linalg.eigvalsh", "linalg", by_cube, weight=2.0, **_CUBE)
linalg_inv = function("linalg.inv", "linalg", by_cube, weight=2.0, **_CUBE)
linalg_lstsq = function("linalg.lstsq", "linalg", by_cube, arrays=(0, 1), weight=10.0, **_CUBE)
linalg_matmul = function("linalg.matmul", "matmul", by_product, arrays=(0, 1), ulp=64, gpu="matmul")
linalg_matrix_norm = function("linalg.matrix_norm", "reduction", by_reading, ulp=64)
linalg_matrix_power = function("linalg.matrix_power", "linalg", by_cube, weight=6.0, ulp=1024)
linalg_matrix_rank = function("linalg.matrix_rank", "linalg", by_cube, weight=8.0)
linalg_matrix_transpose = view("linalg.matrix_transpose")
linalg_multi_dot = function("linalg.multi_dot", "matmul", by_product, sequence=True, ulp=64)
linalg_norm = function("linalg.norm", "reduction", by_reading, ulp=64)
linalg_outer = function("linalg.outer", "elementwise", by_outer, arrays=(0, 1), gpu="outer")
linalg_pinv = function("linalg.pinv", "linalg", by_cube, weight=20.0, **_CUBE)
linalg_qr = function("linalg.qr", "linalg", by_cube, weight=4.0, **_CUBE)
linalg_slogdet = function("linalg.slogdet", "linalg", by_cube, weight=0.7, **_CUBE)
linalg_solve = function("linalg.solve", "linalg", by_cube, arrays=(0, 1), weight=0.7, **_CUBE)
linalg_svd = function("linalg.svd", "linalg", by_cube, weight=20.0, **_CUBE)
linalg_svdvals = function("linalg.svdvals", "linalg", by_cube, weight=4.0, **_CUBE)
linalg_tensordot = function(
    "linalg.tensordot", "matmul", by_tensordot, arrays=(0, 1), gpu="tensordot", ulp=64, keeps_0d=True
)
linalg_tensorinv = function("linalg.tensorinv", "linalg", by_cube, weight=2.0, **_CUBE)
linalg_tensorsolve = function("linalg.tensorsolve", "linalg", by_cube, arrays=(0, 1), **_CUBE, keeps_0d=True)
linalg_trace = function("linalg.trace", "reduction", by_reading)
linalg_vecdot = function("linalg.vecdot", "reduction", by_reading, arrays=(0, 1), ulp=64)
linalg_vector_norm = function("linalg.vector_norm", "reduction", by_reading, ulp=64)
# --- window views
sliding_window_view = view("lib.stride_tricks.sliding_window_view")
as_strided = view("lib.stride_tricks.as_strided")
# fmt: on

# What ndarray methods do that no public function does.
item_get = function("getitem", "gather", gpu="self", host=lambda x, key: x[key], keeps_0d=False)
item_view = view("getitem_view", gpu="self", host=lambda x, key: x[key])


def _assign(x: Any, key: Any, value: Any) -> None:
    x[key] = value


item_set = function("setitem", "gather", gpu="self", host=_assign, writes=(0,), arrays=(0, 2))


def _astype(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", copy: bool = True) -> Any:
    if casting == "unsafe":  # CuPy's method refuses the keyword
        return x.astype(dtype, order=order, copy=copy)
    return x.astype(dtype, order=order, casting=casting, copy=copy)


cast = function("astype", "copy", gpu="self", host=_astype, keeps_0d=True)
dtype_view = view("view", gpu="self", host=lambda x, *args: x.view(*args))
flat_copy = function("flatten", "copy", gpu="self", host=lambda x, order="C": x.flatten(order))
byteswap = function("byteswap", "copy", host=lambda x: x.byteswap(), gpu=None)
field_view = view("field", gpu="self", host=lambda x, *args: x.getfield(*args))


def _fill(x: Any, value: Any) -> None:
    x.fill(value)


fill = function("fill", "creation", gpu="self", host=_fill, writes=(0,))


def _sort_in_place(x: Any, *args: Any, **kwargs: Any) -> None:
    x.sort(*args, **kwargs)


def _partition_in_place(x: Any, *args: Any, **kwargs: Any) -> None:
    x.partition(*args, **kwargs)


sort_in_place = function(
    "ndarray.sort",
    "sort",
    by_sorting,
    gpu="self",
    host=_sort_in_place,
    writes=(0,),
    gaps=frozenset({"order", "kind", "stable"}),
)
partition_in_place = function(
    "ndarray.partition",
    "sort",
    by_sorting,
    gpu="self",
    host=_partition_in_place,
    writes=(0,),
    gaps=frozenset({"order", "kind"}),
)
tobytes = function("tobytes", "host", host=lambda x, *a, **k: x.tobytes(*a, **k), gpu=None)
