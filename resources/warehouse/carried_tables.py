"""What a rebuild cannot make again and takes over from the old warehouse as it is.

dbt's snapshots, since their sources have forgotten the earlier versions; and every table of a schema that neither the
loads nor dbt fill: what is held in quarantine, and features, which are those that a model was trained on (churn_job
replaces them).
"""

from dataclasses import dataclass

import duckdb

from platform_assets.quality.sql_text import quoted

MADE_AGAIN = ("raw", "staging", "intermediate", "marts", "inference", "tests")
"""The schemas of the loads, of dbt's models and of dbt's notes on its tests."""

QUARANTINE = "quality"
"""What it holds is known by load times: without them it is judged anew rather than carried over."""

_TABLES = """
WITH snapshots AS (
    SELECT schema_name, table_name FROM duckdb_columns()
    WHERE database_name = $old AND column_name IN ('dbt_scd_id', 'dbt_valid_from', 'dbt_valid_to')
    GROUP BY ALL HAVING count(*) = 3
)
SELECT schema_name, table_name, sql FROM duckdb_tables()
WHERE
    database_name = $old
    AND (
        NOT list_contains($left, schema_name)
        OR EXISTS (FROM snapshots AS s WHERE (s.schema_name, s.table_name) = (duckdb_tables.schema_name,
            duckdb_tables.table_name))
    )
ORDER BY ALL
"""


@dataclass(frozen=True)
class Carried:
    """Tables that were taken over, and those that cannot be read any more, with the reason."""

    tables: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def carry_over(connection: duckdb.DuckDBPyConnection, old: str) -> Carried:
    """Copy from the attached file `old` into the session's own, in place of what is there."""
    carried, lost = [], []
    tables = connection.execute(_TABLES, {"old": old, "left": list(MADE_AGAIN)}).fetchall()
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
