"""Writing ``a + b + c`` into the temporary ``a + b``, as NumPy does for its own arrays.

NumPy reuses a temporary's memory where only the interpreter's stack holds it (``temp_elide.c``). Our
arrays hold theirs from a handle, so NumPy never sees that, and large expressions would ask the system
for fresh pages at every step, which costs as much as the arithmetic. So the same test is made here:
nobody but the caller's stack holds the handle, nobody but the handle holds the array, and the caller
is Python code at an operator whose operand another operator, or a ufunc, has just made there. The last is
needed because compiled code may call ``__add__`` on references it has only borrowed: NumPy does, for the
elements of an object array. Large means what it means to NumPy (``NPY_MIN_ELIDE_BYTES``).
"""

from __future__ import annotations

import sys
from dis import Instruction, get_instructions, hasjabs, hasjrel, stack_effect
from functools import lru_cache
from types import CodeType
from typing import Any
from weakref import getweakrefcount

import numpy as np

__all__ = ["COUNTS", "LARGE", "elided", "elided_alone", "raised"]

LARGE = 1 << 18

_NUMBERS = "biufc"
_PYTHON = frozenset({int, float, complex, bool})
_UNARY = ("UNARY_NEGATIVE", "UNARY_INVERT")
_MAKERS = ("BINARY_OP", *_UNARY)
_JUMPS = frozenset({*hasjrel, *hasjabs})

# Reference counts mean this up to CPython 3.13: from 3.14 on the stack only borrows variables, and
# without the interpreter lock another thread may take a reference at any time.
COUNTS = (
    sys.implementation.name == "cpython"
    and sys.version_info < (3, 14)
    and getattr(sys, "_is_gil_enabled", lambda: True)()
)


def _counts(handle: Any) -> tuple[int, int]:
    raw = handle._raw
    return sys.getrefcount(handle), sys.getrefcount(raw)


class _Probe:
    """Shows the counts of a temporary: what `elided` sees when an operator calls it."""

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw = np.empty(1)

    def __add__(self, other: object) -> tuple[int, int]:
        raw = self._raw  # operator methods hold it too
        return self._elided(self, other) if raw.size else (0, 0)

    @staticmethod
    def _elided(left: Any, right: object) -> tuple[int, int]:
        return _counts(left)


# One for every name and stack on the way. A debugger or profiler that watches this import holds frames, and so more;
# what is counted then means nothing later.
_EXPECTED = (5, 4)
_LEFT = _EXPECTED if COUNTS and _Probe() + None == _EXPECTED else (0, 0)
_RIGHT = (_LEFT[0], _LEFT[1] - 1)  # the method holds its own array only


def elided(ufunc: np.ufunc, left: Any, right: Any, swapped: bool = False) -> Any:
    """Compute ``left <operator> right`` in the memory of a temporary among them, where that is safe.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The operator's.
    left : ndarray
        A handle with a NumPy array; the method's ``self``. Called from its operator method.
    right : ndarray, int, float, complex, bool or numpy.generic
        The other operand.
    swapped : bool, optional
        It is ``right <operator> left``, with a Python number on the right.

    Returns
    -------
    ndarray or None
        The temporary, which now is the result; None if neither may be written: nothing is done then.
    """
    if _counts(left) == _LEFT:
        result, other = left, right
    elif type(right) is type(left) and _counts(right) == _RIGHT:
        result, other = right, left
    else:
        return None
    frame = sys._getframe(1).f_back
    on_the_right = result is right or swapped
    if frame is None or not _just_made(frame.f_code, frame.f_lasti)[on_the_right]:
        return None
    memory = result._raw
    kind: Any = type(other)
    if kind is type(result):
        other = other._raw
        kind = other.dtype
        if other.shape != memory.shape:
            return None
    elif kind not in _PYTHON:  # a NumPy scalar
        kind = other.dtype
    kinds = (kind, memory.dtype) if on_the_right else (memory.dtype, kind)
    if _dtype(ufunc, *kinds) != memory.dtype or not _is_its_own(result, memory):
        return None
    if on_the_right:
        ufunc(other, memory, memory)
    else:
        ufunc(memory, other, memory)
    return result


def elided_alone(ufunc: np.ufunc, operand: Any) -> Any:
    """Compute ``<operator> operand`` the same way: called from the operator method of ``-x`` or ``~x``.

    Parameters
    ----------
    ufunc : numpy.ufunc
        The operator's.
    operand : ndarray
        A handle with a NumPy array; the method's ``self``.

    Returns
    -------
    ndarray or None
        The operand, which now is the result; None if it may not be written: nothing is done then.
    """
    if _counts(operand) != _LEFT or not _is_made_below(1):
        return None
    memory = operand._raw
    if _dtype(ufunc, memory.dtype) != memory.dtype or not _is_its_own(operand, memory):
        return None
    ufunc(memory, memory)
    return operand


