"""The same call on every device: values, dtype, shape, exceptions, and inputs left alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from xpu._backends import HOST, devices
from xpu._block import Handle, read
from xpu._config import config
from xpu._ops.creation import asarray
from xpu.testing._budgets import budget, ulps_apart
from xpu.testing._reproduction import name_of, program

__all__ = ["assert_agrees", "available_devices", "on_every_device"]


class _Outcome(NamedTuple):
    """What one device gave."""

    device: str
    value: Any
    error: Exception | None
    inputs: list[np.ndarray[Any, Any]]


def available_devices() -> list[str]:
    """Return the devices a test can run on here: ``cpu``, ``pretend``, and each usable GPU.

    Examples
    --------
    >>> import xpu.testing
    >>> xpu.testing.available_devices()[:2]
    ['cpu', 'pretend']
    """
    return ["cpu", "pretend", *[str(d) for d in devices() if d.kind == "cuda"]]


def assert_agrees(
    function: Callable[..., Any],
    *args: Any,
    devices: Sequence[str] | None = None,
    ulp: float | None = None,
    magnitude: float | None = None,
    inputs_may_change: bool = False,
    **kwargs: Any,
) -> Any:
    """Run a call on every device and require the same outcome.

    Parameters
    ----------
    function : callable
        Takes xpu arrays.
    *args, **kwargs
        Its arguments; NumPy arrays among them become xpu arrays, fresh ones for every device.
    devices : sequence of str, optional
        Where to run; all that are there (`available_devices`) if omitted. The first is the reference.
    ulp : float, optional
        Allowed distance of floating results in units in the last place; the function's `budget` if
        omitted.
    magnitude : float, optional
        Magnitude below which a unit does not shrink; the largest finite input's if omitted, where the
        budget is not zero.
    inputs_may_change : bool, optional
        True for functions that write into their arguments; the arguments are then compared as
        results are.

    Returns
    -------
    object
        The result on the first device.

    Raises
    ------
    AssertionError
        If devices differ in values, dtype, shape, the type of an exception, or in what became of the
        inputs. The text ends in a program that reproduces it.

    Examples
    --------
    >>> import numpy, xpu
    >>> xpu.testing.assert_agrees(xpu.hypot, numpy.array([3.0, 5.0]), 4.0)
    array([5.        , 6.40312424])
    """
    kinds = [a.dtype for a in args if isinstance(a, (np.ndarray, Handle))]  # type: ignore[union-attr]
    allowed = budget(function, np.result_type(*kinds) if kinds else None) if ulp is None else ulp
    floor = (_magnitude(args) if allowed else 0.0) if magnitude is None else magnitude
    outcomes = [_run(function, args, kwargs, device) for device in devices or available_devices()]
    first = outcomes[0]
    for outcome in outcomes:
        problem = _inputs_problem(args, outcome, first, inputs_may_change)
        problem = problem or _difference(first, outcome, allowed, floor)
        if problem:
            where = f"{first.device} and {outcome.device} disagree on {name_of(function)}: {problem}"
            asked = {"devices": devices and list(devices), "ulp": ulp, "magnitude": magnitude}
            named = {name: value for name, value in asked.items() if value is not None}
            named |= {"inputs_may_change": True} if inputs_may_change else {}
            msg = f"{where}\n\nTo reproduce:\n{program(function, args, {**kwargs, **named})}"
            raise AssertionError(msg)
    if first.error is not None:
        raise first.error
    return first.value


def on_every_device(test: Callable[..., Any]) -> Callable[..., Any]:
    """Run a test once on each device that is there, everything forced to it.

    Parameters
    ----------
    test : callable
        A test function; put the decorator below ``@given`` and above nothing.

    Returns
    -------
    callable
        A test of the same signature.

    Examples
    --------
    >>> import xpu
    >>> @xpu.testing.on_every_device
    ... def test_sum():
    ...     assert xpu.ones(3).sum() == 3
    >>> test_sum()
    """

    @functools.wraps(test)
    def everywhere(*args: Any, **kwargs: Any) -> None:
        for device in available_devices():
            with config(device=device):
                test(*args, **kwargs)

    return everywhere


# ----------------------------------------------------------------------------- running


def _run(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], device: str) -> _Outcome:
    with config(device=device):
        given = [asarray(a) if isinstance(a, np.ndarray) else a for a in args]
        named = {k: asarray(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        value, error = None, None
        try:
            value = function(*given, **named)
        except _COMPARED as raised:
            error = raised
        return _Outcome(device, value, error, [_values(g) for g in given if isinstance(g, Handle)])


# What bad input raises; anything else is a fault of the test's and goes through at once.
_COMPARED = (TypeError, ValueError, IndexError, KeyError, ArithmeticError, np.linalg.LinAlgError, NotImplementedError)


def _values(handle: Any) -> np.ndarray[Any, Any]:
    return np.array(read(handle, HOST), copy=True)


def _magnitude(args: tuple[Any, ...]) -> float:
    floats = [np.abs(a[np.isfinite(a)]) for a in args if isinstance(a, np.ndarray) and a.dtype.kind in "fc"]
    return max((float(f.max()) for f in floats if f.size), default=0.0)


# ----------------------------------------------------------------------------- comparing


def _inputs_problem(args: tuple[Any, ...], outcome: _Outcome, first: _Outcome, may_change: bool) -> str:
    before = [a for a in args if isinstance(a, (np.ndarray, Handle))]
    expected = first.inputs if may_change else [_values(b) if isinstance(b, Handle) else b for b in before]
    for position, (was, now) in enumerate(zip(expected, outcome.inputs, strict=False)):
        same = was.dtype == now.dtype and np.array_equal(was, now, equal_nan=was.dtype.kind in "fc")
        if not same:
            return f"input {position} on {outcome.device} became {now!r}, it was {was!r}"
    return ""


def _difference(first: _Outcome, other: _Outcome, ulp: float, floor: float) -> str:
    if type(first.error) is not type(other.error):
        return f"{first.error!r} there, {other.error!r} here"
    return "" if first.error is not None else _compare(first.value, other.value, ulp, floor)


def _compare(expected: Any, got: Any, ulp: float, floor: float) -> str:
    if isinstance(expected, (tuple, list)):
        if type(got) is not type(expected) or len(got) != len(expected):
            return f"{expected!r} and {got!r}"
        return next(filter(None, (_compare(e, g, ulp, floor) for e, g in zip(expected, got, strict=True))), "")
    if type(expected) is not type(got):
        return f"a result of type {type(expected).__name__} and one of type {type(got).__name__}"
    if not isinstance(expected, (Handle, np.ndarray)):
        return "" if expected == got or (expected != expected and got != got) else f"{expected!r} and {got!r}"
    one, other = np.asarray(expected), np.asarray(got)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return f"{one.dtype}{one.shape} and {other.dtype}{other.shape}"
    if one.dtype.kind not in "fc":
        return "" if np.array_equal(one, other) else f"values {one!r} and {other!r}"
    apart = ulps_apart(other, one, floor)
    if apart > ulp:
        return f"values {apart:.3g} units in the last place apart, {ulp:g} allowed: {one!r} and {other!r}"
    if not ulp and not np.array_equal(np.signbit(one.real), np.signbit(other.real)):
        return f"signs of zeros or NaN: {one!r} and {other!r}"
    return ""
