"""The landed records in the warehouse, each id once."""

from collections.abc import Mapping
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    ResourceParam,
    TableColumn,
    TableSchema,
    asset,
)

from platform_assets.defs.ingestion.landed_counts import check_counts, check_key, describe_table
from platform_assets.defs.ingestion.landing import LANDED_EVENTS, LANDED_REJECTED_EVENTS
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, WAREHOUSE_POOL, Stage
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landing_loads import RAW_EVENTS, RAW_REJECTED_EVENTS, LandedTable, load_landed

RAW_EVENTS_KEY = Stage.RAW.key("events")
RAW_REJECTED_EVENTS_KEY = Stage.RAW.key("rejected_events")

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
    ]


def _schema(table: LandedTable) -> Mapping[str, Any]:
    return {
        "dagster/column_schema": TableSchema([TableColumn(name, kind) for name, kind in table.columns.items()]),
        "dagster/table_name": table.table,
    }


@asset(
    key=RAW_EVENTS_KEY,
    deps=[LANDED_EVENTS],
    group_name=Stage.RAW.group,
    owners=[DATA_TEAM],
    kinds={"duckdb"},
    pool=WAREHOUSE_POOL,
    check_specs=_check_specs(RAW_EVENTS_KEY, RAW_EVENTS),
    metadata=_schema(RAW_EVENTS),
    description="One row per accepted event, by event_id: what landed, without the repeats, which are counted.",
)
def raw_events(
    context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], landing_zone: ResourceParam[LandingZone]
) -> Materialized:
    """Load what has landed since the last load."""
    return load_and_check(context, warehouse, landing_zone, RAW_EVENTS)


@asset(
    key=RAW_REJECTED_EVENTS_KEY,
    deps=[LANDED_REJECTED_EVENTS],
    group_name=Stage.RAW.group,
    owners=[DATA_TEAM],
    kinds={"duckdb"},
    pool=WAREHOUSE_POOL,
    check_specs=_check_specs(RAW_REJECTED_EVENTS_KEY, RAW_REJECTED_EVENTS),
    metadata=_schema(RAW_REJECTED_EVENTS),
    description="One row per rejection, by rejection_id: what the door or the stream turned away, and why.",
)
def raw_rejected_events(
    context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], landing_zone: ResourceParam[LandingZone]
) -> Materialized:
    """Load what has landed since the last load."""
    return load_and_check(context, warehouse, landing_zone, RAW_REJECTED_EVENTS)


def load_and_check(
    context: AssetExecutionContext, warehouse: Warehouse, landing_zone: LandingZone, table: LandedTable
) -> Materialized:
    """Load in one transaction, then check what was committed."""
    with warehouse.write(f"load of {table.table}, run {context.op_execution_context.run_id}") as connection:
        # The files of before the load: more may land while it runs.
        loaded = load_landed(connection, landing_zone, table)
    context.log.info(
        "%s: %d files, %d rows, %d of them new", table.table, loaded.file_count, loaded.row_count, loaded.new_row_count
    )
    with warehouse.read() as connection:
        checks = [check_key(connection, table), check_counts(connection, landing_zone, table)]
        described = describe_table(connection, table)
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
