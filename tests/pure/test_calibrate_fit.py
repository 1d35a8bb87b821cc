"""The fit and the clock, on made-up times: known constants come back, and bad clocks are seen."""

import importlib
import itertools
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu._backends._numpy import owner
from xpu._calibrate._card import link, time_on_card, with_warmup
from xpu._calibrate._fit import Sample, Series, doubtful, fit, knots, quieter, settled, steadied
from xpu._calibrate._host import _held, time_probe
from xpu._calibrate._probes import probes, values
from xpu._calibrate._roofline import Point, Roofline, Streams, fitted
from xpu._calibrate._steps import Step, perform
from xpu._calibrate._timing import CalibrationError, Clock, Timed
from xpu._curve import Curve
from xpu._machine import shipped
from xpu._op import OPS, Work

GENERIC = shipped("generic").cpu
SIZES = (1, 512, 8192, 131072, 1048576)


def series(seconds, op="add", kind="elementwise", code="f8", sizes=SIZES):
    return Series(op, kind, code, [Sample(n, float(n), 24.0 * n, 16 * n, 8 * n, seconds(n)) for n in sizes])


@given(st.floats(1e-7, 1e-4), st.floats(1e-11, 1e-8), st.integers(1, 10**8))
def test_known_constants_come_back(latency, per_element, n):
    made = fit([series(lambda k: latency + per_element * k)], None, GENERIC, "made up", 1)
    predicted = made.seconds(Work("elementwise", np.dtype("f8"), 24.0 * n, float(n), "add"))
    assert predicted == pytest.approx(latency + per_element * n, rel=1e-3)


def test_the_rates_of_a_class_are_its_operations():
    made = fit([series(lambda k: 1e-6 + 2e-9 * k)], None, GENERIC, "made up", 1)
    rates = made.classes["elementwise"]
    assert rates.latency == pytest.approx(1e-6, rel=0.01)
    assert rates.rate["f8"] == pytest.approx(5e8, rel=0.01)
    assert rates.bandwidth == pytest.approx(24 / 2e-9, rel=0.01)
    assert rates.rate["f4"] == GENERIC.classes["elementwise"].rate["f4"]  # not timed
    assert made.classes["fft"] == GENERIC.classes["fft"]


def test_a_curve_bends_where_a_cache_ends():
    def seconds(k):
        return 1e-6 + 1e-10 * min(k, 131072) + 1e-9 * max(0, k - 131072)

    made = fit([series(seconds)], None, GENERIC, "made up", 1)
    for n in (50_000, 131072, 400_000, 5_000_000):
        work = Work("elementwise", np.dtype("f8"), 24.0 * n, float(n), "add")
        assert made.seconds(work) == pytest.approx(seconds(n), rel=0.01)


# 50 GB/s from a cache of 3 MB, 10 GB/s from memory.
CACHES = Streams(*[Curve([(0.0, 0.0), (3e6, 6e-5), (12e6, 1.2e-3), (1e9, 0.1)])] * 2)


def test_main_memory_carries_a_curve_on():
    made = knots(series(lambda k: 1e-6 + 4.8e-10 * k, sizes=(1, 512, 8192, 65536)), CACHES)  # ends in the cache
    assert made[-1][0] == 65536 * 64
    seconds = Curve(made).at(4e6)
    assert seconds == pytest.approx(CACHES.written.at(24 * 4e6), rel=0.3)  # not the 2 ms of the line
    slow = knots(series(lambda k: 1e-6 + 2e-8 * k, sizes=(1, 512, 8192, 65536)), CACHES)
    assert Curve(slow).at(4e6) == pytest.approx(2e-8 * 4e6, rel=0.02)  # arithmetic hides it
    product = Series("matmul", "matmul", "f8", series(lambda k: 1e-6 + 1e-11 * k).samples)
    assert len(knots(product, CACHES)) == len(SIZES)


def test_between_two_samples_a_curve_bends_where_the_streams_do():
    def seconds(k):
        return 1e-6 + 1.1 * CACHES.seconds(16.0 * k, 8.0 * k)

    curve = Curve(knots(series(seconds, sizes=(1, 8192, 65536, 1_000_000)), CACHES))
    for n in (100_000, 170_000, 300_000):
        assert curve.at(n) == pytest.approx(seconds(n), rel=0.15)


