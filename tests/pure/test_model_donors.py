"""Calls that calibration did not time: which curves predict them, and how their work is counted."""

import json
from dataclasses import replace

import numpy as np
import pytest

import xpu
from xpu._curve import Curve
from xpu._donors import RECIPES, curve_for
from xpu._machine import from_dict, shipped
from xpu._op import OPS, Shaped, Work
from xpu.errors import MachineFileError

F8, F4, I4 = np.dtype("f8"), np.dtype("f4"), np.dtype("i4")


def line(per_element, latency=1e-6):
    return Curve([(1.0, latency), (1e6, latency + per_element * 1e6)])


def counted(name, *shapes, dtype=F8, **keywords):
    return OPS[name].work([Shaped(s, dtype) for s in shapes], keywords)


# ----------------------------------------------------------------------------- donors


def test_its_own_curve_comes_first():
    curves = {"add": {"f8": line(1e-9), "f4": line(5e-10)}}
    assert curve_for(curves, "add", F4) is curves["add"]["f4"]
    assert curve_for(curves, "subtract", F8) is None


@pytest.mark.parametrize(("narrow", "wide", "between"), [(1e-10, 4e-10, 2e-10), (3e-9, 3e-9, 3e-9)])
def test_a_width_between_two_lies_between_them(narrow, wide, between):
    curves = {"add": {"u1": line(narrow, 1e-9), "i4": line(wide, 1e-9)}}
    found = curve_for(curves, "add", np.dtype("i2"))
    assert found.at(1e6) == pytest.approx(between * 1e6, rel=0.01)


def test_another_sign_of_the_same_width_is_as_good():
    curves = {"add": {"i4": line(1e-9), "u1": line(3e-9), "b1": line(9e-9)}}
    assert curve_for(curves, "add", np.dtype("u4")) is curves["add"]["i4"]
    assert curve_for(curves, "add", np.dtype("i1")) is curves["add"]["u1"]


def test_a_transform_of_complex_numbers_is_as_one_of_reals_of_their_width():
    assert xpu.fft.fft  # its rows load with it
    curves = {"fft.fft": {"f8": line(2e-9), "f4": line(1e-9)}}
    assert curve_for(curves, "fft.ifft", np.dtype("c16")) is curves["fft.fft"]["f8"]
    assert curve_for(curves, "fft.fft", np.dtype("c8")) is curves["fft.fft"]["f4"]
    curves["fft.fft"]["c16"] = line(3e-9)
    assert curve_for(curves, "fft.fft", np.dtype("c8")) is curves["fft.fft"]["f4"]  # before another width
    del curves["fft.fft"]["f4"]
    assert curve_for(curves, "fft.fft", np.dtype("c8")) is curves["fft.fft"]["c16"]
    assert curve_for({"add": {"f8": line(1e-9)}}, "add", np.dtype("c16")) is None


def test_half_the_width_is_half_the_time_only_where_it_is_vectorised():
    fast, slow = {"add": {"f8": line(4e-10, 1e-9)}}, {"add": {"f8": line(5e-9, 1e-9)}}
    assert curve_for(fast, "add", F4).at(1e6) == pytest.approx(2e-4, rel=0.01)
    assert curve_for(slow, "add", F4).at(1e6) == pytest.approx(5e-3, rel=0.01)


def test_a_loop_of_another_dtype_pays_for_the_cast_of_that_dtype():
    curves = {"sin": {"f8": line(1e-8)}, "astype": {"u8": line(5e-9), "i4": line(1e-9)}}
    as_u8 = curve_for(curves, "sin", np.dtype("u8")).at(20e6)
    as_i4 = curve_for(curves, "sin", I4).at(20e6)
    assert as_u8 - as_i4 == pytest.approx(4e-9 * 1e6, rel=0.05)  # 20 operations an element


def test_a_cast_to_half_precision_is_not_that_to_double():
    curves = {"sin": {"f2": line(1e-9, 1e-9)}, "divide": {"f8": line(1e-9, 1e-9)}}
    curves["astype"] = {"i1": line(8e-9, 1e-9), "i4": line(1e-9, 1e-9)}
    assert curve_for(curves, "sin", np.dtype("i1")).at(2e6) == pytest.approx(1e5 * 8e-9 + 2e6 * 1e-9, rel=0.02)
    assert curve_for(curves, "divide", np.dtype("i1")).at(4e5) == pytest.approx(1e5 * 2e-9 + 4e5 * 1e-9, rel=0.02)


