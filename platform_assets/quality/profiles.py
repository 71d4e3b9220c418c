"""The numbers of a data set by day that are watched for anomalies: rows, shares of nulls, means."""

import datetime as dt
import math
from dataclasses import dataclass

from platform_assets.quality.anomalies import DailyValue, Unusualness, unusualness, with_missing_days
from platform_assets.quality.dataset import Dataset
from platform_assets.quality.sql_text import quoted

ROWS = "rows"
NULL_SHARE = "null_share"
MEAN = "mean"


@dataclass(frozen=True)
class Series:
    """What is followed from day to day; `column` is empty for the number of rows."""

    metric: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.metric} of {self.column}" if self.column else self.metric


@dataclass(frozen=True)
class DailyProfile:
    """Which numbers of a table are watched.

    Args:
        dataset: the table.
        day: its column with the business day.
        watermark: its column that says when a row was loaded: only days with newly loaded rows are counted again.
        nulls: columns whose share of nulls is watched.
        means: columns of numbers whose mean is watched.
    """

    dataset: str
    day: str
    watermark: str
    nulls: tuple[str, ...] = ()
    means: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[Series, ...]:
        """All that is watched."""
        return (
            Series(ROWS),
            *(Series(NULL_SHARE, column) for column in self.nulls),
            *(Series(MEAN, column) for column in self.means),
        )


def profile_days(dataset: Dataset, profile: DailyProfile, since: dt.datetime | None) -> dict[Series, list[DailyValue]]:
    """The numbers of each day that has rows loaded after `since`, counted over all rows of the day.

    Raises:
        duckdb.Error: a column is missing or has another type.
    """
    day, columns = quoted(profile.day), ["count(*)"]
    columns += [f"count(*) - count({quoted(name)})" for name in profile.nulls]
    for name in map(quoted, profile.means):
        columns += [f"avg({name})", f"stddev_samp({name})", f"count({name})"]
    parameters = dict(dataset.parameters)
    touched = f"{day} IS NOT NULL"
    if since is not None:
        parameters["since"] = since
        newer = f"SELECT DISTINCT {day} FROM {dataset.relation} WHERE {quoted(profile.watermark)} > $since"  # noqa: S608
        touched = f"{day} IN ({newer})"
    rows = dataset.connection.execute(
        f"SELECT {day}, {', '.join(columns)} FROM {dataset.relation} WHERE {touched} GROUP BY 1 ORDER BY 1",  # noqa: S608
        parameters,
    ).fetchall()
    found: dict[Series, list[DailyValue]] = {series: [] for series in profile.series}
    for date, count, *numbers in rows:
        found[Series(ROWS)].append(DailyValue(date, float(count), math.sqrt(count)))
        for column, nulls in zip(profile.nulls, numbers, strict=False):
            found[Series(NULL_SHARE, column)].append(_share(date, int(nulls), int(count)))
        for place, column in enumerate(profile.means):
            mean, spread, values = numbers[len(profile.nulls) + 3 * place :][:3]
            if mean is not None:
                noise = float(spread or 0) / math.sqrt(values)
                found[Series(MEAN, column)].append(DailyValue(date, float(mean), noise))
    return found


def newest_day(series: Series, values: list[DailyValue]) -> Unusualness | None:
    """How unusual the newest of the days is; None where there is no day."""
    if not values:
        return None
    # A day without rows has no mean and no share, but it has a number of rows.
    days = with_missing_days(values) if series.metric == ROWS else sorted(values, key=lambda one: one.day)
    return unusualness(days[:-1], days[-1])


def _share(day: dt.date, part: int, whole: int) -> DailyValue:
    # Laplace's estimate: where no null was seen, one may still come without being a wonder.
    likely = (part + 1) / (whole + 2)
    return DailyValue(day, part / whole, math.sqrt(likely * (1 - likely) / whole))
