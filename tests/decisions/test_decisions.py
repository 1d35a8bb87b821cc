"""What ran where, why, and how many bytes moved: value tests alone miss placement bugs for years."""

import numpy as np
import pytest

import xpu


def events(f, **settings):
    with xpu.config(**settings), xpu.profile() as p:
        result = f()
    return result, p


@pytest.fixture
def there():
    """A float64 array of 8000 bytes that lives on the pretend device only."""
    with xpu.config(device="pretend"):
        return xpu.asarray(np.arange(1000.0)) + 0


def _on_the_host():
    """As `there`, on the host whatever the process is set to."""
    with xpu.config(device="cpu"):
        return xpu.asarray(np.ones(1000))


def test_forced_device_runs_there_and_moves_each_operand_once():
    a = _on_the_host()
    _, p = events(lambda: (a + a) * a, device="pretend")
    assert [(e.op, e.device, e.reason) for e in p.events] == [
        ("add", "pretend:0", "forced by config(device=...)"),
        ("multiply", "pretend:0", "forced by config(device=...)"),
    ]
    assert [e.bytes_moved for e in p.events] == [8000, 0]


def test_second_use_finds_the_replica():
    a = _on_the_host()
    _, p = events(lambda: [xpu.sin(a) for _ in range(3)], device="pretend")
    assert [e.bytes_moved for e in p.events] == [8000, 0, 0]


def test_a_write_leaves_one_valid_replica(there):
    np.asarray(there)  # now both replicas are valid
    _, p = events(lambda: there.__iadd__(1), device="pretend")
    assert p.bytes_moved == 0
    _, p = events(lambda: float(there[0]) + float(there[1]), device="cpu")
    assert float(there[0]) == 1.0
    with xpu.profile() as p:
        total = there.sum()
    assert float(total) == np.arange(1000.0).sum() + 1000


def test_a_read_on_the_host_keeps_the_device_replica_valid(there):
    assert there.device == "pretend:0"
    np.asarray(there)
    _, p = events(lambda: xpu.sin(there), device="pretend")
    assert p.bytes_moved == 0


def test_views_move_nothing(there):
    _, p = events(lambda: there[1:-1].reshape(2, -1).T[::-1], device="pretend")
    assert p.bytes_moved == 0
    assert {e.reason for e in p.events} == {"a view: nothing runs"}


def test_a_small_view_of_a_large_block_moves_alone(there):
    _, p = events(lambda: there[:10] + 1, device="cpu")
    assert p.bytes_moved == 80


def test_an_element_read_moves_one_element(there):
    from xpu._transfer import ledger

    before = ledger.nbytes
    assert there[3] == 3.0
    assert ledger.nbytes - before == 8


def test_results_stay_where_they_were_made(there):
    made, p = events(lambda: there * 2, device="auto")
    assert p.events[0].device == "pretend:0"
    assert made.device == "pretend:0"
    assert p.bytes_moved == 0


def test_pinned_operands_decide():
    a = xpu.ones(10, device="pretend")
    made, p = events(lambda: a + 1, device="auto")
    assert [(e.device, e.reason) for e in p.events] == [("pretend:0", "an operand is pinned there")]
    assert made.device == "pretend:0"
    assert a.to_device("pretend") is a


def test_a_region_decides_over_a_pin():
    a = xpu.ones(10, device="pretend")
    _, p = events(lambda: a + 1, device="cpu")
    assert [(e.device, e.bytes_moved) for e in p.events] == [("cpu", 80)]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda a: xpu.sum(a, where=a > 3), "the GPU library's sum has no where="),
        (lambda a: xpu.add(a, 1, where=a > 3, out=a.copy()), "the GPU library's add has no where="),
        (lambda a: xpu.nanpercentile(a, 50), "the GPU library has no nanpercentile"),
        (
            lambda a: xpu.add(a, 1, dtype=np.longdouble),
            "the result's dtype exists on the host only",
        ),
        (lambda a: xpu.add(a.astype(object), 1), "dtype object exists on the host only"),
        (lambda a: xpu.add(a, 1, out=np.empty(1000)), "it writes to a NumPy array"),
    ],
)
def test_a_gap_runs_on_the_cpu_with_that_reason(there, call, reason):
    _, p = events(lambda: call(there), device="pretend")
    assert (p.events[-1].device, p.events[-1].reason) == ("cpu", reason)


def test_foreign_memory_is_read_without_being_kept():
    n = np.ones(1000)
    _, p = events(lambda: (xpu.sin(n), xpu.sin(n)), device="pretend")
    assert [e.bytes_moved for e in p.events] == [8000, 8000]
    n[0] = 5
    with xpu.config(device="pretend"):
        assert float(xpu.max(n)) == 5.0


