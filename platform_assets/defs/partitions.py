"""The business days as partitions, and how a run says which of them it builds.

Partitions tell what was built; whether it is right never depends on them. The daily models themselves find the days
that newly loaded events touch, so that late data is never missed and a failed run is made good by the next. Only a run
that a person or a backfill asked for days hands these to dbt, to be computed again.
"""

from collections.abc import Iterable, Mapping, Sequence

from dagster import AssetKey, AssetMaterialization, DailyPartitionsDefinition, PartitionKeyRange

from resources.business_days import DayRange
from resources.settings import load_settings

_SETTINGS = load_settings().warehouse

business_days = DailyPartitionsDefinition(
    start_date=_SETTINGS.first_day.isoformat(),
    timezone=_SETTINGS.business_timezone,
    # Today's partition is there: its events come in all day.
    end_offset=1,
)

DAILY_TAG = "daily"
"""The dbt tag of models with the grain of a business day."""

LANDED_FILES_TAG = "analytics/landed_files"
"""On runs that landed files asked for: their days follow from the data, so dbt finds them itself."""

OTHER_DAYS_TAG = "analytics/other_days"
"""The days of a run beside its range of partitions, which is one by nature: days and ranges, with commas between."""

MOST_DAYS_OF_A_RUN = 31
"""More are not marked in a run that landed files asked for. A materialisation costs 12 ms of CPU and three commits
(measured, SQLite), so a year of four marts would keep what has landed from its readers for half a minute."""


def dbt_variables(days: PartitionKeyRange | None, run_tags: Mapping[str, str]) -> dict[str, str]:
    """The days that dbt is to compute again although no new event touches them; empty where nobody asked for any."""
    if days is None or LANDED_FILES_TAG in run_tags:
        return {}
    return {"first_day": days.start, "last_day": days.end}


def tag_of(ranges: Sequence[DayRange]) -> str:
    """The value of `OTHER_DAYS_TAG`."""
    return ",".join(str(found) for found in ranges)


def marks_of_other_days(keys: Iterable[AssetKey], run_tags: Mapping[str, str]) -> list[AssetMaterialization]:
    """One materialisation for each daily asset and day beside the run's range."""
    text = run_tags.get(OTHER_DAYS_TAG, "")
    days = [day.isoformat() for part in text.split(",") if part for day in DayRange.parse(part)]
    return [AssetMaterialization(key, partition=day) for key in sorted(keys) for day in days]
