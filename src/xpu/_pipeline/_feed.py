"""`prefetch` and `pipeline`: batches go to the GPU ahead of their use, results come back behind it.

The host queues; the device's copy engines and its processors work side by side. References to what
lies on the device are kept until the last copy that reads it has ended, for memory pools are per stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from xpu._backends import HOST, Backend, accelerator, backend_of, machine_for
from xpu._block import Handle, devices_of, read
from xpu._config import Recorder, config, current, listening
from xpu._device import CPU
from xpu._ops import creation
from xpu._pipeline._lanes import Lanes, lanes_for
from xpu._trace import Event, user_line
from xpu._transfer import ledger, lift, lower
from xpu._wrap import own
from xpu.errors import text

__all__ = ["pipeline", "prefetch"]


def prefetch(batches: Iterable[Any], depth: int = 2) -> Iterator[Any]:
    """Iterate over batches that are on the GPU before they are asked for.

    Parameters
    ----------
    batches : iterable
        Of arrays, or of tuples, lists or dictionaries of arrays; NumPy's or xpu's.
    depth : int, optional
        Batches on their way at most; so many batches of device memory are taken.

    Yields
    ------
    object
        Each batch, in order, with every array an `xpu.ndarray`. Without an accelerator nothing is
        read ahead.

    Raises
    ------
    ValueError
        If `depth` is less than 1.
    TypeError
        If `batches` is not iterable.

    Examples
    --------
    >>> import numpy, xpu
    >>> [float(b.sum()) for b in xpu.prefetch([numpy.ones(2), numpy.ones(3)])]
    [2.0, 3.0]
    """
    source = _checked("prefetch", batches, depth)
    target = accelerator(current())
    return map(_on_host, source) if target is None else _prefetched(source, depth, target)


def pipeline(
    f: Callable[[Any], Any],
    batches: Iterable[Any],
    *,
    depth: int = 2,
    progress: bool = False,
) -> Iterator[Any]:
    """Apply a function to batches, with copies in, compute and copies out side by side.

    Where settings leave the choice, the first batch runs on the host and the second on the GPU; the
    rest run where the machine's rates say that a batch takes less, a transfer counting only where it
    is what everything waits for.

    Parameters
    ----------
    f : callable
        From a batch (as `prefetch` yields it) to an array, or a tuple, list or dictionary of arrays.
    batches : iterable
        As for `prefetch`.
    depth : int, optional
        Batches on their way at most.
    progress : bool, optional
        Show a progress bar on standard error.

    Yields
    ------
    object
        What `f` returned for each batch, in order, its arrays on the host.

    Raises
    ------
    ValueError
        If `depth` is less than 1.
    TypeError
        If `f` is not callable or `batches` not iterable.

    Notes
    -----
    What `f` raises is raised here, after the results of the batches before. A profile shows one event
    ``pipeline`` with the share of time that the link and the GPU were busy.

    Examples
    --------
    >>> import numpy, xpu
    >>> [y.tolist() for y in xpu.pipeline(lambda x: x * 2, [numpy.ones(2), numpy.zeros(1)])]
    [[2.0, 2.0], [0.0]]
    """
    if not callable(f):
        raise TypeError(text("pipeline", f"f must be callable, got {type(f).__name__}", "Pass a function of a batch."))
    source = _checked("pipeline", batches, depth)
    if progress:
        source = _with_bar(source, batches)
    target = accelerator(current())
    if target is None:
        return (f(_on_host(batch)) for batch in source)
    if current().device == "auto":
        return _chosen(f, source, depth, target)
    return _piped(f, source, depth, target)


def _checked(name: str, batches: Iterable[Any], depth: int) -> Iterator[Any]:
    if not isinstance(depth, (int, np.integer)) or depth < 1:
        raise ValueError(text(name, f"depth={depth!r} must be an integer of 1 or more", "2 is usual."))
    try:
        return iter(batches)
    except TypeError:
        problem = f"batches must be iterable, got {type(batches).__name__}"
        raise TypeError(text(name, problem, "Pass a list or generator of arrays.")) from None


def _with_bar(source: Iterator[Any], batches: Any) -> Iterator[Any]:
    from rich.console import Console  # only for someone who wants to watch
    from rich.progress import track

    total = len(batches) if hasattr(batches, "__len__") else None
    yield from track(source, "batches", total=total, console=Console(stderr=True))


# ----------------------------------------------------------------------------- structures of arrays


def _mapped(batch: Any, change: Callable[[Any], Any]) -> Any:
    """Apply `change` to every array of a batch."""
    if isinstance(batch, Mapping):
        return {key: _mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        items = [_mapped(value, change) for value in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    return change(batch) if isinstance(batch, (Handle, np.ndarray)) or backend_of(batch) is not None else batch


def _on_host(batch: Any) -> Any:
    return _mapped(batch, lambda a: a if isinstance(a, Handle) else creation.asarray(a))


def _on_device(batch: Any, target: Backend) -> Any:
    def change(array: Any) -> Any:
        if isinstance(array, Handle):
            if target.device in devices_of(array):
                return array
            array = read(array, HOST)
        return own(lift(np.asarray(array), target), scalar=False) if array.dtype.kind in "biufc" else _on_host(array)

    return _mapped(batch, change)


def _brought_back(result: Any, target: Backend) -> Any:
    def change(array: Any) -> Any:
        if not isinstance(array, Handle) or CPU in devices_of(array):
            return array
        return own(lower(read(array, target), target), scalar=False)

    return _mapped(result, change)


# ----------------------------------------------------------------------------- running


def _prefetched(source: Iterator[Any], depth: int, target: Backend) -> Iterator[Any]:
    lanes = lanes_for(target)
    waiting: deque[tuple[Any, Any]] = deque()
    try:
        for batch in source:
            # Memory that the caller let go may be given to this copy: it waits for what reads it.
            waiting.append(lanes.run("up", lanes.here(), partial(_on_device, batch, target)))
            if len(waiting) > depth - 1:
                staged, mark = waiting.popleft()
                lanes.finish(mark)
                yield staged
        while waiting:
            staged, mark = waiting.popleft()
            lanes.finish(mark)
            yield staged
    finally:
        waiting.clear()
        lanes.close()


def _piped(f: Callable[[Any], Any], source: Iterator[Any], depth: int, target: Backend) -> Iterator[Any]:
    lanes = lanes_for(target)
    waiting: deque[tuple[Any, Any, Any]] = deque()
    start, moved, count = target.seconds(), ledger.nbytes, ledger.count
    caught = _Caught()
    try:
        while caught.error is None:
            with caught:
                batch = next(source, _END)
                if batch is _END:
                    break
                waiting.append(_queued(f, batch, target, lanes))
            if len(waiting) > depth:
                yield _finished(waiting, lanes)
        while waiting:
            yield _finished(waiting, lanes)
        if caught.error is not None:
            raise caught.error
    finally:
        caught.error = None  # its traceback holds this frame, and with it memory on the device
        lanes.close()
        waiting.clear()
        _record(target, lanes, target.seconds() - start, ledger.nbytes - moved, ledger.count - count)


def _queued(f: Callable[[Any], Any], batch: Any, target: Backend, lanes: Lanes) -> tuple[Any, Any, Any]:
    """Queue one batch on the three lanes; return its result, the mark of its end and what to keep till then."""

    def compute() -> Any:
        with config(device=str(target.device)):
            return f(staged)

    # What the caller has queued so far comes first: f may read arrays that are still being computed.
    staged, there = lanes.run("up", lanes.here(), lambda: _on_device(batch, target))
    made, done = lanes.run("compute", there, compute)
    result, back = lanes.run("down", done, lambda: _brought_back(made, target))
    return result, back, (staged, made)


def _finished(waiting: deque[tuple[Any, Any, Any]], lanes: Lanes) -> Any:
    result, mark, _ = waiting.popleft()
    lanes.finish(mark)
    return result


_END: Any = object()


class _Caught:
    """Keeps an error until the results of the batches before it are out."""

    error: Exception | None = None

    def __enter__(self) -> None:
        """Nothing is opened."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        self.error = error if isinstance(error, Exception) else None
        return self.error is not None


