"""The list of faults (`tests/fault_cases.py`) on a real GPU, by making the backend's calls raise what CUDA raises.

NOT RUN ON A GPU by its author. The same list runs on the pretend device in ``tests/decisions/test_faults.py``.
"""

import pytest

from fault_cases import FaultCases
from xpu.testing import available_devices


@pytest.mark.gpu
class TestCuda(FaultCases):
    """All of it."""

    @pytest.fixture
    def device(self):
        there = [d for d in available_devices() if d.startswith("cuda")]
        if not there:
            pytest.skip("no usable CUDA device (xpu doctor says why)")
        return there[0]
