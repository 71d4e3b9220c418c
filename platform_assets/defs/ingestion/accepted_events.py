"""Whether every accepted event is in the warehouse or was rejected with a reason."""

import duckdb
from dagster import AssetCheckResult, AssetCheckSeverity, ResourceParam, asset_check

from platform_assets.contracts.topics import EVENTS
from platform_assets.defs.ingestion.raw_landed import RAW_EVENTS_KEY, RAW_REJECTED_EVENTS_KEY
from resources.warehouse import Warehouse

_COUNTS = """
WITH loads AS (
    SELECT * FROM raw.loads WHERE topic = $topic
),
rejected AS (
    SELECT count(DISTINCT (source_log, source_partition, source_offset)) AS records
    FROM raw.rejected_events AS events
    INNER JOIN loads
        ON events.source_log = loads.log
        AND events.source_partition = loads.kafka_partition
        AND events.source_offset BETWEEN loads.first_offset AND loads.last_offset
    WHERE events.origin = 'stream' AND events.source_topic = $topic
)
SELECT
    coalesce(sum(last_offset - first_offset + 1), 0)::BIGINT,
    coalesce(sum(row_count), 0)::BIGINT,
    coalesce(sum(new_row_count), 0)::BIGINT,
    (SELECT records FROM rejected)
FROM loads
"""


@asset_check(
    asset=RAW_EVENTS_KEY,
    additional_deps=[RAW_REJECTED_EVENTS_KEY],
    description="accepted = raw + rejected by the stream: each loaded offset of the log is a row or a rejection.",
)
def accepted_is_raw_plus_rejected_by_the_stream(warehouse: ResourceParam[Warehouse]) -> AssetCheckResult:
    """Warns only: a rejection travels through the log itself and may land a few seconds after its neighbours."""
    with warehouse.read() as connection:
        return check_accepted(connection)


def check_accepted(connection: duckdb.DuckDBPyConnection) -> AssetCheckResult:
    """Compare the offsets that were loaded with the rows and the stream's rejections found for them."""
    counts = connection.execute(_COUNTS, {"topic": EVENTS.name}).fetchone()
    accepted, rows, new_rows, rejected = (int(count) for count in counts) if counts else (0, 0, 0, 0)
    return AssetCheckResult(
        passed=accepted == rows + rejected,
        severity=AssetCheckSeverity.WARN,
        metadata={
            "accepted_records": accepted,
            "raw_events": new_rows,
            "repeated_events": rows - new_rows,
            "rejected_by_the_stream": rejected,
            "unaccounted": accepted - rows - rejected,
        },
    )
