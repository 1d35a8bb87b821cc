"""Arrays larger than the GPU's memory: one call in pieces, copies and compute side by side.

`_maps`, `_reductions` and `_windows` say how calls fall into pieces, as data (`_scheme`); `_plan` prices
them and decides; `_run` sends the pieces through `xpu.pipeline` and `_gather` puts results together.
"""

from xpu._chunks._decide import decided
from xpu._chunks._plan import Plan
from xpu._chunks._run import run

__all__ = ["Plan", "decided", "run"]