class _Predictions(Recorder):
    """Adds up the predicted seconds of what runs."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def record(self, event: Event) -> None:
        """Take one event."""
        self.seconds += event.predicted


def _chosen(f: Callable[[Any], Any], source: Iterator[Any], depth: int, target: Backend) -> Iterator[Any]:
    """Run one batch on each device, and the rest where a batch takes less."""
    first = next(source, None)
    if first is None:
        return
    here, there = _Predictions(), _Predictions()
    with config(device="cpu"), listening(here):
        result = f(_on_host(first))
    yield result
    second = next(source, None)
    if second is None:
        return
    into, out = _nbytes(second), _nbytes(result)
    with listening(there):
        made = list(_piped(f, iter([second]), depth, target))
    yield from made
    machine = machine_for(target)
    up = machine.to_device.seconds(into, pinned=True)
    down = machine.to_host.seconds(out, pinned=True)
    if max(up, there.seconds, down) < here.seconds:
        yield from _piped(f, source, depth, target)
        return
    for batch in source:
        with config(device="cpu"):
            result = f(_on_host(batch))
        yield result


def _nbytes(batch: Any) -> int:
    total = 0

    def count(array: Any) -> Any:
        nonlocal total
        total += array.nbytes
        return array

    _mapped(batch, count)
    return total


def _record(target: Backend, lanes: Lanes, total: float, moved: int, transfers: int) -> None:
    settings = current()
    if not settings.recorders or total <= 0:
        return
    busy = lanes.busy()
    link = max(busy["up"], busy["down"]) / total
    reason = f"link busy {link:.0%}, GPU busy {busy['compute'] / total:.0%}"
    event = Event(
        "pipeline", str(target.device), reason, float("nan"), total, moved, transfers, (), user_line(), summary=True
    )
    for recorder in settings.recorders:
        recorder.record(event)
