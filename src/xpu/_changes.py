"""What would change a decision: every answer is found by deciding again with that one thing changed.

Pure arithmetic, like `_placement`: nothing here is a rule of thumb, so each answer can be checked by
making the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xpu._machine import Machine
from xpu._op import Op, Shaped
from xpu._placement import ACCELERATOR, Decision, Operand, Policy, decide
from xpu._sizes import Sized, break_even

__all__ = ["Change", "Question", "answer", "break_even_of", "changes", "repeats"]

_MOST_CALLS = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that a decision depends on.

    Attributes
    ----------
    op : Op
        The row.
    shapes : tuple of Shaped
        Its operands.
    keywords : dict
        Its keywords.
    operands : tuple of Operand
        Where the operands are.
    machine : Machine
        The machine in force.
    policy : Policy
        What settings and capability say.
    """

    op: Op
    shapes: tuple[Shaped, ...]
    keywords: Mapping[str, Any]
    operands: tuple[Operand, ...]
    machine: Machine
    policy: Policy


class Change(NamedTuple):
    """One thing that would turn the decision.

    Attributes
    ----------
    kind : str
        ``"size"``, ``"calls"``, ``"residency"``, ``"pin"``, ``"device"``, ``"keyword"``, ``"dtype"`` or ``"warmup"``.
    text : str
        For the user.
    amount : float
        Elements for a size, calls for calls; NaN otherwise.
    """

    kind: str
    text: str
    amount: float = float("nan")


def answer(question: Question, operands: Sequence[Operand] | None = None, policy: Policy | None = None) -> Decision:
    """Decide, with other operands or another policy where given."""
    work = question.op.work(question.shapes, question.keywords)
    given = question.operands if operands is None else operands
    return decide(work, given, question.machine, question.policy if policy is None else policy)


def _at(question: Question, sized: Sized, resident: bool | None) -> Decision:
    """Decide the call at another size, with no history; `resident` None leaves the operands where they are."""
    operands = [
        Operand(
            s.nbytes,
            o.on_host if resident is None else not resident,
            o.on_accelerator if resident is None else resident,
        )
        for s, o in zip(sized.shapes, question.operands, strict=True)
    ]
    work = question.op.work(sized.shapes, sized.keywords)
    return decide(work, operands, question.machine, Policy())


def break_even_of(question: Question, *, resident: bool | None) -> Sized | None:
    """Return the size from which the accelerator wins.

    Parameters
    ----------
    question : Question
        The call.
    resident : bool or None
        True: operands are on the accelerator. False: on the host, and their transfer is paid. None: as they are.

    Returns
    -------
    Sized or None
        None if it never wins at a size that fits its memory, or cannot run the call.
    """
    card = question.machine.accelerator
    if card is None or question.policy.gap:
        return None

    def wins(sized: Sized) -> bool:
        return _at(question, sized, resident).device == ACCELERATOR

    return break_even(question.op, question.shapes, question.keywords, wins, card.memory)


def changes(question: Question, decision: Decision) -> list[Change]:
    """Return what would turn a decision, the likeliest first.

    Parameters
    ----------
    question : Question
        What was asked.
    decision : Decision
        Its answer.

    Returns
    -------
    list of Change
        Each verified by deciding again; empty where nothing single would.
    """
    if question.machine.accelerator is None:
        return []
    return [
        *_settings(question, decision),
        *_gap(question, decision),
        *_size(question, decision),
        *_calls(question, decision),
        *_residency(question, decision),
        *_warmup(question, decision),
        *_narrower(question, decision),
    ]


def _settings(question: Question, decision: Decision) -> Iterator[Change]:
    policy, operands = question.policy, question.operands
    if policy.forced is not None:
        if answer(question, policy=policy._replace(forced=None)).device != decision.device:
            yield Change("device", "with config(device='auto')")
    elif any(o.pinned for o in operands):
        free = [o._replace(pinned=None) for o in operands]
        if answer(question, free).device != decision.device:
            pins = ", ".join(sorted({str(o.pinned) for o in operands if o.pinned}))
            yield Change("pin", f"without the pin to the {pins}")


