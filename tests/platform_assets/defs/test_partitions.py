"""The business days as partitions, and which of them a run hands to dbt or marks."""

import datetime as dt

from dagster import AssetKey, PartitionKeyRange

from platform_assets.defs.partitions import (
    LANDED_FILES_TAG,
    OTHER_DAYS_TAG,
    business_days,
    dbt_variables,
    marks_of_other_days,
    tag_of,
)
from resources.business_days import BusinessCalendar, ranges_of
from resources.settings import Settings

MARCH = PartitionKeyRange("2026-03-01", "2026-03-31")


def test_last_partition_is_today_where_the_business_is() -> None:
    today = BusinessCalendar.of(Settings()).day_of(dt.datetime.now(dt.UTC))
    assert business_days.get_last_partition_key() == today.isoformat()
    assert business_days.get_first_partition_key() == "2017-01-01"


def test_days_that_a_person_asks_for_are_computed_again() -> None:
    assert dbt_variables(MARCH, {"dagster/backfill": "abc"}) == {"first_day": "2026-03-01", "last_day": "2026-03-31"}


def test_days_that_follow_from_landed_files_are_left_to_dbt_to_find() -> None:
    assert dbt_variables(MARCH, {LANDED_FILES_TAG: "3"}) == {}
    assert dbt_variables(None, {}) == {}


def test_days_beside_the_range_are_marked_one_by_one_for_each_daily_mart() -> None:
    days = [dt.date(2025, 3, 2), dt.date(2025, 12, 30), dt.date(2025, 12, 31)]
    keys = [AssetKey(["marts", "b"]), AssetKey(["marts", "a"])]
    marks = marks_of_other_days(keys, {OTHER_DAYS_TAG: tag_of(ranges_of(days))})
    assert [(mark.asset_key.path[-1], mark.partition) for mark in marks] == [
        (name, day.isoformat()) for name in ("a", "b") for day in days
    ]
    assert marks_of_other_days(keys, {}) == []
