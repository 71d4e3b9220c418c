"""What the scaling policy decides on one signal, and what it never does on any sequence of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.autoscaling import Limits, Memory, Signal, decide

LIMITS = Limits(partitions=8)
CALM = Signal(at_s=1_000, lag_events=0, processed_per_s=50_000, busy_share=0.8)
BEHIND = Signal(at_s=1_000, lag_events=2_000_000, processed_per_s=100_000, busy_share=1.0)
IDLE = Signal(at_s=1_000, lag_events=0, processed_per_s=0, busy_share=0)


def idle_since(seconds: float) -> Memory:
    return Memory(changed_at_s=None, fewer_since_s=IDLE.at_s - seconds, last=replace(IDLE, at_s=IDLE.at_s - 15))


def test_workers_stay_while_the_lag_is_short_and_the_load_bearable() -> None:
    assert decide(2, CALM, LIMITS, Memory()).replicas == 2


def test_workers_are_added_when_the_lag_would_take_too_long() -> None:
    """2 million behind at 50,000 a worker, to be gone in a minute: 2.7 workers' load, 3.8 at the wanted share."""
    assert decide(2, BEHIND, LIMITS, Memory()).replicas == 4


def test_workers_are_added_when_a_short_lag_grows_at_full_load() -> None:
    signal = Signal(at_s=1_000, lag_events=30_000, processed_per_s=100_000, busy_share=0.97)
    earlier = Memory(last=replace(signal, at_s=985, lag_events=0))
    assert decide(2, signal, LIMITS, earlier).replicas > 2
    assert decide(2, replace(signal, busy_share=0.8), LIMITS, earlier).replicas == 2
    assert decide(2, signal, LIMITS, Memory(last=replace(signal, at_s=985, lag_events=40_000))).replicas == 2


def test_load_that_still_grows_is_provided_for() -> None:
    """Twice as much comes as is processed: the rate of today is not the one to provide for."""
    steady = decide(2, BEHIND, LIMITS, Memory(last=replace(BEHIND, at_s=985)))
    growing = decide(2, BEHIND, LIMITS, Memory(last=replace(BEHIND, at_s=985, lag_events=500_000)))
    assert growing.replicas > steady.replicas


def test_no_worker_is_added_soon_after_a_change() -> None:
    just_now = Memory(changed_at_s=BEHIND.at_s - LIMITS.rest_before_up_s + 1)
    assert decide(2, BEHIND, LIMITS, just_now).replicas == 2
    assert decide(2, BEHIND, LIMITS, Memory(changed_at_s=BEHIND.at_s - LIMITS.rest_before_up_s)).replicas > 2


def test_no_worker_is_added_where_it_would_not_help() -> None:
    """Nothing can be written, nothing is processed, or there are as many as partitions."""
    assert decide(2, replace(BEHIND, is_paused=True), LIMITS, Memory()).replicas == 2
    assert decide(2, replace(BEHIND, processed_per_s=0), LIMITS, Memory()).replicas == 2
    assert decide(8, BEHIND, LIMITS, Memory()).replicas == 8


def test_workers_are_removed_one_step_after_long_quiet() -> None:
    assert decide(8, IDLE, LIMITS, idle_since(LIMITS.quiet_s - 1)).replicas == 8
    assert decide(8, IDLE, LIMITS, idle_since(LIMITS.quiet_s)).replicas == 4


def test_no_worker_is_removed_while_the_rest_would_be_too_busy() -> None:
    busy = replace(IDLE, processed_per_s=200_000, busy_share=0.4)
    decision = decide(8, busy, LIMITS, idle_since(LIMITS.quiet_s))
    assert decision.replicas == 8
    assert decision.memory.fewer_since_s is None


def test_quiet_is_counted_anew_after_a_burst() -> None:
    memory = decide(4, BEHIND, LIMITS, replace(idle_since(LIMITS.quiet_s), changed_at_s=BEHIND.at_s)).memory
    assert decide(4, replace(IDLE, at_s=1_015), LIMITS, memory).replicas == 4


def test_a_count_that_is_no_faster_is_never_chosen() -> None:
    """Of eight partitions 5 to 7 workers leave one with two, as four do."""
    assert LIMITS.counts == (1, 2, 3, 4, 8)
    assert Limits(partitions=8, minimum=6).counts == (6, 8)
    assert Limits(partitions=8, maximum=7).counts == (1, 2, 3, 4)


@pytest.mark.parametrize(("current", "replicas"), [(0, 2), (1, 2), (9, 5), (5, 5)])
def test_number_outside_the_bounds_is_corrected_at_once(current: int, replicas: int) -> None:
    limits = Limits(partitions=8, minimum=2, maximum=5)
    assert decide(current, CALM, limits, Memory(changed_at_s=CALM.at_s)).replicas == replicas


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"partitions": 0}, "must be a partition"),
        ({"partitions": 4, "minimum": 5}, "not between 1 and 4"),
        ({"partitions": 4, "minimum": 3, "maximum": 2}, "not between 1 and 2"),
        ({"partitions": 4, "wanted_share": 0.9}, "must be below the full share"),
        ({"partitions": 4, "catch_up_s": 0}, "catch_up_s must be positive"),
    ],
)
def test_contradictory_limits_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(**wrong)  # type: ignore[arg-type]


SIGNALS = st.builds(
    Signal,
    at_s=st.just(0.0),
    lag_events=st.floats(0, 1e9),
    processed_per_s=st.sampled_from([0.0, 1e-3]) | st.floats(0, 1e6),
    busy_share=st.floats(0, 1),
    is_paused=st.booleans(),
)


@given(
    partitions=st.integers(1, 40),
    minimum=st.integers(1, 40),
    signals=st.lists(st.tuples(st.integers(0, 400), SIGNALS), min_size=1, max_size=30),
    current=st.integers(0, 60),
)
def test_any_signals_keep_the_number_within_bounds_and_apart_in_time(
    partitions: int, minimum: int, signals: list[tuple[int, Signal]], current: int
) -> None:
    """Once within them, and two changes are never closer than the rest before the second of them."""
    limits = Limits(partitions=partitions, minimum=min(minimum, partitions))
    memory = Memory()
    at_s, changed_at = 0.0, None
    for number, (step, signal) in enumerate(signals):
        at_s += step
        decision = decide(current, replace(signal, at_s=at_s), limits, memory)
        assert limits.minimum <= decision.replicas <= partitions
        assert decision.reason
        if number and decision.replicas != current:
            rest = limits.rest_before_up_s if decision.replicas > current else limits.rest_before_down_s
            assert changed_at is None or at_s - changed_at >= rest
        if decision.replicas != current:
            changed_at = at_s
        current, memory = decision.replicas, decision.memory
