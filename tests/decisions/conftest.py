"""A pretend card for automatic placement to choose from, on machines that have none."""

import pytest

import xpu
from xpu import _backends, _dispatch, _resident, _short
from xpu._backends._pretend import PretendBackend
from xpu._device import parse
from xpu._machine import shipped


@pytest.fixture
def beside(monkeypatch):
    """Put a pretend card of a shipped profile beside the host, under automatic placement."""

    def put(profile="h200"):
        card = PretendBackend(parse("pretend"), shipped(profile))
        monkeypatch.setattr(_backends.automatic, "found", card)
        monkeypatch.setattr(_backends.automatic, "asked", True)
        monkeypatch.setitem(_backends._loaded, parse("pretend"), card)
        monkeypatch.setattr(_backends, "_machines", {})
        monkeypatch.setattr(_short, "_limits", {})
        _resident.forget()
        _backends.gate.accelerate()
        return card

    with xpu.config(device="auto"):
        yield put


@pytest.fixture
def planned(monkeypatch):
    """Names of the calls that placement is asked about."""
    names = []
    plan = _dispatch.plan

    def noting(this, settings):
        names.append(this.op.name)
        return plan(this, settings)

    monkeypatch.setattr(_dispatch, "plan", noting)
    return names
