"""The landed files in fewer, larger ones."""

import dataclasses
from collections.abc import Iterable

import duckdb
import pyarrow.parquet as pq
from dagster import AssetCheckResult, AssetCheckSpec, AssetExecutionContext, ResourceParam, asset

from platform_assets.contracts.topics import TOPICS
from platform_assets.defs.ingestion.landing import (
    LANDED_EVENTS,
    LANDED_LATE_EVENTS,
    LANDED_REJECTED_EVENTS,
    LANDED_WINDOWS,
)
from platform_assets.defs.materialized import Materialized
from platform_assets.defs.stages import PLATFORM_TEAM, WAREHOUSE_POOL, Stage
from resources.landing_compaction import Compacted, compact
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.loaded_ranges import loaded_spans
from resources.warehouse.spans import subtract

COMPACTED_FILES = Stage.LANDING.key("compacted_files")
KEEPS_EVERY_ROW = "files_hold_every_loaded_row"
_ROWS = "SELECT coalesce(sum(row_count), 0)::BIGINT FROM raw.loads WHERE topic = $topic"


@asset(
    key=COMPACTED_FILES,
    deps=[LANDED_EVENTS, LANDED_REJECTED_EVENTS, LANDED_WINDOWS, LANDED_LATE_EVENTS],
    group_name=Stage.LANDING.group,
    owners=[PLATFORM_TEAM],
    kinds={"parquet"},
    pool=WAREHOUSE_POOL,
    check_specs=[
        AssetCheckSpec(
            KEEPS_EVERY_ROW,
            asset=COMPACTED_FILES,
            description="The files of loaded ranges hold as many rows as were loaded of them.",
        )
    ],
    description=(
        "Small landed files that are loaded, merged into files of up to 128 MB. The last file of a partition stays: it "
        "is the sink's position. Inputs are removed by a run at least ten minutes later."
    ),
)
def compacted_files(
    context: AssetExecutionContext, warehouse: ResourceParam[Warehouse], landing_zone: ResourceParam[LandingZone]
) -> Materialized:
    """Compact every topic."""
    # Alone with the warehouse: no load reads files meanwhile, and no second compaction runs.
    with warehouse.write(f"compaction of landed files, run {context.op_execution_context.run_id}") as connection:
        done = {topic.name: compact(landing_zone, topic.name, loaded_spans(connection, topic.name)) for topic in TOPICS}
        check = check_rows(connection, landing_zone, done)
    for topic, result in done.items():
        context.log.info("%s: %d files merged, %d files now", topic, result.merged_files, result.files_after)
    fields = [field.name for field in dataclasses.fields(Compacted)]
    return Materialized(
        metadata={name: sum(getattr(result, name) for result in done.values()) for name in fields},
        check_results=[check],
    )


def check_rows(
    connection: duckdb.DuckDBPyConnection, landing_zone: LandingZone, topics: Iterable[str]
) -> AssetCheckResult:
    """`files_hold_every_loaded_row`: reads the footers of the files, by topic."""
    differing = {}
    landed_rows = 0
    for topic in topics:
        loaded = loaded_spans(connection, topic)
        if not loaded:
            continue
        rows = sum(
            pq.read_metadata(landing_zone.root / file.path).num_rows
            for file in landing_zone.files(topic)
            if not subtract((file.first, file.last), loaded.get((file.log, file.partition), ()))
        )
        (loaded_rows,) = connection.execute(_ROWS, {"topic": topic}).fetchone() or (0,)
        landed_rows += rows
        if rows != loaded_rows:
            differing[topic] = f"{rows} rows in files, {loaded_rows} loaded"
    return AssetCheckResult(
        check_name=KEEPS_EVERY_ROW,
        passed=not differing,
        metadata={"rows_in_files": landed_rows, "differing": differing},
    )
