"""The marts that requests may read, as an immutable copy beside the warehouse."""

from dagster import AssetCheckResult, ResourceParam, asset, asset_check

from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import DATA_TEAM, Stage
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.snapshot_reader import SnapshotReader
from resources.warehouse.snapshots import SERVED_MARTS, describe_mart, publish_snapshot

MARTS_SNAPSHOT = Stage.SERVING.key("marts_snapshot")


@asset(
    key=MARTS_SNAPSHOT,
    deps=[Stage.MARTS.key(mart.name) for mart in SERVED_MARTS],
    group_name=Stage.SERVING.group,
    owners=[DATA_TEAM],
    kinds={"duckdb"},
    description=(
        "An immutable copy of the marts on the allow-list, under a new name each time, with a pointer to the newest. "
        "Whoever reads it never meets the warehouse's writer."
    ),
)
def marts_snapshot(settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]) -> Materialized:
    """Publish if one of the marts changed."""
    snapshot, is_new = publish_snapshot(warehouse, settings.snapshots_dir)
    return Materialized(
        metadata={
            "file": snapshot.file,
            "published": is_new,
            "published_at": snapshot.published_at.isoformat(),
            "bytes": (settings.snapshots_dir / snapshot.file).stat().st_size,
            "dagster/row_count": sum(table.rows for table in snapshot.tables.values()),
            **{f"{name}_rows": table.rows for name, table in snapshot.tables.items()},
        }
    )


@asset_check(asset=MARTS_SNAPSHOT, description="Each published mart holds the rows that the warehouse holds now.")
def snapshot_equals_marts(settings: ResourceParam[Settings], warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """Compares counts and fingerprints, both read anew."""
    reader = SnapshotReader(settings.snapshots_dir)
    try:
        with reader.cursor() as (snapshot, published):
            in_snapshot = {mart.name: describe_mart(published, mart.name) for mart in SERVED_MARTS}
    finally:
        reader.close()
    with warehouse.read() as connection:
        in_warehouse = {mart.name: describe_mart(connection, mart.name) for mart in SERVED_MARTS}
    differing = sorted(name for name, found in in_warehouse.items() if in_snapshot[name] != found)
    return AssetCheckResult(
        passed=not differing,
        metadata={
            "file": snapshot.file,
            "differing_marts": differing,
            "rows": sum(table.rows for table in in_warehouse.values()),
        },
    )
