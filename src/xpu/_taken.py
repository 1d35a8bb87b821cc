"""Reading by Python: ``float(x)``, `print`, ``numpy.asarray(x)``. Recorders hear of it, and so does the account."""

from __future__ import annotations

from typing import Any

from xpu._accounts import pay_read
from xpu._backends import HOST, automatic, machine_for
from xpu._block import Handle, read
from xpu._config import current
from xpu._gate import gate

__all__ = ["taken"]


def taken(handle: Handle, nbytes: int | None = None) -> Any:
    """Return the host's array because Python asks for its values, or for `nbytes` of them; recorders hear of it."""
    if gate.open:
        return handle._raw
    for recorder in current().recorders:
        recorder.read(handle, nbytes)
    _pay(handle, nbytes)
    return read(handle, HOST)


def _pay(handle: Handle, nbytes: int | None) -> None:
    """Let an array's account know that the host needed its values."""
    view = getattr(handle, "_home", None)
    target = automatic.found
    if view is not None and target is not None and not view.block.anchored:
        pay_read(view.block, machine_for(target).to_host.seconds(view.nbytes if nbytes is None else nbytes))
