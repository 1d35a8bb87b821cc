"""Every branch of the decision, to the last digit: device, reason, seconds and leads.

The machine's links are small powers of two, so each expected number can be checked in the head:
up 1 s + bytes / 8, down 2 s + bytes / 4. Sixteen bytes go up in 3 s and down in 6, thirty-two in 5 and 10.
"""

import math

import numpy as np
import pytest

from xpu._machine import Link, Machine, Processor, Rates
from xpu._op import Work
from xpu._placement import Decision, Operand, Policy, decide, weigh

# A call of n bytes: 1 + n / 2 s on the host, 4 + n / 8 s on the accelerator.
CPU = Processor("cpu", 1024, {"elementwise": Rates(1.0, 2.0, {"f8": math.inf})})
CARD = Processor("card", 1024, {"elementwise": Rates(4.0, 8.0, {"f8": math.inf})})
MACHINE = Machine("small", "", CPU, CARD, Link(1.0, 8.0, math.inf), Link(2.0, 4.0, math.inf))

AT_HOME = "faster on the host, and its operands are there"
AT_ACCELERATOR = "faster there, and its operands are there"
PAYS_UP, PAYS_DOWN = "faster there, the transfer included", "faster on the host, the transfer included"
PAID = "its account has paid for the transfer"
WAITS_UP = "its operands are on the host, and the transfer does not pay yet"
WAITS_DOWN = "its operands are on the accelerator, and the transfer does not pay yet"
BOTH_UP = "its operands are on both sides; less to wait for on the accelerator"
BOTH_DOWN = "its operands are on both sides; less to wait for on the host"
WANTED_HERE = "the last result of such a call was needed on the host"
WANTED_THERE = "the last result of such a call was needed on the accelerator"


def work(nbytes):
    return Work("elementwise", np.dtype("f8"), float(nbytes), 0.0)


def host(nbytes, lead=0.0, pinned=None):
    return Operand(nbytes, True, False, lead, pinned)


def card(nbytes, lead=0.0, pinned=None):
    return Operand(nbytes, False, True, lead, pinned)


def both(nbytes, lead=0.0, pinned=None):
    return Operand(nbytes, True, True, lead, pinned)


def unborn(nbytes, lead=0.0):
    return Operand(nbytes, False, False, lead)


def chosen(cpu_seconds, accelerator_seconds, operands, policy=Policy()):  # noqa: B008 - a tuple
    """Weigh, check that the run times are passed on, and return the rest."""
    d = weigh(cpu_seconds, accelerator_seconds, operands, MACHINE, policy)
    assert (d.cpu_seconds, d.accelerator_seconds) == (cpu_seconds, accelerator_seconds)
    assert d.pieces is None
    return d.device, d.reason, d.transfer_seconds, d.leads


