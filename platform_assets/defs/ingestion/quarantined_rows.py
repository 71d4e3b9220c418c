"""The events that are kept out of the models, and why. A part of the load of raw/events.

Not a step of its own: dbt tests the raw tables too, so a step between them and the models would make dbt start twice.
"""

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey, AssetSpec, MetadataValue

from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, Stage
from resources.quality.held_rows import held_rows
from resources.warehouse import Warehouse

QUARANTINED_ROWS = Stage.QUALITY.key("quarantined_rows")
NO_ROW_IS_HELD = AssetCheckSpec(
    "no_row_is_held", asset=QUARANTINED_ROWS, description="No event fails a suite with quarantine."
)
SAMPLE_ROWS = 5


def quarantined_rows_spec(raw_events: AssetKey) -> AssetSpec:
    """The asset."""
    return AssetSpec(
        QUARANTINED_ROWS,
        deps=[raw_events],
        group_name=Stage.QUALITY.group,
        owners=[DATA_TEAM],
        kinds={"duckdb"},
        metadata={"dagster/table_name": "quality.quarantined_rows"},
        description=(
            "One row per event that a suite held, with the reason and the run. It is written in the transaction that "
            "loads raw/events; the staging models leave such events out until they are released."
        ),
    )


def count_held(warehouse: Warehouse) -> Materialized:
    """What is held now, as a materialisation with its check."""
    with warehouse.read() as connection:
        held = held_rows(connection, limit=SAMPLE_ROWS)
    return Materialized(
        asset_key=QUARANTINED_ROWS,
        metadata={"held_rows": held.count},
        check_results=[
            AssetCheckResult(
                asset_key=QUARANTINED_ROWS,
                check_name=NO_ROW_IS_HELD.name,
                passed=not held.count,
                severity=AssetCheckSeverity.WARN,
                metadata={
                    "held_rows": held.count,
                    "by_reason": MetadataValue.json(held.by_reason),
                    "samples": MetadataValue.json([row.shown() for row in held.rows]),
                },
            )
        ],
    )
