"""The marts that requests may read, as an immutable copy beside the warehouse."""

from dagster import AssetCheckResult, ResourceParam, asset, asset_check

from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, Stage
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.hardened import QueryLimits
from resources.warehouse.mart_copies import describe_mart, description_query, mart_description
from resources.warehouse.snapshot_reader import SnapshotReader
from resources.warehouse.snapshots import SERVED_MARTS, publish_snapshot

MARTS_SNAPSHOT = Stage.SERVING.key("marts_snapshot")


@asset(
    key=MARTS_SNAPSHOT,
    deps=[Stage.MARTS.key(mart.name) for mart in SERVED_MARTS],
    group_name=Stage.SERVING.group,
    owners=[DATA_TEAM],
    kinds={"duckdb"},
    description=(
        "An immutable copy of each mart on the allow-list, a new one where it changed, with a pointer to the newest. "
        "Whoever reads it never meets the warehouse's writer."
    ),
)
def marts_snapshot(settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]) -> Materialized:
    """Publish if one of the marts changed."""
    snapshot, is_new = publish_snapshot(warehouse, settings.snapshots_dir)
    return Materialized(
        metadata={
            "version": snapshot.version,
            "published": is_new,
            "copied_marts": sorted(name for name, table in snapshot.tables.items() if snapshot.version in table.file),
            "published_at": snapshot.published_at.isoformat(),
            "bytes": sum((settings.snapshots_dir / file).stat().st_size for file in snapshot.files),
            "dagster/row_count": sum(table.rows for table in snapshot.tables.values()),
            **{f"{name}_rows": table.rows for name, table in snapshot.tables.items()},
        }
    )


@asset_check(asset=MARTS_SNAPSHOT, description="Each published mart holds the rows that the warehouse holds now.")
def snapshot_equals_marts(settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """Compares counts and fingerprints, both read anew."""
    reader = SnapshotReader(settings.snapshots_dir, QueryLimits(seconds=600))
    try:
        published = reader.look()
        in_snapshot = {
            mart.name: mart_description(published.database.run(description_query(f"marts.{mart.name}")).rows[0])
            for mart in SERVED_MARTS
        }
    finally:
        reader.close()
    with warehouse.read() as connection:
        in_warehouse = {mart.name: describe_mart(connection, f"marts.{mart.name}") for mart in SERVED_MARTS}
    differing = sorted(name for name, found in in_warehouse.items() if not in_snapshot[name].holds_the_rows_of(found))
    return AssetCheckResult(
        passed=not differing,
        metadata={
            "version": published.snapshot.version,
            "differing_marts": differing,
            "rows": sum(table.rows for table in in_warehouse.values()),
        },
    )
