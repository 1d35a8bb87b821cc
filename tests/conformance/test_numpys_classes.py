"""NumPy's own array classes among xpu's arrays: a mask hides, a matrix multiplies, wherever the rest runs."""

import numpy as np
import pytest

import xpu


@pytest.fixture(params=["cpu", "pretend"], autouse=True)
def device(request):
    with xpu.config(device=request.param, on_fallback="raise"):
        yield request.param


MASKED = np.ma.masked_array(np.arange(12.0).reshape(3, 4), mask=np.arange(12).reshape(3, 4) % 3 == 0)
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)  # the class itself warns
CALLS = {
    "sqrt": lambda np, m: np.sqrt(m),
    "add": lambda np, m: np.add(m, 1),
    "add an array": lambda np, m: np.add(m, np.ones((3, 4))),
    "mean": lambda np, m: np.mean(m),
    "sum": lambda np, m: np.sum(m, axis=0),
    "std": lambda np, m: np.std(m),
    "sort": lambda np, m: np.sort(m),
    "cumsum": lambda np, m: np.cumsum(m),
    "where": lambda np, m: np.where(m > 3, m, -m),
    "reduce": lambda np, m: np.add.reduce(m),
    "before": lambda np, m: m * np.ones((3, 4)),
    "after": lambda np, m: np.ones((3, 4)) - m,
    "in place": lambda np, m: np.exp(m, out=m.copy()),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_mask_hides(name):
    expected, got = CALLS[name](np, MASKED), CALLS[name](xpu, MASKED)
    assert np.array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(expected))
    assert np.ma.allclose(got, expected)


def test_the_call_says_why_it_stays(device):
    with xpu.profile() as p:
        xpu.sqrt(MASKED)
    (event,) = p.events
    assert event.device == "cpu"
    assert "MaskedArray" in event.reason if device == "pretend" else True
    assert event.bytes_moved == 0


def test_a_memory_map_may_leave_the_host(tmp_path, device):
    shown = np.memmap(tmp_path / "m", np.float64, "w+", shape=(4,))
    with xpu.profile() as p:
        made = xpu.sqrt(shown)
    assert type(made) is xpu.ndarray
    assert p.events[0].device.startswith(device)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "multiply",
    [
        lambda np, m: m * np.ones((2, 1)),
        lambda np, m: np.ones((1, 2)) * m,
        lambda np, m: m @ np.ones((2, 1)),
        lambda np, m: np.dot(m, m),
        lambda np, m: np.ones((2, 2)) + m,
        lambda np, m: m - np.ones((2, 2)),
        lambda np, m: np.ones((2, 2)) == m,
    ],
)
def test_a_matrix_multiplies(multiply):
    expected, got = multiply(np, MATRIX), multiply(xpu, MATRIX)
    assert got.shape == expected.shape
    assert type(got) is np.matrix
    assert np.array_equal(got, expected)