def test_what_is_held_at_once_leaves_the_caches_earlier():
    points = [Point(float(n), 8.0 * n, 8.0 * n, 1e-6 + 4e-10 * n) for n in (1, 1000, 10_000, 100_000)]
    plain, temporaries = (fitted(points, CACHES, reach, reach > 1) for reach in (1.0, 4.0))
    assert temporaries.reach == 4.0
    assert temporaries.seconds(5e5, 4e6, 4e6, CACHES) > 1.5 * plain.seconds(5e5, 4e6, 4e6, CACHES)


def test_the_memory_of_temporaries_is_counted():
    data = values(50_000, "f8")
    assert _held(np.fix, (data,), 2 * data.nbytes) == pytest.approx(1.0, rel=0.1)
    assert _held(np.isclose, (data, data), 2 * data.nbytes) > 1.5
    assert _held(np.negative, (data,), 1) == 1.0  # a single loop has none
    tracemalloc.start()
    try:
        assert _held(np.isclose, (data, data), 2 * data.nbytes) == 1.0  # somebody else is looking
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_a_sample_far_from_the_line_of_the_others_is_looked_at_again():
    sizes = (1, 512, 8192, 65536, 300_000)
    clean = series(lambda k: 1e-6 + 2e-8 * k, sizes=sizes)
    samples = list(clean.samples)
    samples[3] = samples[3]._replace(seconds=2 * samples[3].seconds)
    assert not doubtful(clean, CACHES)
    assert doubtful(clean._replace(samples=samples), CACHES)
    assert not doubtful(clean._replace(samples=samples), None)


def test_operands_are_not_in_the_allocators_memory():
    made = values(2000, "f4", 1)
    assert isinstance(owner(made), np.ndarray)
    assert not owner(made).flags.owndata
    assert made.flags.writeable


@given(st.lists(st.floats(1.0, 1.29), min_size=1, max_size=9))
def test_settled_times_never_fall_and_keep_their_mean(seconds):
    found = settled(seconds)
    assert all(a <= b * (1 + 1e-12) for a, b in itertools.pairwise(found))
    assert min(seconds) * (1 - 1e-9) <= found[0] <= found[-1] <= max(seconds) * (1 + 1e-9)
    assert np.mean(np.log(found)) == pytest.approx(np.mean(np.log(seconds)))
    if all(a <= b for a, b in itertools.pairwise(seconds)):
        assert found == seconds


@given(st.lists(st.floats(1e-9, 1.0), min_size=1, max_size=9))
def test_a_time_far_above_that_of_more_work_was_disturbed(seconds):
    found = settled(seconds)
    assert all(a <= b * (1 + 1e-12) for a, b in itertools.pairwise(found))
    assert min(seconds) * (1 - 1e-9) <= found[0] <= found[-1] <= 1.3 ** len(seconds) * seconds[-1]
    assert settled([1e-6, 5e-3, 2e-6, 4e-6]) == [1e-6, 2e-6, 2e-6, 4e-6]


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(1e-9, 1.0)), min_size=1, max_size=8, unique_by=lambda k: k[0]),
    st.floats(0, 1e10),
)
def test_a_curve_passes_its_knots_and_stays_positive_beyond(points, work):
    points = sorted(points)
    curve = Curve(points)
    for (w, s), after in zip(points, [*points[1:], (float("inf"), 0)], strict=True):
        if after[0] - w > 1e-3:
            assert curve.at(w) == pytest.approx(s)
    assert curve.at(work) > 0 or any(b[0] - a[0] < 1e-3 for a, b in itertools.pairwise(points))


# ----------------------------------------------------------------------------- clocks


class Synthetic:
    """A clock that advances by what each call takes."""

    def __init__(self):
        self.now = 0.0

    def read(self):
        return self.now

    def call(self, seconds):
        def run():
            self.now += seconds

        return run


def test_a_clock_measures_what_a_call_takes_and_leaves_the_cold_one_out():
    world = Synthetic()
    cold = iter([0.5])

    def call():
        world.now += next(cold, 3e-6)

    assert Clock(world.read, world.read, lambda: 0).time(call) == pytest.approx(3e-6)


