"""Record arrays: `numpy.rec`, on the host."""

# fmt: off
from numpy.rec import (
    format_parser,
    recarray,
    record,
)

from xpu._ops.hosted import sharing

__all__ = [
    "array", "find_duplicate", "format_parser", "fromarrays", "fromfile", "fromrecords", "fromstring",
    "recarray", "record",
]

array = sharing("rec.array")
find_duplicate = sharing("rec.find_duplicate")
fromarrays = sharing("rec.fromarrays")
fromfile = sharing("rec.fromfile")
fromrecords = sharing("rec.fromrecords")
fromstring = sharing("rec.fromstring")
# fmt: on
