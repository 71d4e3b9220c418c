"""The policy against traffic: bounds, calm, catching up and saving."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.autoscaling import Limits
from streaming.scaling_simulation import PATTERNS, Cluster, Outcome, main, simulate

LIMITS = Limits(partitions=4)
CLUSTER = Cluster()
BASE, PEAK = 10_000, 150_000
CAUGHT_UP_WITHIN_S = 240
"""From the beginning of a peak of at most 70 % of what all workers can do to no event older than 2 s."""


def played(name: str, seed: int = 1, limits: Limits = LIMITS) -> Outcome:
    pattern = PATTERNS[name]
    return simulate(pattern.traffic(BASE, PEAK), pattern.duration_s, CLUSTER, limits, seed)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("limits", [LIMITS, Limits(partitions=6, minimum=2, maximum=5)])
def test_workers_stay_within_the_bounds(name: str, limits: Limits) -> None:
    numbers = {moment.replicas for moment in played(name, limits=limits).moments}
    assert min(numbers) == limits.minimum
    assert max(numbers) <= limits.highest


@pytest.mark.parametrize("seed", range(4))
def test_daily_traffic_changes_the_number_twice_a_level_and_day(seed: int) -> None:
    """Up and down again through the three levels, on each of two days, and nothing waits for long."""
    outcome = played("daily", seed)
    assert len(outcome.changes) <= 2 * 2 * (len(LIMITS.counts) - 1)
    assert outcome.slow_seconds(30) == 0


def test_idle_night_runs_on_the_fewest_workers() -> None:
    outcome = played("daily")
    night = outcome.moments[86_400 : 86_400 + 6 * 3600]
    assert {moment.replicas for moment in night} == {LIMITS.minimum}
    assert outcome.worker_hours < 0.6 * LIMITS.highest * 48


def test_spike_is_caught_up_and_paid_for_no_longer_than_needed() -> None:
    outcome = played("spike")
    began = round(0.2 * PATTERNS["spike"].duration_s)
    assert max(moment.delay_s for moment in outcome.moments) <= 30
    assert all(moment.delay_s <= 2 for moment in outcome.moments[began + 90 : began + 180])
    assert outcome.moments[-1].replicas == LIMITS.minimum


@settings(max_examples=60, deadline=None)
@given(
    partitions=st.integers(2, 16),
    peak_share=st.floats(0.2, 0.7),
    base_share=st.floats(0, 0.5),
    begins=st.integers(0, 60),
    seed=st.integers(0, 9),
)
def test_any_step_that_the_workers_can_bear_is_caught_up(
    partitions: int, peak_share: float, base_share: float, begins: int, seed: int
) -> None:
    """And then stays so: the policy does not fall back below what the load needs."""
    limits = Limits(partitions=partitions)
    peak = peak_share * partitions * CLUSTER.capacity_per_s
    base = min(base_share * CLUSTER.capacity_per_s, peak)
    outcome = simulate(lambda second: peak if second >= 100 + begins else base, 1_500, CLUSTER, limits, seed)
    settled = outcome.moments[100 + begins + CAUGHT_UP_WITHIN_S :]
    moved = [second for second, _, _ in outcome.changes]
    quiet = [moment for moment in settled if not any(0 <= moment.second - second <= 60 for second in moved)]
    assert max(moment.delay_s for moment in quiet) <= 2


@settings(max_examples=40, deadline=None)
@given(
    partitions=st.integers(1, 16),
    share=st.floats(0, 1.2),
    noise=st.floats(0, 0.25),
    rebalance_s=st.integers(0, 10),
    seed=st.integers(0, 9),
)
def test_steady_traffic_makes_no_flapping(
    partitions: int, share: float, noise: float, rebalance_s: int, seed: int
) -> None:
    """Whatever the load, also one on the edge of a level: up as far as it takes, and at most down from there."""
    limits = Limits(partitions=partitions)
    cluster = Cluster(noise=noise, rebalance_s=rebalance_s)
    rate = share * partitions * cluster.capacity_per_s
    outcome = simulate(lambda _: rate, 4_000, cluster, limits, seed)
    directions = [count for _, count, _ in outcome.changes]
    turns = sum((b - a) * (c - b) < 0 for a, b, c in zip([1, *directions], directions, directions[1:], strict=False))
    assert turns <= 1


@settings(max_examples=30, deadline=None)
@given(rate=st.floats(0, 400_000), partitions=st.integers(1, 9), seed=st.integers(0, 9))
def test_simulated_events_are_neither_lost_nor_made(rate: float, partitions: int, seed: int) -> None:
    moments = simulate(lambda second: rate * (second % 7), 400, CLUSTER, Limits(partitions=partitions), seed).moments
    arrived, processed = sum(one.arrived for one in moments), sum(one.processed for one in moments)
    assert arrived == pytest.approx(processed + moments[-1].lag, rel=1e-6, abs=1e-3)
    assert all((one.delay_s > 0) <= (one.lag > 0) for one in moments)


def test_command_shows_plots_costs_and_misses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spike", "--worker-hour", "0.1"]) == 0
    shown = capsys.readouterr().out
    for words in (
        "thousand events/s over hours",
        "workers over hours",
        "lag, thousand",
        "worker-hours",
        "against 0.40",
    ):
        assert words in shown
    assert "\x1b" not in shown


def test_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in ((["yearly"], "there is no pattern yearly"), (["--minimum", "9"], "not between 1 and 4")):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert words in capsys.readouterr().err
