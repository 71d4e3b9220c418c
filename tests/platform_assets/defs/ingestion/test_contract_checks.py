"""The check `rows_keep_the_contract`: what it judges, what it shows, and that a row is judged until it has passed."""

from typing import Any

import pytest
from dagster import AssetCheckResult

from platform_assets.contracts.landed_rows import LANDED_ROWS
from platform_assets.defs.ingestion.contract_checks import check_contract, check_every_row, rows_of
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.contract_checks import passed_until
from resources.warehouse.landed_tables import LANDED_TABLES, RAW_EVENTS, LandedTable
from resources.warehouse.landing_loads import load_in_batches
from tests.check_results import shown
from tests.landed_records import (
    LOG,
    RECEIVED_AT,
    event,
    land_events,
    land_late_events,
    land_predictions,
    land_purchases,
    land_rejections,
    land_windows,
    late_event,
    rejection,
    stream_prediction,
    window_result,
)


def load_and_check(warehouse: Warehouse, landing: LandingZone, table: LandedTable = RAW_EVENTS) -> AssetCheckResult:
    for _ in load_in_batches(warehouse, landing, table, purpose="test"):
        pass
    return check_contract(warehouse, rows_of(table.table), purpose="test")


def test_real_purchases_keep_the_contract(warehouse: Warehouse, landing: LandingZone) -> None:
    lines = land_purchases(landing, households=20)
    result = load_and_check(warehouse, landing)
    assert result.passed
    assert shown(result) == {"checked_rows": lines, "broken_rows": 0, "broken_rules": {}, "first_rows": []}


def test_row_that_breaks_the_contract_is_counted_and_shown_without_its_payload(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    """Whoever wrote it was none of ours, and its payload may hold anything."""
    bad: dict[str, Any] = {"event_name": "purchase_line", "payload": '{"secret":1}', "user_id": "no id"}
    land_events(landing, [event(0), event(1, event_id="bad", **bad), event(2)])
    result = load_and_check(warehouse, landing)
    assert not result.passed
    assert shown(result) == {
        "checked_rows": 3,
        "broken_rows": 1,
        "broken_rules": {"user_id_is_well_formed": 1, "purchase_line_keeps_its_contract": 1},
        "first_rows": [
            {
                "event_id": "bad",
                "log": LOG,
                "kafka_partition": 0,
                "kafka_offset": 1,
                "broken_rules": ["user_id_is_well_formed", "purchase_line_keeps_its_contract"],
            }
        ],
    }


def test_only_rows_that_have_not_passed_are_judged(warehouse: Warehouse, landing: LandingZone) -> None:
    """After a pass the new ones; after a failure the bad ones again, until they are mended."""
    land_events(landing, [event(0)])
    assert load_and_check(warehouse, landing).passed
    land_events(landing, [event(1, payload="[]")])
    assert (shown(load_and_check(warehouse, landing))["checked_rows"]) == 1
    land_events(landing, [event(2)])
    again = load_and_check(warehouse, landing)
    assert (again.passed, shown(again)["checked_rows"]) == (False, 2)
    with warehouse.write("mend") as connection:
        connection.execute("UPDATE raw.events SET payload = '{}' WHERE kafka_offset = 1")
    assert load_and_check(warehouse, landing).passed
    nothing_new = load_and_check(warehouse, landing)
    assert (nothing_new.passed, shown(nothing_new)["checked_rows"]) == (True, 0)
    with warehouse.read() as connection:
        newest = connection.execute("SELECT max(loaded_at) FROM raw.events").fetchone()
        assert newest == (passed_until(connection, RAW_EVENTS.table),)


def test_row_that_was_broken_after_it_had_passed_is_found_by_the_proof_over_all_history(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    land_events(landing, [event(0), event(1)])
    assert load_and_check(warehouse, landing).passed
    assert check_every_row(warehouse, rows_of(RAW_EVENTS.table)).passed
    with warehouse.write("break") as connection:
        connection.execute("UPDATE raw.events SET payload = '[]' WHERE kafka_offset = 1")
    assert load_and_check(warehouse, landing).passed
    proof = check_every_row(warehouse, rows_of(RAW_EVENTS.table))
    assert (proof.passed, shown(proof)["checked_rows"], shown(proof)["broken_rows"]) == (False, 2, 1)


@pytest.mark.parametrize("table", LANDED_TABLES, ids=lambda table: table.table)
def test_every_raw_table_of_landed_records_is_judged(
    warehouse: Warehouse, landing: LandingZone, table: LandedTable
) -> None:
    """A good row of each passes, and one that lacks its key does not."""
    land_events(landing, [event(0)])
    land_rejections(landing, [rejection(0)])
    land_windows(landing, [window_result(0, "user_activity_1m", None, RECEIVED_AT, RECEIVED_AT - RECEIVED_AT)])
    land_late_events(landing, [late_event(0, source_offset=1)])
    land_predictions(landing, [stream_prediction(0)])
    result = load_and_check(warehouse, landing, table)
    assert (result.passed, shown(result)["checked_rows"]) == (True, 1)
    with warehouse.write("break") as connection:
        connection.execute(f"UPDATE {table.table} SET {table.key} = NULL, loaded_at = now() + INTERVAL 1 DAY")  # noqa: S608
    broken = check_contract(warehouse, rows_of(table.table), purpose="test")
    assert shown(broken)["broken_rules"] == {f"{table.key}_is_not_null": 1}


def test_every_landed_table_has_the_columns_key_and_topic_of_its_contract() -> None:
    """The loads and the contract speak of the same tables."""
    loaded = {table.table: (table.topic, table.key, dict(table.columns)) for table in LANDED_TABLES}
    contract = {
        f"raw.{rows.name}": (rows.topic.name, rows.key, {column.name: column.kind for column in rows.columns})
        for rows in LANDED_ROWS
    }
    assert loaded == contract
