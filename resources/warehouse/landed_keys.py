"""The SQL of a load: which landed rows are new, and which repeat a key that is held or came before them.

    landed_pieces (piece, range, path, log, kafka_partition, first_offset, last_offset)   what is read
    landed_keys (piece, row, kafka_offset, key, key_hash, first_by)   one row per landed row: keys and positions only
    landed_surplus (piece, row)                                       those that are not new

The files are read twice, keys first: rows that are staged as a whole took 1.6 GB for 1.47 million events, keys 0.4.
New keys meet the held ones by hash: of 100 million held rows that reads 0.8 GB, and costs 0.9 CPU seconds for 20,000
new keys and 2.9 for a million; by the text of the keys it was twice that. Only where hashes meet are the true keys
compared, so that an id is never lost to another one's hash.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb

from resources.warehouse.landed_tables import LandedTable, key_hash
from resources.warehouse.landing_pieces import Piece
from resources.warehouse.spans import merge

_PIECES = """
CREATE OR REPLACE TEMP TABLE landed_pieces AS
SELECT
    unnest($pieces::INTEGER[]) AS piece, unnest($ranges::INTEGER[]) AS range, unnest($paths::VARCHAR[]) AS path,
    unnest($logs::VARCHAR[]) AS log, unnest($partitions::INTEGER[]) AS kafka_partition,
    unnest($firsts::BIGINT[]) AS first_offset, unnest($lasts::BIGINT[]) AS last_offset
"""

# What is read of the files: a file may be loaded in part.
_LANDED = """
read_parquet($paths, filename = true, file_row_number = true, hive_partitioning = false) AS landed
INNER JOIN landed_pieces AS pieces
    ON landed.filename = pieces.path
    AND landed.kafka_offset BETWEEN pieces.first_offset AND pieces.last_offset
"""

# Few keys come twice: only those are put in order.
_SURPLUS_OF_THE_LOAD = """
CREATE OR REPLACE TEMP TABLE landed_surplus AS
WITH several AS (
    SELECT key_hash FROM landed_keys GROUP BY key_hash HAVING count(*) > 1
),
numbered AS (
    SELECT
        keys.piece, keys.row,
        row_number() OVER (
            PARTITION BY keys.key
            ORDER BY keys.first_by, pieces.log, pieces.kafka_partition, keys.kafka_offset, keys.row
        ) AS number
    FROM landed_keys AS keys
    SEMI JOIN several ON keys.key_hash = several.key_hash
    INNER JOIN landed_pieces AS pieces ON keys.piece = pieces.piece
)
SELECT piece, row FROM numbered WHERE number > 1
"""

_RECORD = """
INSERT INTO raw.loads
WITH counts AS (
    SELECT
        keys.piece, count(*) AS row_count, count(surplus.row) AS duplicate_count
    FROM landed_keys AS keys
    LEFT JOIN landed_surplus AS surplus ON keys.piece = surplus.piece AND keys.row = surplus.row
    GROUP BY keys.piece
)
SELECT
    $topic, pieces.log, pieces.kafka_partition, min(pieces.first_offset), max(pieces.last_offset),
    coalesce(sum(counts.row_count), 0),
    coalesce(sum(counts.row_count - counts.duplicate_count), 0),
    coalesce(sum(counts.duplicate_count), 0),
    $loaded_at::TIMESTAMPTZ
FROM landed_pieces AS pieces
LEFT JOIN counts ON pieces.piece = counts.piece
GROUP BY pieces.log, pieces.kafka_partition, pieces.range
"""


def stage_keys(connection: duckdb.DuckDBPyConnection, target: LandedTable, pieces: Sequence[Piece], root: Path) -> None:
    """Make `landed_pieces` and `landed_keys`."""
    connection.execute(
        _PIECES,
        {
            "pieces": list(range(len(pieces))),
            "ranges": _ranges(pieces),
            "paths": [str(root / piece.file.path) for piece in pieces],
            "logs": [piece.file.log for piece in pieces],
            "partitions": [piece.file.partition for piece in pieces],
            "firsts": [piece.span[0] for piece in pieces],
            "lasts": [piece.span[1] for piece in pieces],
        },
    )
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE landed_keys AS
        SELECT
            pieces.piece, landed.file_row_number AS row, landed.kafka_offset,
            landed.{target.key} AS key, {key_hash(f"landed.{target.key}")} AS key_hash,
            landed.{target.first_by} AS first_by
        FROM {_LANDED}
        """,  # noqa: S608 - names are our own constants
        {"paths": sorted({str(root / piece.file.path) for piece in pieces})},
    )


