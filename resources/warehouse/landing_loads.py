"""Loads landed records into the warehouse: each offset once, each id once, and the ranges beside the rows.

`raw.loads` holds one row per range that was loaded, written in the transaction that wrote its rows. A range is known
by its offsets, not by its file, so files that were compacted into others are not loaded again. Several rows may stand
at one offset, as the windows of one record do. `raw.load_times` says when each topic's files were last listed for a
load: what had landed by then is in the warehouse. Every row carries its load's time in `loaded_at`, which grows from
load to load: what is new since a moment is found without reading what was there before.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from platform_assets.contracts.landing import (
    DATE,
    EVENT_COLUMNS,
    FLOAT64,
    INT32,
    INT64,
    LATE_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    TEXT,
    TIMESTAMP,
    WINDOW_COLUMNS,
    LandingFile,
)
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, WINDOWS
from resources.landing_zone import LandingZone
from resources.warehouse.spans import Span, merge, subtract

SQL_TYPES = {
    TEXT: "VARCHAR",
    TIMESTAMP: "TIMESTAMPTZ",
    DATE: "DATE",
    INT32: "INTEGER",
    INT64: "BIGINT",
    FLOAT64: "DOUBLE",
}

LOAD_COLUMNS: dict[str, str] = {"loaded_at": TIMESTAMP}
"""What a load adds to the columns of the contract."""

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
CREATE TABLE IF NOT EXISTS raw.load_times (topic VARCHAR PRIMARY KEY, listed_at TIMESTAMPTZ NOT NULL);
"""


@dataclass(frozen=True)
class LandedTable:
    """A raw table of landed records.

    Of rows with one `key`, the first by `first_by` is kept, but a row that an earlier load took stays. The others go to
    the table `repeats` where there is one; else they are only counted.
    """

    topic: str
    table: str
    columns: Mapping[str, str]
    key: str
    first_by: str
    repeats: str | None = None


RAW_EVENTS = LandedTable(
    EVENTS.name, "raw.events", EVENT_COLUMNS, key="event_id", first_by="received_at", repeats="raw.repeated_events"
)
RAW_REJECTED_EVENTS = LandedTable(
    REJECTED.name, "raw.rejected_events", REJECTION_COLUMNS, key="rejection_id", first_by="rejected_at"
)
RAW_WINDOW_RESULTS = LandedTable(
    WINDOWS.name,
    "raw.window_results",
    WINDOW_COLUMNS,
    key="result_id",
    first_by="emitted_at",
    repeats="raw.repeated_window_results",
)
RAW_LATE_EVENTS = LandedTable(LATE.name, "raw.late_events", LATE_COLUMNS, key="late_id", first_by="received_at")
RAW_PREDICTIONS = LandedTable(
    PREDICTIONS.name,
    "raw.predictions",
    PREDICTION_COLUMNS,
    key="prediction_id",
    first_by="predicted_at",
    repeats="raw.repeated_predictions",
)
LANDED_TABLES = (RAW_EVENTS, RAW_REJECTED_EVENTS, RAW_WINDOW_RESULTS, RAW_LATE_EVENTS, RAW_PREDICTIONS)


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
    # now() is when this transaction began: before the files are listed.
    connection.execute("INSERT OR REPLACE INTO raw.load_times VALUES ($topic, now())", {"topic": target.topic})
    pieces = _missing_pieces(landing.files(target.topic), loaded_spans(connection, target.topic))
    row_count = new_row_count = byte_count = 0
    if pieces:
        paths = [str(landing.root / piece.file.path) for piece in pieces]
        byte_count = sum((landing.root / path).stat().st_size for path in {piece.file.path for piece in pieces})
        _stage_keys(connection, target, pieces, paths)
        loaded_at = _load_time(connection)
        new_row_count = _insert_rows(connection, target, target.table, loaded_at, new=True)
        if target.repeats is not None:
            _insert_rows(connection, target, target.repeats, loaded_at, new=False)
        row_count = _record_ranges(connection, target.topic, loaded_at)
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
    """Make the table and `raw.loads` where they are missing, and add what a table from before lacks."""
    connection.execute(_CREATE_LOADS)
    columns = ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in {**target.columns, **LOAD_COLUMNS}.items())
    for table in filter(None, (target.table, target.repeats)):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS loaded_at TIMESTAMPTZ")
        # Rows of before the column: 2 ms where there are none, by the statistics of the row groups.
        connection.execute(
            f"""
            UPDATE {table}
            SET loaded_at = coalesce((SELECT min(loaded_at) FROM raw.loads WHERE topic = $topic), now())
            WHERE loaded_at IS NULL
            """,  # noqa: S608 - names are our own constants
            {"topic": target.topic},
        )


