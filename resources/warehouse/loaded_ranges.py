"""`raw.loads`: which offsets are in the warehouse, written in the transaction that writes their rows.

One row per load and unbroken range of offsets. A range is known by its offsets, not by its files, so files that were
compacted into others are not loaded again. `raw.load_times` says when each topic's files were last listed for a load:
what had landed by then is in the warehouse.
"""

import datetime as dt
from collections import defaultdict

import duckdb

from resources.warehouse.database import has_table
from resources.warehouse.spans import Span

_CREATE = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE TABLE IF NOT EXISTS raw.loads (
    topic VARCHAR NOT NULL,
    log VARCHAR NOT NULL,
    kafka_partition INTEGER NOT NULL,
    first_offset BIGINT NOT NULL,
    last_offset BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    new_row_count BIGINT NOT NULL,
    duplicate_count BIGINT NOT NULL,
    loaded_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE IF NOT EXISTS raw.load_times (topic VARCHAR PRIMARY KEY, listed_at TIMESTAMPTZ NOT NULL);
"""

# Merged by the engine: a year of loads is hundreds of thousands of rows.
_SPANS = """
WITH ordered AS (
    SELECT
        log, kafka_partition, first_offset, last_offset,
        max(last_offset) OVER (
            PARTITION BY log, kafka_partition ORDER BY first_offset, last_offset
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS covered_to
    FROM raw.loads
    WHERE topic = $topic
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE covered_to IS NULL OR first_offset > covered_to + 1) OVER (
            PARTITION BY log, kafka_partition ORDER BY first_offset, last_offset
        ) AS span
    FROM ordered
)
SELECT log, kafka_partition, min(first_offset), max(last_offset)
FROM numbered
GROUP BY log, kafka_partition, span
ORDER BY ALL
"""


def create_load_records(connection: duckdb.DuckDBPyConnection) -> None:
    """Make both tables where they are missing."""
    connection.execute(_CREATE)


def loaded_spans(connection: duckdb.DuckDBPyConnection, topic: str) -> dict[tuple[str, int], list[Span]]:
    """The offsets of a topic that are in the warehouse, by log and partition, merged; nothing before the first load."""
    if not has_table(connection, "raw.loads"):
        return {}
    spans: dict[tuple[str, int], list[Span]] = defaultdict(list)
    for log, partition, first, last in connection.execute(_SPANS, {"topic": topic}).fetchall():
        spans[log, partition].append((first, last))
    return dict(spans)


def load_time(connection: duckdb.DuckDBPyConnection) -> dt.datetime:
    """When this transaction began, but after every load before: a clock that was set back must not hide new rows."""
    found = connection.execute(
        "SELECT greatest(now(), max(loaded_at) + INTERVAL 1 MICROSECOND) FROM raw.loads"
    ).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has a row
    loaded_at: dt.datetime = found[0]
    return loaded_at


def record_listing(connection: duckdb.DuckDBPyConnection, topic: str, listed_at: dt.datetime) -> None:
    """Say that everything that had landed at a time is loaded."""
    connection.execute(
        "INSERT OR REPLACE INTO raw.load_times VALUES ($topic, $listed_at)", {"topic": topic, "listed_at": listed_at}
    )
