"""Which business days landed files touch."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.topics import EVENTS
from resources.business_days import BusinessCalendar
from resources.landing_days import touched_days
from resources.landing_zone import LandingZone
from tests.landed_records import event, land_events

CALENDAR = BusinessCalendar(ZoneInfo("America/New_York"), dt.date(2017, 1, 1))


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


def days_of(landing: LandingZone, *times: str) -> set[str]:
    rows = [
        event(offset, occurred_at=dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC))
        for offset, text in enumerate(times)
    ]
    land_events(landing, rows)
    return {day.isoformat() for day in touched_days(landing, landing.files(EVENTS.name), CALENDAR)}


def test_events_of_one_business_day_need_no_row_to_be_read(
    landing: LandingZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Around midnight in UTC, in the evening of one day in New York: the footer says it."""
    monkeypatch.delattr(pq.ParquetFile, "read_row_group")
    assert days_of(landing, "2026-01-05T23:00", "2026-01-06T03:00") == {"2026-01-05"}


def test_late_event_touches_its_own_day_and_none_between(landing: LandingZone) -> None:
    assert days_of(landing, "2026-01-05T15:00", "2025-03-01T12:00", "2026-01-05T16:00") == {"2026-01-05", "2025-03-01"}


@pytest.mark.parametrize(
    ("midnight", "before", "after"),
    [
        ("2026-01-06T05:00", "2026-01-05", "2026-01-06"),
        ("2026-07-06T04:00", "2026-07-05", "2026-07-06"),
        ("1969-12-31T05:00", "1969-12-30", "1969-12-31"),  # before the epoch, where division rounds the other way
    ],
)
def test_day_begins_at_midnight_to_the_microsecond(
    landing: LandingZone, midnight: str, before: str, after: str
) -> None:
    at = dt.datetime.fromisoformat(midnight)
    assert days_of(landing, (at - dt.timedelta(microseconds=1)).isoformat(), midnight) == {before, after}


def test_files_without_events_touch_nothing(landing: LandingZone) -> None:
    assert touched_days(landing, [], CALENDAR) == set()
