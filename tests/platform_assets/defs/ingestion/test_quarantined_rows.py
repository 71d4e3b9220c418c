"""A load holds what fails the suites of its table, in its own transaction; what is held is shown with its reasons."""

import duckdb
import pytest
from dagster import AssetCheckResult, AssetCheckSeverity, MaterializeResult

from platform_assets.defs.ingestion.quarantined_rows import count_held
from platform_assets.defs.ingestion.raw_landed import quarantine_loaded
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import RAW_EVENTS
from resources.warehouse.landing_loads import load_in_batches
from tests.check_results import shown
from tests.landed_records import land_purchases


def check_of(materialized: object) -> AssetCheckResult:
    """The one check of a materialisation."""
    assert isinstance(materialized, MaterializeResult)
    (result,) = materialized.check_results
    return result


def test_held_events_are_counted_by_reason(warehouse: Warehouse, landing: LandingZone) -> None:
    """The load holds what fails its suite, and all others are let in."""
    lines = land_purchases(landing, 3)
    with warehouse.write("nothing judged yet") as connection:
        connection.execute("CREATE SCHEMA quality")
    assert check_of(count_held(warehouse)).passed

    def judge(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(
            "UPDATE raw.events SET payload = replace(payload, '\"quantity\":', '\"quantity\":9999999') "
            "WHERE event_id IN (SELECT event_id FROM raw.events ORDER BY 1 LIMIT 2)"
        )
        quarantine_loaded(connection, table=RAW_EVENTS, run_id="run-1")

    for _ in load_in_batches(warehouse, landing, RAW_EVENTS, purpose="test", judge=judge):
        pass
    result = check_of(count_held(warehouse))
    assert (result.passed, result.severity) == (False, AssetCheckSeverity.WARN)
    assert shown(result)["held_rows"] == 2
    assert shown(result)["by_reason"] == {"quantity_is_plausible": 2}
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM raw.events").fetchone() == (lines,)


def test_load_whose_judgement_fails_is_not_there(warehouse: Warehouse, landing: LandingZone) -> None:
    """Nobody sees a row that was not judged."""
    land_purchases(landing, 2)

    def judge(_: duckdb.DuckDBPyConnection) -> None:
        raise ValueError("cannot judge")

    with pytest.raises(ValueError, match="cannot judge"):
        list(load_in_batches(warehouse, landing, RAW_EVENTS, purpose="test", judge=judge))
    with warehouse.read() as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name = 'events'").fetchall()
    assert tables == []