def raised(base: Any, exponent: Any) -> Any:
    """Compute ``base ** exponent`` the same way, for a Python number: NumPy's operator knows squares and roots.

    Parameters
    ----------
    base : ndarray
        A handle with a NumPy array; the method's ``self``.
    exponent : int, float, ndarray or scalar
        Anything else than a Python number is left alone.

    Returns
    -------
    ndarray or None
        The base, which now is the result; None if it may not be written: nothing is done then.
    """
    if type(exponent) not in (int, float) or _counts(base) != _LEFT or not _is_made_below(1):
        return None
    memory = base._raw
    if memory.dtype.kind not in "fc" or not _is_its_own(base, memory):
        return None
    memory **= exponent
    return base


def _is_made_below(depth: int) -> bool:
    """Return True if the operator that runs `depth` frames above the caller takes what was made just before it."""
    frame = sys._getframe(depth + 1).f_back
    return frame is not None and _just_made(frame.f_code, frame.f_lasti)[0]


def _is_its_own(handle: Any, memory: np.ndarray[Any, Any]) -> bool:
    """Return True if no one could see a write: a view of others' memory, or a cache that may still hand it out."""
    flags = memory.flags
    return flags.owndata and flags.writeable and not getweakrefcount(handle) and not getweakrefcount(memory)


_MOST_CODES = 1024
_Answers = dict[int, tuple[bool, bool]]
_codes: dict[int, tuple[CodeType, _Answers]] = {}  # the code is kept, so that its id is its own
_NEITHER = (False, False)


def _just_made(code: CodeType, at: int) -> tuple[bool, bool]:
    """Return whether the left, and the right, operand of the operator at a place in some code was made just there."""
    known = _codes.get(id(code))
    if known is None:
        if len(_codes) >= _MOST_CODES:
            _codes.clear()
        known = _codes[id(code)] = code, _operators(code)
    return known[1].get(at, _NEITHER)


def _operators(code: CodeType) -> _Answers:
    steps = [step for step in get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    return {step.offset: _made(steps, k) for k, step in enumerate(steps) if step.opname in _MAKERS}


def _made(steps: list[Instruction], at: int) -> tuple[bool, bool]:
    """Walk back from an operator to the instructions that made its operands.

    A value that comes from a name, an attribute, a container or a function of the user's is held there, or holds
    what compiled code hands to an operator. What lies behind a branch is not looked into.
    """
    if at < 2 or steps[at].is_jump_target:
        return _NEITHER
    if steps[at].opname in _UNARY:
        return _is_maker(steps, at - 1), False
    right = _is_maker(steps, at - 1)
    start = _start(steps, at - 1)  # of all that the right one needs
    return start > 0 and _is_maker(steps, start - 1), right


def _start(steps: list[Instruction], last: int) -> int:
    """Return where the straight code begins whose value the last step leaves; 0 where that is not plain."""
    depth = 0
    for k in range(last, -1, -1):
        step = steps[k]
        depth += stack_effect(step.opcode, step.arg)
        if step.is_jump_target or step.opcode in _JUMPS or depth > 1:
            return 0
        if depth == 1:
            return k
    return 0


def _is_maker(steps: list[Instruction], at: int) -> bool:
    """Return True for an operator, and for a call of a ufunc that is not told where to write."""
    step = steps[at]
    if step.is_jump_target:
        return False
    if step.opname != "CALL":
        return step.opname in _MAKERS
    named = any(s.opname == "KW_NAMES" for s in steps[max(0, at - 2) : at])
    start = _start(steps, at)
    callee = [s for s in steps[start : start + 3] if s.opname != "PUSH_NULL"]
    name = callee[callee[1].opname in ("LOAD_ATTR", "LOAD_METHOD")].argval
    ufunc = getattr(np, str(name), None)
    return isinstance(ufunc, np.ufunc) and step.arg == ufunc.nin and not named


@lru_cache(maxsize=1024)
def _dtype(ufunc: np.ufunc, *kinds: Any) -> np.dtype[Any] | None:
    """Return the result's dtype; None if that is not sure."""
    if ufunc.signature is not None or ufunc.nout != 1 or ufunc.nin != len(kinds):
        return None
    if any(isinstance(kind, np.dtype) and kind.kind not in _NUMBERS for kind in kinds):
        return None
    try:
        return ufunc.resolve_dtypes((*kinds, None))[-1]
    except TypeError:
        return None
