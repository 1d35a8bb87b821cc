"""What the model tells apart: inner loops, widths, lengths of transforms; and where calibration's operands lie."""

import json
from dataclasses import replace

import numpy as np
import pytest

import xpu
from xpu._calibrate import _timing
from xpu._calibrate._host import time_probe
from xpu._calibrate._probes import probes, values
from xpu._calibrate._timing import Clock
from xpu._curve import Curve
from xpu._donors import curve_for, known_loop
from xpu._machine import from_dict, shipped
from xpu._op import NUMBER, OPS, ROW, ROWS, Shaped, bucket
from xpu._program import Recording
from xpu._program._json import from_dict as program_from_dict
from xpu._program._json import to_dict as program_to_dict

F8, I8 = np.dtype("f8"), np.dtype("i8")


def line(per_element, latency=1e-6):
    return Curve([(1.0, latency), (1e6, latency + per_element * 1e6)])


def counted(name, *shapes, dtype=F8, **keywords):
    return OPS[name].work([Shaped(s, dtype) for s in shapes], keywords)


def with_curves(**curves):
    base = shipped("generic")
    named = {name.replace("_", ":"): {"f8": curve} for name, curve in curves.items()}
    loops = {"elementwise": line(0.0, 1e-6), "reduction": line(0.0, 1e-6)}
    return replace(base, cpu=replace(base.cpu, curves=named, loops=loops))


# ----------------------------------------------------------------------------- one number against an array


@pytest.mark.parametrize(
    ("shapes", "variant"),
    [
        (((5000,),), NUMBER),  # and a Python number
        (((5000,), ()), NUMBER),
        (((30, 5000), (30, 1)), NUMBER),
        (((30, 1), (5000,)), NUMBER),
        (((500, 1), (500,)), ""),  # short rows: NumPy copies the number to a buffer
        (((30, 5000), (5000,)), ""),
        (((5000,), (5000,)), ""),
    ],
)
def test_a_number_all_along_a_loop_is_another_loop(shapes, variant):
    assert counted("maximum", *shapes).variant == variant
    assert counted("add", *shapes).variant == ""  # vectorised all the same


def test_a_number_takes_its_own_curve_and_all_of_it():
    cpu = with_curves(maximum=line(1e-10), maximum_number=line(9e-10)).cpu
    work = counted("maximum", (10**6,))
    assert work.loop == "maximum:number"
    assert cpu.seconds(work) == pytest.approx(9.01e-4)  # not the share of an operand that is read from a cache
    assert cpu.seconds(counted("fmin", (10**6,))) == pytest.approx(9.01e-4)  # the same loop
    assert cpu.seconds(counted("maximum", (10**6,), (10**6,))) == pytest.approx(1.01e-4)


def test_without_a_curve_of_its_own_a_number_is_an_operand_that_is_read_once():
    cpu = with_curves(maximum=line(1e-9)).cpu
    assert cpu.seconds(counted("maximum", (10**6,))) == pytest.approx(1.001e-3 * 2.5 / 3.5, rel=0.01)


# ----------------------------------------------------------------------------- rows added to one another


@pytest.mark.parametrize(
    ("axis", "variant"),
    [(0, ROWS), (-2, ROWS), (np.int64(0), ROWS), (1, ""), (None, ""), ((0, 1), ""), ((0, "x"), ROWS)],
)
def test_a_reduction_of_rows_is_another_loop(axis, variant):
    assert counted("sum", (40, 700), axis=axis).variant == variant
    assert counted("prod", (40, 700), axis=axis).variant == ""


def test_rows_take_their_own_curve_and_short_ones_cost_more():
    cpu = with_curves(sum=line(5e-10), sum_rows=line(1e-10), mean=line(5e-10, 4e-6)).cpu
    assert cpu.seconds(counted("sum", (2000, ROW), axis=0)) == pytest.approx(1.01e-4)  # as it was timed
    assert cpu.seconds(counted("sum", (20_000, 50), axis=0)) == pytest.approx(1.01e-4 + 18_000 * 1e-6)
    assert cpu.seconds(counted("mean", (2000, ROW), axis=0)) == pytest.approx(1.04e-4)  # takes longer to start
    assert known_loop(cpu.curves, "mean:rows", I8) is None  # integers are converted first


def test_what_is_learned_of_one_loop_says_nothing_of_the_other():
    down, along = (counted("sum", (2000, 500), axis=axis) for axis in (0, 1))
    assert bucket(down) != bucket(along)


def test_variants_are_timed_and_kept_in_the_file():
    wanted = [p for p in probes() if p.variant and p.code == "f8"]
    assert {p.loop for p in wanted} == {"maximum:number", "sum:rows", "max:rows"}
    series = time_probe(replace(wanted[1], sizes=(1000, 5000)), Clock())
    assert (series.op, len(series.samples)) == ("sum:rows", 2)
    machine = with_curves(sum_rows=line(1e-10))
    assert from_dict(json.loads(json.dumps(machine.to_dict()))) == machine


