"""Who is scored when, and how far a partition is done: nothing is forgotten, and positions never run ahead."""

import random

import pytest

from streaming.scoring.activity import Place
from streaming.scoring.pending import Pending


def at(offset: int, partition: int = 0) -> Place:
    return Place("windows.v1", "L", partition, offset)


@pytest.fixture
def pending() -> Pending:
    """Partitions 0 and 1 from offset 0, an entity scored at most once a second."""
    pending = Pending(1.0)
    pending.open({0: 0, 1: 0})
    return pending


def test_entity_is_due_at_once_and_done_with_its_batch(pending: Pending) -> None:
    pending.add(0, {"a": at(3)}, start=0, next_offset=5, now=10.0)
    assert pending.done_up_to() == {0: 0, 1: 0}
    due = pending.due(10.0, 100)
    assert due == {"a": at(3)}
    assert pending.due(10.0, 100) == {}
    pending.done(due, 10.1)
    assert pending.done_up_to() == {0: 5, 1: 0}
    assert len(pending) == 0


def test_entity_that_was_scored_lately_waits_and_holds_the_position(pending: Pending) -> None:
    """Three changes within a second are one, as of the last; the position stands before the first of them."""
    pending.add(0, {"a": at(0)}, start=0, next_offset=1, now=10.0)
    pending.done(pending.due(10.0, 100), 10.0)
    for offset in (1, 2, 3):
        pending.add(0, {"a": at(offset)}, start=offset, next_offset=offset + 1, now=10.0 + offset / 10)
        assert pending.due(10.0 + offset / 10, 100) == {}
    assert pending.done_up_to()[0] == 1
    due = pending.due(11.0, 100)
    assert due == {"a": at(3)}
    pending.done(due, 11.0)
    assert pending.done_up_to()[0] == 4


def test_change_during_the_scoring_is_scored_later(pending: Pending) -> None:
    pending.add(0, {"a": at(0)}, start=0, next_offset=1, now=10.0)
    due = pending.due(10.0, 100)
    pending.add(0, {"a": at(1)}, start=1, next_offset=2, now=10.01)
    pending.done(due, 10.02)
    assert pending.done_up_to()[0] == 1
    assert pending.due(11.02, 100) == {"a": at(1)}


def test_features_that_settle_later_are_scored_twice(pending: Pending) -> None:
    pending.add(0, {"a": at(0)}, start=0, next_offset=1, now=10.0)
    pending.done(pending.due(10.0, 100), 10.01, settle_s=1.5)
    assert pending.done_up_to()[0] == 0
    again = pending.due(11.51, 100)
    assert again == {"a": at(0)}
    pending.done(again, 11.52, settle_s=1.5)
    assert pending.done_up_to()[0] == 1
    assert pending.due(99.0, 100) == {}


def test_due_gives_no_more_than_asked_and_the_rest_next(pending: Pending) -> None:
    pending.add(0, {f"e{n}": at(0) for n in range(5)}, start=0, next_offset=1, now=10.0)
    first, second = pending.due(10.0, 3), pending.due(10.0, 3)
    assert (len(first), len(second)) == (3, 2)
    assert first.keys() | second.keys() == {f"e{n}" for n in range(5)}


def test_entity_on_two_partitions_holds_neither_for_ever(pending: Pending) -> None:
    pending.add(0, {"a": at(0)}, start=0, next_offset=1, now=10.0)
    pending.add(1, {"a": at(7, partition=1)}, start=7, next_offset=8, now=10.0)
    for now in (10.0, 11.0):
        pending.done(pending.due(now, 100), now)
    assert pending.done_up_to() == {0: 1, 1: 8}


def test_release_and_open_forget_what_waited(pending: Pending) -> None:
    pending.add(0, {"a": at(0)}, start=0, next_offset=1, now=10.0)
    pending.release([0])
    assert pending.position(0) is None
    assert pending.due(10.0, 100) == {}
    pending.open({0: 0})
    assert (pending.position(0), pending.position(1), len(pending)) == (0, None, 0)


@pytest.mark.parametrize("seed", range(20))
def test_every_change_is_scored_and_no_position_passes_one_that_is_not(seed: int) -> None:
    """Random batches, rounds that take time and entities that come back, against a plain record of what is open."""
    chance = random.Random(seed)  # noqa: S311 - streams, not secrets
    pending, now = Pending(1.0), 0.0
    pending.open({0: 0})
    position, last_change, scored = 0, dict[str, int](), dict[str, int]()
    for _ in range(300):
        now += chance.random() / 4
        if chance.random() < 0.5:
            names = chance.sample([f"e{n}" for n in range(12)], chance.randint(0, 5))
            pending.add(0, {n: at(position) for n in names}, start=position, next_offset=position + 1, now=now)
            last_change.update(dict.fromkeys(names, position))
            position += 1
        due = pending.due(now, chance.choice([1, 3, 100]))
        if due and chance.random() < 0.3:
            name = chance.choice(sorted(due))
            pending.add(0, {name: at(position)}, start=position, next_offset=position + 1, now=now)
            last_change[name] = position
            position += 1
        scored.update({name: place.offset for name, place in due.items()})
        pending.done(due, now)
        behind = [change for name, change in last_change.items() if scored.get(name, -1) < change]
        assert pending.done_up_to()[0] <= min(behind, default=position)
    while len(pending):
        now += 0.3
        due = pending.due(now, 100)
        scored.update({name: place.offset for name, place in due.items()})
        pending.done(due, now)
    assert scored == last_change
    assert pending.done_up_to()[0] == position