def test_shared_foreign_memory_stays_on_the_host():
    n = np.ones(1000)
    x = xpu.asarray(n, copy=False)
    with xpu.config(device="pretend"):
        x += 1
        made = x * 2
    assert n[0] == 2.0
    n[0] = 7
    assert x[0] == 7.0
    with xpu.config(device="pretend"):
        assert float(xpu.max(x)) == 7.0
    assert made.device == "pretend:0"
    assert x.device == "cpu"


def test_asarray_copies_foreign_memory():
    n = np.ones(3)
    x = xpu.asarray(n)
    n[0] = 9
    assert x[0] == 1.0


def test_no_transfers_raises_before_a_byte_moves(there):
    with (
        xpu.no_transfers(),
        pytest.raises(xpu.errors.TransferError, match="8000 bytes would move from pretend:0 to cpu"),
    ):
        np.asarray(there)
    assert there.device == "pretend:0"


def test_on_transfer_warn(there):
    with (
        xpu.config(on_transfer="warn"),
        pytest.warns(xpu.errors.TransferWarning, match="8000 bytes"),
    ):
        np.asarray(there)


def test_check_both_finds_a_wrong_device(there, monkeypatch):
    from xpu._backends import backend
    from xpu._device import parse

    pretend = backend(parse("pretend"))
    monkeypatch.setattr(pretend, "overrides", {"cos": lambda x: np.cos(x) + 1e-3})
    with (
        xpu.config(device="pretend", check="both"),
        pytest.raises(xpu.errors.CheckError, match="xpu.cos: devices disagree"),
    ):
        xpu.cos(there)


def test_a_failing_gpu_call_warns_once_runs_on_the_cpu_and_is_remembered(there, monkeypatch):
    from xpu import _running
    from xpu._backends import backend
    from xpu._device import parse

    def broken(x):
        raise RuntimeError("CUSOLVER_STATUS_INTERNAL_ERROR")

    monkeypatch.setattr(backend(parse("pretend")), "overrides", {"tanh": broken})
    monkeypatch.setattr(_running, "_refused", set())
    with xpu.config(device="pretend", on_fallback="warn"), xpu.profile() as p:
        with pytest.warns(xpu.errors.FallbackWarning, match="xpu.tanh.*CUSOLVER"):
            made = xpu.tanh(there)
        xpu.tanh(there)
    np.testing.assert_array_equal(np.asarray(made), np.tanh(np.arange(1000.0)))
    assert [(e.device, e.reason) for e in p.events] == [
        ("cpu", "the call failed on the accelerator"),
        ("cpu", "this kind of call failed on the accelerator before"),
    ]


def test_a_failing_gpu_call_raises_where_that_is_asked(there, monkeypatch):
    from xpu import _running
    from xpu._backends import backend
    from xpu._device import parse

    def broken(x):
        raise RuntimeError("no")

    monkeypatch.setattr(backend(parse("pretend")), "overrides", {"tanh": broken})
    monkeypatch.setattr(_running, "_refused", set())
    with (
        xpu.config(device="pretend", on_fallback="raise"),
        pytest.raises(xpu.errors.FallbackError, match="tanh"),
    ):
        xpu.tanh(there)


def test_users_mistakes_keep_numpys_exception(there):
    with (
        xpu.config(device="pretend", on_fallback="raise"),
        pytest.raises(ValueError, match="could not be broadcast"),
    ):
        xpu.add(there, np.ones(3))


def test_out_of_memory_evicts_then_falls_back(there, monkeypatch):
    from xpu._backends import backend
    from xpu._backends._pretend import PretendOutOfMemory
    from xpu._device import parse

    pretend = backend(parse("pretend"))
    np.asarray(there)  # a clean replica that may be evicted
    failures = iter([1])

    def fault(where):
        if where == "run" and next(failures, 0):
            raise PretendOutOfMemory("full")

    monkeypatch.setattr(pretend, "fault", fault)
    made, p = events(lambda: there + 1, device="pretend")
    assert p.events[0].device == "pretend:0"
    assert p.events[0].bytes_moved == 0  # what the call needs was not let go for the retry
    np.testing.assert_array_equal(np.asarray(made), np.arange(1000.0) + 1)


def test_a_lost_device_names_what_was_only_there(there, monkeypatch):
    from xpu._backends import backend
    from xpu._backends._lost import find
    from xpu._backends._pretend import PretendLost
    from xpu._device import parse

    def fault(where):
        if where == "run":
            raise PretendLost("fell off the bus")

    monkeypatch.setattr(backend(parse("pretend")), "fault", fault)
    with (
        xpu.config(device="pretend"),
        pytest.raises(xpu.errors.DeviceLostError, match=r"pretend:0 was lost.*1000"),
    ):
        xpu.sin(there)
    with xpu.config(device="cpu"):
        both = xpu.asarray(np.ones(4))
    with xpu.config(device="pretend"), pytest.warns(xpu.errors.DeviceWarning, match="pretend:0 was lost"):
        assert float(xpu.sin(both)[0]) == np.sin(1.0)  # the host still has it
    find(parse("pretend"))
