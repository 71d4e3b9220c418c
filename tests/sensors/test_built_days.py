"""Days that were built and not marked are marked, newest first and a few at a time."""

import datetime as dt
from pathlib import Path

import pytest
from dagster import AssetMaterialization, DagsterInstance, SensorResult, SkipReason, build_sensor_context

from platform_assets.defs.warehouse.dbt_models import DAILY_MODELS
from resources.business_days import DayRange
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.mart_copies import ServedMart
from resources.warehouse.snapshots import publish_snapshot
from sensors.built_days import DAYS_AT_ONCE, built_days_sensor

EVENT_DAYS = (ServedMart("fct_event_days", ("event_date",)),)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def publish(settings: Settings, days: DayRange, *, too_early: str = "2016-12-31") -> None:
    """Marts with these days, and with one before the first partition."""
    warehouse = Warehouse.of(settings)
    with warehouse.write("days") as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute("CREATE OR REPLACE TABLE marts.fct_event_days (event_date DATE, event_name VARCHAR)")
        connection.executemany(
            "INSERT INTO marts.fct_event_days VALUES (?, 'seen')", [(too_early,), *((day,) for day in days)]
        )
    publish_snapshot(warehouse, settings.snapshots_dir, EVENT_DAYS)


def tick(settings: Settings, instance: DagsterInstance, cursor: str | None = None) -> SensorResult | SkipReason:
    """One evaluation; its marks are stored as the daemon stores them."""
    result = built_days_sensor(build_sensor_context(instance=instance, cursor=cursor, resources={"settings": settings}))
    assert isinstance(result, SensorResult | SkipReason)
    for event in (result.asset_events or ()) if isinstance(result, SensorResult) else ():
        assert isinstance(event, AssetMaterialization)
        instance.report_runless_asset_event(event)
    return result


def test_history_is_marked_newest_first_until_it_is_all_there(settings: Settings) -> None:
    history = DayRange(dt.date(2026, 1, 1), dt.date(2026, 1, 1) + dt.timedelta(days=DAYS_AT_ONCE))  # one more than fit
    publish(settings, history)
    with DagsterInstance.ephemeral() as instance:
        assert "Nothing has been published" in str(tick(Settings(data_dir=settings.root / "none"), instance))
        first = tick(settings, instance)
        assert isinstance(first, SensorResult)
        assert first.cursor == ""
        for key in DAILY_MODELS:
            assert instance.get_materialized_partitions(key) == {day.isoformat() for day in list(history)[1:]}
        second = tick(settings, instance, first.cursor)
        assert isinstance(second, SensorResult)
        for key in DAILY_MODELS:
            assert instance.get_materialized_partitions(key) == {day.isoformat() for day in history}
        assert isinstance(tick(settings, instance, second.cursor), SkipReason)


def test_days_that_a_run_has_marked_are_not_marked_again(settings: Settings) -> None:
    publish(settings, DayRange(dt.date(2026, 1, 1), dt.date(2026, 1, 2)))
    with DagsterInstance.ephemeral() as instance:
        for key in DAILY_MODELS:
            instance.report_runless_asset_event(AssetMaterialization(key, partition="2026-01-02"))
        result = tick(settings, instance)
    assert isinstance(result, SensorResult)
    assert {event.partition for event in result.asset_events} == {"2026-01-01"}
    assert len(result.asset_events) == len(DAILY_MODELS)
