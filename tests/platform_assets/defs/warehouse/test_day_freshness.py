"""Whether each business day is there by its deadline, on a live platform and on a replayed one."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

import pytest
from dagster import (
    AssetCheckResult,
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    build_asset_check_context,
)

from platform_assets.defs.partitions import business_days
from platform_assets.defs.warehouse.day_freshness import NAME, Days, days_are_there, find_live_since, judge
from platform_assets.defs.warehouse.dbt_models import DAY_COLUMNS
from resources.business_days import BusinessCalendar, DayRange
from resources.settings import Settings, WarehouseSettings
from resources.warehouse import Warehouse
from tests.check_results import shown

ORDERS = AssetKey(["marts", "fct_orders"])
LIVE_SINCE = dt.date(2026, 1, 10)
DUE = dt.date(2026, 2, 9)


def days(first: str, last: str) -> set[dt.date]:
    return set(DayRange.parse(f"{first}/{last}"))


def check(
    *,
    with_rows: Iterable[dt.date],
    built: Iterable[dt.date] | None = None,
    live_since: dt.date | None = LIVE_SINCE,
    **settings: object,
) -> AssetCheckResult:
    rows = set(with_rows)
    known = Days(live_since, rows, rows if built is None else set(built))
    return judge(ORDERS, known, DUE, Settings(warehouse=WarehouseSettings.model_validate(settings)))


def test_days_that_were_built_and_hold_rows_pass() -> None:
    result = check(with_rows=days("2026-01-10", "2026-02-09"))
    assert result.passed
    assert shown(result)["due_days"] == 31


def test_today_is_not_due_and_yesterday_is() -> None:
    assert not check(with_rows=days("2026-01-10", "2026-02-08")).passed
    assert shown(check(with_rows=days("2026-01-10", "2026-02-08")))["missing"] == ["2026-02-09"]


def test_backfill_of_last_month_leaves_the_missing_day_failing() -> None:
    """What asset by asset freshness gets wrong: built a minute ago, and yesterday is missing all the same."""
    with_rows = days("2026-01-10", "2026-02-08")
    result = check(with_rows=with_rows, built=with_rows | days("2026-01-01", "2026-01-31"))
    assert not result.passed
    assert shown(result)["missing"] == ["2026-02-09"]


def test_day_with_rows_that_no_run_has_built_is_missing_and_so_is_a_built_one_without_rows() -> None:
    everything = days("2026-01-10", "2026-02-09")
    result = check(with_rows=everything - {dt.date(2026, 1, 20)}, built=everything - {dt.date(2026, 2, 1)})
    assert not result.passed
    assert shown(result)["without_rows"] == ["2026-01-20"]
    assert shown(result)["not_built"] == ["2026-02-01"]
    assert "ANALYTICS_WAREHOUSE__DAYS_WITHOUT_DATA" in (result.description or "")


def test_day_on_which_nothing_is_expected_is_not_waited_for() -> None:
    result = check(with_rows=days("2026-01-10", "2026-02-08"), days_without_data="2026-02-09, 2026-12-25")
    assert result.passed


def test_replayed_data_is_not_live_and_passes_with_a_word() -> None:
    result = check(with_rows=days("2017-01-01", "2017-12-24"), live_since=None)
    assert result.passed
    assert (result.description or "").startswith("Not live yet")


def test_mart_without_a_day_since_the_platform_is_live_is_not_waited_for() -> None:
    """Orders of a replayed year on a platform that gets page views by now."""
    result = check(with_rows=days("2017-01-01", "2017-12-24"))
    assert result.passed
    assert shown(result)["due_days"] == 0


@pytest.mark.parametrize(
    ("delay", "live_since"), [(dt.timedelta(days=1), "2026-01-10"), (dt.timedelta(days=1, seconds=1), None)]
)
def test_platform_is_live_from_the_day_on_which_an_event_came_within_a_day(
    warehouse: Warehouse, delay: dt.timedelta, live_since: str | None
) -> None:
    occurred_at = dt.datetime(2026, 1, 10, 3, tzinfo=dt.UTC)  # the evening before in New York
    with warehouse.write("events") as connection:
        connection.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.events (occurred_at TIMESTAMPTZ, received_at TIMESTAMPTZ)"
        )
        connection.execute("INSERT INTO raw.events VALUES ('2017-05-01 00:00:00+00', '2026-01-01 00:00:00+00')")
        late = {"at": occurred_at, "received": occurred_at + delay}
        connection.execute("INSERT INTO raw.events VALUES ($at, $received)", late)
        found = find_live_since(connection, BusinessCalendar.of(Settings()))
    assert (found.isoformat() if found else None) == live_since


def test_check_reads_the_marts_and_what_dagster_has_built(settings: Settings, warehouse: Warehouse) -> None:
    """Of all daily marts, on a platform that went live five days ago: one mart lacks yesterday, one was never built."""
    calendar = BusinessCalendar.of(settings)
    today = calendar.day_of(dt.datetime.now(dt.UTC))
    newest = calendar.newest_due(dt.datetime.now(dt.UTC), settings.warehouse.day_deadline)
    live = [newest - dt.timedelta(days=back) for back in range(5)]
    lacking, unbuilt, *_ = sorted(DAY_COLUMNS)
    assert business_days.has_partition_key(today.isoformat())
    with warehouse.write("marts") as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA marts")
        connection.execute("CREATE TABLE raw.events (occurred_at TIMESTAMPTZ, received_at TIMESTAMPTZ)")
        noon = dt.datetime.combine(min(live), dt.time(12), calendar.zone)
        connection.execute("INSERT INTO raw.events VALUES ($noon, $noon)", {"noon": noon})
        for key, column in DAY_COLUMNS.items():
            connection.execute(f"CREATE TABLE {'.'.join(key.path)} ({column} DATE)")
            rows = [(day,) for day in live if (key, day) != (lacking, newest)]
            connection.executemany(f"INSERT INTO {'.'.join(key.path)} VALUES (?)", rows)  # noqa: S608
    with DagsterInstance.ephemeral() as instance:
        for key in DAY_COLUMNS.keys() - {unbuilt}:
            for day in live:
                instance.report_runless_asset_event(AssetMaterialization(key, partition=day.isoformat()))
        said: Any = days_are_there(build_asset_check_context(instance=instance), settings=settings, warehouse=warehouse)
        results: dict[AssetKey, AssetCheckResult] = {found.asset_key: found for found in said}
    assert {key for key, found in results.items() if not found.passed} == {lacking, unbuilt}
    assert {found.check_name for found in results.values()} == {NAME}
    assert shown(results[lacking])["without_rows"] == [newest.isoformat()]
    assert shown(results[unbuilt])["not_built"] == [f"{min(live)}/{newest}"]
