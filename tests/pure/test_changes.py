"""What would change a decision: every answer, applied, does change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpu
from xpu._changes import Question, answer, break_even_of, changes
from xpu._machine import shipped
from xpu._op import OPS, Shaped
from xpu._placement import ACCELERATOR, Operand, Policy
from xpu._sizes import elements, resized

MACHINES = {name: shipped(name) for name in ("h200", "rtx4060-laptop", "rtx2060-laptop", "gh200")}


@st.composite
def questions(draw):
    op = OPS[draw(st.sampled_from(["add", "sin", "sum", "sort", "matmul", "fft.fft", "cumsum", "linalg.svd"]))]
    n = draw(st.integers(2, 1500))
    count = 2 if op.name in ("add", "matmul") else 1
    dtype = np.dtype(draw(st.sampled_from(["f4", "f8", "c16"])))
    shapes = (Shaped((n, n), dtype),) * count
    machine = MACHINES[draw(st.sampled_from(sorted(MACHINES)))]
    operands = []
    for s in shapes:
        where = draw(st.sampled_from([(True, False), (False, True), (True, True), (False, False)]))
        up, down = machine.to_device.seconds(s.nbytes), machine.to_host.seconds(s.nbytes)
        lead = draw(st.floats(-1, 1))
        pinned = draw(st.sampled_from([None, None, None, "cpu", ACCELERATOR]))
        operands.append(Operand(s.nbytes, *where, lead * (up if lead > 0 else down), pinned))
    forced = draw(st.sampled_from([None, None, None, "cpu", ACCELERATOR]))
    policy = Policy(forced, "", draw(st.sampled_from([0.0, 0.0, 1e-3])))
    return Question(op, shapes, {}, tuple(operands), machine, policy)


def applied(question, change):
    """Make the change, by other means than `changes` does."""
    op, shapes, kw, operands, machine, policy = (getattr(question, f) for f in Question.__slots__)
    if change.kind == "device":
        policy = policy._replace(forced=None)
    elif change.kind == "pin":
        operands = tuple(o._replace(pinned=None) for o in operands)
    elif change.kind == "warmup":
        policy = policy._replace(warmup=0.0)
    elif change.kind == "residency":
        there = "accelerator" in change.text
        operands = tuple(o._replace(on_host=not there, on_accelerator=there) for o in operands)
    elif change.kind == "dtype":
        shapes = tuple(Shaped(s.shape, np.dtype({"f8": "f4", "c16": "c8"}[s.dtype.str[1:]])) for s in shapes)
        operands = tuple(o._replace(nbytes=s.nbytes, lead=0.0) for o, s in zip(operands, shapes, strict=True))
    elif change.kind == "size":
        below = change.text.startswith("below")
        factor = change.amount / shapes[0].size * (0.98 if below else 1.02)
        shapes = resized(op, shapes, kw, factor).shapes
        if below and shapes[0].size >= change.amount:  # the next smaller square
            n = shapes[0].shape[0] - 1
            shapes = tuple(Shaped((n, n), s.dtype) for s in shapes)
        operands = tuple(o._replace(nbytes=s.nbytes, lead=0.0) for o, s in zip(operands, shapes, strict=True))
        policy = policy._replace(warmup=0.0)
    elif change.kind == "calls":
        made = Question(op, shapes, kw, operands, machine, policy)
        for _ in range(int(change.amount)):
            leads = answer(made).leads
            made = Question(
                op,
                shapes,
                kw,
                tuple(o._replace(lead=lead) for o, lead in zip(made.operands, leads, strict=True)),
                machine,
                policy,
            )
        return made
    return Question(op, shapes, kw, operands, machine, policy)


SEEN = set()


@settings(max_examples=200)
@given(questions())
def test_a_change_changes_the_decision(question):
    decision = answer(question)
    for change in changes(question, decision):
        SEEN.add(change.kind)
        assert answer(applied(question, change)).device != decision.device, (change, question)


def test_all_kinds_of_change_came_up():
    if SEEN:  # the property above ran in this process
        assert {"device", "pin", "size", "calls", "residency"} <= SEEN


def test_break_even_is_where_the_device_changes():
    op, machine = OPS["sin"], MACHINES["rtx4060-laptop"]
    shapes = (Shaped((100, 100), np.dtype("f8")),)
    question = Question(op, shapes, {}, (Operand(80_000, True, False),), machine, Policy())
    at = break_even_of(question, resident=False)
    for side, device in ((at.shapes[0].shape[0], ACCELERATOR), (at.shapes[0].shape[0] - 1, "cpu")):
        shape = Shaped((side, side), np.dtype("f8"))
        there = Question(op, (shape,), {}, (Operand(shape.nbytes, True, False),), machine, Policy())
        assert answer(there).device == device


def test_it_never_pays_beyond_the_memory_of_the_card():
    machine = MACHINES["h200"]
    shapes = (Shaped((1000,), np.dtype("f8")),)
    question = Question(OPS["add"], shapes, {}, (Operand(8000, True, False),), machine, Policy())
    at = break_even_of(question, resident=False)
    assert at is None or 2 * at.shapes[0].nbytes <= machine.accelerator.memory
    blocked = Question(OPS["add"], shapes, {}, question.operands, machine, Policy(gap="no such function"))
    assert break_even_of(blocked, resident=True) is None


@pytest.mark.parametrize(
    ("name", "shapes", "keywords", "grown"),
    [
        ("matmul", [(10, 20), (20, 30)], {}, [(20, 40), (40, 60)]),
        ("add", [(10, 1), (1, 20)], {}, None),
        ("sum", [(1, 1, 1)], {}, [(1, 1, 4)]),
        ("add", [()], {}, [()]),
        ("linalg.solve", [(10, 10), (10,)], {}, [(20, 20), (20,)]),
    ],
)
def test_a_larger_call_keeps_its_proportions(name, shapes, keywords, grown):
    op = OPS[name]
    made = resized(op, [Shaped(s, np.dtype("f8")) for s in shapes], keywords, 4.0)
    if grown is None:  # broadcasting operands still broadcast
        assert [s.shape.count(1) for s in made.shapes] == [1, 1]
        assert elements(made.shapes) == 80
    else:
        assert [s.shape for s in made.shapes] == grown


@pytest.mark.parametrize(
    ("name", "shapes", "keywords", "grown"),
    [
        ("conv2d", [(2, 3, 8, 8), (4, 3, 3, 3)], {}, [(8, 3, 8, 8), (4, 3, 3, 3)]),
        ("conv2d", [(3, 8, 8), (4, 3, 3, 3)], {}, [(4, 3, 8, 8), (4, 3, 3, 3)]),
        ("conv1d_input", [(4, 3, 3), (2, 4, 6)], {"input_size": (2, 3, 8)}, [(4, 3, 3), (8, 4, 6)]),
        ("conv1d_weight", [(2, 3, 8), (2, 4, 6)], {"weight_size": (4, 3, 3)}, [(8, 3, 8), (8, 4, 6)]),
    ],
)
def test_a_larger_convolution_has_more_images(name, shapes, keywords, grown):
    row = getattr(xpu.nn, name).op
    made = resized(row, [Shaped(s, np.dtype("f4")) for s in shapes], keywords, 4.0)
    assert [s.shape for s in made.shapes] == grown
    before = row.work([Shaped(s, np.dtype("f4")) for s in shapes], keywords)
    assert row.work(made.shapes, made.keywords).ops > before.ops
