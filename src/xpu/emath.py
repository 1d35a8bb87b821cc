"""Functions that answer in complex numbers where reals do not reach: `numpy.emath`, on the host."""

# fmt: off
from xpu._ops.hosted import hosted

__all__ = [
    "arccos",
    "arcsin",
    "arctanh",
    "log",
    "log2",
    "log10",
    "logn",
    "power",
    "sqrt",
]

arccos = hosted("emath.arccos")
arcsin = hosted("emath.arcsin")
arctanh = hosted("emath.arctanh")
log = hosted("emath.log")
log10 = hosted("emath.log10")
log2 = hosted("emath.log2")
logn = hosted("emath.logn")
power = hosted("emath.power")
sqrt = hosted("emath.sqrt")
# fmt: on
