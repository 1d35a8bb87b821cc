"""Masked arrays: `numpy.ma`, on the host.

They are NumPy's own; an array handed to one of these functions stays on the host from then on.
"""

# fmt: off
from numpy.ma import (
    MAError,
    MaskedArray,
    MaskError,
    MaskType,
    abs,
    absolute,
    add,
    amax,
    amin,
    angle,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    around,
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    bool_,
    ceil,
    conjugate,
    core,
    cos,
    cosh,
    divide,
    equal,
    exp,
    expand_dims,
    extras,
    fabs,
    floor,
    floor_divide,
    fmod,
    greater,
    greater_equal,
    hypot,
    less,
    less_equal,
    log,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    masked,
    masked_print_option,
    masked_singleton,
    maximum,
    minimum,
    mod,
    mr_,
    multiply,
    mvoid,
    negative,
    nomask,
    not_equal,
    remainder,
    sin,
    sinh,
    sqrt,
    subtract,
    tan,
    tanh,
    true_divide,
)

from xpu._ops.hosted import sharing

__all__ = [
    "MAError",
    "MaskError",
    "MaskType",
    "MaskedArray",
    "abs",
    "absolute",
    "add",
    "all",
    "allclose",
    "allequal",
    "alltrue",
    "amax",
    "amin",
    "angle",
    "anom",
    "anomalies",
    "any",
    "append",
    "apply_along_axis",
    "apply_over_axes",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argsort",
    "around",
    "array",
    "asanyarray",
    "asarray",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "average",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bool_",
    "ceil",
    "choose",
    "clip",
    "clump_masked",
    "clump_unmasked",
    "column_stack",
    "common_fill_value",
    "compress",
    "compress_cols",
    "compress_nd",
    "compress_rowcols",
    "compress_rows",
    "compressed",
    "concatenate",
    "conjugate",
    "convolve",
    "copy",
    "core",
    "corrcoef",
    "correlate",
    "cos",
    "cosh",
    "count",
    "count_masked",
    "cov",
    "cumprod",
    "cumsum",
    "default_fill_value",
    "diag",
    "diagflat",
    "diagonal",
    "diff",
    "divide",
    "dot",
    "dstack",
    "ediff1d",
    "empty",
    "empty_like",
    "equal",
    "exp",
    "expand_dims",
    "extras",
    "fabs",
    "filled",
    "fix_invalid",
    "flatnotmasked_contiguous",
    "flatnotmasked_edges",
    "flatten_mask",
    "flatten_structured_array",
    "floor",
    "floor_divide",
    "fmod",
    "frombuffer",
    "fromflex",
    "fromfunction",
    "getdata",
    "getmask",
    "getmaskarray",
    "greater",
    "greater_equal",
    "harden_mask",
    "hsplit",
    "hstack",
    "hypot",
    "identity",
    "ids",
    "in1d",
    "indices",
    "inner",
    "innerproduct",
    "intersect1d",
    "isMA",
    "isMaskedArray",
    "is_mask",
    "is_masked",
    "isarray",
    "isin",
    "left_shift",
    "less",
    "less_equal",
    "log",
    "log2",
    "log10",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "make_mask",
    "make_mask_descr",
    "make_mask_none",
    "mask_cols",
    "mask_or",
    "mask_rowcols",
    "mask_rows",
    "masked",
    "masked_all",
    "masked_all_like",
    "masked_array",
    "masked_equal",
    "masked_greater",
    "masked_greater_equal",
    "masked_inside",
    "masked_invalid",
    "masked_less",
    "masked_less_equal",
    "masked_not_equal",
    "masked_object",
    "masked_outside",
    "masked_print_option",
    "masked_singleton",
    "masked_values",
    "masked_where",
    "max",
    "maximum",
    "maximum_fill_value",
    "mean",
    "median",
    "min",
    "minimum",
    "minimum_fill_value",
    "mod",
    "mr_",
    "multiply",
    "mvoid",
    "ndenumerate",
    "ndim",
    "negative",
    "nomask",
    "nonzero",
    "not_equal",
    "notmasked_contiguous",
    "notmasked_edges",
    "ones",
    "ones_like",
    "outer",
    "outerproduct",
    "polyfit",
    "power",
    "prod",
    "product",
    "ptp",
    "put",
    "putmask",
    "ravel",
    "remainder",
    "repeat",
    "reshape",
    "resize",
    "right_shift",
    "round",
    "round_",
    "row_stack",
    "set_fill_value",
    "setdiff1d",
    "setxor1d",
    "shape",
    "sin",
    "sinh",
    "size",
    "soften_mask",
    "sometrue",
    "sort",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "tan",
    "tanh",
    "trace",
    "transpose",
    "true_divide",
    "union1d",
    "unique",
    "vander",
    "var",
    "vstack",
    "where",
    "zeros",
    "zeros_like",
]

