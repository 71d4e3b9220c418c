"""When partitions are fetched again, on times given by hand."""

import math
from typing import NamedTuple

import pytest

from streaming.pacing import FEW_RECORDS, FULL_BATCH_RECORDS, PASSES_APART, Pacing, PassTime

PACE = 0.01


class At(NamedTuple):
    topic: str
    partition: int


FIRST, SECOND, THIRD = (At("events.v1", number) for number in range(3))
PATIENT = At("windows.v1", 0)


@pytest.fixture
def passes() -> PassTime:
    return PassTime()


@pytest.fixture
def pacing(passes: PassTime) -> Pacing:
    return Pacing({"events.v1": PACE, "windows.v1": 0.25, "unpaced.v1": 0.0}, lambda: passes.average_s)


def test_partition_is_due_once_its_pace_is_over(pacing: Pacing) -> None:
    """And not again before it has brought something."""
    assert pacing.wait(FIRST, 0, now=5.0)
    assert pacing.due(5.0 + PACE * 0.99) == []
    assert pacing.next_in_s(5.0) == pytest.approx(PACE)
    assert pacing.due(5.0 + PACE) == [FIRST]
    assert pacing.due(6.0) == []
    assert pacing.next_in_s(6.0) == math.inf


@pytest.mark.parametrize("records", [FULL_BATCH_RECORDS, 100 * FULL_BATCH_RECORDS])
def test_full_batch_slows_the_pace_to_half(pacing: Pacing, records: int) -> None:
    """Not further, however full it is."""
    pacing.wait(FIRST, records, now=5.0)
    assert pacing.next_in_s(5.0) == pytest.approx(2 * PACE)


def test_topic_without_a_pace_is_never_paused(pacing: Pacing) -> None:
    """There is no turn to wait for."""
    assert not pacing.wait(At("unpaced.v1", 0), 10, now=5.0)
    assert pacing.next_in_s(5.0) == math.inf


def test_partitions_that_came_apart_have_their_next_turn_together(pacing: Pacing) -> None:
    """One request of the broker brings both."""
    pacing.wait(FIRST, 0, now=5.0)
    pacing.wait(SECOND, 0, now=5.0 + PACE * 0.4)
    assert set(pacing.due(5.0 + PACE)) == {FIRST, SECOND}


def test_partition_waits_at_least_half_its_pace(pacing: Pacing) -> None:
    """A turn that is nearer than that is left to the others."""
    pacing.wait(FIRST, 0, now=5.0)
    pacing.wait(SECOND, 0, now=5.0 + PACE * 0.6)
    assert pacing.due(5.0 + PACE) == [FIRST]
    assert pacing.due(5.0 + PACE * 1.6) == [SECOND]


def test_nearest_of_several_turns_is_taken(pacing: Pacing) -> None:
    """Of those within half the pace."""
    pacing.wait(FIRST, 0, now=5.0)
    pacing.wait(SECOND, 0, now=5.006)
    pacing.wait(THIRD, 0, now=5.004)
    assert pacing.due(5.011) == [FIRST]
    pacing.wait(FIRST, 0, now=5.0055)
    assert set(pacing.due(5.016)) == {FIRST, SECOND, THIRD}


def test_patient_topic_comes_along_with_a_hurried_one_near_its_own_turn(pacing: Pacing) -> None:
    """Its pace decides how near that is."""
    pacing.wait(PATIENT, 0, now=5.0)
    pacing.wait(FIRST, 0, now=5.0)
    assert pacing.due(5.0 + PACE) == [FIRST]
    pacing.due(6.0)
    pacing.wait(FIRST, 0, now=6.15)
    pacing.wait(PATIENT, 0, now=6.0)
    assert set(pacing.due(6.15 + PACE)) == {FIRST, PATIENT}


def test_partition_that_brought_nothing_waits_for_the_next_turn_of_one_as_hurried(pacing: Pacing) -> None:
    """The request at that turn asks for all of them."""
    pacing.wait(FIRST, 0, now=5.0)
    assert pacing.wait_along(SECOND)
    assert pacing.wait_along(PATIENT)
    assert set(pacing.due(5.0 + PACE)) == {FIRST, SECOND, PATIENT}


def test_hurried_topic_does_not_wait_for_a_patient_one(pacing: Pacing) -> None:
    """Its first event after a silence would come a quarter of a second late."""
    pacing.wait(PATIENT, 0, now=5.0)
    assert not pacing.wait_along(FIRST)


def test_nobody_waits_where_there_is_no_turn(pacing: Pacing) -> None:
    """In a silent stream the broker answers as soon as anything comes."""
    assert not pacing.wait_along(FIRST)


def test_pace_is_slower_where_passes_take_long(pacing: Pacing, passes: PassTime) -> None:
    """So that half of the time is left to others, and a topic that is patient anyway keeps its pace."""
    for _ in range(200):
        passes.note(100, PACE)
    pacing.wait(FIRST, 0, now=5.0)
    assert pacing.next_in_s(5.0) == pytest.approx(PASSES_APART * PACE, rel=0.01)
    pacing.due(6.0)
    pacing.wait(PATIENT, 0, now=6.0)
    assert pacing.next_in_s(6.0) == pytest.approx(0.25)


def test_pass_over_many_records_does_not_slow_the_pace(passes: PassTime) -> None:
    """Its time is that of its records, which come in as many passes or fewer."""
    passes.note(FEW_RECORDS + 1, 0.04)
    assert passes.average_s == 0.0


def test_one_pass_that_stood_still_changes_the_pace_little(pacing: Pacing, passes: PassTime) -> None:
    """A process that was suspended for a minute is not slow."""
    for _ in range(200):
        passes.note(100, PACE / 4)
    passes.note(100, 60.0)
    pacing.wait(FIRST, 0, now=5.0)
    assert pacing.next_in_s(5.0) == pytest.approx(PACE, rel=0.01)
