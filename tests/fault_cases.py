"""What a GPU can do to a program, as one list of tests that every kind of device runs.

`Breaking` wraps the four methods of a backend that reach the device and lets chosen calls fail as its library would, so
the same cases run on the pretend device, on CuPy's arrays played by the host, and on a real GPU. Every case asserts the
result, and what the trace says: device, reason, bytes.
"""

import contextlib

import numpy as np
import pytest

import xpu
from xpu._backends import HOST, backend
from xpu._backends._lost import find, lost
from xpu._block import home, read, shared
from xpu._device import parse
from xpu._dispatch import forget_refusals

FULL = "the accelerator is out of memory"
FAILED = "the call failed on the accelerator"
LIBRARIES = [
    ImportError("libcublas.so.12: cannot open shared object file: No such file or directory"),
    RuntimeError("CuPy failed to load libnvrtc.so.12: OSError: libnvrtc.so.12: cannot open shared object file"),
    OSError("libcudnn.so.9: cannot open shared object file"),
]
POINTS = ("allocate", "run", "upload", "download", "release")


class Breaking(contextlib.AbstractContextManager):
    """Let the next `count` calls of one method of a backend raise `error`; count all calls."""

    def __init__(self, where, point, error, count=1):
        self.where, self.point, self.error, self.left = where, point, error, count
        self.calls = dict.fromkeys(POINTS, 0)

    def __enter__(self):
        for name in POINTS:
            self.wrap(name)
        return self

    def wrap(self, name):
        genuine = getattr(self.where, name)

        def called(*args, **kwargs):
            self.calls[name] += 1
            if name == self.point and self.left > 0:
                self.left -= 1
                raise self.error
            return genuine(*args, **kwargs)

        setattr(self.where, name, called)

    def __exit__(self, *_):
        for name in POINTS:
            delattr(self.where, name)
        forget_refusals()
        find(self.where.device)


