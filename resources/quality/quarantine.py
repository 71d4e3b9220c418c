"""Keeps rows that fail out of the models, and lets them in again when they pass.

The rows stay where they were loaded; `quality.quarantined_rows` lists them, and the staging models leave out those that
are not released. A run judges what was loaded since the one before, in the transaction that loads it, so that no build
sees a row that nobody has judged. Rows that are held are judged again when the suite has changed or looks at another
table. A released row gets a new `loaded_at`: to the incremental models it comes in only now, however old it is.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from platform_assets.quality.dataset import Dataset, FoundRows
from platform_assets.quality.expectations import ForeignKey
from platform_assets.quality.failing_rows import failing_rows
from platform_assets.quality.row_rules import CannotJudge, Reference
from platform_assets.quality.sql_text import Bindings, quoted
from platform_assets.quality.suite import Suite

_TABLES = """
CREATE SCHEMA IF NOT EXISTS quality;
CREATE TABLE IF NOT EXISTS quality.quarantined_rows (
    table_name VARCHAR,
    row_key VARCHAR,
    suite VARCHAR,
    reasons VARCHAR,
    run_id VARCHAR,
    quarantined_at TIMESTAMPTZ,
    row_loaded_at TIMESTAMPTZ,
    released_at TIMESTAMPTZ,
    released_by VARCHAR
);
CREATE TABLE IF NOT EXISTS quality.judged_to (suite VARCHAR PRIMARY KEY, fingerprint VARCHAR, loaded_at TIMESTAMPTZ);
"""
_HELD = "table_name = $table_name AND released_at IS NULL"


@dataclass(frozen=True)
class Quarantined:
    """What one run did to a table, and how many of its rows are held after it."""

    table: str
    new: int
    released: int
    held: int


@dataclass(frozen=True)
class LoadedTable:
    """A table of the warehouse that is only loaded into: its name with its schema, and two of its columns."""

    name: str
    key: str
    watermark: str = "loaded_at"

    @property
    def quoted(self) -> str:
        """What stands after FROM."""
        return _quoted_table(self.name)


def quarantine(
    connection: duckdb.DuckDBPyConnection, table: LoadedTable, suites: Sequence[Suite], *, run_id: str
) -> Quarantined:
    """Judge what was loaded since the run before. Run it inside `Warehouse.write`, in the load's transaction.

    Args:
        table: it exists.
        suites: those that quarantine its rows; what only others held is released.

    Raises:
        CannotJudge: a suite does not fit the table; nothing is loaded then.
    """
    connection.execute(_TABLES)
    judgings = [_Judging(connection, table, suite, run_id) for suite in suites]
    new = sum(judging.judge_new() for judging in judgings)
    for judging in judgings:
        judging.judge_held()
    released = _release(connection, table, [suite.name for suite in suites], run_id)
    held = f"SELECT count(DISTINCT row_key) FROM quality.quarantined_rows WHERE {_HELD}"  # noqa: S608 - constants
    return Quarantined(table.name, new, released, _count(connection, held, table))


class _Judging:
    """One suite on one table."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: LoadedTable, suite: Suite, run_id: str) -> None:
        self._connection = connection
        self._table = table
        self._suite = suite
        self._run_id = run_id
        self._mine = {"table_name": table.name, "suite": suite.name}
        known = connection.execute(
            "SELECT loaded_at, fingerprint FROM quality.judged_to WHERE suite = ?", [suite.name]
        ).fetchone()
        self._since: dt.datetime | None = known[0] if known else None
        self._is_changed = known is not None and known[1] != suite.fingerprint

    def judge_new(self) -> int:
        """Hold what fails of the rows that were loaded since the last run; returns how many."""
        bindings, conditions = Bindings(), []
        if self._since is not None:
            conditions.append(f"{quoted(self._table.watermark)} > {bindings.add(self._since)}")
        newest = self._connection.execute(
            f"SELECT max({quoted(self._table.watermark)}) FROM {self._table.quoted} "  # noqa: S608 - quoted names
            f"WHERE {' AND '.join(conditions) or 'true'}",
            bindings.values,
        ).fetchone()
        newest_at = newest[0] if newest is not None else None
        self._connection.execute(
            "INSERT OR REPLACE INTO quality.judged_to VALUES (?, ?, ?)",
            [self._suite.name, self._suite.fingerprint, newest_at or self._since],
        )
        if newest_at is None:
            return 0
        query, values = self._failing(conditions, bindings)
        return _changed(
            self._connection,
            "INSERT INTO quality.quarantined_rows SELECT $table_name, row_key, $suite, reasons, $run_id, now(), "  # noqa: S608
            f"row_loaded_at, NULL, NULL FROM ({query})",
            {**values, **self._mine, "run_id": self._run_id},
        )

    def judge_held(self) -> None:
        """Judge the held rows again where that can change something; those that pass are marked for their release."""
        looks_elsewhere = any(isinstance(one, ForeignKey) for one in self._suite.expectations)
        if not (self._is_changed or looks_elsewhere):
            return
        held = f"FROM quality.quarantined_rows WHERE {_HELD} AND suite = $suite"
        oldest = self._connection.execute(f"SELECT min(row_loaded_at) {held}", self._mine).fetchone()
        if oldest is None or oldest[0] is None:
            return
        bindings = Bindings(dict(self._mine))
        conditions = [
            # Spares the engine all that was loaded before.
            f"{quoted(self._table.watermark)} >= {bindings.add(oldest[0])}",
            f"CAST({quoted(self._table.key)} AS VARCHAR) IN (SELECT row_key {held})",
        ]
        query, values = self._failing(conditions, bindings)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE failing_still AS {query}", values)
        # Without a reason it is free; see `_release`.
        self._connection.execute(
            "UPDATE quality.quarantined_rows SET reasons = coalesce("  # noqa: S608 - constants
            "(SELECT any_value(f.reasons) FROM failing_still AS f WHERE f.row_key = quarantined_rows.row_key), '') "
            f"WHERE {_HELD} AND suite = $suite",
            self._mine,
        )
        self._connection.execute("DROP TABLE failing_still")

    def _failing(self, conditions: Sequence[str], bindings: Bindings) -> tuple[str, dict[str, object]]:
        relation = self._suite.relation(self._table.quoted, bindings, conditions)
        dataset = Dataset(
            self._table.name, self._connection, relation, self._reference, _no_custom_sql, parameters=bindings.values
        )
        return failing_rows(dataset, self._suite.expectations, self._table.key, self._table.watermark)

    def _reference(self, name: str) -> Reference:
        relation = _quoted_table(name)
        try:
            described = self._connection.execute(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608 - quoted names
        except duckdb.CatalogException:
            raise CannotJudge(f"The suite {self._suite.name} looks at {name}, which is not in the warehouse") from None
        return Reference(relation, {str(row[0]): str(row[1]) for row in described.fetchall()})


def _release(connection: duckdb.DuckDBPyConnection, table: LoadedTable, suites: Sequence[str], run_id: str) -> int:
    """Let in what no suite has a reason to hold; returns how many rows."""
    free = (
        f"SELECT row_key FROM quality.quarantined_rows WHERE {_HELD} GROUP BY row_key "  # noqa: S608 - constants
        "HAVING bool_and(reasons = '' OR NOT list_contains($suites, suite))"
    )
    values = {"table_name": table.name, "suites": list(suites)}
    watermark, key = quoted(table.watermark), quoted(table.key)
    found = _changed(
        connection,
        f"CREATE OR REPLACE TEMP TABLE free_rows AS SELECT row_key, min(row_loaded_at) AS loaded_at "  # noqa: S608
        f"FROM quality.quarantined_rows WHERE {_HELD} AND row_key IN ({free}) GROUP BY row_key",
        values,
    )
    if not found:  # as nearly always: no reason to look at the table itself
        connection.execute("DROP TABLE free_rows")
        return 0
    released = _changed(
        connection,
        # After every row that is there: the models look for what is newer than what they have.
        f"UPDATE {table.quoted} SET {watermark} = greatest(now(), (SELECT max(newest.{watermark}) "  # noqa: S608
        f"FROM {table.quoted} AS newest WHERE newest.{watermark} >= (SELECT max(loaded_at) FROM quality.judged_to)) "
        f"+ INTERVAL 1 MICROSECOND) WHERE {watermark} >= (SELECT min(loaded_at) FROM free_rows) "
        f"AND CAST({key} AS VARCHAR) IN (SELECT row_key FROM free_rows)",
        {},
    )
    connection.execute(
        "UPDATE quality.quarantined_rows SET released_at = now(), released_by = $run_id "  # noqa: S608 - constants
        f"WHERE {_HELD} AND row_key IN (SELECT row_key FROM free_rows)",
        {"table_name": table.name, "run_id": run_id},
    )
    connection.execute("DROP TABLE free_rows")
    return released


def _changed(connection: duckdb.DuckDBPyConnection, statement: str, values: Mapping[str, object]) -> int:
    """Run a statement; how many rows it wrote."""
    row = connection.execute(statement, dict(values)).fetchone()
    return int(row[0]) if row is not None else 0


def _count(connection: duckdb.DuckDBPyConnection, query: str, table: LoadedTable) -> int:
    row = connection.execute(query, {"table_name": table.name}).fetchone()
    return int(row[0]) if row is not None else 0


def _quoted_table(name: str) -> str:
    return ".".join(map(quoted, name.split(".")))


def _no_custom_sql(sql: str, most_rows: int) -> FoundRows:
    raise CannotJudge(f"Custom SQL judges no rows: {sql[:most_rows]}")
