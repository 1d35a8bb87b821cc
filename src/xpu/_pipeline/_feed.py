"""`prefetch` and `pipeline`: batches go to the GPU ahead of their use, results come back behind it.

The host queues; the device's copy engines and its processors work side by side. References to what
lies on the device are kept until the last copy that reads it has ended, for memory pools are per stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from xpu._backends import Backend, accelerator, machine_for
from xpu._backends._lost import lose, lost, tell
from xpu._config import Recorder, config, current, listening
from xpu._pipeline._batches import Full, NoRoom, brought_back, nbytes_of, on_device, on_host
from xpu._pipeline._lanes import Lanes, lanes_for
from xpu._trace import Event, user_line
from xpu._transfer import ledger
from xpu.errors import text

__all__ = ["piped", "pipeline", "prefetch"]

Results = Generator[Any, None, None]
_END: Any = object()


def prefetch(batches: Iterable[Any], depth: int = 2) -> Iterator[Any]:
    """Iterate over batches that are on the GPU before they are asked for.

    Parameters
    ----------
    batches : iterable
        Of arrays, or of tuples, lists, dictionaries or dataclasses of arrays; NumPy's or xpu's.
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
    return map(on_host, source) if target is None else _prefetched(source, depth, target)


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
        From a batch (as `prefetch` yields it) to an array, or a tuple, list, dictionary or dataclass of arrays.
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
    target = accelerator(current())
    if target is None:
        results = (f(on_host(batch)) for batch in source)
    elif current().device == "auto":
        results = _chosen(f, source, depth, target)
    else:
        results = piped(f, source, depth, target)
    return _with_bar(results, batches) if progress else results


def _checked(name: str, batches: Iterable[Any], depth: int) -> Iterator[Any]:
    if not isinstance(depth, (int, np.integer)) or depth < 1:
        raise ValueError(text(name, f"depth={depth!r} must be an integer of 1 or more", "2 is usual."))
    try:
        return iter(batches)
    except TypeError:
        problem = f"batches must be iterable, got {type(batches).__name__}"
        raise TypeError(text(name, problem, "Pass a list or generator of arrays.")) from None


def _with_bar(results: Results, batches: Any) -> Results:
    from rich.console import Console  # only for someone who wants to watch
    from rich.progress import Progress

    total = len(batches) if hasattr(batches, "__len__") else None
    with closing(results), Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("batches", total=total)
        for result in results:
            bar.advance(task)
            yield result


# ----------------------------------------------------------------------------- running


def _prefetched(source: Iterator[Any], depth: int, target: Backend) -> Results:
    lanes = lanes_for(target)
    waiting: deque[tuple[Any, Any]] = deque()
    caught = _Caught()
    try:
        while caught.error is None:
            batch = _END
            with caught:
                batch = next(source, _END)
            if batch is _END:
                break
            try:
                waiting.append(_staged(batch, target, lanes, "wait" if waiting else "settle"))
            except NoRoom:  # what is ahead goes out first
                while waiting:
                    yield _finished(waiting, lanes)
                waiting.append(_staged(batch, target, lanes, "settle"))
            if len(waiting) > depth - 1:
                yield _finished(waiting, lanes)
        while waiting:
            yield _finished(waiting, lanes)
        if caught.error is not None:
            raise caught.error
    finally:
        caught.error = None
        waiting.clear()
        _closed(lanes, target)


def piped(
    f: Callable[[Any], Any], source: Iterator[Any], depth: int, target: Backend, *, strict: bool = False
) -> Results:
    """Yield what `f` made of each batch on a device, in order.

    Parameters
    ----------
    f, source, depth
        As for `pipeline`.
    target : Backend
        The device's.
    strict : bool, optional
        What goes wrong with a copy is raised as it is, and no batch stays on the host.
    """
    lanes = lanes_for(target)
    waiting: deque[tuple[Any, ...]] = deque()
    start, moved, count = target.seconds(), ledger.nbytes, ledger.count
    caught = _Caught()
    try:
        while caught.error is None:
            batch, refused = _END, False
            with caught:
                batch = next(source, _END)
                if batch is _END:
                    break
                full: Full = "raise" if strict else "wait" if waiting else "settle"
                try:
                    waiting.append(_queued(f, batch, target, lanes, full))
                except NoRoom:
                    refused = True
            if refused:  # the batches on their way go out first
                while waiting:
                    yield _finished(waiting, lanes)
                with caught:
                    waiting.append(_queued(f, batch, target, lanes, "settle"))
            if len(waiting) > depth:
                yield _finished(waiting, lanes)
        while waiting:
            yield _finished(waiting, lanes)
        if caught.error is not None:
            raise caught.error
    finally:
        caught.error = None  # its traceback holds this frame, and with it memory on the device
        waiting.clear()
        _closed(lanes, target)
        _record(target, lanes, target.seconds() - start, ledger.nbytes - moved, ledger.count - count)


def _staged(batch: Any, target: Backend, lanes: Lanes, full: Full) -> tuple[Any, Any]:
    """Queue a batch's copy to the device; return it there and the mark of the copy's end.

    On a device that was lost, batches stay on the host, and there is no mark.
    """
    if target.device not in lost:
        try:
            # What the caller has queued so far comes first: f may read arrays that are still being computed, and
            # memory that the caller let go may be given to this copy.
            return lanes.run("up", lanes.here(), partial(on_device, batch, target, full))
        except target.lost as error:
            if full == "raise":
                raise
            lose(target.device, str(error))
    tell(target.device)
    return on_host(batch), None


def _queued(f: Callable[[Any], Any], batch: Any, target: Backend, lanes: Lanes, full: Full) -> tuple[Any, ...]:
    """Queue one batch on the three lanes; return its result, the mark of its end and what to keep till then."""
    staged, there = _staged(batch, target, lanes, full)

    def compute() -> Any:
        with config(device=str(target.device)):
            return f(staged)

    if target.device in lost:
        return compute(), None, None
    made, done = lanes.run("compute", there, compute)
    if target.device in lost:
        return brought_back(made, target), None, None
    result, back = lanes.run("down", done, lambda: brought_back(made, target))
    return result, back, (staged, made)


def _finished(waiting: deque[Any], lanes: Lanes) -> Any:
    """Wait for the first of what is on its way, and hand it out; a mark of None is past."""
    result, mark, *_ = waiting.popleft()
    if mark is not None:
        lanes.finish(mark)
    return result


def _closed(lanes: Lanes, target: Backend) -> None:
    """Wait for what is queued; a lost device does not answer."""
    if target.device not in lost:
        lanes.close()


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
        if event.predicted == event.predicted:  # what nobody can predict runs on the host either way
            self.seconds += event.predicted


def _chosen(f: Callable[[Any], Any], source: Iterator[Any], depth: int, target: Backend) -> Results:
    """Run one batch on each device, and the rest where a batch takes less."""
    first = next(source, _END)
    if first is _END:
        return
    here, there = _Predictions(), _Predictions()
    with config(device="cpu"), listening(here):
        result = f(on_host(first))
    yield result
    second = next(source, _END)
    if second is _END:
        return
    into, out = nbytes_of(second), nbytes_of(result)
    with listening(there):
        made = list(piped(f, iter([second]), depth, target))
    yield from made
    machine = machine_for(target)
    up = machine.to_device.seconds(into, pinned=True)
    down = machine.to_host.seconds(out, pinned=True)
    if max(up, there.seconds, down) < here.seconds:
        yield from piped(f, source, depth, target)
        return
    for batch in source:
        with config(device="cpu"):
            result = f(on_host(batch))
        yield result


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
