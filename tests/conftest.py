"""Fixtures: the devices every test can have, and profiles that never touch a user's cache."""

import os

import pytest
from hypothesis import HealthCheck, settings

import xpu
from xpu._accounts import memory

pytest.register_assert_rewrite("fault_cases")

settings.register_profile(
    "ci",
    max_examples=int(os.environ.get("XPU_EXAMPLES", "25")),
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _no_expectations():
    """Every test starts without what placement learned of calls in another."""
    memory.forget()


POLICIES = ("cpu", "pretend", "auto")


@pytest.fixture(params=POLICIES)
def policy(request):
    """Run the test under each placement policy; `auto` chooses between the CPU and the pretend GPU."""
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param
