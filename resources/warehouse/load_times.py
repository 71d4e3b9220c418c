"""Gives rebuilt rows the times at which the old warehouse had loaded them.

What looks only at newer rows (quarantine, quality suites, dbt's tests) remembers how far it has come by these times.
With the rebuild's own times all of history would be new to it.
"""

import datetime as dt

import duckdb

from platform_assets.quality.sql_text import quoted
from resources.warehouse.database import has_table
from resources.warehouse.landed_tables import RAW_EVENTS, LandedTable

SCHEMA = "rebuilding"
"""Of the rebuilt file: what it needs only while it is made."""

_LOADS = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE OR REPLACE TABLE {schema}.loads (topic VARCHAR, log VARCHAR, kafka_partition INTEGER, first_offset BIGINT,
    last_offset BIGINT, loaded_at TIMESTAMPTZ)
"""
_REMEMBER = """
INSERT INTO {schema}.loads
SELECT topic, log, kafka_partition, first_offset, last_offset, loaded_at FROM {old}.raw.loads
"""
_RESTORE = """
UPDATE {table} SET loaded_at = known.loaded_at
FROM (
    SELECT landed.rowid AS row, loads.loaded_at
    FROM {table} AS landed
    ASOF JOIN (FROM {schema}.loads WHERE topic = $topic) AS loads
        ON landed.log = loads.log
        AND landed.kafka_partition = loads.kafka_partition
        AND landed.kafka_offset >= loads.first_offset
    WHERE landed.loaded_at >= $since AND landed.kafka_offset <= loads.last_offset
) AS known
WHERE {table}.rowid = known.row
"""
_RELEASED = """
UPDATE raw.events SET loaded_at = released.loaded_at
FROM (
    SELECT event_id, greatest(loaded_at, $earliest) AS loaded_at FROM {old}.raw.events
    WHERE event_id IN (
        SELECT row_key FROM quality.quarantined_rows WHERE table_name = '{table}' AND released_at >= $since
    )
) AS released
WHERE raw.events.event_id = released.event_id
"""


def remember_loads(connection: duckdb.DuckDBPyConnection, old: str) -> None:
    """Keep the loads of the attached file `old` in the session's own file."""
    connection.execute(_LOADS.format(schema=SCHEMA))
    if has_table(connection, "raw.loads", database=old):
        connection.execute(_REMEMBER.format(schema=SCHEMA, old=quoted(old)))


def restore_load_times(connection: duckdb.DuckDBPyConnection, target: LandedTable, since: dt.datetime) -> None:
    """Set the times of the rows that were loaded since a moment, where the old file had loaded them too."""
    for table in filter(None, (target.table, target.repeats)):
        connection.execute(_RESTORE.format(table=table, schema=SCHEMA), {"topic": target.topic, "since": since})


def forget_loads(connection: duckdb.DuckDBPyConnection) -> None:
    """Drop what `remember_loads` kept."""
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def restore_releases(connection: duckdb.DuckDBPyConnection, old: str, since: dt.datetime, earliest: dt.datetime) -> int:
    """Set the times of events that left quarantine since a moment: to the models they come in only then.

    The time is that of the old file, or `earliest` where that is later; returns how many events there are.
    """
    statement = _RELEASED.format(old=quoted(old), table=RAW_EVENTS.table)
    released = connection.execute(statement, {"since": since, "earliest": earliest}).fetchone()
    return int(released[0]) if released else 0
