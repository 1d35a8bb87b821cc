"""A program as plain data: what it called on which memory, recorded once, priced and placed as often as one likes.

The interface, for whoever builds on it:

`Recording`
    ``with Recording("heat") as recording: ...`` hears every call that goes through dispatch in this thread
    or task, on whatever devices it runs; ``recording.program()`` is the program so far. While it listens the
    hot paths are closed, so every call is heard; a call that raises is not recorded.
`Program`
    ``storages`` (one per allocation: bytes, where it was valid when the program first met it, whether it can
    leave the host) and ``steps`` in the order in which they ran. A step is a `Step` (a call: its `Work`, its
    operands as `Use`, the storages it writes in place, the storages it makes, why the accelerator cannot run
    it) or a `HostRead` (Python asked for values, so they have to be on the host). Views are no steps: nothing
    runs. Storages are named by their index.
`save`, `load`, `to_dict`, `from_dict`
    JSON and back. A file from a stranger is data only; what is wrong in it is named by field
    (`ProgramFileError`).
`minimum_cut(program, machine)`, in `xpu._program._cut` (which imports SciPy)
    The best placement of the whole program in hindsight: one device per step, and its seconds.
`price(program, machine, devices)`, there too
    The seconds of any placement of the whole program, counted the same way.

A *version* of a storage lives from the step that makes or writes it to the next one that writes it. Its maker's
device holds it. The other device needs a replica to read it, and keeps that until the next version: a transfer
is paid once per version, however often it is read there. An in-place write needs the version before it on its
own device. Two kinds of operand are never kept: memory that cannot leave the host (`Storage.anchored`), and a
view of less than half of its storage (`Use.alone`), which moves without the rest; each such read pays for itself.
"""

from xpu._program._data import HostRead, Program, Step, Storage, Use
from xpu._program._json import ProgramFileError, from_dict, load, save, to_dict
from xpu._program._record import Recording

__all__ = [
    "HostRead",
    "Program",
    "ProgramFileError",
    "Recording",
    "Step",
    "Storage",
    "Use",
    "from_dict",
    "load",
    "save",
    "to_dict",
]
