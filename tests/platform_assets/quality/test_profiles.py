"""The numbers of each day, and only of days that new rows belong to."""

import datetime as dt
import math

import pytest

from platform_assets.quality.anomalies import DailyValue
from platform_assets.quality.profiles import DailyProfile, Series, newest_day, profile_days
from tests.platform_assets.quality.conftest import MakeDataset

FIRST, SECOND = dt.date(2026, 1, 1), dt.date(2026, 1, 2)
MORNING, EVENING = dt.datetime(2026, 1, 3, 8, tzinfo=dt.UTC), dt.datetime(2026, 1, 3, 20, tzinfo=dt.UTC)
PROFILE = DailyProfile("people", "day", "loaded_at", nulls=("city",), means=("age", "height"))
COLUMNS = {
    "day": [FIRST, FIRST, SECOND, SECOND, SECOND, None],
    "loaded_at": [MORNING, MORNING, MORNING, MORNING, EVENING, MORNING],
    "city": ["Ulm", None, "Ulm", "Ulm", None, "Ulm"],
    "age": [20.0, 40.0, 30.0, None, 60.0, 1000.0],
    "height": [None, None, 1.0, 2.0, 3.0, 4.0],
}


def test_rows_nulls_and_means_are_counted_by_day(make_dataset: MakeDataset) -> None:
    found = profile_days(make_dataset(COLUMNS), PROFILE, None)
    assert found[Series("rows")] == [DailyValue(FIRST, 2, math.sqrt(2)), DailyValue(SECOND, 3, math.sqrt(3))]
    assert [one.value for one in found[Series("null_share", "city")]] == [0.5, pytest.approx(1 / 3)]
    ages = found[Series("mean", "age")]
    assert [(one.day, one.value) for one in ages] == [(FIRST, 30), (SECOND, 45)]
    assert [one.noise for one in ages] == [pytest.approx(10), pytest.approx(15)]
    assert [one.day for one in found[Series("mean", "height")]] == [SECOND]


def test_day_with_new_rows_is_counted_whole_and_others_are_left_alone(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(COLUMNS)
    found = profile_days(dataset, PROFILE, MORNING)
    assert [(one.day, one.value) for one in found[Series("rows")]] == [(SECOND, 3)]
    assert all(values == [] for values in profile_days(dataset, PROFILE, EVENING).values())


def test_newest_day_is_judged_and_days_without_rows_are_part_of_the_history() -> None:
    values = [DailyValue(FIRST + dt.timedelta(days=place), 50.0, 7.0) for place in range(0, 60, 2)]
    judged = newest_day(Series("rows"), values)
    assert judged is not None
    assert (judged.day, judged.days_of_history, judged.baseline) == (values[-1].day, 56, 25.0)
    judged = newest_day(Series("mean", "age"), values)
    assert judged is not None
    assert (judged.days_of_history, judged.baseline) == (28, 50.0)
    assert newest_day(Series("rows"), []) is None


def test_share_without_a_null_leaves_room_for_one(make_dataset: MakeDataset) -> None:
    """A single null after weeks without any is no anomaly, many are."""
    day = [FIRST + dt.timedelta(days=place) for place in range(30) for _ in range(100)]
    city = [None if place == 2950 else "Ulm" for place in range(3000)]
    columns = {"day": day, "loaded_at": [MORNING] * 3000, "city": city}
    profile, series = DailyProfile("people", "day", "loaded_at", nulls=("city",)), Series("null_share", "city")
    values = profile_days(make_dataset(columns), profile, None)[series]
    judged = newest_day(series, values)
    assert judged is not None
    assert (judged.value, judged.is_anomaly) == (0.01, False)
    judged = newest_day(series, [*values[:-1], DailyValue(values[-1].day, 0.2)])
    assert judged is not None
    assert judged.is_anomaly
