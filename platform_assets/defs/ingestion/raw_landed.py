"""The landed records in the warehouse, each id once."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
    multi_asset,
)

from platform_assets.defs.ingestion.contract_checks import check_contract, contract_check_spec, rows_of
from platform_assets.defs.ingestion.landed_counts import check_counts, check_key, describe_table
from platform_assets.defs.ingestion.landing import (
    LANDED_EVENTS,
    LANDED_LATE_EVENTS,
    LANDED_REJECTED_EVENTS,
    LANDED_WINDOWS,
)
from platform_assets.defs.ingestion.quarantined_rows import NO_ROW_IS_HELD, count_held, quarantined_rows_spec
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, WAREHOUSE_POOL, Stage
from platform_assets.quality.suites import QUARANTINES
from resources.landing_zone import LandingZone
from resources.quality.quarantine import LoadedTable, quarantine
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import (
    LOAD_COLUMNS,
    RAW_EVENTS,
    RAW_LATE_EVENTS,
    RAW_REJECTED_EVENTS,
    RAW_WINDOW_RESULTS,
    LandedTable,
)
from resources.warehouse.landing_loads import LoadResult, load_in_batches

RAW_EVENTS_KEY = Stage.RAW.key("events")
RAW_REJECTED_EVENTS_KEY = Stage.RAW.key("rejected_events")
RAW_WINDOW_RESULTS_KEY = Stage.RAW.key("window_results")
RAW_LATE_EVENTS_KEY = Stage.RAW.key("late_events")

COUNTING_ADDS_UP = "counting_adds_up"


def _check_specs(key: AssetKey, table: LandedTable) -> list[AssetCheckSpec]:
    return [
        AssetCheckSpec(f"{table.key}_is_unique", asset=key, blocking=True, description="No id stands in two rows."),
        AssetCheckSpec(
            COUNTING_ADDS_UP,
            asset=key,
            blocking=True,
            description=(
                "Every landed offset is loaded once, every landed row is new or a counted duplicate, and the table "
                "holds exactly the new ones."
            ),
        ),
        contract_check_spec(key),
    ]


def _schema(table: LandedTable) -> Mapping[str, Any]:
    columns = [TableColumn(column.name, column.kind, column.description) for column in rows_of(table.table).columns]
    return {
        "dagster/column_schema": TableSchema(
            [*columns, *(TableColumn(name, kind) for name, kind in LOAD_COLUMNS.items())]
        ),
        "dagster/table_name": table.table,
    }


def raw_asset(
    key: AssetKey, landed: AssetKey, table: LandedTable, description: str, *, group: str = Stage.RAW.group
) -> AssetsDefinition:
    """A raw table: what has landed since the last load is added to it."""

    @asset(
        key=key,
        deps=[landed],
        group_name=group,
        owners=[DATA_TEAM],
        kinds={"duckdb"},
        pool=WAREHOUSE_POOL,
        check_specs=_check_specs(key, table),
        metadata=_schema(table),
        description=description,
    )
    def load(
        context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], landing_zone: ResourceParam[LandingZone]
    ) -> Materialized:
        return load_and_check(context, warehouse, landing_zone, table)

    return load


@multi_asset(
    name="raw__events",
    specs=[
        AssetSpec(
            RAW_EVENTS_KEY,
            deps=[LANDED_EVENTS],
            group_name=Stage.RAW.group,
            owners=[DATA_TEAM],
            kinds={"duckdb"},
            metadata=_schema(RAW_EVENTS),
            description=(
                "One row per accepted event, by event_id: what landed, without the repeats, which are counted and kept "
                "in raw.repeated_events."
            ),
        ),
        quarantined_rows_spec(RAW_EVENTS_KEY),
    ],
    check_specs=[*_check_specs(RAW_EVENTS_KEY, RAW_EVENTS), NO_ROW_IS_HELD],
    pool=WAREHOUSE_POOL,
)
def raw_events(
    context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], landing_zone: ResourceParam[LandingZone]
) -> Iterator[Materialized | AssetCheckResult]:
    """Load the events, and hold those that fail their suites."""
    loaded = load_and_check(context, warehouse, landing_zone, RAW_EVENTS)
    held = count_held(warehouse)
    for made in (loaded._replace(asset_key=RAW_EVENTS_KEY), held):
        yield made._replace(check_results=[])
        yield from (check._replace(asset_key=made.asset_key) for check in made.check_results)


raw_rejected_events = raw_asset(
    RAW_REJECTED_EVENTS_KEY,
    LANDED_REJECTED_EVENTS,
    RAW_REJECTED_EVENTS,
    "One row per rejection, by rejection_id: what the door or the stream turned away, and why.",
)
raw_window_results = raw_asset(
    RAW_WINDOW_RESULTS_KEY,
    LANDED_WINDOWS,
    RAW_WINDOW_RESULTS,
    "One row per final window, key, start and end of a source partition: what the stream counted. A result that came "
    "again, after a crash, is in raw.repeated_window_results.",
)
raw_late_events = raw_asset(
    RAW_LATE_EVENTS_KEY,
    LANDED_LATE_EVENTS,
    RAW_LATE_EVENTS,
    "One row per event that came after the end of a window, with the windows that it is not counted in.",
)


def quarantine_loaded(connection: duckdb.DuckDBPyConnection, *, table: LandedTable, run_id: str) -> None:
    """Hold the rows of a load that fail the suites of their table, before anybody sees them."""
    suites = [suite for suite in QUARANTINES if suite.dataset == table.table]
    if suites:
        quarantine(connection, LoadedTable(table.table, table.key), suites, run_id=run_id)


def load_and_check(
    context: AssetExecutionContext, warehouse: Warehouse, landing_zone: LandingZone, table: LandedTable
) -> Materialized:
    """Load what had landed when this began, each batch in one transaction, then check what was committed."""
    run_id = context.op_execution_context.run_id
    purpose = f"load of {table.table}, run {run_id}"
    batches = []
    judge = functools.partial(quarantine_loaded, table=table, run_id=run_id)
    for batch in load_in_batches(warehouse, landing_zone, table, purpose=purpose, judge=judge):
        context.log.info(
            "%s: %d files, %d rows, %d of them new", table.table, batch.file_count, batch.row_count, batch.new_row_count
        )
        batches.append(batch)
    loaded = functools.reduce(LoadResult.then, batches)
    with warehouse.read() as connection:
        checks = [check_key(connection, table), check_counts(connection, landing_zone, table)]
        described = describe_table(connection, table)
    checks.append(check_contract(warehouse, rows_of(table.table), purpose=f"contract of {purpose}"))
    return Materialized(
        metadata={
            "dagster/row_count": loaded.table_row_count,
            "loaded_files": loaded.file_count,
            "loaded_bytes": loaded.byte_count,
            "loaded_rows": loaded.row_count,
            "new_rows": loaded.new_row_count,
            "duplicate_rows": loaded.duplicate_count,
            **described,
        },
        check_results=checks,
    )
