"""ANALYTICS_WAREHOUSE__…: the warehouse file, its days, and when a day has to be there."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from resources.settings.section import CommaSeparated, Section


class WarehouseSettings(Section):
    """The warehouse file, what its models call a day, and by when a day must hold data."""

    path: Path | None = Field(None, description="Default: warehouse/analytics.duckdb in the data folder.")
    business_timezone: str = "America/New_York"
    first_day: dt.date = Field(
        dt.date(2017, 1, 1), description="The first business day that Dagster shows as a partition, as 2017-01-01."
    )
    day_deadline: dt.time = Field(
        dt.time(6, 0),
        description="By when a business day must be in the marts: a time of the next one, as 06:00.",
    )
    days_without_data: CommaSeparated = Field(
        (), description="Business days on which nothing is expected, as 2026-12-25,2027-01-01."
    )
    missing_day_alert_after_s: float = Field(
        3600.0, ge=0, description="How long days may be missing after their deadline before people are told."
    )
    lock_timeout_s: float = Field(600.0, gt=0)

    @field_validator("business_timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("must be a time zone of the IANA database, as America/New_York") from error
        return name

    @field_validator("days_without_data")
    @classmethod
    def _are_days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dt.date.fromisoformat(day).isoformat() for day in days)
        except ValueError as error:
            raise ValueError("must be days, as 2026-12-25") from error
