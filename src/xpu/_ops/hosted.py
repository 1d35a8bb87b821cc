"""Functions of NumPy's smaller namespaces (`ma`, `char`, `strings`, `rec`, `emath`): they run on the host.

Their rows name no cost: nothing but the host can run them, so there is nothing to choose.
"""

from __future__ import annotations

from typing import Any

from xpu._block import Handle, anchor
from xpu._op import Op
from xpu._ops._make import Function, numpy_function

__all__ = ["Sharing", "hosted", "sharing"]


class Sharing(Function):
    """A function whose result may keep the memory of its arguments: they stay on the host from then on."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        args = tuple(_still(a) for a in args)
        return super().__call__(*args, **{k: _still(v) for k, v in kwargs.items()})


def _still(value: Any) -> Any:
    return anchor(value) if isinstance(value, Handle) else value


def _row(path: str) -> Op:
    return Op(path, "host", numpy_function(path), None, arrays=())


def hosted(path: str) -> Function:
    """Make a public function of the NumPy function at `path`; it gives and takes xpu arrays."""
    return Function(_row(path))


def sharing(path: str) -> Function:
    """Make a public function whose result may share memory with its arguments."""
    return Sharing(_row(path))
