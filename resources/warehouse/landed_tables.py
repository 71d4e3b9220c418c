"""The raw tables of landed records: their columns, keys, and how they are made."""

from collections.abc import Mapping
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
)
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, REJECTED, WINDOWS
from resources.warehouse.loaded_ranges import create_load_records

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


@dataclass(frozen=True)
class LandedTable:
    """A raw table of landed records.

    Of rows with one `key`, the first by `first_by` is kept, but a row that an earlier load took stays. The others go to
    the table `repeats` where there is one; else they are only counted.

    Beside the columns of the contract and the load the table has `key_hash`, by which a load looks its keys up among
    all that are held. It is half of the key's MD5, since DuckDB's own hash may change from version to version.
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


def key_hash(key: str) -> str:
    """The SQL of a key's hash."""
    return f"md5_number_lower({key})"


def create_landed_table(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> None:
    """Make the table and `raw.loads` where they are missing, and add what a table from before lacks."""
    create_load_records(connection)
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
    connection.execute(f"ALTER TABLE {target.table} ADD COLUMN IF NOT EXISTS key_hash UBIGINT")
    connection.execute(
        f"UPDATE {target.table} SET key_hash = {key_hash(target.key)} "  # noqa: S608 - names are our own constants
        f"WHERE key_hash IS NULL AND {target.key} IS NOT NULL"
    )
