"""The decision as arithmetic: no array, no library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu._machine import from_dict, load, profile_names, shipped
from xpu._op import Work
from xpu._placement import Operand, Policy, decide
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


_WORK = Work("elementwise", F8, 0.0, 0.0)


def _machine_with(cpu_seconds, gpu_seconds):
    """The H200 machine with the run times of one call given."""
    data = H200.to_dict()
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