def test_integers_in_a_floating_loop_take_what_a_timed_integer_takes():
    curves = {"modf": {"f8": line(4e-9), "f4": line(3e-9), "i8": line(2.5e-9)}, "astype": {"i8": line(1e-9)}}
    assert curve_for(curves, "modf", np.dtype("i8")) is curves["modf"]["i8"]
    # Half of the loop on fractions and the cast, which is what int64 showed; int32's cast is not known.
    for code, loop in (("i4", 4e-9), ("u8", 4e-9), ("i2", 3e-9)):
        weight = OPS["modf"].weight
        found = curve_for(curves, "modf", np.dtype(code))
        assert found.at(1e6) == pytest.approx(1e-6 + 0.5 * (loop - 1e-12) * 1e6, rel=0.3), (code, weight)


def test_widths_of_vector_loops_leave_a_cache_together():
    def bent(width):  # a byte takes ten times as long beyond a million bytes
        return Curve([(1.0, 1e-7), (1e6 / width, 1e-7 + 1e-5), (1e8 / width, 1e-7 + 1e-5 + 99e-4)])

    curves = {"add": {"u1": bent(1), "i4": bent(4)}}
    for n in (1e5, 3e5, 1e6, 4e6):
        assert curve_for(curves, "add", np.dtype("i2")).at(n) == pytest.approx(bent(2).at(n), rel=0.02)


def test_comparisons_write_bytes():
    whole, row = (3000, 500), (500,)
    # Two operands of eight bytes, one of them read from a cache, and a byte that counts one and a half times.
    assert counted("less", whole, row).share == pytest.approx(9.5 / 17.5, rel=1e-3)
    assert counted("add", whole, row).share == pytest.approx(20 / 28, rel=1e-3)


def test_an_operation_that_does_several_others_takes_their_sum():
    curves = {
        "isinf": {"f8": line(1e-9)},
        "signbit": {"f8": line(2e-9)},
        "logical_and": {"b1": line(4e-9), "f8": line(1.0)},
    }
    assert curve_for(curves, "isneginf", F8).at(4**9) == pytest.approx(7e-9 * 4**9, rel=0.02)
    del curves["signbit"]
    assert curve_for(curves, "isneginf", F8) is None


def test_recipes_name_rows_that_exist():
    assert xpu.fft.fft  # its rows load with it
    named = {name for recipe in RECIPES.values() for _, name, _ in recipe} | set(RECIPES)
    assert named <= set(OPS)


# ----------------------------------------------------------------------------- work


def test_broadcast_operands_are_counted_by_the_size_of_the_result():
    work = counted("add", (3000, 1), (1, 500))
    assert work.ops == 1_500_000
    assert work.bytes == 8 * (3000 + 500 + 1_500_000)
    assert (work.loops, work.row) == (2 * 3000, 4000)  # both are repeated
    assert counted("add", (3000, 500), (500,)).loops == 3000
    assert counted("add", (3000, 500), ()).loops == 0
    assert counted("add", (7,), (7,)) == Work("elementwise", F8, 168, 7, "add")
    assert counted("add", (7,), (8,)).ops == 8  # NumPy will say what is wrong


def test_operands_read_again_and_again_leave_a_share_of_the_traffic():
    whole = counted("add", (3000, 500), (3000, 500))
    assert (whole.share, whole.bytes) == (1.0, 3 * 12e6)
    # Two operands and the result, which counts one and a half times: from memory it is fetched before it is written.
    assert counted("add", (3000, 500)).share == 2.5 / 3.5  # with a Python number
    assert counted("add", (3000, 500), ()).share == pytest.approx(2.5 / 3.5, rel=1e-6)
    assert counted("add", (3000, 500), (500,)).share == pytest.approx(2.5 / 3.5, rel=1e-3)
    assert counted("add", (3000, 1), (500,)).share == pytest.approx(1.5 / 3.5, rel=4e-3)
    assert counted("negative", (3000, 500)).share == 1.0
    assert counted("add", (0, 500), (500,)).share == 1.0


