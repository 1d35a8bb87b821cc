"""String functions of old: `numpy.char`, on the host."""

# fmt: off
from numpy.char import (
    chararray,
)

from xpu._ops.hosted import hosted

__all__ = [
    "add", "array", "asarray", "capitalize", "center", "chararray", "compare_chararrays", "count", "decode",
    "encode", "endswith", "equal", "expandtabs", "find", "greater", "greater_equal", "index", "isalnum",
    "isalpha", "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join",
    "less", "less_equal", "ljust", "lower", "lstrip", "mod", "multiply", "not_equal", "partition",
    "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split", "splitlines",
    "startswith", "str_len", "strip", "swapcase", "title", "translate", "upper", "zfill",
]

add = hosted("char.add")
array = hosted("char.array")
asarray = hosted("char.asarray")
capitalize = hosted("char.capitalize")
center = hosted("char.center")
compare_chararrays = hosted("char.compare_chararrays")
count = hosted("char.count")
decode = hosted("char.decode")
encode = hosted("char.encode")
endswith = hosted("char.endswith")
equal = hosted("char.equal")
expandtabs = hosted("char.expandtabs")
find = hosted("char.find")
greater = hosted("char.greater")
greater_equal = hosted("char.greater_equal")
index = hosted("char.index")
isalnum = hosted("char.isalnum")
isalpha = hosted("char.isalpha")
isdecimal = hosted("char.isdecimal")
isdigit = hosted("char.isdigit")
islower = hosted("char.islower")
isnumeric = hosted("char.isnumeric")
isspace = hosted("char.isspace")
istitle = hosted("char.istitle")
isupper = hosted("char.isupper")
join = hosted("char.join")
less = hosted("char.less")
less_equal = hosted("char.less_equal")
ljust = hosted("char.ljust")
lower = hosted("char.lower")
lstrip = hosted("char.lstrip")
mod = hosted("char.mod")
multiply = hosted("char.multiply")
not_equal = hosted("char.not_equal")
partition = hosted("char.partition")
replace = hosted("char.replace")
rfind = hosted("char.rfind")
rindex = hosted("char.rindex")
rjust = hosted("char.rjust")
rpartition = hosted("char.rpartition")
rsplit = hosted("char.rsplit")
rstrip = hosted("char.rstrip")
split = hosted("char.split")
splitlines = hosted("char.splitlines")
startswith = hosted("char.startswith")
str_len = hosted("char.str_len")
strip = hosted("char.strip")
swapcase = hosted("char.swapcase")
title = hosted("char.title")
translate = hosted("char.translate")
upper = hosted("char.upper")
zfill = hosted("char.zfill")
# fmt: on
