"""Silence counts only for as long as the broker answers."""

import pytest

from streaming.hearing import LONGEST_PAUSE_S, Hearing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_hearing_lasts_for_as_long_as_answers_come(clock: Clock) -> None:
    hearing = Hearing(clock)
    assert hearing.heard_for_s("p") == 0
    for answer in range(10):
        hearing.note("p", answer)
        clock.now += 1
    assert hearing.heard_for_s("p") == 10
    assert hearing.heard_for_s("q") == 0


def test_hearing_begins_anew_after_a_pause(clock: Clock) -> None:
    """A broker that was away, or a process that was stopped: neither knows what came meanwhile."""
    hearing = Hearing(clock)
    hearing.note("p", 1)
    clock.now += LONGEST_PAUSE_S + 1
    assert hearing.heard_for_s("p") == 0
    hearing.note("p", 2)
    clock.now += 1
    assert hearing.heard_for_s("p") == 1


def test_hearing_takes_one_answer_for_one_however_often_it_is_seen(clock: Clock) -> None:
    hearing = Hearing(clock)
    for _ in range(10):
        hearing.note("p", 1)
        clock.now += 1
    assert hearing.heard_for_s("p") == 0