@pytest.mark.parametrize(
    ("cpu", "accelerator", "operand", "device", "reason", "lead"),
    [
        # Sixteen bytes on the host: 3 s to go up, a lead between -6 and 3.
        (10.0, 6.0, host(16), "accelerator", PAYS_UP, 3.0),
        (9.0, 6.0, host(16), "accelerator", PAID, 3.0),
        (8.0, 6.0, host(16), "cpu", WAITS_UP, 2.0),
        (8.0, 6.0, host(16, 0.5), "cpu", WAITS_UP, 2.5),
        (8.0, 6.0, host(16, 1.0), "accelerator", PAID, 3.0),
        (6.0, 6.0, host(16), "cpu", AT_HOME, 0.0),
        (6.0, 6.0, host(16, 5.0), "cpu", AT_HOME, 3.0),  # paid for, but it would gain nothing
        (5.0, 6.0, host(16, -2.0), "cpu", AT_HOME, -3.0),
        (1.0, 10.0, host(16, -2.0), "cpu", AT_HOME, -6.0),
        # Sixteen bytes on the accelerator: 6 s to come down.
        (3.0, 10.0, card(16), "cpu", PAYS_DOWN, -6.0),
        (4.0, 10.0, card(16), "cpu", PAID, -6.0),
        (5.0, 10.0, card(16), "accelerator", WAITS_DOWN, -5.0),
        (5.0, 10.0, card(16, -0.5), "accelerator", WAITS_DOWN, -5.5),
        (5.0, 10.0, card(16, -1.0), "cpu", PAID, -6.0),
        (10.0, 10.0, card(16), "accelerator", AT_ACCELERATOR, 0.0),
        (10.0, 10.0, card(16, -20.0), "accelerator", AT_ACCELERATOR, -6.0),
        (11.0, 10.0, card(16, 1.0), "accelerator", AT_ACCELERATOR, 2.0),
        (20.0, 10.0, card(16), "accelerator", AT_ACCELERATOR, 3.0),
        # What is on both, or nowhere yet, or moves with another, costs nothing and keeps its account.
        (5.0, 4.0, both(16, 0.5), "accelerator", AT_ACCELERATOR, 0.5),
        (4.0, 4.0, both(16, 0.5), "cpu", AT_HOME, 0.5),
        (5.0, 4.0, unborn(16, 0.5), "accelerator", AT_ACCELERATOR, 0.5),
        (5.0, 4.0, host(0, 9.0), "accelerator", AT_ACCELERATOR, 9.0),
        (4.0, 5.0, card(0, 9.0), "cpu", AT_HOME, 9.0),
        # One byte is as good as none, save that it has to be asked for.
        (10.0, 9.0, host(1), "cpu", WAITS_UP, 1.0),
    ],
)
def test_one_operand(cpu, accelerator, operand, device, reason, lead):
    up = 1.0 + operand.nbytes / 8 if operand.on_host and not operand.on_accelerator and operand.nbytes else 0.0
    down = 2.0 + operand.nbytes / 4 if operand.on_accelerator and not operand.on_host and operand.nbytes else 0.0
    assert chosen(cpu, accelerator, [operand]) == (device, reason, (down, up), (lead,))


def test_no_operand():
    assert chosen(5.0, 4.0, []) == ("accelerator", AT_ACCELERATOR, (0.0, 0.0), ())
    assert chosen(4.0, 4.0, []) == ("cpu", AT_HOME, (0.0, 0.0), ())


def test_operands_of_one_side_share_the_gain_by_bytes():
    assert chosen(9.0, 6.0, [host(16), host(32)]) == ("cpu", WAITS_UP, (0.0, 8.0), (1.0, 2.0))
    assert chosen(9.0, 6.0, [host(16, 2.0), host(32, 3.0)]) == ("accelerator", PAID, (0.0, 8.0), (3.0, 5.0))
    assert chosen(6.0, 9.0, [card(16), card(32)]) == ("accelerator", WAITS_DOWN, (16.0, 0.0), (-1.0, -2.0))
    assert chosen(6.0, 9.0, [card(16, -5.0), card(32, -8.0)]) == ("cpu", PAID, (16.0, 0.0), (-6.0, -10.0))


def test_operands_that_do_not_move_take_no_part():
    others = [both(64, 0.5), unborn(64, 0.25), host(0, 0.125)]
    assert chosen(8.0, 6.0, [*others, host(16)]) == ("cpu", WAITS_UP, (0.0, 3.0), (0.5, 0.25, 0.125, 2.0))
    assert chosen(5.0, 10.0, [card(16), *others]) == (
        "accelerator", WAITS_DOWN, (6.0, 0.0), (-5.0, 0.5, 0.25, 0.125),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cpu", "accelerator", "operands", "device", "reason", "leads"),
    [
        # 3 s up against 10 s down: on the accelerator unless that takes 7 s longer.
        (1.0, 8.0, [host(16), card(32)], "cpu", BOTH_DOWN, (3.0, -10.0)),
        (1.0, 7.5, [host(16), card(32)], "accelerator", BOTH_UP, (3.0, -9.5)),
        (1.0, 12.0, [host(16), card(32)], "cpu", BOTH_DOWN, (-1.0, -10.0)),
        (5.0, 1.0, [host(16), card(32)], "accelerator", BOTH_UP, (3.0, 1.0)),
        # What earlier calls have paid counts: 6 s down and 1 s up are left.
        (1.0, 6.0, [host(16, 2.0), card(32, -4.0)], "cpu", BOTH_DOWN, (3.0, -10.0)),
        (1.0, 5.5, [host(16, 2.0), card(32, -4.0)], "accelerator", BOTH_UP, (3.0, -10.0)),
        # The other way round it weighs on the other side: 14 s down and 5 s up.
        (1.0, 10.0, [host(16, -2.0), card(32, 4.0)], "cpu", BOTH_DOWN, (-1.0, -8.0)),
        (1.0, 9.5, [host(16, -2.0), card(32, 4.0)], "accelerator", BOTH_UP, (-0.5, -7.5)),
    ],
)
def test_operands_on_both_sides(cpu, accelerator, operands, device, reason, leads):
    assert chosen(cpu, accelerator, operands) == (device, reason, (10.0, 3.0), leads)


