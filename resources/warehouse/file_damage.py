"""Whether a warehouse file is torn, as a full disk or a lost block leaves it: found by reading all of it."""

import contextlib
from pathlib import Path

import duckdb

from platform_assets.quality.sql_text import quoted

_FOREIGN_LOCK = "Could not set lock"
"""What DuckDB says when somebody has the file open without asking for the platform's lock: no damage at all."""


def find_damage(path: Path) -> str | None:
    """What is wrong with the file, or None. Hold the file's lock, as a reader at least.

    Raises:
        duckdb.Error: it could not be looked at: somebody holds it, or the memory did not suffice.
    """
    try:
        with contextlib.closing(duckdb.connect(path)) as connection:  # not read-only: its log is replayed first
            tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
            for schema, table in tables:
                _read_all(connection, schema, table)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if _FOREIGN_LOCK in str(error):
            raise
        return " ".join(str(error).split())
    return None


def _read_all(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> None:
    place = f"{quoted(schema)}.{quoted(table)}"
    connection.execute(f"SELECT sum(hash(held)) FROM {place} AS held").fetchall()  # noqa: S608 - quoted names
