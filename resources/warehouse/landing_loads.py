"""Loads landed records into the warehouse: each offset once, each id once, and the ranges beside the rows.

`raw.loads` holds one row per range that was loaded, written in the transaction that wrote its rows. A range is known
by its offsets, not by its file, so files that were compacted into others are not loaded again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    INT32,
    INT64,
    REJECTION_COLUMNS,
    TEXT,
    TIMESTAMP,
    LandingFile,
)
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.landing_zone import LandingZone
from resources.warehouse.spans import Span, subtract

_SQL_TYPES = {TEXT: "VARCHAR", TIMESTAMP: "TIMESTAMPTZ", INT32: "INTEGER", INT64: "BIGINT"}

_CREATE_LOADS = """
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
"""


@dataclass(frozen=True)
class LandedTable:
    """A raw table of landed records. Of rows with one `key`, the first by `first_by` is kept."""

    topic: str
    table: str
    columns: Mapping[str, str]
    key: str
    first_by: str


RAW_EVENTS = LandedTable(EVENTS.name, "raw.events", EVENT_COLUMNS, key="event_id", first_by="received_at")
RAW_REJECTED_EVENTS = LandedTable(
    REJECTED.name, "raw.rejected_events", REJECTION_COLUMNS, key="rejection_id", first_by="rejected_at"
)


@dataclass(frozen=True)
class LoadResult:
    """What one load did, and what the table holds after it."""

    file_count: int
    byte_count: int
    row_count: int
    new_row_count: int
    table_row_count: int

    @property
    def duplicate_count(self) -> int:
        """Landed rows whose key the table held already, or that came twice in this load."""
        return self.row_count - self.new_row_count


@dataclass(frozen=True)
class _Piece:
    """The part of a file that has not been loaded."""

    file: LandingFile
    span: Span


def load_landed(connection: duckdb.DuckDBPyConnection, landing: LandingZone, target: LandedTable) -> LoadResult:
    """Load what has landed and is not recorded as loaded. Run it inside `Warehouse.write`: all of it or nothing.

    Raises:
        duckdb.Error: a file is damaged or lacks a column; nothing is loaded.
    """
    create_landed_table(connection, target)
    pieces = _missing_pieces(landing.files(target.topic), _loaded_spans(connection, target.topic))
    row_count = new_row_count = byte_count = 0
    if pieces:
        paths = [str(landing.root / piece.file.path) for piece in pieces]
        byte_count = sum((landing.root / path).stat().st_size for path in {piece.file.path for piece in pieces})
        _stage_keys(connection, target, pieces, paths)
        new_row_count = _insert_rows(connection, target, paths)
        row_count = _record_ranges(connection, target.topic)
        connection.execute("DROP TABLE landed_keys; DROP TABLE landed_pieces")
    held = connection.execute(f"SELECT count(*) FROM {target.table}").fetchone()  # noqa: S608 - our own constant
    return LoadResult(
        file_count=len({piece.file for piece in pieces}),
        byte_count=byte_count,
        row_count=row_count,
        new_row_count=new_row_count,
        table_row_count=int(held[0]) if held else 0,
    )


def create_landed_table(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> None:
    """Make the table and `raw.loads` where they are missing."""
    connection.execute(_CREATE_LOADS)
    columns = ", ".join(f"{name} {_SQL_TYPES[kind]}" for name, kind in target.columns.items())
    connection.execute(f"CREATE TABLE IF NOT EXISTS {target.table} ({columns})")


def _loaded_spans(connection: duckdb.DuckDBPyConnection, topic: str) -> dict[tuple[str, int], list[Span]]:
    spans: dict[tuple[str, int], list[Span]] = defaultdict(list)
    loads = connection.execute(
        "SELECT log, kafka_partition, first_offset, last_offset FROM raw.loads WHERE topic = $topic", {"topic": topic}
    )
    for log, partition, first, last in loads.fetchall():
        spans[log, partition].append((first, last))
    return spans


def _missing_pieces(files: Sequence[LandingFile], loaded: dict[tuple[str, int], list[Span]]) -> list[_Piece]:
    pieces: list[_Piece] = []
    for file in files:
        covered = loaded.setdefault((file.log, file.partition), [])
        missing = subtract((file.first, file.last), covered)
        pieces.extend(_Piece(file, span) for span in missing)
        covered.extend(missing)
    return pieces


def _stage_keys(
    connection: duckdb.DuckDBPyConnection, target: LandedTable, pieces: Sequence[_Piece], paths: Sequence[str]
) -> None:
    """Read keys and positions only, and mark the rows that are new: a second, columnar pass reads just those."""
    connection.execute(
        """
        CREATE TEMP TABLE landed_pieces AS
        SELECT unnest($paths::VARCHAR[]) AS path, unnest($logs::VARCHAR[]) AS log,
            unnest($partitions::INTEGER[]) AS kafka_partition,
            unnest($firsts::BIGINT[]) AS first_offset, unnest($lasts::BIGINT[]) AS last_offset
        """,
        {
            "paths": list(paths),
            "logs": [piece.file.log for piece in pieces],
            "partitions": [piece.file.partition for piece in pieces],
            "firsts": [piece.span[0] for piece in pieces],
            "lasts": [piece.span[1] for piece in pieces],
        },
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE landed_keys AS
        SELECT
            landed.filename AS path, landed.kafka_offset, landed.{target.key} AS key,
            row_number() OVER (
                PARTITION BY landed.{target.key}
                ORDER BY landed.{target.first_by}, pieces.log, pieces.kafka_partition, landed.kafka_offset
            ) = 1
            AND NOT EXISTS (FROM {target.table} AS held WHERE held.{target.key} = landed.{target.key}) AS is_new
        FROM read_parquet($paths, filename = true, hive_partitioning = false) AS landed
        INNER JOIN landed_pieces AS pieces
            ON landed.filename = pieces.path
            AND landed.kafka_offset BETWEEN pieces.first_offset AND pieces.last_offset
        """,  # noqa: S608 - names are our own constants
        {"paths": sorted(set(paths))},
    )


def _insert_rows(connection: duckdb.DuckDBPyConnection, target: LandedTable, paths: Sequence[str]) -> int:
    columns = ", ".join(target.columns)
    inserted = connection.execute(
        f"""
        INSERT INTO {target.table} ({columns})
        SELECT {columns}
        FROM read_parquet($paths, filename = true, hive_partitioning = false) AS landed
        WHERE EXISTS (
            FROM landed_keys AS keys
            WHERE keys.is_new AND keys.path = landed.filename AND keys.kafka_offset = landed.kafka_offset
        )
        """,  # noqa: S608 - names are our own constants
        {"paths": sorted(set(paths))},
    ).fetchone()
    return int(inserted[0]) if inserted else 0


def _record_ranges(connection: duckdb.DuckDBPyConnection, topic: str) -> int:
    connection.execute(
        """
        INSERT INTO raw.loads
        SELECT
            $topic, pieces.log, pieces.kafka_partition, pieces.first_offset, pieces.last_offset,
            count(keys.key) AS row_count,
            count(keys.key) FILTER (WHERE keys.is_new) AS new_row_count,
            count(keys.key) FILTER (WHERE NOT keys.is_new) AS duplicate_count,
            now()
        FROM landed_pieces AS pieces
        LEFT JOIN landed_keys AS keys
            ON keys.path = pieces.path AND keys.kafka_offset BETWEEN pieces.first_offset AND pieces.last_offset
        GROUP BY ALL
        """,
        {"topic": topic},
    )
    counted = connection.execute("SELECT count(*) FROM landed_keys").fetchone()
    return int(counted[0]) if counted else 0
