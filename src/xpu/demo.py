"""The main job: an unmodified NumPy and SciPy script on a real photograph, and what ran where."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path

from xpu import runner
from xpu._backends import backend
from xpu._backends._pretend import PretendBackend
from xpu._config import config
from xpu._device import parse
from xpu._profile import profile
from xpu._tables import Table, aligned
from xpu._trace import seconds, size

__all__ = ["main", "photograph"]

SCRIPT = Path(__file__).parent / "examples" / "photo.py"


def photograph() -> Path:
    """Return the photograph that comes inside matplotlib (Grace Hopper, U.S. Navy, public domain).

    Raises
    ------
    FileNotFoundError
        If matplotlib is not installed.
    """
    spec = importlib.util.find_spec("matplotlib")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    for place in places:
        picture = Path(place, "mpl-data", "sample_data", "grace_hopper.jpg")
        if picture.is_file():
            return picture
    message = f'xpu.demo: no photograph in {places or "matplotlib"}. Run: pip install "xpu-array[demo]"'
    raise FileNotFoundError(message)


def main(out: Path) -> int:
    """Run the script on the devices of this machine, then on a pretend H200.

    Parameters
    ----------
    out : Path
        Folder for the pictures.

    Returns
    -------
    int
        Exit status.
    """
    try:
        picture = photograph()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    arguments = [str(picture), str(out)]
    print(f"running {SCRIPT.name}, an unmodified NumPy and SciPy script, with numpy = xpu, scipy.signal = xpu.signal")
    start = time.perf_counter()
    with profile() as here:
        status = runner.main(SCRIPT, arguments)
    if status:
        return status
    print(f"pictures in {out}/: photo, blurred, edges, restored (.png), {seconds(time.perf_counter() - start)}\n")
    print(_longest("What ran where", here))
    target = backend(parse("pretend"))
    assert isinstance(target, PretendBackend)
    title = target.machine.accelerator.title if target.machine.accelerator else ""
    with config(device="pretend"), profile() as there:
        status = runner.main(SCRIPT, arguments)
    print(f"\nThe same on a pretend {title} (virtual clock, shipped rates, not calibrated on a card)")
    print(_longest("What would run where", there))
    cpu = sum(e.actual for e in here.events)
    gpu = sum(e.actual for e in there.events)
    print(f"\nin operations: {seconds(cpu)} here, {seconds(gpu)} predicted there; {size(there.bytes_moved)} moved")
    return status


def _longest(title: str, record: profile, rows: int = 8) -> str:
    """Return the operations that took longest, with the reason for their place."""
    heading = f"{title} ({len(record.events)} operations; the {rows} that took longest)"
    cells = [
        (op, device, str(calls), seconds(actual), size(moved), reason)
        for op, device, calls, _, actual, moved, reason in record.rows()[:rows]
    ]
    columns = ("op", "device", "calls", "time", "moved", "why")
    return "\n".join([heading, *aligned(Table(heading, columns, cells, (2, 3, 4)))])
