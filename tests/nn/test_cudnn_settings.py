"""Which cuDNN a convolution on a GPU is planned with: that of the settings in force where it is called."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import xpu
from xpu import conv
from xpu._nn import _convolutions
from xpu.conv import _autotune, _cudnn_graph
from xpu.conv._cudnn import CudnnEngine
from xpu.conv._cudnn_library import CudnnRefusedError

GEOMETRY = conv.conv_geometry("nn.conv2d", 2, (8, 64, 32, 32), (64, 64, 3, 3), "f4", "f4", padding=1)


@pytest.fixture
def on_gpu(monkeypatch):
    """Let cuDNN take everything, as on a machine with a GPU; nothing is run."""
    monkeypatch.setattr(CudnnEngine, "supports", lambda self, geometry: None)
    monkeypatch.setattr(CudnnEngine, "workspace", lambda self, geometry: 0)
    kept = dict(conv.ENGINES)
    _convolutions._cudnn.cache_clear()
    yield monkeypatch
    for name in set(conv.ENGINES) - set(kept):
        del conv.ENGINES[name]
    _convolutions._cudnn.cache_clear()


def engine_of(plan: conv.ConvPlan) -> CudnnEngine:
    engine = conv.ENGINES[plan.engine]
    assert isinstance(engine, CudnnEngine)
    return engine


def test_two_threads_with_different_settings_keep_their_own(on_gpu) -> None:
    turn, found = threading.Barrier(2), {}

    def work(tf32: bool) -> None:
        with xpu.config(tf32=tf32, deterministic=not tf32):
            planner = _convolutions.plan_for(object())
            turn.wait()  # both have asked for theirs before either plans or looks its engine up
            plan = planner(GEOMETRY)
            turn.wait()
            found[tf32] = engine_of(plan).options, plan

    threads = [threading.Thread(target=work, args=(value,)) for value in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for tf32, (options, plan) in found.items():
        assert (options.tf32, options.deterministic) == (tf32, not tf32)
        assert plan.engine == ("cudnn-tf32-nondeterministic" if tf32 else "cudnn")
        others = {"cudnn", "cudnn-tf32-nondeterministic"} - {plan.engine}
        assert not others & {*dict(plan.seconds), *dict(plan.refused)}
    assert found[True][1].predicted_seconds < found[False][1].predicted_seconds


def test_what_cudnn_refuses_while_planning_is_computed_without_it(on_gpu) -> None:
    def refuse(self, geometry):
        raise CudnnRefusedError("no", "no")

    on_gpu.setattr(CudnnEngine, "workspace", refuse)
    plan = _convolutions.plan_for(object())(GEOMETRY)
    assert plan.engine == "gemm"


def test_an_array_on_the_host_is_planned_for_the_host() -> None:
    assert _convolutions.plan_for(np.zeros(1)) is conv.plan_conv


def test_autotune_measures_the_choices_of_cudnns_heuristics(on_gpu) -> None:
    def workspace(self, geometry):
        if self.options.choice > 1:
            raise CudnnRefusedError("no third plan", "no third plan")
        return 0

    raced = []

    def measure(plan):
        raced.append(sorted(name for name, _ in plan.seconds))
        return {"gemm": 3.0, "cudnn": 2.0, "cudnn:1": 1.0}

    on_gpu.setattr(CudnnEngine, "workspace", workspace)
    on_gpu.setattr(_autotune, "measure", measure)
    on_gpu.setattr(_autotune._autotune_store, "get", lambda key: None)
    on_gpu.setattr(_autotune._autotune_store, "put", lambda key, seconds: False)
    with xpu.config(autotune=True):
        plan = _convolutions.plan_for(object())(GEOMETRY)
    assert [name for name in raced[0] if name.startswith("cudnn")] == ["cudnn", "cudnn:1"]
    assert (plan.engine, plan.measured, plan.device) == ("cudnn:1", True, "cuda")
    assert engine_of(plan).options.choice == 1
    _autotune.forget()


class Graph:
    """Three plans, of which the first does not build."""

    def get_execution_plan_count(self) -> int:
        return 3

    def build_plan_at_index(self, index: int) -> None:
        if index == 0:
            raise RuntimeError

    def get_workspace_size(self) -> int:
        return 0

    def get_plan_name_at_index(self, index: int) -> str:
        return f"eng{index}"


@pytest.mark.parametrize(("choice", "engine"), [(0, "eng1"), (1, "eng2")])
def test_a_choice_counts_the_plans_that_build(choice, engine) -> None:
    cudnn = SimpleNamespace(cudnnGraphNotSupportedError=LookupError)
    assert _cudnn_graph._chosen(cudnn, Graph(), 0, choice).engine == engine
    with pytest.raises(RuntimeError, match="none of 3 engines is allowed"):
        _cudnn_graph._chosen(cudnn, Graph(), 0, 2)
