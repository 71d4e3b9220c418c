"""The events that are kept out of the models, and why. The load of raw/events writes them; this shows them."""

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, MetadataValue, ResourceParam, asset

from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, Stage
from resources.quality.held_rows import held_rows
from resources.settings import Settings
from resources.warehouse import Warehouse

QUARANTINED_ROWS = Stage.QUALITY.key("quarantined_rows")
NO_ROW_IS_HELD = "no_row_is_held"


@asset(
    key=QUARANTINED_ROWS,
    deps=[Stage.RAW.key("events")],
    group_name=Stage.QUALITY.group,
    owners=[DATA_TEAM],
    kinds={"duckdb"},
    check_specs=[
        AssetCheckSpec(NO_ROW_IS_HELD, asset=QUARANTINED_ROWS, description="No event fails a suite with quarantine."),
    ],
    metadata={"dagster/table_name": "quality.quarantined_rows"},
    description=(
        "One row per event that a suite held, with the reason and the run. It is written in the transaction that loads "
        "raw/events; the staging models leave such events out until they are released."
    ),
)
def quarantined_rows(settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]) -> Materialized:
    """Count what is held now."""
    with warehouse.read() as connection:
        held = held_rows(connection, limit=settings.quality.sample_rows)
    return Materialized(
        metadata={"held_rows": held.count},
        check_results=[
            AssetCheckResult(
                asset_key=QUARANTINED_ROWS,
                check_name=NO_ROW_IS_HELD,
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
