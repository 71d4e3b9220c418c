"""Which landed rows of the warehouse break the contract: counted per rule, with the first of them.

A row is judged until it has passed: `raw.contract_checks` says for each table up to which load all rows have. So a
check costs what is new, and a row that was loaded by a run that was killed before its check is judged by the next one.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from platform_assets.contracts.landed_rows import LandedRows
from platform_assets.quality.contract.rules import rules_of
from resources.warehouse.database import has_table

_SHOWN_ROWS = 20

_CREATE = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE TABLE IF NOT EXISTS raw.contract_checks (
    table_name VARCHAR PRIMARY KEY,
    passed_until TIMESTAMPTZ NOT NULL
);
"""


@dataclass(frozen=True)
class ContractCheck:
    """What was found in the rows of some loads."""

    rows: int
    broken_rows: int
    broken_rules: Mapping[str, int]
    """By rule how many rows break it; rules that none breaks are left out."""
    first_rows: tuple[Mapping[str, Any], ...]
    """The first of them by load and place: the key, the place on the log, and the rules that each breaks."""
    checked_until: dt.datetime | None
    """The newest load that was looked at; None for an empty table."""

    @property
    def passed(self) -> bool:
        """Whether every row keeps the contract."""
        return self.broken_rows == 0


def check_rows(
    connection: duckdb.DuckDBPyConnection,
    rows: LandedRows,
    *,
    after: dt.datetime | None = None,
    shown: int = _SHOWN_ROWS,
) -> ContractCheck:
    """Judge the rows of `raw.<name>` that were loaded after a moment; None is all of them.

    Raises:
        duckdb.Error: the table is missing or lacks a column.
    """
    names = [rule.name for rule in rules_of(rows)]
    judged = ", ".join(f"({rule.broken}) AS {rule.name}" for rule in rules_of(rows))
    counted = ", ".join(f"count(*) FILTER ({name})" for name in names)
    any_broken = " OR ".join(names)
    found = connection.execute(
        f"""
        WITH judged AS (SELECT loaded_at, {judged} FROM raw.{rows.name} WHERE {_NEW})
        SELECT max(loaded_at), count(*), count(*) FILTER ({any_broken}), {counted} FROM judged
        """,  # noqa: S608 - names and conditions are the contract's own
        {"after": after},
    ).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has a row
    checked_until, row_count, broken_rows, *counts = found
    return ContractCheck(
        rows=row_count,
        broken_rows=broken_rows,
        broken_rules={name: count for name, count in zip(names, counts, strict=True) if count},
        first_rows=_first_rows(connection, rows, after, shown) if broken_rows else (),
        checked_until=checked_until,
    )


def passed_until(connection: duckdb.DuckDBPyConnection, table: str) -> dt.datetime | None:
    """The newest load of which, and of all before, every row has kept the contract; None before the first check."""
    if not has_table(connection, "raw.contract_checks"):
        return None
    found = connection.execute(
        "SELECT passed_until FROM raw.contract_checks WHERE table_name = $table", {"table": table}
    ).fetchone()
    return found[0] if found else None


def remember_passed(connection: duckdb.DuckDBPyConnection, table: str, until: dt.datetime) -> None:
    """Say that all rows up to a load have kept the contract; for a connection that may write."""
    connection.execute(_CREATE)
    connection.execute(
        "INSERT OR REPLACE INTO raw.contract_checks VALUES ($table, $until)", {"table": table, "until": until}
    )


_NEW = "$after::TIMESTAMPTZ IS NULL OR loaded_at > $after::TIMESTAMPTZ"


def _first_rows(
    connection: duckdb.DuckDBPyConnection, rows: LandedRows, after: dt.datetime | None, shown: int
) -> tuple[Mapping[str, Any], ...]:
    """Not the payload: a row that breaks the contract may hold anything."""
    names = ", ".join(f"CASE WHEN {rule.broken} THEN '{rule.name}' END" for rule in rules_of(rows))
    found = connection.execute(
        f"""
        WITH judged AS (
            SELECT {rows.key}, log, kafka_partition, kafka_offset, loaded_at,
                list_filter([{names}], lambda rule: rule IS NOT NULL) AS broken_rules
            FROM raw.{rows.name} WHERE {_NEW}
        )
        SELECT {rows.key}, log, kafka_partition, kafka_offset, broken_rules FROM judged
        WHERE len(broken_rules) > 0
        ORDER BY loaded_at, log, kafka_partition, kafka_offset LIMIT $shown
        """,  # noqa: S608 - names and conditions are the contract's own
        {"after": after, "shown": shown},
    )
    columns = (rows.key, "log", "kafka_partition", "kafka_offset", "broken_rules")
    return tuple(dict(zip(columns, row, strict=True)) for row in found.fetchall())