all = sharing("ma.all")
allclose = sharing("ma.allclose")
allequal = sharing("ma.allequal")
alltrue = sharing("ma.alltrue")
anom = sharing("ma.anom")
anomalies = sharing("ma.anomalies")
any = sharing("ma.any")
append = sharing("ma.append")
apply_along_axis = sharing("ma.apply_along_axis")
apply_over_axes = sharing("ma.apply_over_axes")
arange = sharing("ma.arange")
argmax = sharing("ma.argmax")
argmin = sharing("ma.argmin")
argsort = sharing("ma.argsort")
array = sharing("ma.array")
asanyarray = sharing("ma.asanyarray")
asarray = sharing("ma.asarray")
atleast_1d = sharing("ma.atleast_1d")
atleast_2d = sharing("ma.atleast_2d")
atleast_3d = sharing("ma.atleast_3d")
average = sharing("ma.average")
choose = sharing("ma.choose")
clip = sharing("ma.clip")
clump_masked = sharing("ma.clump_masked")
clump_unmasked = sharing("ma.clump_unmasked")
column_stack = sharing("ma.column_stack")
common_fill_value = sharing("ma.common_fill_value")
compress = sharing("ma.compress")
compress_cols = sharing("ma.compress_cols")
compress_nd = sharing("ma.compress_nd")
compress_rowcols = sharing("ma.compress_rowcols")
compress_rows = sharing("ma.compress_rows")
compressed = sharing("ma.compressed")
concatenate = sharing("ma.concatenate")
convolve = sharing("ma.convolve")
copy = sharing("ma.copy")
corrcoef = sharing("ma.corrcoef")
correlate = sharing("ma.correlate")
count = sharing("ma.count")
count_masked = sharing("ma.count_masked")
cov = sharing("ma.cov")
cumprod = sharing("ma.cumprod")
cumsum = sharing("ma.cumsum")
default_fill_value = sharing("ma.default_fill_value")
diag = sharing("ma.diag")
diagflat = sharing("ma.diagflat")
diagonal = sharing("ma.diagonal")
diff = sharing("ma.diff")
dot = sharing("ma.dot")
dstack = sharing("ma.dstack")
ediff1d = sharing("ma.ediff1d")
empty = sharing("ma.empty")
empty_like = sharing("ma.empty_like")
filled = sharing("ma.filled")
fix_invalid = sharing("ma.fix_invalid")
flatnotmasked_contiguous = sharing("ma.flatnotmasked_contiguous")
flatnotmasked_edges = sharing("ma.flatnotmasked_edges")
flatten_mask = sharing("ma.flatten_mask")
flatten_structured_array = sharing("ma.flatten_structured_array")
frombuffer = sharing("ma.frombuffer")
fromflex = sharing("ma.fromflex")
fromfunction = sharing("ma.fromfunction")
getdata = sharing("ma.getdata")
getmask = sharing("ma.getmask")
getmaskarray = sharing("ma.getmaskarray")
harden_mask = sharing("ma.harden_mask")
hsplit = sharing("ma.hsplit")
hstack = sharing("ma.hstack")
identity = sharing("ma.identity")
ids = sharing("ma.ids")
in1d = sharing("ma.in1d")
indices = sharing("ma.indices")
inner = sharing("ma.inner")
innerproduct = sharing("ma.innerproduct")
intersect1d = sharing("ma.intersect1d")
isMA = sharing("ma.isMA")
isMaskedArray = sharing("ma.isMaskedArray")
is_mask = sharing("ma.is_mask")
is_masked = sharing("ma.is_masked")
isarray = sharing("ma.isarray")
isin = sharing("ma.isin")
left_shift = sharing("ma.left_shift")
make_mask = sharing("ma.make_mask")
make_mask_descr = sharing("ma.make_mask_descr")
make_mask_none = sharing("ma.make_mask_none")
mask_cols = sharing("ma.mask_cols")
mask_or = sharing("ma.mask_or")
mask_rowcols = sharing("ma.mask_rowcols")
mask_rows = sharing("ma.mask_rows")
masked_all = sharing("ma.masked_all")
masked_all_like = sharing("ma.masked_all_like")
masked_array = sharing("ma.masked_array")
masked_equal = sharing("ma.masked_equal")
masked_greater = sharing("ma.masked_greater")
masked_greater_equal = sharing("ma.masked_greater_equal")
masked_inside = sharing("ma.masked_inside")
masked_invalid = sharing("ma.masked_invalid")
masked_less = sharing("ma.masked_less")
masked_less_equal = sharing("ma.masked_less_equal")
masked_not_equal = sharing("ma.masked_not_equal")
masked_object = sharing("ma.masked_object")
masked_outside = sharing("ma.masked_outside")
masked_values = sharing("ma.masked_values")
masked_where = sharing("ma.masked_where")
max = sharing("ma.max")
maximum_fill_value = sharing("ma.maximum_fill_value")
mean = sharing("ma.mean")
median = sharing("ma.median")
min = sharing("ma.min")
minimum_fill_value = sharing("ma.minimum_fill_value")
ndenumerate = sharing("ma.ndenumerate")
ndim = sharing("ma.ndim")
nonzero = sharing("ma.nonzero")
notmasked_contiguous = sharing("ma.notmasked_contiguous")
notmasked_edges = sharing("ma.notmasked_edges")
ones = sharing("ma.ones")
ones_like = sharing("ma.ones_like")
outer = sharing("ma.outer")
outerproduct = sharing("ma.outerproduct")
polyfit = sharing("ma.polyfit")
power = sharing("ma.power")
prod = sharing("ma.prod")
product = sharing("ma.product")
ptp = sharing("ma.ptp")
put = sharing("ma.put")
putmask = sharing("ma.putmask")
ravel = sharing("ma.ravel")
repeat = sharing("ma.repeat")
reshape = sharing("ma.reshape")
resize = sharing("ma.resize")
right_shift = sharing("ma.right_shift")
round = sharing("ma.round")
round_ = sharing("ma.round_")
row_stack = sharing("ma.row_stack")
set_fill_value = sharing("ma.set_fill_value")
setdiff1d = sharing("ma.setdiff1d")
setxor1d = sharing("ma.setxor1d")
shape = sharing("ma.shape")
size = sharing("ma.size")
soften_mask = sharing("ma.soften_mask")
sometrue = sharing("ma.sometrue")
sort = sharing("ma.sort")
squeeze = sharing("ma.squeeze")
stack = sharing("ma.stack")
std = sharing("ma.std")
sum = sharing("ma.sum")
swapaxes = sharing("ma.swapaxes")
take = sharing("ma.take")
trace = sharing("ma.trace")
transpose = sharing("ma.transpose")
union1d = sharing("ma.union1d")
unique = sharing("ma.unique")
vander = sharing("ma.vander")
var = sharing("ma.var")
vstack = sharing("ma.vstack")
where = sharing("ma.where")
zeros = sharing("ma.zeros")
zeros_like = sharing("ma.zeros_like")
# fmt: on
