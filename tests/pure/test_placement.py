"""The decision as arithmetic: no array, no library."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu._accounts import Memory, born, pay_read, settle
from xpu._curve import Curve
from xpu._machine import from_dict, load, profile_names, shipped
from xpu._op import Work
from xpu._placement import Operand, Policy, decide, weigh
from xpu.errors import MachineFileError

H200 = shipped("h200")
F8 = np.dtype("f8")


def elementwise(n):
    return Work("elementwise", F8, 24.0 * n, float(n))


def host(nbytes, lead=0.0):
    return Operand(nbytes, True, False, lead)


def device(nbytes, lead=0.0):
    return Operand(nbytes, False, True, lead)


def test_small_work_stays_on_the_host():
    d = decide(elementwise(10), [host(80)], H200, Policy())
    assert (d.device, d.reason) == ("cpu", "faster on the host, and its operands are there")


def test_one_elementwise_call_does_not_repay_a_slow_link():
    d = decide(elementwise(10**7), [host(8 * 10**7)] * 2, shipped("rtx2060-laptop"), Policy())
    assert (d.device, d.reason) == (
        "cpu",
        "its operands are on the host, and the transfer does not pay yet",
    )


def test_a_large_product_repays_it():
    work = Work("matmul", F8, 3 * 8e8, 2e12)
    d = decide(work, [host(8 * 10**8)] * 2, H200, Policy())
    assert (d.device, d.reason) == ("accelerator", "faster there, the transfer included")


def test_large_resident_operands_keep_it_there():
    d = decide(elementwise(10**7), [device(8 * 10**7)] * 2, H200, Policy())
    assert (d.device, d.reason) == ("accelerator", "faster there, and its operands are there")


def test_a_chain_of_calls_earns_the_move():
    lead, calls = 0.0, 0
    while True:
        d = decide(elementwise(10**7), [host(16 * 10**7, lead)], shipped("rtx2060-laptop"), Policy())
        (lead,) = d.leads
        calls += 1
        if d.device == "accelerator":
            break
        assert calls < 10
    assert (calls, d.reason) == (2, "its account has paid for the transfer")


def test_gap_beats_force_and_force_beats_arithmetic():
    assert decide(elementwise(10), [host(80)], H200, Policy(forced="accelerator")).device == "accelerator"
    d = decide(elementwise(10), [device(80)], H200, Policy(forced="accelerator", gap="no such function"))
    assert (d.device, d.reason) == ("cpu", "no such function")


def test_no_accelerator():
    d = decide(elementwise(10), [host(80)], shipped("generic"), Policy())
    assert (d.device, d.reason) == ("cpu", "no accelerator")


@given(st.lists(st.tuples(st.floats(1e-7, 1e-2), st.floats(1e-7, 1e-2)), min_size=1, max_size=60))
def test_break_even_migration_is_3_competitive(costs):
    """One Block, any sequence of calls: at most 3 times the best placement in hindsight, plus one transfer.

    The offline optimum is exact: dynamic programming over the two places.
    """
    nbytes = 10**7
    up, down = H200.to_device.seconds(nbytes), H200.to_host.seconds(nbytes)
    flat = H200.accelerator.classes["elementwise"]
    best_host, best_device = 0.0, up
    on_host, lead, online = True, 0.0, 0.0
    for on_cpu, on_gpu in costs:
        work_machine = _machine_with(on_cpu, on_gpu)
        d = decide(_WORK, [Operand(nbytes, on_host, not on_host, lead)], work_machine, Policy())
        (lead,) = d.leads
        online += d.seconds
        on_host = d.device == "cpu"
        best_host, best_device = (
            min(best_host, best_device + down) + on_cpu,
            min(best_device, best_host + up) + on_gpu,
        )
    assert flat.latency > 0
    assert online <= 3 * min(best_host, best_device) + (up + down) * 1.01


PRICES = st.floats(1e-7, 1e-2)


def run_online(costs, nbytes, machine, on_host=True):
    """Play a sequence of calls on one Block; what xpu pays, and how often it moves."""
    lead, paid, moves = 0.0, 0.0, 0
    for on_cpu, on_gpu in costs:
        d = decide(
            _WORK, [Operand(nbytes, on_host, not on_host, lead)], _machine_with(on_cpu, on_gpu, machine), Policy()
        )
        (lead,) = d.leads
        paid += d.seconds
        moves += on_host != (d.device == "cpu")
        on_host = d.device == "cpu"
    return paid, moves


def best_offline(costs, nbytes, machine, on_host=True):
    """The best placement in hindsight, by dynamic programming over the two places."""
    up, down = machine.to_device.seconds(nbytes), machine.to_host.seconds(nbytes)
    here, there = (0.0, up) if on_host else (down, 0.0)
    for on_cpu, on_gpu in costs:
        here, there = min(here, there + down) + on_cpu, min(there, here + up) + on_gpu
    return min(here, there)


@given(
    st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=200),
    st.sampled_from(["h200", "rtx2060-laptop", "gh200"]),
    st.integers(10**3, 10**8),
    st.booleans(),
)
def test_three_times_the_best_on_any_link_from_either_side(costs, name, nbytes, on_host):
    machine = shipped(name)
    paid, _ = run_online(costs, nbytes, machine, on_host)
    both_ways = machine.to_device.seconds(nbytes) + machine.to_host.seconds(nbytes)
    assert paid <= 3 * best_offline(costs, nbytes, machine, on_host) + 1.01 * both_ways


@given(st.lists(st.floats(0.05, 0.95), min_size=1, max_size=60), st.integers(10**6, 10**8))
def test_three_times_the_best_against_an_adversary(shares, nbytes):
    """Whoever waits for the Block to move and then changes sides wins least against this rule."""
    machine = shipped("rtx2060-laptop")
    up, down = machine.to_device.seconds(nbytes), machine.to_host.seconds(nbytes)
    on_host, lead, paid, costs = True, 0.0, 0.0, []
    for share in shares:
        cost = (share * up, 1e-9) if on_host else (1e-9, share * down)
        d = decide(_WORK, [Operand(nbytes, on_host, not on_host, lead)], _machine_with(*cost, machine), Policy())
        (lead,) = d.leads
        paid, on_host = paid + d.seconds, d.device == "cpu"
        costs.append(cost)
    assert paid <= 3 * best_offline(costs, nbytes, machine) + 1.01 * (up + down)


@given(st.lists(st.integers(20, 80), min_size=2, max_size=5), st.booleans())
def test_an_old_lead_does_not_outweigh_a_new_phase(lengths, on_host):
    """Long phases that favour one place, then the other: what the clamp is for."""
    costs = [(1e-9, 1e-3) if (i % 2 == 0) == on_host else (1e-3, 1e-9) for i, n in enumerate(lengths) for _ in range(n)]
    nbytes, machine = 10**7, shipped("rtx2060-laptop")
    paid, moves = run_online(costs, nbytes, machine, on_host)
    both_ways = machine.to_device.seconds(nbytes) + machine.to_host.seconds(nbytes)
    assert paid <= 3 * best_offline(costs, nbytes, machine, on_host) + 1.01 * both_ways
    assert moves == len(lengths) - 1


@given(
    st.lists(st.tuples(PRICES, st.floats(0.0, 1.0)), min_size=1, max_size=100),
    st.integers(10**5, 10**8),
    st.booleans(),
)
def test_twice_the_best_where_one_move_suffices(costs, nbytes, on_host):
    """Ski rental: one place is never slower, so nobody ever moves back."""
    costs = [(slow, slow * part) if on_host else (slow * part, slow) for slow, part in costs]
    machine = shipped("rtx2060-laptop")
    paid, moves = run_online(costs, nbytes, machine, on_host)
    assert paid <= 2 * best_offline(costs, nbytes, machine, on_host) * (1 + 1e-9)
    assert moves <= 1


def test_a_second_operand_that_keeps_coming_down_draws_the_first_up():
    """``v = b / (K @ u)``: b on the host, the product on the accelerator, both small, and that in a loop."""
    small = Work("elementwise", F8, 21600.0, 900.0)
    lead, devices = 0.0, []
    for _ in range(3):
        d = decide(small, [host(7200, lead), device(7200)], H200, Policy())
        lead = d.leads[0]
        devices.append(d.device)
    assert devices == ["cpu", "accelerator", "accelerator"]
    assert lead > 0


def test_a_block_moves_once_for_a_call():
    d = decide(elementwise(10**6), [host(8 * 10**6), Operand(0, True, False)], H200, Policy())
    assert d.transfer_seconds == (0.0, H200.to_device.seconds(8 * 10**6))
    assert d.leads[1] == 0.0


def test_what_the_last_result_of_such_a_call_gained_is_part_of_the_price():
    cheap = Work("copy", F8, 32768.0, 16384.0)
    both = [Operand(16384, True, True)]
    alone, wanted = (decide(cheap, both, H200, Policy(ahead=ahead)) for ahead in (0.0, 11e-6))
    assert (alone.device, wanted.device) == ("cpu", "accelerator")
    assert wanted.reason == "the last result of such a call was needed on the accelerator"
    assert decide(cheap, both, H200, Policy(ahead=1.0, gap="no such function")).device == "cpu"
    back = decide(elementwise(10**5), [Operand(8 * 10**5, True, True)], H200, Policy(ahead=-1.0))
    assert (back.device, back.reason) == ("cpu", "the last result of such a call was needed on the host")


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.booleans(), st.floats(-1, 1)), min_size=1, max_size=4),
    st.floats(-1e-2, 1e-2),
)
def test_what_does_not_fit_into_one_account_goes_to_the_others(drawn, gain):
    machine = shipped("rtx4060-laptop")
    operands = []
    for nbytes, on_host, share in drawn:
        most, least = machine.to_device.seconds(nbytes), machine.to_host.seconds(nbytes)
        operands.append((host if on_host else device)(nbytes, share * (most if share > 0 else least)))
    found = weigh(1.0 + gain, 1.0, operands, machine, Policy())
    down, up = found.transfer_seconds
    for on_host, credit in ((True, gain + down), (False, gain - up)):
        mine = [(o, lead) for o, lead in zip(operands, found.leads, strict=True) if o.on_host is on_host]
        room = 0.0
        for o, lead in mine:
            most, least = machine.to_device.seconds(o.nbytes), -machine.to_host.seconds(o.nbytes)
            assert least * (1 + 1e-9) <= lead <= most * (1 + 1e-9)
            room += (most if credit > 0 else least) - o.lead
        if mine:
            expected = min(credit, room) if credit > 0 else max(credit, room)
            assert sum(lead - o.lead for o, lead in mine) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_a_matrix_answers_for_what_the_products_it_keeps_on_the_accelerator_lose():
    machine, matrix = shipped("rtx4060-laptop"), device(180_000)
    wanted = Policy(ahead=-1e-5)  # the last product was needed on the host
    lead, calls = machine.to_device.seconds(matrix.nbytes), 0
    while lead > -machine.to_host.seconds(matrix.nbytes):
        found = weigh(21e-6, 18e-6, [matrix._replace(lead=lead)], machine, wanted)
        assert found.leads[0] < lead
        lead, calls = found.leads[0], calls + 1
    assert 5 < calls < 40
    assert weigh(21e-6, 18e-6, [matrix._replace(lead=lead)], machine, wanted).device == "cpu"
    # Without such a loss it stays: the product is faster where the matrix is.
    assert weigh(21e-6, 18e-6, [matrix], machine, Policy()).leads[0] > 0
    # What is on the host already answers for nothing.
    above = weigh(21e-6, 18e-6, [host(180_000)], machine, wanted).leads
    assert above == weigh(21e-6, 18e-6, [host(180_000)], machine, Policy()).leads


def test_a_call_that_only_the_host_can_run_counts_against_the_accelerator():
    d = decide(elementwise(10**6), [device(8 * 10**6)], H200, Policy(gap="no such function"))
    assert d.leads == (-H200.to_host.seconds(8 * 10**6),)


def test_kinds_expect_what_the_last_result_had():
    memory = Memory()
    work = elementwise(10**6)._replace(op="add")
    parent, first, second = (Store(8 * 10**6) for _ in range(3))
    parent.lead = 3e-3
    kind = memory.kind(work, [parent])
    born(kind, [first], [parent])
    assert (first.lead, first.kind, kind.ahead) == (3e-3, kind, 0.0)
    settle(first, 5e-3)
    pay_read(first, 1e-3)
    born(memory.kind(work, [parent]), [second], [parent])
    assert (kind.ahead, second.lead) == (pytest.approx(4e-3), 0.0)
    assert memory.kind(work, [second]) is not kind
    memory.forget()
    assert memory.kind(work, [parent]) is not kind


class Store:
    """What has an account."""

    def __init__(self, nbytes):
        self.nbytes, self.lead, self.kind = nbytes, 0.0, None


_WORK = Work("elementwise", F8, 0.0, 0.0)


def _machine_with(cpu_seconds, gpu_seconds, machine=H200):
    """A machine with the run times of one call given."""
    data = machine.to_dict()
    data["cpu"]["classes"]["elementwise"]["latency"] = cpu_seconds
    data["accelerator"]["classes"]["elementwise"]["latency"] = gpu_seconds
    return from_dict(data)


def test_shipped_profiles_load_and_round_trip(tmp_path):
    assert {"generic", "h200", "rtx4090", "rtx4060-laptop", "gh200"} <= set(profile_names())
    for name in profile_names():
        machine = shipped(name)
        assert machine.sources
        machine.save(tmp_path / "m.json")
        assert load(tmp_path / "m.json") == machine


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d["links"]["to_host"].update(bandwidth=-1.0), "links.to_host.bandwidth"),
        (lambda d: d["cpu"]["classes"].pop("sort"), "cpu.classes.sort"),
        (lambda d: d.update(schema=99), "schema"),
        (
            lambda d: d["accelerator"]["classes"]["fft"]["rate"].update(f8=float("nan")),
            "accelerator.classes.fft.rate.f8",
        ),
        (lambda d: d["cpu"].update(memory="much"), "cpu.memory"),
    ],
)
def test_absurd_fields_are_refused_by_name(change, field):
    data = H200.to_dict()
    change(data)
    with pytest.raises(MachineFileError, match=field.replace(".", r"\.")):
        from_dict(data)


def test_a_file_that_is_not_json(tmp_path):
    path = tmp_path / "m.json"
    path.write_text("{")
    with pytest.raises(MachineFileError, match="is not JSON"):
        load(path)


def test_unknown_profile_lists_those_there_are():
    with pytest.raises(MachineFileError, match=r"no machine profile 'h20'.*h200.*Did you mean"):
        shipped("h20")


# ----------------------------------------------------------------------------- curves


def test_a_curve_decides_where_there_is_one():
    curve = Curve([(1.0, 1e-6), (1e6, 1e-3), (1e7, 5e-2)])
    cpu = replace(H200.cpu, curves={"add": {"f8": curve}}, corrections={}, _found={})
    assert cpu.seconds(Work("elementwise", F8, 0.0, 5e5, "add")) == pytest.approx(5.005e-4, rel=1e-3)
    assert cpu.seconds(Work("elementwise", F8, 0.0, 2e7, "add")) == pytest.approx(5e-2 + 1e7 * 4.9e-2 / 9e6)
    assert cpu.launch(Work("elementwise", F8, 0.0, 5e5, "add")) == 1e-6
    other = Work("elementwise", F8, 24e5, 1e5, "multiply")
    assert cpu.seconds(other) == H200.cpu.seconds(other)


def test_a_dtype_without_a_curve_borrows_the_nearest():
    flat = Curve([(1.0, 1e-6), (1e6, 1e-6 + 1e-4)])  # 0.1 ns an element: vectorised
    cpu = replace(H200.cpu, curves={"add": {"f8": flat, "i8": flat.scaled(1.0, 2.0)}}, corrections={}, _found={})
    n = 5e5
    assert cpu.seconds(Work("elementwise", np.dtype("f4"), 0, n, "add")) == pytest.approx(flat.at(n / 2), rel=1e-3)
    assert cpu.seconds(Work("elementwise", np.dtype("u8"), 0, n, "add")) == pytest.approx(2 * flat.at(n), rel=1e-3)
    assert cpu.curve(Work("elementwise", np.dtype("c16"), 0, n, "add")) is None
    slow = Curve([(1.0, 1e-6), (1e6, 5e-3)])  # 5 ns an element: width does not matter
    cpu = replace(H200.cpu, curves={"floor_divide": {"i8": slow}}, corrections={}, _found={})
    work = Work("elementwise", np.dtype("i2"), 0, 8 * n, "floor_divide")
    assert cpu.seconds(work) == pytest.approx(slow.at(8 * n), rel=1e-3)


def test_an_integer_is_priced_in_the_loop_it_runs_in():
    float_ = Curve([(1.0, 1e-6), (2e7, 2e-3)])
    cast = Curve([(1.0, 1e-6), (32768.0, 1e-6 + 32768e-9)])  # 1 ns an element
    curves = {"sin": {"f8": float_}, "astype": {"i4": cast}}
    cpu = replace(H200.cpu, curves=curves, corrections={}, _found={})
    elements, weight = 1e5, 20
    found = cpu.seconds(Work("elementwise", np.dtype("i4"), 0, elements * weight, "sin"))
    assert found == pytest.approx(float_.at(elements * weight) + elements * 1e-9, rel=1e-2)


def test_memory_traffic_is_a_floor():
    streams = {"matmul": Curve([(1.0, 1e-6), (1e9, 1.0)])}
    curves = {"matmul": {"f8": Curve([(1.0, 1e-6), (1e9, 1e-2)])}}
    cpu = replace(H200.cpu, curves=curves, streams=streams, corrections={}, _found={})
    assert cpu.seconds(Work("matmul", F8, 1e8, 1e6, "matmul")) == pytest.approx(0.1, rel=0.01)


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.sampled_from(["f2", "f4", "f8", "c16", "i4", "b1"]))
def test_predictions_are_finite_and_positive(nbytes, ops, code):
    for name in profile_names():
        machine = shipped(name)
        seconds = machine.cpu.seconds(Work("reduction", np.dtype(code), nbytes, ops, "sum"))
        assert 0 < seconds < float("inf")


def test_a_cold_call_is_charged_only_where_it_decides():
    work = Work("matmul", F8, 3 * 8e8, 2e12)
    operands = [host(8 * 10**8)] * 2
    warm = decide(work, operands, H200, Policy())
    cold = decide(work, operands, H200, Policy(warmup=1e6))
    assert (warm.device, cold.device) == ("accelerator", "cpu")
    assert cold.accelerator_seconds == warm.accelerator_seconds  # predicted times are those of warm calls