def _gap(question: Question, decision: Decision) -> Iterator[Change]:
    for name in question.op.gaps & set(question.keywords):
        if question.policy.gap.endswith(f" has no {name}="):
            without = {k: v for k, v in question.keywords.items() if k != name}
            other = Question(**{**_fields(question), "keywords": without, "policy": question.policy._replace(gap="")})
            if answer(other).device != decision.device:
                yield Change("keyword", f"without {name}=")


def _fields(question: Question) -> dict[str, Any]:
    return {name: getattr(question, name) for name in Question.__slots__}


def _free(question: Question) -> bool:
    """Whether arithmetic decides: no setting, no pin and no gap does."""
    policy = question.policy
    return policy.forced is None and not policy.gap and not any(o.pinned for o in question.operands)


def _size(question: Question, decision: Decision) -> Iterator[Change]:
    if not _free(question) or not question.shapes:
        return
    now = max(s.size for s in question.shapes)
    at = break_even_of(question, resident=None)
    if decision.device != ACCELERATOR and at is not None and at.elements > now:
        shape = max(at.shapes, key=lambda s: s.size).shape
        yield Change("size", f"from {at.elements:,} elements on, shape {shape}", at.elements)
    if decision.device == ACCELERATOR and at is not None and 1 < at.elements <= now:
        yield Change("size", f"below {at.elements:,} elements", at.elements)


def repeats(question: Question) -> int | None:
    """Return after how many more such calls on these operands the device changes; None if it does not.

    Every call adds to the account of each operand, whatever the calls are: the account of a chain grows alike.
    """
    work = question.op.work(question.shapes, question.keywords)
    operands = list(question.operands)
    first = decide(work, operands, question.machine, question.policy)
    made = first
    for calls in range(1, _MOST_CALLS):
        after = [o._replace(lead=lead) for o, lead in zip(operands, made.leads, strict=True)]
        if after == operands:
            return None
        operands = after
        made = decide(work, operands, question.machine, question.policy)
        if made.device != first.device:
            return calls
    return None


def _calls(question: Question, decision: Decision) -> Iterator[Change]:
    if not _free(question):
        return
    calls = repeats(question)
    if calls is not None:
        more = "one more such call" if calls == 1 else f"{calls:,} more such calls"
        yield Change("calls", f"after {more} on these operands", calls)


def _residency(question: Question, decision: Decision) -> Iterator[Change]:
    if not _free(question):
        return
    to_accelerator = decision.device != ACCELERATOR
    moved = [o._replace(on_host=not to_accelerator, on_accelerator=to_accelerator) for o in question.operands]
    if moved != list(question.operands) and answer(question, moved).device != decision.device:
        place = "on the accelerator" if to_accelerator else "on the host alone"
        yield Change("residency", f"if the operands were {place}")


def _warmup(question: Question, decision: Decision) -> Iterator[Change]:
    if not _free(question) or not question.policy.warmup:
        return
    if answer(question, policy=question.policy._replace(warmup=0.0)).device != decision.device:
        yield Change("warmup", "once the accelerator has run this kind of call before (compiled, planned)")


_NARROW = {"f8": np.dtype("f4"), "c16": np.dtype("c8")}


def _narrower(question: Question, decision: Decision) -> Iterator[Change]:
    narrow = {s.dtype: _NARROW[s.dtype.str[1:]] for s in question.shapes if s.dtype.str[1:] in _NARROW}
    if not _free(question) or not narrow:
        return
    shapes = tuple(Shaped(s.shape, narrow.get(s.dtype, s.dtype)) for s in question.shapes)
    operands = tuple(o._replace(nbytes=s.nbytes, lead=0.0) for o, s in zip(question.operands, shapes, strict=True))
    other = Question(**{**_fields(question), "shapes": shapes, "operands": operands})
    if answer(other).device != decision.device:
        yield Change("dtype", f"in {' and '.join(sorted({str(d) for d in narrow.values()}))}")
