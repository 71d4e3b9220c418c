"""Rate, backlog, knee and recovery, from positions over time."""

import pytest

from streaming.benchmark.load import MICROSECONDS, Load, Phase
from streaming.benchmark.paced import steady, to_the_peak
from streaming.benchmark.timeline import Progress, Timeline

START_US = 1_764_000_000_000_000


def a_progress(phases: tuple[Phase, ...], most_eps: int, delay_s: float = 0.02) -> Progress:
    """An engine that processes at most `most_eps`, and shows it `delay_s` later."""
    load = Load("0b0e0000-0000-4000-8000-", START_US, phases)
    timeline, done, at_us, tick_us = Timeline(), 0.0, START_US, 10_000
    while done < load.total:
        at_us += tick_us
        done = min(load.due(at_us), done + most_eps * tick_us / MICROSECONDS)
        timeline.add(at_us + round(delay_s * MICROSECONDS), int(done))
    return Progress(load, timeline)


def test_engine_that_keeps_up_achieves_the_target() -> None:
    progress = a_progress(steady(10_000, 10, 2), most_eps=50_000)
    assert progress.achieved_eps() == pytest.approx(10_000, rel=0.005)
    assert progress.backlog(START_US + 12 * MICROSECONDS) == pytest.approx(200, abs=110)


def test_engine_that_falls_behind_achieves_what_it_can() -> None:
    progress = a_progress(steady(10_000, 10, 2), most_eps=8_000)
    assert progress.achieved_eps() == pytest.approx(8_000, rel=0.05)
    assert progress.backlog(START_US + 12 * MICROSECONDS) == pytest.approx(24_000, rel=0.05)


def test_achieved_rate_never_exceeds_what_was_sent() -> None:
    """Results of the warm-up that come late, then all at once, do not make the measured part faster."""
    load = Load("0b0e0000-0000-4000-8000-", START_US, steady(1_000, 10, 2))
    timeline = Timeline()
    timeline.add(START_US + 9 * MICROSECONDS, 9_000)
    timeline.add(START_US + 12 * MICROSECONDS, 12_000)
    achieved = Progress(load, timeline).achieved_eps()
    assert achieved is not None
    assert achieved <= 1_000


def test_nothing_measured_achieves_nothing() -> None:
    load = Load("0b0e0000-0000-4000-8000-", START_US, steady(1_000, 10, 2))
    assert Progress(load, Timeline()).achieved_eps() is None


def test_knee_is_the_last_step_that_is_kept_up_with() -> None:
    """Steps of 5, 7.5, 10, 12.5 and 15 thousand a second against an engine that does 11 thousand."""
    progress = a_progress(to_the_peak(15_000, 60, 2), most_eps=11_000)
    assert progress.knee_eps() == 10_000
    # 10.8 s of 1,500 and 28,800 too many, drained at 6,000 a second until 1,250 are left.
    recovery_s = progress.recovery_s()
    assert recovery_s == pytest.approx((1_500 * 7.2 + 4_000 * 7.2 - 1_250) / 6_000, rel=0.05)


def test_engine_above_the_peak_has_its_knee_there_and_nothing_to_recover_from() -> None:
    progress = a_progress(to_the_peak(15_000, 60, 2), most_eps=40_000)
    assert progress.knee_eps() == 15_000
    assert progress.recovery_s() == 0


def test_engine_that_is_overrun_at_once_has_no_knee() -> None:
    progress = a_progress(to_the_peak(15_000, 60, 2), most_eps=2_000)
    assert progress.knee_eps() is None


def test_rate_over_a_filled_topic_leaves_out_what_had_piled_up_before_the_first_results() -> None:
    """A hundred a second, of which three hundred were there before anything could be told."""
    timeline = Timeline([MICROSECONDS, MICROSECONDS + 1000], [10, 300])
    for second in range(2, 6):
        timeline.add(second * MICROSECONDS, 300 + (second - 1) * 100)
    begin = timeline.timed_from(200)
    assert begin == 1
    assert timeline.rate(begin) == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize(("records", "wanted"), [([], 1), ([100], 1), ([10, 100], 11), ([10, 100], 101)])
def test_rate_of_a_single_arrival_is_unknown(records: list[int], wanted: int) -> None:
    assert Timeline(list(range(len(records))), records).timed_from(wanted) is None


def test_results_are_there_again_after_the_longest_silence_since_the_kill() -> None:
    """What was on its way at the kill still arrives; results from then on come every 10 ms."""
    progress = a_progress(steady(1_000, 10, 2), most_eps=5_000)
    kill_us = START_US + 5 * MICROSECONDS
    silent = range(kill_us + 30_000, kill_us + 4_000_000)
    kept = [
        (at, done)
        for at, done in zip(progress.timeline.times_us, progress.timeline.records, strict=True)
        if at not in silent
    ]
    killed = Progress(progress.load, Timeline([at for at, _ in kept], [done for _, done in kept]))
    assert killed.resumed_after_s(kill_us) == pytest.approx(4.0, abs=0.011)
    assert killed.recovered_after_s(kill_us) == pytest.approx(4.0, abs=0.011)


def test_results_that_never_come_again_have_no_time() -> None:
    progress = a_progress(steady(1_000, 10, 2), most_eps=5_000)
    assert progress.resumed_after_s(START_US + 60 * MICROSECONDS) is None
    assert progress.recovered_after_s(START_US + 60 * MICROSECONDS) is None