def test_a_recorded_program_keeps_its_loops():
    with Recording() as recording:
        xpu.sum(xpu.ones((300, 200)), axis=0)
    program = recording.program()
    assert "rows" in {step.work.variant for step in program.steps if hasattr(step, "work")}
    data = json.loads(json.dumps(program_to_dict(program)))
    assert program_from_dict(data) == program
    for step in data["steps"]:
        step.get("work", {}).pop("variant", None)  # a recording made before it was counted
    assert {s.work.variant for s in program_from_dict(data).steps if hasattr(s, "work")} == {""}


# ----------------------------------------------------------------------------- moving elements


def test_what_moves_elements_asks_for_their_width_alone():
    curves = {"take": {"f8": line(2e-9), "f4": line(1e-9)}, "sort": {"f8": line(2e-9), "f4": line(1e-9)}}
    assert curve_for(curves, "take", I8) is curves["take"]["f8"]
    assert curve_for(curves, "take", np.dtype("u4")) is curves["take"]["f4"]
    assert curve_for(curves, "sort", I8) is None
    for code in ("V0", "U0", "U1000", "O"):  # of any width
        assert curve_for(curves, "take", np.dtype(code)) is None


def test_integers_with_a_sign_divide_as_others_with_one():
    curves = {name: {"u1": line(1e-9), "i4": line(2e-9)} for name in ("floor_divide", "gcd")}
    i1 = np.dtype("i1")
    assert curve_for(curves, "floor_divide", i1) is curves["floor_divide"]["i4"]
    assert curve_for(curves, "gcd", i1) is curves["gcd"]["u1"]
    assert curve_for({"fmod": {"u1": line(1e-9)}}, "fmod", i1) is not None


# ----------------------------------------------------------------------------- transforms


@pytest.mark.parametrize(
    ("name", "shape", "keywords", "ops"),
    [
        ("fft.fft", (1024,), {}, 5 * 1024 * 10),
        ("fft.fft", (100, 64), {}, 5 * 6400 * 6),  # a hundred short ones
        ("fft.fft", (64, 100), {"axis": 0}, 5 * 6400 * 6),
        ("fft.rfft", (100, 50), {"n": 64}, 5 * 6400 * 6),
        ("fft.irfft", (33,), {}, 5 * 64 * 6),  # half a spectrum
        ("fft.irfft", (1,), {}, 0),  # NumPy refuses it
        ("fft.hfft", (0,), {"n": -3}, 0),
        ("fft.fft", (), {}, 2.5),
        ("fft.fft", (64, 32), {"axis": np.int64(0)}, 5 * 64 * 32 * 6),
        ("fft.fft", (100,), {"n": np.int32(64)}, 5 * 64 * 6),
        ("fft.fftn", (64, 100), {"s": (None, 32), "axes": (0, 1)}, 5 * 64 * 32 * 11),
        ("fft.fft", (64,), {"n": "many"}, 5 * 64 * 6),
        ("fft.fft2", (9, 64, 32), {}, 5 * 9 * 64 * 32 * 11),
        ("fft.fftn", (16, 64, 32), {}, 5 * 16 * 64 * 32 * 15),
        ("fft.fftn", (16, 64, 32), {"axes": (1,)}, 5 * 16 * 64 * 32 * 6),
        ("fft.fftn", (16, 32), {"s": (16, 64)}, 5 * 16 * 64 * 10),
    ],
)
def test_transforms_are_counted_by_their_lengths(name, shape, keywords, ops):
    assert xpu.fft.fft  # its rows load with it
    assert counted(name, *[shape], **keywords).ops == pytest.approx(ops)


def test_a_length_with_a_large_prime_factor_is_another_method():
    assert xpu.fft.fft
    assert counted("fft.fft", (4,), n=2**61 - 1).ops > 0  # nobody looks for its factors
    smooth, prime = (counted("fft.fft", (n,)).ops / n for n in (1024, 1021))
    assert 4 < prime / smooth < 8  # a convolution of more than twice the length


# ----------------------------------------------------------------------------- memory while calibration runs


def test_freed_memory_is_kept_while_calibration_runs(monkeypatch):
    asked = []
    monkeypatch.setattr(_timing, "_mallopt", lambda: lambda option, value: asked.append((option, value)))
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")

    def calibrate():
        with _timing.kept_memory():
            assert asked == [(-2, 256 << 20)]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        calibrate()
    assert asked[1:] == [(-2, 4096)]  # as the user has it


def test_operands_of_each_size_lie_elsewhere_in_a_page():
    places = [values(n, "f8", seed).ctypes.data % 4096 for n in (1000, 8000, 30_000, 120_000) for seed in (0, 1)]
    assert len(set(places)) == len(places)
