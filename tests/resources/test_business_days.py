"""Business days: which day an instant belongs to, when a day is due, and days as ranges."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from resources.business_days import BusinessCalendar, DayRange, ranges_of

SIX = dt.time(6)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def calendar() -> BusinessCalendar:
    return BusinessCalendar(ZoneInfo("America/New_York"), dt.date(2017, 1, 1))


def test_instant_after_midnight_in_utc_belongs_to_the_evening_before_in_new_york(calendar: BusinessCalendar) -> None:
    assert calendar.day_of(utc("2026-01-06T03:00")) == day("2026-01-05")
    assert calendar.day_of(utc("2026-01-06T05:00")) == day("2026-01-06")


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-06T10:59", "2026-01-04"),  # 05:59 in New York
        ("2026-01-06T11:00", "2026-01-05"),
        ("2026-03-08T09:59", "2026-03-06"),  # 05:59 on the day on which 02:00 becomes 03:00
        ("2026-03-08T10:00", "2026-03-07"),
    ],
)
def test_day_is_due_from_its_deadline_on_the_next_day(calendar: BusinessCalendar, now: str, due: str) -> None:
    assert calendar.newest_due(utc(now), SIX) == day(due)


def test_deadline_in_an_hour_that_comes_twice_passes_the_first_time(calendar: BusinessCalendar) -> None:
    """01:30 of 1 November 2026 is 05:30 and again 06:30 in UTC."""
    half_past_one = dt.time(1, 30)
    assert calendar.newest_due(utc("2026-11-01T05:29"), half_past_one) == day("2026-10-30")
    for now in ("2026-11-01T05:30", "2026-11-01T06:10", "2026-11-01T07:00"):
        assert calendar.newest_due(utc(now), half_past_one) == day("2026-10-31")


def test_days_become_the_fewest_ranges() -> None:
    days = [day("2026-01-01"), day("2025-12-31"), day("2025-06-30"), day("2026-01-01"), day("2026-01-03")]
    ranges = ranges_of(days)
    assert [str(found) for found in ranges] == ["2025-06-30", "2025-12-31/2026-01-01", "2026-01-03"]
    assert sorted(set(days)) == [each for found in ranges for each in found]
    assert ranges_of([]) == []


@pytest.mark.parametrize("text", ["2026-01-03", "2025-12-30/2026-01-02"])
def test_range_is_read_as_it_is_written(text: str) -> None:
    found = DayRange.parse(text)
    assert str(found) == text
    assert len(list(found)) == len(found)


def test_range_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        DayRange.parse("2026-01-03/tomorrow")