class FaultCases:
    """The list. A subclass's fixture `device` names the device and makes sure it is there."""

    @pytest.fixture
    def where(self, device):
        return backend(parse(device))

    @pytest.fixture
    def here(self):
        """8000 bytes on the host."""
        with xpu.config(device="cpu"):
            return xpu.asarray(np.arange(1000.0))

    @pytest.fixture
    def there(self, device):
        """8000 bytes, their only replica on the device."""
        with xpu.config(device=device):
            made = xpu.asarray(np.arange(1000.0)) + 0.0
        shared(made)
        assert {str(d) for d in home(made).block.valid} == {str(parse(device))}
        return made

    def run(self, device, f, **settings):
        with xpu.config(device=device, **{"on_fallback": "allow", **settings}), xpu.profile() as p:
            made = f()
        return made, p.events

    def told(self, events):
        return [(e.op, e.device, e.reason, e.bytes_moved) for e in events]

    # ------------------------------------------------------------------ memory

    @pytest.mark.parametrize("point", ["allocate", "run"])
    def test_out_of_memory_once_is_tried_again_there(self, device, where, here, point):
        with Breaking(where, point, where.out_of_memory[0]("full")) as broken:
            made, events = self.run(device, lambda: here + 1.0)
        assert broken.calls["release"] == 1
        assert self.told(events) == [("add", str(where.device), "forced by config(device=...)", 8000)]
        assert made.tolist() == list(range(1, 1001))

    @pytest.mark.parametrize("point", ["allocate", "run"])
    def test_out_of_memory_for_good_ends_on_the_cpu(self, device, where, here, point):
        with Breaking(where, point, where.out_of_memory[0]("full"), 99):
            made, events = self.run(device, lambda: here + 1.0)
        assert [(e.op, e.device, e.reason) for e in events] == [("add", "cpu", FULL)]
        # The first try uploaded, what it uploaded was let go, and so the last one did.
        assert events[0].bytes_moved == {"allocate": 0, "run": 16000}[point]
        assert made.tolist() == list(range(1, 1001))

    def test_out_of_memory_in_the_middle_of_an_in_place_call(self, device, where, there):
        with Breaking(where, "run", where.out_of_memory[0]("full"), 99):
            _, events = self.run(device, lambda: there.__iadd__(1.0))
        assert self.told(events) == [("add", "cpu", FULL, 8000)]  # it came down once
        assert home(there).block.valid == {"cpu"}
        assert there.tolist() == list(range(1, 1001))

    def test_clean_replicas_go_least_recently_used_first(self, device, where, there):
        with xpu.config(device=device):
            replicated = [xpu.asarray(np.full(10_000, float(i))) for i in range(4)]
            for x in replicated:
                read(x, HOST)
            dirty = xpu.asarray(np.zeros(10_000)) + 5.0
        for i in (2, 0, 3, 1):  # from now on the order of use
            read(replicated[i], where)
        with xpu.config(device="cpu"):
            small = xpu.asarray(np.arange(100.0))
        order = []
        for _ in range(4):
            before = {i for i, x in enumerate(replicated) if str(where.device) in home(x).block.valid}
            with Breaking(where, "allocate", where.out_of_memory[0]("full")):
                _, events = self.run(device, lambda: small * 2.0)
            after = {i for i, x in enumerate(replicated) if str(where.device) in home(x).block.valid}
            order.append(before - after)
            home(small).block.forget(where.device) if str(where.device) in home(small).block.valid else None
            assert events[-1].device == str(where.device)
        assert order == [{2}, {0}, {3}, {1}]
        assert [float(x[0]) for x in replicated] == [0.0, 1.0, 2.0, 3.0]
        assert shared(dirty).block.valid == {str(where.device)}  # the only copy is never let go
        assert shared(there).block.valid == {str(where.device)}

    def test_a_fragmented_pool_is_given_back_before_the_second_try(self, device, where, here):
        broken = Breaking(where, "allocate", where.out_of_memory[0]("1000 bytes free, in pieces"), 99)
        with broken:
            genuine = where.release

            def release():
                genuine()
                broken.left = 0  # whole again

            where.release = release
            made, events = self.run(device, lambda: here + 1.0)
        assert broken.calls["release"] == 1
        assert self.told(events) == [("add", str(where.device), "forced by config(device=...)", 8000)]
        assert made.tolist() == list(range(1, 1001))

    def test_out_of_memory_of_an_explicit_move(self, device, where, here):
        with Breaking(where, "allocate", where.out_of_memory[0]("full")) as broken:
            made = here.to_device(device)
        assert broken.calls["release"] == 1
        assert str(made.device) == str(where.device)
        assert made.tolist() == here.tolist()
        with xpu.config(device="cpu"):
            another = here + 1.0
        with Breaking(where, "allocate", where.out_of_memory[0]("full"), 9), pytest.raises(MemoryError):
            another.to_device(device)

    # ------------------------------------------------------------------ transfers

    def test_an_upload_that_fails_ends_on_the_cpu(self, device, where, here):
        with Breaking(where, "upload", RuntimeError("cudaErrorInvalidValue")) as broken:
            made, events = self.run(device, lambda: here + 1.0)
            assert self.told(events) == [("add", "cpu", "a transfer to the accelerator failed", 0)]
            assert home(here).block.valid == {"cpu"}
            again, events = self.run(device, lambda: here + 1.0)  # the kind of call is not blamed
            assert self.told(events) == [("add", str(where.device), "forced by config(device=...)", 8000)]
        assert broken.calls["upload"] == 2
        assert made.tolist() == again.tolist() == list(range(1, 1001))

    def test_a_download_that_fails_is_told_and_loses_nothing(self, device, where, there):
        with (
            Breaking(where, "download", RuntimeError("cudaErrorInvalidValue")),
            xpu.profile() as p,
            pytest.raises(xpu.errors.TransferError, match=f"8000 bytes could not be copied from {where.device} to cpu"),
        ):
            there.tolist()
        assert p.bytes_moved == 0
        assert home(there).block.valid == {str(where.device)}
        assert there.tolist() == list(range(1000))

    def test_a_download_that_fails_before_a_call_on_the_cpu(self, device, where, there):
        with (
            Breaking(where, "download", RuntimeError("cudaErrorInvalidValue")),
            xpu.profile() as p,
            pytest.raises(xpu.errors.TransferError),
            xpu.config(device="cpu"),
        ):
            there + 1.0
        assert self.told(p.events) == [("add", "cpu", "no result: TransferError", 0)]
        assert there.tolist() == list(range(1000))

    # ------------------------------------------------------------------ kernels and libraries

    def test_a_kernel_that_fails_ends_on_the_cpu_and_is_remembered(self, device, where, there):
        error = RuntimeError("CUSOLVER_STATUS_INTERNAL_ERROR")
        with Breaking(where, "run", error), xpu.config(device=device, on_fallback="warn"), xpu.profile() as p:
            with pytest.warns(xpu.errors.FallbackWarning, match="xpu.tanh: .*CUSOLVER_STATUS_INTERNAL_ERROR"):
                made = xpu.tanh(there)
            xpu.tanh(there)
        remembered = "this kind of call failed on the accelerator before"
        assert self.told(p.events) == [("tanh", "cpu", FAILED, 8000), ("tanh", "cpu", remembered, 0)]
        assert made.tolist() == np.tanh(np.arange(1000.0)).tolist()

    def test_a_kernel_that_fails_may_be_an_error(self, device, where, there):
        with (
            Breaking(where, "run", RuntimeError("no")),
            xpu.profile() as p,
            xpu.config(device=device, on_fallback="raise"),
            pytest.raises(xpu.errors.FallbackError, match="xpu.tanh: tanh failed on"),
        ):
            xpu.tanh(there)
        assert self.told(p.events) == [("tanh", str(where.device), "no result: FallbackError", 0)]

    @pytest.mark.parametrize("error", LIBRARIES, ids=["cublas", "nvrtc", "cudnn"])
    def test_a_library_that_is_missing(self, device, where, there, error):
        with Breaking(where, "run", error):
            made, events = self.run(device, lambda: there @ there)
        assert self.told(events) == [("matmul", "cpu", FAILED, 8000)]
        assert float(made) == float(np.arange(1000.0) @ np.arange(1000.0))

    @pytest.mark.parametrize("error", [AttributeError("no attribute 'tanh'"), NotImplementedError("dtype")])
    def test_a_function_that_is_missing_at_run_time(self, device, where, there, error):
        with Breaking(where, "run", error):
            made, events = self.run(device, lambda: xpu.tanh(there))
        assert self.told(events) == [("tanh", "cpu", FAILED, 8000)]
        assert made.tolist() == np.tanh(np.arange(1000.0)).tolist()

    def test_an_in_place_call_that_fails_is_applied_once(self, device, where, there):
        with Breaking(where, "run", RuntimeError("no")):
            _, events = self.run(device, lambda: there.__iadd__(1.0))
        assert self.told(events) == [("add", "cpu", FAILED, 8000)]
        assert there.tolist() == list(range(1, 1001))

    def test_a_users_mistake_is_the_users_and_changes_nothing(self, device, where, there):
        with pytest.raises(ValueError, match="broadcast"):
            self.run(device, lambda: there.__iadd__(np.ones(3)))
        assert there.tolist() == list(range(1000))

    # ------------------------------------------------------------------ a device that is gone

    def test_a_lost_device_with_arrays_only_there(self, device, where, here, there):
        self.run(device, lambda: here + 1.0)  # on both from here on
        with Breaking(where, "run", where.lost[0]("fell off the bus"), 99) as broken:
            with (
                xpu.profile() as p,
                xpu.config(device=device),
                pytest.raises(xpu.errors.DeviceLostError, match=r"fell off the bus.* held the only copy of .*1000"),
            ):
                there + 1.0
            assert self.told(p.events) == [("add", str(where.device), "no result: DeviceLostError", 0)]
            with pytest.warns(xpu.errors.DeviceWarning, match="The CPU computes from now on"):
                made, events = self.run(device, lambda: here + 2.0)
            assert self.told(events) == [("add", "cpu", f"{where.device} was lost", 0)]
            assert made.tolist() == list(range(2, 1002))
            asked = sum(broken.calls.values())
            _, events = self.run(device, lambda: (here * 2.0).sum())  # told once, and not asked again
            assert {(e.device, e.reason) for e in events} == {("cpu", f"{where.device} was lost")}
            with pytest.raises(xpu.errors.DeviceLostError, match="held the only copy of 8000 bytes"):
                there.tolist()
            with (
                xpu.config(device="cpu"),
                pytest.raises(xpu.errors.DeviceLostError, match="Restart the process"),
            ):
                xpu.asarray(np.ones(3)).to_device(device)
            assert sum(broken.calls.values()) == asked

    def test_a_device_that_is_lost_while_a_value_is_read(self, device, where, there):
        with Breaking(where, "download", where.lost[0]("ECC error")):
            with pytest.raises(xpu.errors.DeviceLostError, match="was lost .ECC error. and held the only copy"):
                float(there[3])
            assert where.device in lost

    def test_a_driver_that_is_too_old_says_so_at_the_first_call(self, device, where, here):
        error = where.lost[0]("cudaErrorInsufficientDriver: CUDA driver version is insufficient")
        with Breaking(where, "allocate", error) as broken:
            with pytest.warns(xpu.errors.DeviceWarning, match="CUDA driver version is insufficient"):
                made, events = self.run(device, lambda: here + 1.0)
            more, later = self.run(device, lambda: here + 1.0)
        assert self.told(events) == self.told(later) == [("add", "cpu", f"{where.device} was lost", 0)]
        assert broken.calls["allocate"] == 1
        assert made.tolist() == more.tolist() == list(range(1, 1001))

    # ------------------------------------------------------------------ interruptions

    @pytest.mark.parametrize("point", ["allocate", "upload", "run"])
    def test_ctrl_c_on_the_way_there(self, device, where, here, point):
        with (
            Breaking(where, point, KeyboardInterrupt()),
            xpu.config(device=device),
            pytest.raises(KeyboardInterrupt),
        ):
            here.__iadd__(1.0)
        assert "cpu" in home(here).block.valid
        assert here.tolist() == list(range(1000))  # the call had not been made
        with xpu.config(device=device):
            here.__iadd__(1.0)
        assert here.tolist() == list(range(1, 1001))

    def test_ctrl_c_on_the_way_back(self, device, where, there):
        with Breaking(where, "download", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            there.tolist()
        assert home(there).block.valid == {str(where.device)}
        assert there.tolist() == list(range(1000))

    def test_ctrl_c_while_an_array_is_born(self, device, where):
        a = xpu.zeros(1000)
        with Breaking(where, "run", KeyboardInterrupt()), xpu.config(device=device), pytest.raises(KeyboardInterrupt):
            a + 1.0
        a[3] = 2.0
        with xpu.config(device=device):
            assert float((a + 1.0).sum()) == 1002.0
