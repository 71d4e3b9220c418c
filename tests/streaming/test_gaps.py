"""A reader that meets missing offsets asks for them again before it believes that the log has none."""

import math

from streaming.gaps import GRACE_S, Gaps
from streaming.hearing import LONGEST_PAUSE_S, Hearing

PLACE = ("events.v1", 0)
OTHER = ("events.v1", 1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_gap_is_passed_only_after_it_has_stood_for_the_grace() -> None:
    clock = Clock()
    gaps = Gaps(lambda place: math.inf, clock)
    assert not gaps.may_pass(PLACE, 351)
    clock.now_s += GRACE_S - 0.1
    assert not gaps.may_pass(PLACE, 351)
    assert gaps.stands_before_one(PLACE)
    clock.now_s += 0.2
    assert gaps.may_pass(PLACE, 351)
    gaps.read(PLACE, 371)
    assert not gaps.stands_before_one(PLACE)


def test_every_gap_and_every_partition_has_a_grace_of_its_own() -> None:
    clock = Clock()
    gaps = Gaps(lambda place: math.inf, clock)
    assert not gaps.may_pass(PLACE, 351)
    clock.now_s += GRACE_S + 0.1
    assert not gaps.may_pass(OTHER, 351)
    assert not gaps.may_pass(PLACE, 400)
    clock.now_s += GRACE_S + 0.1
    assert gaps.may_pass(PLACE, 400)


def test_time_in_which_the_broker_was_away_does_not_count() -> None:
    clock = Clock()
    hearing = Hearing(clock)
    gaps = Gaps(hearing.heard_for_s, clock)
    hearing.note(PLACE, 0)
    assert not gaps.may_pass(PLACE, 351)
    clock.now_s += 60
    for answer in range(1, round(GRACE_S) + 1):
        hearing.note(PLACE, answer)
        assert not gaps.may_pass(PLACE, 351)
        clock.now_s += 1
    assert gaps.may_pass(PLACE, 351)


def test_a_gap_that_was_filled_is_forgotten_and_one_that_is_read_up_to_is_not() -> None:
    gaps = Gaps(lambda place: math.inf, Clock())
    assert not gaps.may_pass(PLACE, 351)
    gaps.read(PLACE, 351)
    assert gaps.stands_before_one(PLACE)
    gaps.read(PLACE, 364)
    assert not gaps.stands_before_one(PLACE)


def test_the_grace_is_twice_the_longest_silence_of_a_broker_that_counts_as_heard() -> None:
    """After one of these the broker is still asked for as long again."""
    assert GRACE_S >= 2 * LONGEST_PAUSE_S
