"""Universal functions, one row each: NumPy's name, dtypes, operations per element, ulp budget.

Ulp budgets between NumPy and CUDA's math library are those of the CUDA C++ Programming Guide,
"Mathematical Functions" (double precision, maximum ulp error), plus NumPy's own of at most 4.
"""

from __future__ import annotations

from xpu._op import by_product
from xpu._ops._make import elementwise

# fmt: off
absolute = elementwise("absolute")
add = elementwise("add")
arccos = elementwise("arccos", "floating", weight=25, ulp=6)
arccosh = elementwise("arccosh", "floating", weight=30, ulp=8)
arcsin = elementwise("arcsin", "floating", weight=25, ulp=6)
arcsinh = elementwise("arcsinh", "floating", weight=30, ulp=8)
arctan = elementwise("arctan", "floating", weight=20, ulp=6)
arctan2 = elementwise("arctan2", "real floating", weight=30, ulp=6)
arctanh = elementwise("arctanh", "floating", weight=30, ulp=8)
bitwise_and = elementwise("bitwise_and", "integer or boolean")
bitwise_count = elementwise("bitwise_count", "integer")
bitwise_or = elementwise("bitwise_or", "integer or boolean")
bitwise_xor = elementwise("bitwise_xor", "integer or boolean")
cbrt = elementwise("cbrt", "real floating", weight=25, ulp=5)
ceil = elementwise("ceil", "real")
conjugate = elementwise("conjugate")
copysign = elementwise("copysign", "real floating")
cos = elementwise("cos", "floating", weight=20, ulp=6)
cosh = elementwise("cosh", "floating", weight=25, ulp=6)
deg2rad = elementwise("deg2rad", "real floating", ulp=1)
degrees = elementwise("degrees", "real floating", ulp=1)
divide = elementwise("divide", "floating", weight=4)
divmod = elementwise("divmod", "real", weight=12)
equal = elementwise("equal", "all")
exp = elementwise("exp", "floating", weight=12, ulp=5)
exp2 = elementwise("exp2", "floating", weight=12, ulp=6)
expm1 = elementwise("expm1", "floating", weight=20, ulp=5)
fabs = elementwise("fabs", "real floating")
float_power = elementwise("float_power", "floating", weight=40, ulp=8)
floor = elementwise("floor", "real")
floor_divide = elementwise("floor_divide", "real", weight=8)
fmax = elementwise("fmax", "real")
fmin = elementwise("fmin", "real")
fmod = elementwise("fmod", "real", weight=12)
frexp = elementwise("frexp", "real floating", weight=4)
gcd = elementwise("gcd", "integer", weight=40)
greater = elementwise("greater", "real")
greater_equal = elementwise("greater_equal", "real")
heaviside = elementwise("heaviside", "real floating", weight=2)
hypot = elementwise("hypot", "real floating", weight=12, ulp=5)
invert = elementwise("invert", "integer or boolean")
isfinite = elementwise("isfinite")
isinf = elementwise("isinf")
isnan = elementwise("isnan")
isnat = elementwise("isnat", "time")
lcm = elementwise("lcm", "integer", weight=40)
ldexp = elementwise("ldexp", "real floating", weight=4)
left_shift = elementwise("left_shift", "integer")
less = elementwise("less", "real")
less_equal = elementwise("less_equal", "real")
log = elementwise("log", "floating", weight=15, ulp=5)
log10 = elementwise("log10", "floating", weight=18, ulp=6)
log1p = elementwise("log1p", "floating", weight=20, ulp=5)
log2 = elementwise("log2", "floating", weight=18, ulp=5)
logaddexp = elementwise("logaddexp", "real floating", weight=40, ulp=8)
logaddexp2 = elementwise("logaddexp2", "real floating", weight=40, ulp=8)
logical_and = elementwise("logical_and", "all")
logical_not = elementwise("logical_not", "all")
logical_or = elementwise("logical_or", "all")
logical_xor = elementwise("logical_xor", "all")
matmul = elementwise("matmul", "numeric", kind="matmul", count=by_product, ulp=64)
maximum = elementwise("maximum", "real")
minimum = elementwise("minimum", "real")
modf = elementwise("modf", "real floating", weight=3)
multiply = elementwise("multiply")
negative = elementwise("negative")
nextafter = elementwise("nextafter", "real floating", weight=4)
not_equal = elementwise("not_equal", "all")
positive = elementwise("positive")
power = elementwise("power", weight=40, ulp=8)
rad2deg = elementwise("rad2deg", "real floating", ulp=1)
radians = elementwise("radians", "real floating", ulp=1)
reciprocal = elementwise("reciprocal", "floating", weight=4, ulp=1)
remainder = elementwise("remainder", "real", weight=12)
right_shift = elementwise("right_shift", "integer")
rint = elementwise("rint", "floating")
sign = elementwise("sign")
signbit = elementwise("signbit", "real floating")
sin = elementwise("sin", "floating", weight=20, ulp=6)
sinh = elementwise("sinh", "floating", weight=25, ulp=6)
spacing = elementwise("spacing", "real floating", weight=4)
sqrt = elementwise("sqrt", "floating", weight=4, ulp=1)
square = elementwise("square")
subtract = elementwise("subtract")
tan = elementwise("tan", "floating", weight=25, ulp=6)
tanh = elementwise("tanh", "floating", weight=20, ulp=6)
trunc = elementwise("trunc", "real")
vecdot = elementwise("vecdot", "numeric", kind="reduction", ulp=64)
# The array API standard's names for the same functions.
abs = absolute
acos, acosh, asin, asinh = arccos, arccosh, arcsin, arcsinh
atan, atan2, atanh = arctan, arctan2, arctanh
bitwise_invert = bitwise_not = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
conj = conjugate
mod = remainder
pow = power
true_divide = divide
