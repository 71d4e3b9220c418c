"""Which events a change contains first, and how old they are by then."""

from collections import defaultdict

import numpy as np
import pytest

from streaming.benchmark.latency import LatencyRecorder, percentiles
from streaming.benchmark.load import Load, Phase, user_name

START_US = 1_764_000_059_000_000
LOAD = Load("0b0e0000-0000-4000-8000-", START_US, (Phase(20_000, 1, measured=False), Phase(20_000, 3)))


def changes(load: Load, batch: int, delay_us: int) -> list[tuple[list[list[object]], int]]:
    """What an engine emits that takes batches of that many events, `delay_us` after the last of each."""
    state: dict[tuple[str, int], int] = defaultdict(int)
    emitted = []
    for begin in range(0, load.total, batch):
        numbers = np.arange(begin, min(begin + batch, load.total))
        times = load.intended_us(numbers)
        changed = set()
        for user, time_us in zip(load.turns.users_of(numbers).tolist(), times.tolist(), strict=True):
            window = (user_name(user), time_us // 60_000_000 * 60_000)
            state[window] += 1
            changed.add(window)
        rows: list[list[object]] = [[user, start, start + 60_000, state[user, start], 1.0] for user, start in changed]
        emitted.append((rows, int(times[-1]) + delay_us))
    return emitted


def test_every_measured_event_is_recorded_once_with_its_own_age() -> None:
    """Windows open before, at and after the start of the run; the schedule crosses a minute."""
    recorder = LatencyRecorder(LOAD, sample_every=1)
    for rows, arrived_us in changes(LOAD, 500, 40_000):
        recorder.add(rows, arrived_us)
        recorder.flush()
    found = percentiles(recorder.histogram)
    assert found is not None
    assert found.events == 60_000
    # A batch spans 500 events at 50 µs: ages run evenly from 40 to 65 ms.
    assert found.p50 == pytest.approx(52.5, rel=0.01)
    assert found.p99 == pytest.approx(64.7, rel=0.01)
    assert found.max == pytest.approx(64.95, rel=0.01)
    assert len(recorder.moments) == 120


def test_flushing_late_changes_nothing() -> None:
    recorder = LatencyRecorder(LOAD, sample_every=1)
    for rows, arrived_us in changes(LOAD, 500, 40_000):
        recorder.add(rows, arrived_us)
    recorder.flush()
    found = percentiles(recorder.histogram)
    assert found is not None
    assert (found.events, round(found.p50)) == (60_000, 52)


def test_repeated_changes_count_no_event_again() -> None:
    recorder = LatencyRecorder(LOAD, sample_every=1)
    for rows, arrived_us in changes(LOAD, 500, 40_000):
        recorder.add(rows, arrived_us)
        recorder.add(rows, arrived_us + 5_000_000)
    recorder.flush()
    found = percentiles(recorder.histogram)
    assert found is not None
    assert found.events == 60_000
    assert found.max < 70


def test_sample_takes_every_tenth_user_with_all_of_its_events() -> None:
    recorder = LatencyRecorder(LOAD, sample_every=10)
    for rows, arrived_us in changes(LOAD, 500, 40_000):
        recorder.add(rows, arrived_us)
    recorder.flush()
    found = percentiles(recorder.histogram)
    assert found is not None
    assert found.events == pytest.approx(6_000, rel=0.02)
    assert found.p50 == pytest.approx(52.5, rel=0.03)


def test_nothing_recorded_has_no_percentiles() -> None:
    recorder = LatencyRecorder(LOAD, sample_every=10)
    recorder.flush()
    assert percentiles(recorder.histogram) is None