def test_caches_settle_before_a_call_is_timed():
    world = Synthetic()
    falling = itertools.chain((9e-4, 4e-4, 3e-4, 2e-4, 1e-4), itertools.repeat(5e-5))

    def call():
        world.now += next(falling)

    clock = Clock(world.read, world.read, lambda: 0)
    assert clock.measure(call, settle=2e-3).seconds == pytest.approx(5e-5)
    assert next(falling) == 5e-5


def test_a_call_as_long_as_caches_take_to_settle_is_not_repeated_for_them():
    world, count = Synthetic(), itertools.count()

    def call():
        next(count)
        world.now += 5e-3

    Clock(world.read, world.read, lambda: 0).measure(call, settle=2e-3)
    assert next(count) == 3  # cold, and twice


def test_interrupted_samples_do_not_count():
    world, count = Synthetic(), itertools.count()
    turns = [0]

    def call():
        i = next(count)
        late = i % 2
        turns[0] += late
        world.now += 9e-3 if late else 5e-3

    assert Clock(world.read, world.read, lambda: turns[0]).time(call) == pytest.approx(5e-3)


def test_a_sample_in_which_a_clock_jumped_is_thrown_away():
    world = Synthetic()
    jumps = iter([0.0, 0.0, 0.0, 100.0])
    clock = Clock(world.read, lambda: world.now + next(jumps, 100.0), lambda: 0)
    assert clock.time(world.call(2e-3)) == pytest.approx(2e-3)
    assert clock.refused == 1


def test_a_clock_that_keeps_jumping_ends_calibration():
    world = Synthetic()
    other = itertools.count(step=7.0)
    with pytest.raises(CalibrationError, match=r"the clock jumped in \d+ of \d+ samples"):
        Clock(world.read, lambda: next(other), lambda: 0).time(world.call(1e-3))


def test_a_clock_that_runs_backwards_is_seen():
    back = itertools.count(step=-1e-3)
    with pytest.raises(CalibrationError, match="the clock jumped"):
        Clock(lambda: next(back), lambda: 0.0, lambda: 0).time(lambda: None)


# ----------------------------------------------------------------------------- probes


def test_every_probe_runs_at_its_first_sizes():
    found = probes()
    assert len({p.op.name for p in found}) > 150
    with np.errstate(all="ignore"):
        for probe in found:
            probe.op.host(*probe.make(probe.sizes[1]))


def test_a_dtype_that_runs_in_another_loop_is_not_timed_twice():
    names = {p.name for p in probes(frozenset({"sin", "add"}))}
    assert {"sin f8", "sin f4", "sin f2", "add i4"} <= names
    assert "sin i4" not in names


def test_functions_of_floating_point_are_timed_on_whole_numbers():
    names = {p.name: p for p in probes(frozenset({"modf", "arcsin", "divide", "sqrt", "ldexp"}))}
    assert {"modf i8", "modf u1", "divide i8"} <= set(names)
    assert not {"arcsin i8", "ldexp i8", "modf i2", "modf u8"} & set(names)  # outside its domain; not timed
    (given,) = names["modf i8"].make(1000)
    assert given.dtype == np.int64
    assert set(given.tolist()) == set(range(1, 10))


def test_values_have_the_dtype_asked_for():
    for code in ("b1", "i1", "f2", "c8", "f8"):
        assert values(5, code).dtype == np.dtype(code)


def test_a_probe_stops_growing_when_calls_get_long():
    world = Synthetic()

    class Slow:
        name, kind = "slow", "elementwise"

        @staticmethod
        def host(x):
            world.now += 1e-6 * x.size
            return x

        @staticmethod
        def work(shapes, keywords):
            return Work("elementwise", np.dtype("f8"), 0.0, float(shapes[0].size), "slow")

    probe = probes(frozenset({"negative"}))[0]
    slow = type(probe)(Slow, "f8", (1, 10, 100, 600, 10**4, 10**5), probe.make)
    found = time_probe(slow, Clock(world.read, world.read, lambda: 0))
    assert [s.size for s in found.samples] == [1, 10, 100, 600]
    assert found.samples[-1].seconds == pytest.approx(6e-4, rel=0.01)


# ----------------------------------------------------------------------------- steps


def test_steps_report_progress_in_order():
    told, done = [], []
    steps = [Step(str(i), lambda i=i: done.append(i)) for i in range(4)]
    assert perform(steps, 60.0, 60.0, lambda share, name: told.append((share, name))) == 4
    assert done == [0, 1, 2, 3]
    assert told == [(0.25, "0"), (0.5, "1"), (0.75, "2"), (1.0, "3")]


