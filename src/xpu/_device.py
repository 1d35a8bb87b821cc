"""The name of a device: a string that also knows its kind and its index."""

from __future__ import annotations

from xpu.errors import DeviceError, nearest, text

__all__ = ["CPU", "KINDS", "Device", "parse"]

KINDS = ("cpu", "cuda", "pretend")


class Device(str):
    """A device: ``"cpu"``, ``"cuda:0"`` or ``"pretend:0"``.

    It is a string, as in NumPy, so ``x.device == "cpu"`` works in code written for either.

    Examples
    --------
    >>> Device("cuda:1").kind, Device("cuda:1").index
    ('cuda', 1)
    """

    __slots__ = ("index", "kind")
    index: int  # type: ignore[assignment]  # nobody searches a device name for a substring
    kind: str

    def __new__(cls, name: str) -> Device:
        """Make a device from its full name."""
        self = super().__new__(cls, name)
        kind, _, index = name.partition(":")
        self.kind = kind
        self.index = int(index or 0)
        return self

    def __repr__(self) -> str:
        return f"Device({str(self)!r})"

    def __reduce__(self) -> tuple[type[Device], tuple[str]]:
        return Device, (str.__str__(self),)


CPU = Device("cpu")
_known: dict[str, Device] = {"cpu": CPU}


def parse(name: object, function: str = "to_device") -> Device:
    """Turn what a user wrote for a device into a `Device`.

    Parameters
    ----------
    name : str or Device
        ``"cpu"``, ``"cuda"`` (the first GPU), ``"cuda:1"``, ``"pretend"``.
    function : str, optional
        Public function to name in the error.

    Returns
    -------
    Device
        The device; whether it exists on this machine is not asked here.

    Raises
    ------
    DeviceError
        If the name is none of those (a ``ValueError``).

    Examples
    --------
    >>> parse("cuda")
    Device('cuda:0')
    """
    if isinstance(name, Device):
        return name
    if isinstance(name, str):
        if name in _known:
            return _known[name]
        kind, colon, index = name.partition(":")
        if kind in KINDS and (index.isdecimal() if colon else True) and (kind, colon) != ("cpu", ":"):
            device = Device(kind if kind == "cpu" else f"{kind}:{int(index or 0)}")
            return _known.setdefault(name, device)
    valid = "Valid names: 'cpu', 'cuda', 'cuda:N', 'pretend'."
    hint = nearest(str(name), KINDS)
    raise DeviceError(text(function, f"unknown device {name!r}", f"{valid} {hint}".strip()))