def test_two_operands_on_either_side():
    operands = [host(16), host(32), card(16), card(32)]  # 8 s up, 16 s down, 48 bytes on each side
    assert chosen(1.0, 14.0, operands) == ("cpu", BOTH_DOWN, (16.0, 8.0), (1.0, 2.0, -6.0, -10.0))
    assert chosen(15.0, 1.0, operands) == ("accelerator", BOTH_UP, (16.0, 8.0), (3.0, 5.0, 2.0, 4.0))
    operands = [host(16, 1.0), host(32, 1.0), card(16, -2.0), card(32, -3.0)]  # 6 s up and 11 s down are left
    assert chosen(1.0, 6.0, operands)[:2] == ("cpu", BOTH_DOWN)
    assert chosen(1.0, 5.5, operands)[:2] == ("accelerator", BOTH_UP)


def test_an_account_that_has_nearly_paid_has_not_paid():
    """Links as fast as real ones: what is owed is compared with the transfer, not with a number of seconds."""
    up, down = Link(1e-6, 8e6, math.inf), Link(2e-6, 4e6, math.inf)
    fast = Machine("fast", "", CPU, CARD, up, down)
    assert weigh(8.9e-6, 6e-6, [host(16)], fast, Policy()).reason == WAITS_UP
    assert weigh(9.0e-6, 6e-6, [host(16)], fast, Policy()).reason == PAID
    assert weigh(5.0e-6, 10e-6, [card(16, -0.9e-6)], fast, Policy()).reason == WAITS_DOWN
    assert weigh(5.0e-6, 10e-6, [card(16, -1.1e-6)], fast, Policy()).reason == PAID


# ----------------------------------------------------------------------------- settings and pins


def test_a_setting_decides_and_keeps_the_accounts():
    operands = [host(16, 1.0), card(16, -1.0)]
    for device in ("cpu", "accelerator"):
        policy = Policy(forced=device, why="because", ahead=50.0)
        assert chosen(1.0, 90.0, operands, policy) == (device, "because", (6.0, 3.0), (1.0, -1.0))
    assert chosen(9.0, 1.0, [], Policy(forced="cpu"))[:2] == ("cpu", "forced by config(device=...)")


def test_a_pin_decides_and_a_setting_decides_over_it():
    pinned = [card(16, 0.5, "cpu"), host(16, 0.25)]
    assert chosen(90.0, 1.0, pinned) == ("cpu", "an operand is pinned there", (6.0, 3.0), (0.5, 0.25))
    assert chosen(90.0, 1.0, pinned[::-1])[:2] == ("cpu", "an operand is pinned there")
    assert chosen(1.0, 90.0, [host(16, pinned="accelerator")] * 2)[0] == "accelerator"
    assert chosen(1.0, 90.0, [both(16, pinned="accelerator")])[:2] == ("accelerator", "an operand is pinned there")
    forced = Policy(forced="accelerator", why="because")
    assert chosen(1.0, 90.0, pinned, forced)[:2] == ("accelerator", "because")


def test_pins_that_contradict_each_other_leave_it_to_the_arithmetic():
    pinned = [host(16, pinned="cpu"), both(16, pinned="accelerator")]
    assert chosen(10.0, 6.0, pinned) == ("accelerator", PAYS_UP, (0.0, 3.0), (3.0, 0.0))
    assert chosen(8.0, 6.0, pinned) == ("cpu", WAITS_UP, (0.0, 3.0), (2.0, 0.0))


# ----------------------------------------------------------------------------- what is expected