def loaded_spans(connection: duckdb.DuckDBPyConnection, topic: str) -> dict[tuple[str, int], list[Span]]:
    """The offsets of a topic that are in the warehouse, by log and partition, merged; nothing before the first load."""
    spans: dict[tuple[str, int], list[Span]] = defaultdict(list)
    known = connection.execute("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'loads'")
    if known.fetchone() is None:
        return {}
    loads = connection.execute(
        "SELECT log, kafka_partition, first_offset, last_offset FROM raw.loads WHERE topic = $topic", {"topic": topic}
    )
    for log, partition, first, last in loads.fetchall():
        spans[log, partition].append((first, last))
    return {place: merge(found) for place, found in spans.items()}


def _missing_pieces(files: Sequence[LandingFile], loaded: Mapping[tuple[str, int], Sequence[Span]]) -> list[_Piece]:
    pieces: list[_Piece] = []
    covered = dict(loaded)
    for file in files:
        place = (file.log, file.partition)
        missing = subtract((file.first, file.last), covered.get(place, ()))
        pieces.extend(_Piece(file, span) for span in missing)
        # Kept merged: thousands of files would be compared with each other otherwise.
        covered[place] = merge([*covered.get(place, ()), *missing])
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
            landed.filename AS path, landed.file_row_number AS row, landed.kafka_offset, landed.{target.key} AS key,
            row_number() OVER (
                PARTITION BY landed.{target.key}
                ORDER BY landed.{target.first_by}, pieces.log, pieces.kafka_partition, landed.kafka_offset,
                    landed.file_row_number
            ) = 1
            AND NOT EXISTS (FROM {target.table} AS held WHERE held.{target.key} = landed.{target.key}) AS is_new
        FROM read_parquet($paths, filename = true, file_row_number = true, hive_partitioning = false) AS landed
        INNER JOIN landed_pieces AS pieces
            ON landed.filename = pieces.path
            AND landed.kafka_offset BETWEEN pieces.first_offset AND pieces.last_offset
        """,  # noqa: S608 - names are our own constants
        {"paths": sorted(set(paths))},
    )


def _load_time(connection: duckdb.DuckDBPyConnection) -> dt.datetime:
    """When this transaction began, but after every load before: a clock that was set back must not hide new rows."""
    found = connection.execute(
        "SELECT greatest(now(), max(loaded_at) + INTERVAL 1 MICROSECOND) FROM raw.loads"
    ).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has a row
    loaded_at: dt.datetime = found[0]
    return loaded_at


def _insert_rows(
    connection: duckdb.DuckDBPyConnection, target: LandedTable, table: str, loaded_at: dt.datetime, *, new: bool
) -> int:
    """Copy the staged rows that are new, or those that are not; returns how many."""
    columns = ", ".join(target.columns)
    holding = connection.execute(
        "SELECT list(DISTINCT path ORDER BY path) FROM landed_keys WHERE is_new = $new", {"new": new}
    ).fetchone()
    paths = holding[0] if holding else None
    if not paths:
        return 0
    inserted = connection.execute(
        f"""
        INSERT INTO {table} ({columns}, loaded_at)
        SELECT {columns}, $loaded_at::TIMESTAMPTZ
        FROM read_parquet($paths, filename = true, file_row_number = true, hive_partitioning = false) AS landed
        WHERE EXISTS (
            FROM landed_keys AS keys
            WHERE keys.is_new = $new AND keys.path = landed.filename AND keys.row = landed.file_row_number
        )
        """,  # noqa: S608 - names are our own constants
        {"paths": paths, "new": new, "loaded_at": loaded_at},
    ).fetchone()
    return int(inserted[0]) if inserted else 0


def _record_ranges(connection: duckdb.DuckDBPyConnection, topic: str, loaded_at: dt.datetime) -> int:
    connection.execute(
        """
        INSERT INTO raw.loads
        SELECT
            $topic, pieces.log, pieces.kafka_partition, pieces.first_offset, pieces.last_offset,
            count(keys.key) AS row_count,
            count(keys.key) FILTER (WHERE keys.is_new) AS new_row_count,
            count(keys.key) FILTER (WHERE NOT keys.is_new) AS duplicate_count,
            $loaded_at::TIMESTAMPTZ
        FROM landed_pieces AS pieces
        LEFT JOIN landed_keys AS keys
            ON keys.path = pieces.path AND keys.kafka_offset BETWEEN pieces.first_offset AND pieces.last_offset
        GROUP BY ALL
        """,
        {"topic": topic, "loaded_at": loaded_at},
    )
    counted = connection.execute("SELECT count(*) FROM landed_keys").fetchone()
    return int(counted[0]) if counted else 0
