"""String functions: `numpy.strings`, on the host."""

# fmt: off
from xpu._ops.hosted import hosted

__all__ = [
    "add", "capitalize", "center", "count", "decode", "encode", "endswith", "equal", "expandtabs", "find",
    "greater", "greater_equal", "index", "isalnum", "isalpha", "isdecimal", "isdigit", "islower",
    "isnumeric", "isspace", "istitle", "isupper", "less", "less_equal", "ljust", "lower", "lstrip", "mod",
    "multiply", "not_equal", "partition", "replace", "rfind", "rindex", "rjust", "rpartition", "rstrip",
    "slice", "startswith", "str_len", "strip", "swapcase", "title", "translate", "upper", "zfill",
]

add = hosted("strings.add")
capitalize = hosted("strings.capitalize")
center = hosted("strings.center")
count = hosted("strings.count")
decode = hosted("strings.decode")
encode = hosted("strings.encode")
endswith = hosted("strings.endswith")
equal = hosted("strings.equal")
expandtabs = hosted("strings.expandtabs")
find = hosted("strings.find")
greater = hosted("strings.greater")
greater_equal = hosted("strings.greater_equal")
index = hosted("strings.index")
isalnum = hosted("strings.isalnum")
isalpha = hosted("strings.isalpha")
isdecimal = hosted("strings.isdecimal")
isdigit = hosted("strings.isdigit")
islower = hosted("strings.islower")
isnumeric = hosted("strings.isnumeric")
isspace = hosted("strings.isspace")
istitle = hosted("strings.istitle")
isupper = hosted("strings.isupper")
less = hosted("strings.less")
less_equal = hosted("strings.less_equal")
ljust = hosted("strings.ljust")
lower = hosted("strings.lower")
lstrip = hosted("strings.lstrip")
mod = hosted("strings.mod")
multiply = hosted("strings.multiply")
not_equal = hosted("strings.not_equal")
partition = hosted("strings.partition")
replace = hosted("strings.replace")
rfind = hosted("strings.rfind")
rindex = hosted("strings.rindex")
rjust = hosted("strings.rjust")
rpartition = hosted("strings.rpartition")
rstrip = hosted("strings.rstrip")
slice = hosted("strings.slice")
startswith = hosted("strings.startswith")
str_len = hosted("strings.str_len")
strip = hosted("strings.strip")
swapcase = hosted("strings.swapcase")
title = hosted("strings.title")
translate = hosted("strings.translate")
upper = hosted("strings.upper")
zfill = hosted("strings.zfill")
# fmt: on