def test_long_rows_are_read_from_a_cache_and_not_copied():
    work = counted("add", (30, 5000), (5000,))
    assert (work.loops, work.row) == (30, 0)
    assert work.share == pytest.approx(3 / 3.5, rel=2e-2)
    assert counted("add", (30, 5000), (30, 1)).share == pytest.approx(2.5 / 3.5, rel=2e-2)  # one number a row


def test_a_row_is_as_many_axes_as_are_repeated_alike():
    assert (counted("add", (9, 4, 5), (4, 5)).loops, counted("add", (9, 4, 5), (4, 5)).row) == (9, 160)
    assert counted("add", (9, 4, 5), (5,)).loops == 36
    assert counted("add", (9, 4, 1), (9, 1, 1)).loops == 9
    assert counted("add", (9, 4, 5), (1, 4, 5)).loops == 9


def test_arithmetic_does_not_shrink_with_the_traffic():
    base = shipped("generic")
    curves = {"add": {"f8": line(1e-9)}, "hypot": {"f8": line(2e-8)}}
    cpu = replace(base.cpu, curves=curves)
    for name, share in (("add", 2.5 / 3.5), ("hypot", 1.0)):
        whole, less = (cpu.seconds(counted(name, (10**6,), shape)) for shape in ((10**6,), ()))
        assert less / whole == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize(
    ("axis", "loops", "row"),
    [(None, 0, 0), (0, 40, 56), (1, 40, 56), (-1, 40, 56), ((0, 1), 0, 0), (5, 0, 0)],
)
def test_a_reduction_along_an_axis_starts_a_loop_for_each_row(axis, loops, row):
    work = counted("sum", (40, 7), axis=axis)
    assert (work.ops, work.loops, work.row) == (280, loops, row)


def test_inner_axes_that_are_reduced_together_are_one_loop():
    assert counted("sum", (4, 5, 6), axis=(1, 2)).loops == 4
    assert counted("sum", (4, 5, 6), axis=0).loops == 4
    assert counted("sum", (4, 5, 6), axis=1).loops == 20


def test_outer_products_are_counted_by_their_pairs():
    assert counted("outer", (300,), (500,)).ops == 150_000
    with xpu.config(device="cpu"), xpu.profile():
        xpu.multiply.outer(xpu.ones(30), xpu.ones(50))
    assert counted("multiply.outer", (300,), (500,)).bytes == 8 * (800 + 150_000)


@pytest.mark.parametrize(
    ("axes", "ops"), [(2, 2 * 20 * 30), (1, 2 * 20 * 30 * 30), (((1,), (0,)), 2 * 20 * 30 * 30), (0, 2 * 600 * 600)]
)
def test_contractions_are_counted_by_the_axes_that_meet(axes, ops):
    shapes = ((20, 30), (30, 30)) if axes in (1, ((1,), (0,))) else ((20, 30), (20, 30))
    assert counted("tensordot", *shapes, axes=axes).ops == ops


# ----------------------------------------------------------------------------- what rows cost


def with_loops():
    base = shipped("generic")
    curves = {"add": {"f8": line(1e-9)}, "sum": {"f8": line(1e-9)}, "max": {"f8": line(1e-9)}}
    loops = {"elementwise": Curve([(32.0, 1e-8), (4000.0, 1e-7)]), "reduction": line(0.0), "max": line(0.0, 5e-6)}
    return replace(base, cpu=replace(base.cpu, curves=curves, loops=loops))


def test_rows_cost_on_top_of_their_elements():
    cpu = with_loops().cpu
    flat = cpu.seconds(counted("add", (100, 500), (500,))._replace(loops=0.0))
    assert cpu.seconds(counted("add", (100, 500), (500,))) - flat == pytest.approx(100 * 1e-7)
    whole = cpu.seconds(counted("sum", (100, 500)))
    assert cpu.seconds(counted("sum", (100, 500), axis=1)) - whole == pytest.approx(100 * 1e-6)
    assert cpu.seconds(counted("max", (100, 500), axis=1)) - whole == pytest.approx(100 * 5e-6)  # its own


def test_the_cost_of_rows_is_kept_in_the_file():
    machine = with_loops()
    data = json.loads(json.dumps(machine.to_dict()))
    assert from_dict(data) == machine
    data["cpu"]["loops"]["max"] = [[1, -1e-6]]
    with pytest.raises(MachineFileError, match=r"cpu\.loops\.max\[0\]\.seconds"):
        from_dict(data)
