"""Every property of an event is a function of its number, and the bytes are those that the door writes."""

import datetime as dt

import numpy as np
import pytest

from platform_assets.contracts.events import decode_event, encode_event, partition_key
from streaming.benchmark.encoding import EventEncoder
from streaming.benchmark.load import MOST_USERS, PER_BLOCK, USERS, Load, Phase, Turns, quarters_of, user_name

START_US = 1_764_000_000_000_007
LOAD = Load("0b0e0000-0000-4000-8000-", START_US, (Phase(2_000, 1.5, measured=False), Phase(10_000, 2)), 100)


def test_events_are_byte_for_byte_what_the_door_writes() -> None:
    numbers = np.array([0, 1, 2_999, 3_000, 22_999])
    encoder = EventEncoder(LOAD)
    for number, value in zip(numbers.tolist(), encoder.encode(numbers), strict=True):
        event = decode_event(value)
        assert encode_event(event) == value
        assert event.event_id == f"{LOAD.run}{number:012d}"
        user = int(LOAD.turns.users_of(np.array([number]))[0])
        assert event.user_id == user_name(user)
        assert partition_key(event) == encoder.keys[user]
        assert event.payload["sales_value"] * 4 == quarters_of(np.array([number]))[0]
        assert event.occurred_at == event.received_at
        since_epoch = (event.occurred_at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        assert since_epoch == LOAD.intended_us(np.array([number]))[0]


def test_intended_times_follow_the_phases() -> None:
    assert LOAD.total == 23_000
    assert LOAD.first_measured == 3_000
    times = LOAD.intended_us(np.array([0, 1, 3_000, 3_001]))
    assert (times - START_US).tolist() == [0, 500, 1_500_000, 1_500_100]


def test_due_counts_the_events_whose_intended_time_has_come() -> None:
    numbers = np.arange(LOAD.total)
    times = LOAD.intended_us(numbers)
    for at_us in (START_US - 1, START_US, START_US + 777_777, START_US + 1_500_000, START_US + 10_000_000):
        assert LOAD.due(at_us) == int((times <= at_us).sum())


@pytest.mark.parametrize("users", [7, USERS, MOST_USERS])
def test_number_of_a_users_event_is_the_inverse_of_counting_them(users: int) -> None:
    turns, numbers = Turns(users), np.arange(3 * PER_BLOCK * users)
    whose = turns.users_of(numbers)
    ordinals = turns.events_of_user_before(whose, numbers)
    assert (turns.number_of(whose, ordinals) == numbers).all()
    assert (np.bincount(whose, minlength=users) == 24).all()


def test_names_of_all_users_have_one_width() -> None:
    """They are patched into a template."""
    assert len(user_name(0)) == len(user_name(MOST_USERS - 1))


def test_duplicates_are_a_share_of_the_events_but_for_the_last_second() -> None:
    repeated = LOAD.repeated(LOAD.total)
    assert LOAD.records(LOAD.total) == LOAD.total + len(repeated)
    assert repeated[:3].tolist() == [0, 100, 200]
    last_us = LOAD.intended_us(repeated[-1:])[0]
    assert START_US + 2_400_000 < last_us <= START_US + 2_500_000
