"""The loads as assets: their numbers, and checks that fail on data that does not add up."""

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import AssetCheckResult, MaterializeResult, build_asset_context

from platform_assets.defs.ingestion.accepted_events import check_accepted
from platform_assets.defs.ingestion.landed_counts import check_counts, check_key
from platform_assets.defs.ingestion.raw_landed import raw_events, raw_rejected_events
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import RAW_EVENTS
from tests.check_results import shown
from tests.landed_records import LOG, event, land_events, land_rejections, rejection


def load(asset: Any, warehouse: Warehouse, landing: LandingZone) -> MaterializeResult[None]:
    context = build_asset_context()
    made = asset(context=context, warehouse=warehouse, landing_zone=landing)
    if isinstance(made, Iterator):  # the events' load, which makes the list of held rows too
        result, *others = made
        checks = [one for one in others if isinstance(one, AssetCheckResult) and one.asset_key == result.asset_key]
        made = result._replace(check_results=checks)
    assert isinstance(made, MaterializeResult)
    return made


def passed(result: MaterializeResult[None]) -> dict[str | None, bool]:
    return {check.check_name: check.passed for check in result.check_results or []}


def break_and_check(warehouse: Warehouse, landing: LandingZone, statement: str) -> tuple[AssetCheckResult, ...]:
    with warehouse.write("break") as connection:
        connection.execute(statement)
        return check_key(connection, RAW_EVENTS), check_counts(connection, landing, RAW_EVENTS)


def test_load_reports_numbers_that_can_be_plotted_and_its_checks_pass(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    land_events(landing, [event(0), event(1), event(2, event_id=event(0)["event_id"])])
    land_rejections(landing, [rejection(0)])
    result = load(raw_events, warehouse, landing)
    metadata = dict(result.metadata or {})
    assert {
        "dagster/row_count": 2,
        "loaded_files": 1,
        "loaded_rows": 3,
        "new_rows": 2,
        "duplicate_rows": 1,
    }.items() <= (metadata.items())
    assert all(isinstance(value, int) for value in metadata.values())
    assert passed(result) == {
        "event_id_is_unique": True,
        "counting_adds_up": True,
        "rows_keep_the_contract": True,
    }
    assert passed(load(raw_rejected_events, warehouse, landing)) == {
        "rejection_id_is_unique": True,
        "counting_adds_up": True,
        "rows_keep_the_contract": True,
    }


def test_load_of_an_empty_landing_zone_passes_with_zeros(warehouse: Warehouse, landing: LandingZone) -> None:
    result = load(raw_events, warehouse, landing)
    assert dict(result.metadata or {})["dagster/row_count"] == 0
    assert all(passed(result).values())


def test_records_that_land_after_the_load_do_not_fail_the_counting(warehouse: Warehouse, landing: LandingZone) -> None:
    land_events(landing, [event(0)])
    load(raw_events, warehouse, landing)
    land_events(landing, [event(1)])
    with warehouse.read() as connection:
        assert check_counts(connection, landing, RAW_EVENTS).passed


@pytest.mark.parametrize(
    ("statement", "unique", "counted"),
    [
        ("INSERT INTO raw.events FROM raw.events LIMIT 1", False, False),
        ("DELETE FROM raw.events WHERE kafka_offset = 0", True, False),
        ("INSERT INTO raw.loads FROM raw.loads LIMIT 1", True, False),
        ("UPDATE raw.loads SET row_count = row_count + 1", True, False),
        ("DELETE FROM raw.loads WHERE first_offset = 0", True, False),
        ("UPDATE raw.loads SET log = 'another'", True, False),
    ],
)
def test_checks_fail_on_rows_and_ranges_that_do_not_add_up(
    warehouse: Warehouse, landing: LandingZone, statement: str, unique: bool, counted: bool
) -> None:
    land_events(landing, [event(0), event(1)])
    land_events(landing, [event(2)])
    load(raw_events, warehouse, landing)
    key, counts = break_and_check(warehouse, landing, statement)
    assert (key.passed, counts.passed) == (unique, counted)


def test_accepted_is_raw_plus_what_the_stream_rejected(warehouse: Warehouse, landing: LandingZone) -> None:
    land_events(landing, [event(0), event(2, event_id=event(0)["event_id"])], covers=(0, 2))
    stream: dict[str, Any] = {"origin": "stream", "source_topic": "events.v1", "source_log": LOG, "source_partition": 0}
    land_rejections(landing, [rejection(0), rejection(1, source_offset=1, **stream)])
    load(raw_events, warehouse, landing)
    load(raw_rejected_events, warehouse, landing)
    with warehouse.read() as connection:
        result = check_accepted(connection)
    assert result.passed
    assert shown(result) == {
        "accepted_records": 3,
        "raw_events": 1,
        "repeated_events": 1,
        "rejected_by_the_stream": 1,
        "unaccounted": 0,
    }


def test_record_that_is_neither_raw_nor_rejected_is_noticed(warehouse: Warehouse, landing: LandingZone) -> None:
    land_events(landing, [event(0), event(2)], covers=(0, 2))
    load(raw_events, warehouse, landing)
    load(raw_rejected_events, warehouse, landing)
    with warehouse.read() as connection:
        result = check_accepted(connection)
    assert not result.passed
    assert result.metadata["unaccounted"].value == 1
