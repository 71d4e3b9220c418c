"""Compaction as an asset: its numbers, what it leaves alone, and its check."""

import os
import time

import pyarrow.parquet as pq
from dagster import MaterializeResult, build_asset_context

from platform_assets.contracts.landing import EVENT_COLUMNS
from platform_assets.contracts.topics import EVENTS
from platform_assets.defs.ingestion.compaction import check_rows, compacted_files
from resources.landing_zone import LandingZone, arrow_schema
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.landing_loads import load_landed
from tests.landed_records import event, land_events, land_rejections, rejection


def land(landing: LandingZone, *offsets: int) -> None:
    """A file for each event, closed two minutes ago."""
    for offset in offsets:
        path = land_events(landing, [event(offset)])
        closed_at = time.time() - 120
        os.utime(path, (closed_at, closed_at))


def load(warehouse: Warehouse, landing: LandingZone) -> None:
    with warehouse.write("load") as connection:
        for table in LANDED_TABLES:
            load_landed(connection, landing, table)


def materialize(warehouse: Warehouse, landing: LandingZone) -> MaterializeResult[None]:
    result = compacted_files(context=build_asset_context(), warehouse=warehouse, landing_zone=landing)
    assert isinstance(result, MaterializeResult)
    return result


def test_loaded_files_are_merged_and_the_rest_stays(warehouse: Warehouse, landing: LandingZone) -> None:
    land(landing, 0, 1, 2)
    land_rejections(landing, [rejection(0)])
    load(warehouse, landing)
    land(landing, 3, 4)
    result = materialize(warehouse, landing)
    metadata = dict(result.metadata or {})
    assert (metadata["files_before"], metadata["files_after"], metadata["rows"]) == (6, 4, 3)
    assert [(file.first, file.last) for file in landing.files(EVENTS.name)] == [(0, 2), (3, 3), (4, 4)]
    assert [check.passed for check in result.check_results or []] == [True]
    load(warehouse, landing)
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM raw.events").fetchone() == (5,)


def test_nothing_is_compacted_before_the_first_load(warehouse: Warehouse, landing: LandingZone) -> None:
    land(landing, 0, 1, 2)
    result = materialize(warehouse, landing)
    assert dict(result.metadata or {})["merged_files"] == 0
    assert [check.passed for check in result.check_results or []] == [True]


def test_rows_that_a_file_has_lost_are_found(warehouse: Warehouse, landing: LandingZone) -> None:
    land(landing, 0, 1)
    load(warehouse, landing)
    path = landing.root / landing.files(EVENTS.name)[0].path
    pq.write_table(arrow_schema(EVENT_COLUMNS).empty_table(), path)
    with warehouse.read() as connection:
        check = check_rows(connection, landing, [EVENTS.name])
    assert not check.passed
    assert check.metadata["differing"].value == {EVENTS.name: "1 rows in files, 2 loaded"}