def test_when_time_is_up_the_rest_is_left():
    ticks = itertools.count()
    done = []
    steps = [Step(str(i), lambda i=i: done.append(i)) for i in range(1000)]
    count = perform(steps, 20.0, 60.0, lambda share, name: None, clock=lambda: float(next(ticks)))
    assert 0 < count < 20
    assert done == list(range(count))


def test_a_hung_step_is_named():
    import threading

    forever = threading.Event()
    steps = [Step("quick", lambda: None), Step("fft f8", forever.wait)]
    with pytest.raises(CalibrationError, match=r"step 'fft f8' did not end within 0\.2 s"):
        perform(steps, 60.0, 0.2, lambda share, name: None)
    forever.set()


def test_an_error_in_a_step_is_the_callers():
    def fail():
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        perform([Step("a", fail)], 1.0, 5.0, lambda share, name: None)


# ----------------------------------------------------------------------------- the card, on made-up times


@given(st.floats(1e-6, 1e-3), st.floats(1e8, 1e11), st.floats(1.0, 5.0))
def test_the_link_comes_back(latency, bandwidth, faster):
    sizes = (4096, 1 << 20, 1 << 26)
    found = link([(n, latency + n / bandwidth) for n in sizes], [(n, latency + n / bandwidth / faster) for n in sizes])
    assert found.latency == pytest.approx(latency, rel=1e-3)
    assert found.bandwidth == pytest.approx(bandwidth, rel=1e-3)
    assert found.pinned_bandwidth == pytest.approx(bandwidth * faster, rel=1e-3)


class MadeUpTimer:
    """Answers from known constants: 10 us a launch, 0.2 s to compile on the first call."""

    def time(self, call, number=10, rounds=3):
        call()
        return 0.2, 1e-5


def test_a_cards_warm_up_is_kept_apart_from_its_latency():
    from xpu._backends._pretend import PretendBackend
    from xpu._device import parse

    machine = shipped("h200")
    pretend = PretendBackend(parse("pretend"), machine)
    probe = probes(frozenset({"add"}))[0]
    found, warmup = time_on_card(probe, pretend, MadeUpTimer())
    assert warmup == 0.2
    assert {s.seconds for s in found.samples} == {1e-5}
    card = with_warmup(fit([found], None, machine.accelerator, "card", 1), [("elementwise", warmup)])
    assert card.classes["elementwise"].warmup == 0.2
    assert card.classes["elementwise"].latency == 1e-5
    assert card.classes["fft"].warmup == 0.0
    assert OPS["add"].kind == "elementwise"


# ----------------------------------------------------------------------------- the pace of the core


