"""Whether two warehouses hold the same rows: every table that is made again, both ways, by EXCEPT ALL.

A table that one side lacks counts as empty there, a column that one side lacks is named. What cannot be the same after
a rebuild is left out, each with its reason: see `BOOKKEEPING_COLUMNS`, `SUMMARISED` and `LEFT_OUT`. Views hold no rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from platform_assets.quality.sql_text import quoted
from resources.warehouse.carried_tables import MADE_AGAIN
from resources.warehouse.landed_tables import LANDED_TABLES

OLD, NEW = "old_one", "new_one"
"""The names under which the two files are attached."""

BOOKKEEPING_COLUMNS: Mapping[str, str] = {
    "loaded_at": "when a load brought the row: a rebuild is a load of its own",
    "compared_to": "the greatest loaded_at of the events that a row was compared with",
}
SUMMARISED: Mapping[str, str] = {
    # A rebuild loads the same offsets in other portions.
    "raw.loads": (
        "SELECT topic, log, kafka_partition, sum(last_offset - first_offset + 1) AS offsets, "
        "sum(row_count) AS row_count FROM {catalog}.raw.loads GROUP BY ALL"
    ),
}
LEFT_OUT: Mapping[str, str] = {
    "raw.load_times": "when the landing files were last listed",
    "tests.passed_until": "up to which load dbt's tests have passed",
}

COPY_COLUMNS = frozenset(
    {
        "log",
        "kafka_partition",
        "kafka_offset",
        "received_at",
        "rejected_at",
        "emitted_at",
        "predicted_at",
        "correlation_id",
        "traceparent",
    }
)
"""What tells the copies of one id apart: where and when each came. Of the copies that stand in the log the first that a
load took is kept, and loads of other portions may take another one first."""

SAMPLE_ROWS = 5
WHOLE_UP_TO_ROWS = 5_000_000
"""Larger tables are subtracted only where the sums of their rows' hashes differ, in 256 parts: subtracting 100 million
rows as a whole would spill all of them to the disk."""
_PARTS = 256
_RELIC = "__dbt_(tmp|backup|new)"
"""Tables that a killed build leaves behind."""


@dataclass(frozen=True)
class Difference:
    """What one table holds on one side only, with some of the rows."""

    table: str
    only_old: int
    only_new: int
    columns: tuple[str, ...] = ()
    old_rows: tuple[tuple[Any, ...], ...] = ()
    new_rows: tuple[tuple[Any, ...], ...] = ()
    columns_of_old: tuple[str, ...] = ()
    columns_of_new: tuple[str, ...] = ()


@dataclass
class Comparison:
    """What was compared; equal if there are no differences."""

    tables: int = 0
    rows: int = 0
    other_copies: dict[str, int] = field(default_factory=dict)
    """By table, ids of which another copy with the same content is kept."""
    differences: list[Difference] = field(default_factory=list)


def compare_warehouses(connection: duckdb.DuckDBPyConnection) -> Comparison:
    """Compare the attached files `old_one` and `new_one`.

    Raises:
        duckdb.Error: one of them is damaged.
    """
    columns = {catalog: _columns(connection, catalog) for catalog in (OLD, NEW)}
    keys = {name: target.key for target in LANDED_TABLES for name in (target.table, target.repeats) if name}
    found = Comparison()
    for table in sorted(columns[OLD].keys() | columns[NEW].keys()):
        if table in LEFT_OUT:
            continue
        found.tables += 1
        in_old, in_new = columns[OLD].get(table), columns[NEW].get(table)
        if in_old is None or in_new is None:
            found.differences += _on_one_side(connection, table, in_old, in_new)
            continue
        rows, difference, copies = _compare(connection, table, in_old, in_new, keys.get(table))
        found.rows += rows
        if copies:
            found.other_copies[table] = copies
        if difference is not None:
            found.differences.append(difference)
    return found


def _columns(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, tuple[str, ...]]:
    rows = connection.execute(
        """
        SELECT schema_name || '.' || table_name, list(column_name ORDER BY column_index)
        FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name)
        WHERE database_name = $catalog AND list_contains($schemas, schema_name)
            AND NOT regexp_matches(table_name, $relic)
        GROUP BY ALL
        """,
        {"catalog": catalog, "schemas": list(MADE_AGAIN), "relic": _RELIC},
    )
    return {table: tuple(columns) for table, columns in rows.fetchall()}


def _on_one_side(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    in_old: tuple[str, ...] | None,
    in_new: tuple[str, ...] | None,
) -> Iterator[Difference]:
    catalog, columns = (OLD, in_old) if in_old is not None else (NEW, in_new or ())
    name = _place(catalog, table)
    count = _count(connection, f"SELECT count(*) FROM {name}")  # noqa: S608 - quoted names
    if count:
        sample = connection.execute(f"SELECT * FROM {name} LIMIT {SAMPLE_ROWS}").fetchall()  # noqa: S608 - quoted names
        if in_old is not None:
            yield Difference(table, count, 0, columns, old_rows=tuple(sample))
        else:
            yield Difference(table, 0, count, columns, new_rows=tuple(sample))


def _compare(
    connection: duckdb.DuckDBPyConnection, table: str, in_old: Sequence[str], in_new: Sequence[str], key: str | None
) -> tuple[int, Difference | None, int]:
    """Rows of the old table, the difference, and how many keys have another copy."""
    if table in SUMMARISED:
        old, new = (f"({SUMMARISED[table].format(catalog=catalog)})" for catalog in (OLD, NEW))
        compared = ["topic", "log", "kafka_partition", "offsets", "row_count"]
    else:
        old, new = _place(OLD, table), _place(NEW, table)
        compared = [name for name in in_old if name in in_new and name not in BOOKKEEPING_COLUMNS]
    rows = max(_count(connection, f"SELECT count(*) FROM {side}") for side in (old, new))  # noqa: S608 - quoted names
    listed = ", ".join(quoted(name) for name in compared)
    where = _where_they_differ(connection, old, new, listed) if rows > WHOLE_UP_TO_ROWS else ""
    for name, one, other in (("gone", old, new), ("come", new, old)):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS "  # noqa: S608 - quoted names
            f"SELECT {listed} FROM {one} {where} EXCEPT ALL SELECT {listed} FROM {other} {where}"
        )
    copies = _set_copies_aside(connection, compared, key) if key is not None else 0
    only_old, only_new = (_count(connection, f"SELECT count(*) FROM {name}") for name in ("gone", "come"))  # noqa: S608
    of_old = tuple(name for name in in_old if name not in in_new)
    of_new = tuple(name for name in in_new if name not in in_old)
    if not (only_old or only_new or of_old or of_new):
        return rows, None, copies
    samples = [
        tuple(connection.execute(f"FROM {name} ORDER BY ALL LIMIT {SAMPLE_ROWS}").fetchall())
        for name in ("gone", "come")
    ]
    difference = Difference(table, only_old, only_new, tuple(compared), samples[0], samples[1], of_old, of_new)
    return rows, difference, copies


def _set_copies_aside(connection: duckdb.DuckDBPyConnection, compared: Sequence[str], key: str) -> int:
    """Take the rows out of both that are copies of one id with the same content; returns how many ids."""
    content = [name for name in compared if name not in COPY_COLUMNS]
    same = " AND ".join(f"gone.{quoted(name)} IS NOT DISTINCT FROM come.{quoted(name)}" for name in content)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE copies AS SELECT DISTINCT gone.{quoted(key)} AS id "  # noqa: S608 - quoted names
        f"FROM gone INNER JOIN come ON {same}"
    )
    for name in ("gone", "come"):
        connection.execute(f"DELETE FROM {name} WHERE {quoted(key)} IN (SELECT id FROM copies)")  # noqa: S608 - as above
    return _count(connection, "SELECT count(*) FROM copies")


def _where_they_differ(connection: duckdb.DuckDBPyConnection, old: str, new: str, listed: str) -> str:
    part = f"hash({listed}) % {_PARTS}"
    sums = [
        f"SELECT {part} AS part, count(*) AS rows, sum(hash({listed})) AS sum FROM {side} GROUP BY ALL"  # noqa: S608
        for side in (old, new)
    ]
    differing = connection.execute(
        f"SELECT coalesce(one.part, other.part) FROM ({sums[0]}) AS one FULL JOIN ({sums[1]}) AS other "  # noqa: S608
        "ON one.part = other.part WHERE (one.rows, one.sum) IS DISTINCT FROM (other.rows, other.sum)"
    ).fetchall()
    parts = ", ".join(str(int(number)) for (number,) in differing)
    return f"WHERE {part} IN ({parts})" if parts else "WHERE false"


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    found = connection.execute(query).fetchone()
    return int(found[0]) if found else 0


def _place(catalog: str, table: str) -> str:
    return ".".join(quoted(part) for part in (catalog, *table.split(".", 1)))
