"""Learning where a whole call belongs: cold calls teach nothing, and trying has a bounded price."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu._choice import Choice
from xpu._placement import ACCELERATOR, HOST


def run(choice, times, calls, cold=0.0):
    """Play calls as `offload` chooses them; return the devices."""
    devices = []
    for _ in range(calls):
        best = min((HOST, ACCELERATOR), key=choice.seconds)
        other = ACCELERATOR if best == HOST else HOST
        device = other if choice.calls[best] and choice.worth_trying(other) else best
        first = device == ACCELERATOR and not choice.calls[device]
        choice.saw(device, times[device] + (cold if first else 0.0))
        devices.append(device)
    return devices


def test_a_cold_call_on_the_accelerator_is_not_counted():
    choice = Choice({HOST: 2.0, ACCELERATOR: 1.0})
    choice.saw(ACCELERATOR, 50.0)
    assert choice.observed == {}
    assert choice.seconds(ACCELERATOR) == 1.0
    choice.saw(ACCELERATOR, 1.2)
    assert choice.observed == {ACCELERATOR: 1.2}


def test_the_first_call_on_the_host_is_counted():
    choice = Choice({HOST: 2.0, ACCELERATOR: 3.0})
    choice.saw(HOST, 2.5)
    assert choice.observed == {HOST: 2.5}


def test_a_better_device_is_found_although_the_model_does_not_say_so():
    times = {HOST: 1.0, ACCELERATOR: 0.2}
    choice = Choice({HOST: 1.0, ACCELERATOR: 1.5})  # the model is wrong, plausibly
    devices = run(choice, times, 60)
    assert devices[:10] == [HOST] * 10
    assert devices[-5:] == [ACCELERATOR] * 5


def test_what_the_model_rules_out_is_not_tried():
    choice = Choice({HOST: 1.0, ACCELERATOR: 5.0})
    assert ACCELERATOR not in run(choice, {HOST: 1.0, ACCELERATOR: 0.1}, 200)
    choice = Choice({HOST: 1.0, ACCELERATOR: math.inf})
    assert ACCELERATOR not in run(choice, {HOST: 1.0, ACCELERATOR: 0.1}, 200)


@given(
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0, 20),
)
def test_the_price_of_trying_is_bounded(host, device, said_host, said_device, cold):
    """Whatever the times: once each device is known, only the better one is used."""
    times = {HOST: host, ACCELERATOR: device}
    choice = Choice({HOST: said_host, ACCELERATOR: said_device})
    devices = run(choice, times, 400, cold)
    if len(choice.observed) == 2:
        assert len(set(devices[-50:])) == 1 or host == pytest.approx(device, rel=0.01)
        assert times[devices[-1]] == pytest.approx(min(host, device), rel=0.01)
    trials = [i for i, d in enumerate(devices) if d != devices[-1]]
    if devices[0] == HOST == devices[-1] and trials:
        # Before each trial its expected extra, on top of what trying had cost, was within 5% of the time spent.
        allowed = 0.05 * host * trials[0]
        assert 2 * max(0.0, said_device - host) <= allowed + 1e-9
