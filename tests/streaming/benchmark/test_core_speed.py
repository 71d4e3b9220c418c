"""The speed of the cores is told as a share of their best."""

import time

from streaming.benchmark import core_speed
from streaming.benchmark.core_speed import CoreSpeed, CoreSpeedometer


def after(took_ns: list[int]) -> CoreSpeed | None:
    speedometer = CoreSpeedometer()
    speedometer._took_ns = took_ns
    return speedometer.speed()


def test_cores_that_are_always_as_fast_have_a_speed_of_one() -> None:
    assert after([70_000] * 100) == CoreSpeed(p50=1.0, p10=1.0)


def test_cores_that_are_mostly_slowed_down_tell_the_share_of_their_speed_that_is_left() -> None:
    assert after([70_000] * 10 + [112_000] * 70 + [140_000] * 20) == CoreSpeed(p50=0.62, p10=0.5)


def test_a_few_samples_say_nothing() -> None:
    assert after([70_000] * 19) is None


def test_a_sample_works_for_a_part_of_a_millisecond_and_time_asleep_does_not_count() -> None:
    speedometer = CoreSpeedometer()
    for _ in range(50):
        speedometer.sample()
        time.sleep(0.001)
    assert 10_000 < min(speedometer._took_ns) < 1_000_000
    assert len(speedometer._took_ns) >= core_speed._FEWEST
    assert speedometer.speed() is not None
