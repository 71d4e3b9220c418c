"""The sender's clock is allowed for, within bounds, and the server's time is never touched."""

import datetime as dt

import pytest

from api.services.client_clock import ClientClock, ClockRule
from platform_assets.contracts.events import InvalidEvent
from resources.settings.api import FutureEvents

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
CLAMP = ClockRule(future=FutureEvents.CLAMP)


@pytest.mark.parametrize("off", [HOUR, -HOUR, 24 * 365 * 56 * -HOUR])
def test_a_clock_that_is_off_is_allowed_for(off: dt.timedelta) -> None:
    """Distances stay: what happened 10 s before it was sent still did."""
    clock = ClientClock(NOW, ClockRule(), sent_at=NOW + off)
    assert clock.read(NOW + off - dt.timedelta(seconds=10), None) == NOW - dt.timedelta(seconds=10)
    assert (clock.moved, clock.skew) == (1, -off)


@pytest.mark.parametrize("off_s", [-60, -1, 0, 1, 60])
def test_a_difference_that_the_network_explains_moves_nothing(off_s: int) -> None:
    clock = ClientClock(NOW, ClockRule(), sent_at=NOW + dt.timedelta(seconds=off_s))
    assert clock.read(NOW - HOUR, None) == NOW - HOUR
    assert clock.moved == 0


def test_without_a_time_of_sending_the_senders_times_are_kept_up_to_the_tolerance() -> None:
    clock = ClientClock(NOW, ClockRule())
    assert clock.read(NOW + HOUR, None) == NOW + HOUR
    assert clock.read(NOW - 1000 * HOUR, None) == NOW - 1000 * HOUR
    with pytest.raises(InvalidEvent, match=r"3,601 s in the future, more than 3,600 s.*X-Sent-At") as refused:
        clock.read(NOW + HOUR + dt.timedelta(seconds=1), "e-1")
    assert refused.value.event_id == "e-1"


def test_events_from_the_future_are_clamped_where_the_setting_says_so() -> None:
    clock = ClientClock(NOW, CLAMP)
    assert clock.read(NOW + 2 * HOUR, None) == NOW
    assert clock.clamped == 1


def test_an_event_ahead_of_its_own_time_of_sending_is_in_the_future_after_the_move_too() -> None:
    clock = ClientClock(NOW, ClockRule(), sent_at=NOW - 5 * HOUR)
    with pytest.raises(InvalidEvent, match="7,200 s in the future"):
        clock.read(NOW - 3 * HOUR, None)


@pytest.mark.parametrize("claimed_year", [1, 1900, 2199, 9999])
def test_a_move_out_of_what_the_log_can_hold_is_refused(claimed_year: int) -> None:
    sent_at = dt.datetime(9999 if claimed_year < 2000 else 1, 1, 2, tzinfo=dt.UTC)
    clock = ClientClock(NOW, ClockRule(), sent_at=sent_at)
    with pytest.raises(InvalidEvent):
        clock.read(dt.datetime(claimed_year, 6, 1, tzinfo=dt.UTC), None)
