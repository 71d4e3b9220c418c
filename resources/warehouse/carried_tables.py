"""What a rebuild cannot make again and takes over from the old warehouse as it is.

dbt's snapshots, since their sources have forgotten the earlier versions; and the tables of schemas that neither the
loads nor dbt fill: features, which are those that a model was trained on and are replaced by churn_job, or histories.
"""

from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from resources.warehouse.hardened import quoted

_SNAPSHOT_COLUMNS = ("dbt_scd_id", "dbt_valid_from", "dbt_valid_to")

_TABLES = "SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE database_name = $catalog AND NOT internal"
_IS_SNAPSHOT = """
AND (schema_name, table_name) IN (
    SELECT (schema_name, table_name) FROM duckdb_columns()
    WHERE database_name = $catalog AND list_contains($columns, column_name)
    GROUP BY ALL HAVING count(*) = len($columns)
)
"""


@dataclass(frozen=True)
class Carried:
    """Tables that were taken over, and those that cannot be read any more, with the reason."""

    tables: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def __add__(self, other: "Carried") -> "Carried":
        return Carried(self.tables + other.tables, self.lost + other.lost)


def carry_snapshots(connection: duckdb.DuckDBPyConnection, old: str) -> Carried:
    """Copy dbt's snapshots from the attached file `old` into the connection's own, in place of what is there."""
    query = f"{_TABLES} {_IS_SNAPSHOT} ORDER BY ALL"
    found = connection.execute(query, {"catalog": old, "columns": list(_SNAPSHOT_COLUMNS)}).fetchall()
    return _copy(connection, old, found)


def carry_other_schemas(connection: duckdb.DuckDBPyConnection, old: str, own_schemas: Collection[str]) -> Carried:
    """Copy the tables of all schemas but the own ones, as `carry_snapshots` does."""
    query = f"{_TABLES} AND NOT list_contains($own, schema_name) ORDER BY ALL"
    found = connection.execute(query, {"catalog": old, "own": list(own_schemas)}).fetchall()
    return _copy(connection, old, found)


def schemas_with_tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The schemas of the connection's own file that hold a table or a view."""
    rows = connection.execute(
        "SELECT schema_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal "
        "UNION SELECT schema_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal"
    )
    return {schema for (schema,) in rows.fetchall()}


def _copy(connection: duckdb.DuckDBPyConnection, old: str, tables: list[tuple[str, str, str]]) -> Carried:
    carried, lost = [], []
    for schema, table, definition in tables:
        name = f"{quoted(schema)}.{quoted(table)}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}; DROP TABLE IF EXISTS {name}")
        connection.execute(definition)  # as the old file words it, with its keys and constraints
        try:
            connection.execute(f"INSERT INTO {name} FROM {quoted(old)}.{name}")
            carried.append(f"{schema}.{table}")
        except duckdb.Error as error:
            connection.execute(f"DROP TABLE {name}")
            lost.append(f"{schema}.{table}: {error}")
    return Carried(tuple(carried), tuple(lost))