def test_a_warm_up_is_part_of_the_price_and_of_no_account():
    assert chosen(10.0, 6.0, [host(16)], Policy(warmup=0.5))[:2] == ("accelerator", PAYS_UP)
    assert chosen(10.0, 6.0, [host(16)], Policy(warmup=1.0)) == ("accelerator", PAID, (0.0, 3.0), (3.0,))
    assert chosen(10.0, 6.0, [host(16)], Policy(warmup=4.0)) == ("cpu", AT_HOME, (0.0, 3.0), (3.0,))
    assert chosen(5.0, 4.0, [both(16)], Policy(warmup=1.0))[:2] == ("cpu", AT_HOME)


@pytest.mark.parametrize(
    ("cpu", "accelerator", "policy", "device", "reason"),
    [
        (4.0, 5.0, Policy(ahead=0.5), "cpu", AT_HOME),
        (4.0, 5.0, Policy(ahead=1.0), "cpu", AT_HOME),
        (4.0, 5.0, Policy(ahead=1.5), "accelerator", WANTED_THERE),
        (4.0, 5.0, Policy(ahead=1.5, warmup=0.5), "cpu", AT_HOME),
        (4.0, 5.0, Policy(ahead=-9.0), "cpu", AT_HOME),
        (6.0, 5.0, Policy(ahead=-0.5), "accelerator", AT_ACCELERATOR),
        (6.0, 5.0, Policy(ahead=-1.0), "cpu", WANTED_HERE),
        (6.0, 5.0, Policy(ahead=9.0), "accelerator", AT_ACCELERATOR),
    ],
)
def test_what_the_last_result_gained_is_added_to_the_other_device(cpu, accelerator, policy, device, reason):
    assert chosen(cpu, accelerator, [both(16)], policy)[:2] == (device, reason)


def test_an_expectation_is_weighed_with_the_transfers():
    assert chosen(8.0, 6.0, [host(16)], Policy(ahead=1.0))[:2] == ("cpu", WAITS_UP)
    assert chosen(8.0, 6.0, [host(16)], Policy(ahead=1.5))[:2] == ("accelerator", WANTED_THERE)
    assert chosen(5.0, 10.0, [card(16)], Policy(ahead=-1.0))[:2] == ("accelerator", WAITS_DOWN)
    assert chosen(5.0, 10.0, [card(16)], Policy(ahead=-1.5))[:2] == ("cpu", WANTED_HERE)


# ----------------------------------------------------------------------------- decide


def test_decide_prices_the_work_on_each_device():
    assert decide(work(24), [host(16)], MACHINE, Policy()) == Decision(
        "accelerator", PAYS_UP, 13.0, 7.0, (0.0, 3.0), (3.0,)
    )
    assert decide(work(16), [host(16)], MACHINE, Policy()) == Decision(
        "accelerator", PAID, 9.0, 6.0, (0.0, 3.0), (3.0,)
    )
    assert decide(work(8), [card(16)], MACHINE, Policy()) == Decision(
        "accelerator", AT_ACCELERATOR, 5.0, 5.0, (6.0, 0.0), (0.0,)
    )


def test_decide_without_an_accelerator():
    d = decide(work(16), [host(16, 1.0)], MACHINE.without_accelerator(), Policy(forced="accelerator", gap="no"))
    assert d[:3] == ("cpu", "no accelerator", 9.0)
    assert math.isnan(d.accelerator_seconds)
    assert (d.transfer_seconds, d.leads, d.pieces, d.seconds) == ((0.0, 0.0), (), None, 9.0)


def test_a_gap_is_decided_by_the_host_and_told_to_the_accounts():
    operands = [both(16), unborn(16), card(16, 1.0), card(32, -3.0), host(16, 1.0), host(32), card(0, 0.5)]
    d = decide(work(16), operands, MACHINE, Policy(forced="accelerator", gap="no such function", ahead=90.0))
    assert d[:3] == ("cpu", "no such function", 9.0)
    assert math.isnan(d.accelerator_seconds)
    assert d.transfer_seconds == (16.0, 8.0)
    assert d.leads == (-6.0, -6.0, -5.0, -10.0, -5.0, -10.0, 0.5)
    assert d.seconds == 25.0


def test_the_seconds_of_a_decision_include_the_transfers_before_it():
    assert Decision("cpu", "", 1.0, 2.0, (4.0, 8.0)).seconds == 5.0
    assert Decision("accelerator", "", 1.0, 2.0, (4.0, 8.0)).seconds == 10.0