class Busy(Synthetic):
    """A core that runs at a share of its speed for a while: its pace and its calls take longer alike."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.factor = 1.0

        def pace(data, out):
            self.now += 2e-6 * self.factor

        monkeypatch.setattr("xpu._calibrate._timing.np.cbrt", pace)

    def call(self, seconds):
        def run():
            self.now += seconds * self.factor

        return run


def test_what_was_timed_on_a_slow_core_is_told_apart(monkeypatch):
    world = Busy(monkeypatch)
    clock = Clock(world.read, world.read, lambda: 0)
    quiet = clock.measure(world.call(3e-6))
    world.factor = 1.6
    slow = clock.measure(world.call(3e-6))
    assert clock.best == pytest.approx(2e-6)
    assert (clock.quiet(quiet.pace), clock.quiet(slow.pace)) == (True, False)
    assert slow.seconds == pytest.approx(1.6 * quiet.seconds)


def test_samples_at_the_best_pace_are_preferred(monkeypatch):
    world = Busy(monkeypatch)
    clock = Clock(world.read, world.read, lambda: 0)
    turns = itertools.count()

    def call():  # what is said at a slow pace does not count, not even if it is less
        world.factor = 1.6 if next(turns) < 3 else 1.0
        world.now += 1e-4 if world.factor > 1 else 2e-4

    assert clock.measure(call).seconds == pytest.approx(2e-4)


def test_of_several_looks_a_low_one_at_rest_counts():
    clock = Clock(best=1e-6)
    looks = [Timed(s * 1e-6, 1e-6) for s in (5, 2, 3, 9)]
    assert clock.typical(looks) == 3e-6
    assert clock.typical([*looks, Timed(1e-7, 2e-6)]) == 3e-6  # the core was not its own
    assert clock.typical([Timed(8e-6, 2e-6)], 0.5) == pytest.approx(8e-6 / 2**0.5)  # corrected: never at rest


def test_what_numpy_writes_in_python_is_slowed_by_memory_later_on():
    points = [Point(float(n), 8.0 * n, 0.0, 1e-5 + 8e-10 * n) for n in (1, 1000, 30_000, 120_000)]
    plain = fitted(points, CACHES, 2.0)
    assert plain.times == 1.0  # in the cache it looks like arithmetic
    slowed = plain.by_temporaries(points[-1], CACHES)
    for p in points:
        assert slowed.seconds(*p[:3], CACHES) == pytest.approx(plain.seconds(*p[:3], CACHES))
    assert slowed.seconds(1e7, 8e7, 0.0, CACHES) > 1.8 * plain.seconds(1e7, 8e7, 0.0, CACHES)
    slow = Roofline(1e-5, 1e-7, 1.0, 2.0)  # no traffic takes that long
    assert slow.by_temporaries(points[-1], CACHES) == slow


def test_a_slow_pace_slows_arithmetic_more_than_waiting():
    def at(nbytes, seconds, op="sin", kind="elementwise"):
        one = Series(op, kind, "f8", [Sample(1, 1.0, 16.0, nbytes, nbytes, seconds, 16e-6)])
        return steadied(one, 1e-6).samples[0].seconds / seconds

    assert at(8_000, 1e-6) == pytest.approx(1 / 8)  # in the core's own caches
    assert at(4_000_000, 2e-4) == pytest.approx(1 / 2)  # 40 GB/s: memory
    assert at(4_000_000, 2e-2) == pytest.approx(1 / 8)  # 0.4 GB/s: arithmetic
    assert at(8_000, 1e-6, "fmod") == at(8_000, 1e-6, "cumsum", "scan") == pytest.approx(1 / 2)  # wait for each other


def test_a_transform_is_never_quicker_beyond_its_last_sample():
    samples = [Sample(n, 1.0 * n, 16.0 * n, 8 * n, 8 * n, t) for n, t in ((1, 1e-5), (1000, 1e-3), (2000, 1.2e-3))]
    curve = Curve(knots(Series("fft.fft", "fft", "f8", samples), None))
    assert curve.at(8000.0) > 4 * 1.19e-3


def test_of_two_rounds_the_one_at_the_better_pace_counts():
    def at(seconds, pace):
        return Series("sin", "elementwise", "f8", [Sample(1, 1.0, 16.0, 8, 8, seconds, pace)])

    assert quieter(at(5e-6, 2e-6), at(3e-6, 4e-6)).samples[0].seconds == 5e-6
    assert quieter(at(5e-6, 4e-6), at(8e-6, 2e-6)).samples[0].seconds == 8e-6
    assert quieter(at(4.0e-6, 2e-6), at(4.84e-6, 2e-6)).samples[0].seconds == pytest.approx(4.4e-6)
    assert quieter(at(4e-6, 2e-6), at(9e-6, 2e-6)).samples[0].seconds == 4e-6
    assert [s.size for s in quieter(at(1e-6, 1e-6), series(lambda k: 1e-6 * k)).samples] == list(SIZES)


def test_calibration_times_the_path_of_a_call_left_on_the_host(monkeypatch):
    ran = []

    class Host:
        @staticmethod
        def run(function, args, kwargs, work):
            ran.append((function, work.op))
            return function(*args, **kwargs)

    monkeypatch.setattr(importlib.import_module("xpu._calibrate._host"), "HOST", Host)
    time_probe(probes(frozenset({"add"}))[0], Clock())
    assert set(ran) == {(np.add, "add")}


def test_transforms_are_timed_though_they_load_late():
    code = "from xpu._calibrate._probes import probes; print('fft.fft f8' in {p.name for p in probes()})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_probes_leave_their_data_alone():
    before = values(1000, "f8").copy()
    for probe in probes(frozenset({"copyto", "put", "putmask", "place", "setitem"})):
        probe.op.host(*probe.make(1000))
    assert np.array_equal(values(1000, "f8"), before)