def find_surplus(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> None:
    """Make `landed_surplus` from the staged keys and the table."""
    connection.execute(_SURPLUS_OF_THE_LOAD)
    connection.execute(
        f"""
        INSERT INTO landed_surplus
        WITH met AS MATERIALIZED (
            SELECT held.rowid AS held_row
            FROM {target.table} AS held
            SEMI JOIN landed_keys AS keys ON held.key_hash = keys.key_hash
        ),
        held_keys AS MATERIALIZED (
            SELECT held.{target.key} AS key, held.key_hash
            FROM {target.table} AS held
            WHERE held.rowid IN (SELECT held_row FROM met)
        )
        SELECT keys.piece, keys.row
        FROM landed_keys AS keys
        SEMI JOIN held_keys ON keys.key_hash = held_keys.key_hash AND keys.key = held_keys.key
        EXCEPT
        FROM landed_surplus
        """  # noqa: S608 - names are our own constants
    )


def copy_rows(connection: duckdb.DuckDBPyConnection, target: LandedTable, loaded_at: dt.datetime) -> None:
    """Copy the new rows into the table, and the others into the table of repeats where there is one."""
    columns = ", ".join(target.columns)
    landed = ", ".join(f"landed.{name}" for name in target.columns)
    surplus = "landed_surplus AS surplus ON pieces.piece = surplus.piece AND landed.file_row_number = surplus.row"
    connection.execute(
        f"""
        INSERT INTO {target.table} ({columns}, loaded_at, key_hash)
        SELECT {landed}, $loaded_at::TIMESTAMPTZ, {key_hash(f"landed.{target.key}")}
        FROM {_LANDED}
        ANTI JOIN {surplus}
        """,  # noqa: S608 - names are our own constants
        {"paths": _paths(connection, "landed_pieces"), "loaded_at": loaded_at},
    )
    repeating = _paths(connection, "landed_pieces SEMI JOIN landed_surplus USING (piece)")
    if target.repeats is not None and repeating:
        connection.execute(
            f"""
            INSERT INTO {target.repeats} ({columns}, loaded_at)
            SELECT {landed}, $loaded_at::TIMESTAMPTZ
            FROM {_LANDED}
            SEMI JOIN {surplus}
            """,  # noqa: S608 - names are our own constants
            {"paths": repeating, "loaded_at": loaded_at},
        )


def record_ranges(connection: duckdb.DuckDBPyConnection, topic: str, loaded_at: dt.datetime) -> tuple[int, int]:
    """Write the ranges that were read into `raw.loads`; returns their rows, and how many of them were new."""
    connection.execute(_RECORD, {"topic": topic, "loaded_at": loaded_at})
    counted = connection.execute(
        "SELECT (SELECT count(*) FROM landed_keys), (SELECT count(*) FROM landed_surplus)"
    ).fetchone()
    rows, surplus = counted or (0, 0)
    connection.execute("DROP TABLE landed_surplus; DROP TABLE landed_keys; DROP TABLE landed_pieces")
    return rows, rows - surplus


def _ranges(pieces: Sequence[Piece]) -> list[int]:
    """For each piece the number of the unbroken range of its partition that it belongs to."""
    places = {(piece.file.log, piece.file.partition) for piece in pieces}
    merged = {
        place: merge(piece.span for piece in pieces if (piece.file.log, piece.file.partition) == place)
        for place in places
    }
    return [
        next(
            number
            for number, (first, last) in enumerate(merged[piece.file.log, piece.file.partition])
            if first <= piece.span[0] <= last
        )
        for piece in pieces
    ]


def _paths(connection: duckdb.DuckDBPyConnection, source: str) -> list[str]:
    found = connection.execute(f"SELECT list(DISTINCT path ORDER BY path) FROM {source}").fetchone()  # noqa: S608
    return (found[0] if found else None) or []
