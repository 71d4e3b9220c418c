"""Proof that no key stands in two rows of a raw table, by the hashes of the keys and, where these meet, by the keys.

A proof of everything reads every key's hash and is for once a week. After a load a part of constant size is proven: the
newest rows, and of all rows a slice of the hashes, another one after each load.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from resources.warehouse.database import one_row
from resources.warehouse.landed_tables import LandedTable, key_hash

SLICE_ROWS = 2_000_000
"""Of one slice, about: its hashes fit into 100 MB. A table of no more rows is always proven whole."""

_HASHES = 2**64


@dataclass(frozen=True)
class Uniqueness:
    """How many rows were looked at, and how many too many there are: repeats of a key, and rows without one."""

    row_count: int
    proven_rows: int
    surplus_rows: int

    @property
    def holds(self) -> bool:
        """Whether every key that was looked at stands once."""
        return self.surplus_rows == 0


def prove_unique_in_part(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> Uniqueness:
    """Prove the rows of the newest load among themselves, and one slice of all rows."""
    rows, newest = one_row(connection, f"SELECT count(*), max(loaded_at) FROM {target.table}")  # noqa: S608
    slices = _slice_count(rows)
    number = 0 if newest is None else int(newest.timestamp() * 1_000_000) % slices
    _, among_newest = _prove(connection, target, "loaded_at = $newest", {"newest": newest})
    looked_at, in_slice = _prove_slice(connection, target, number, slices)
    return Uniqueness(rows, looked_at, max(in_slice, among_newest) + _without_key(connection, target))


def prove_unique(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> Uniqueness:
    """Prove all rows, and that every hash is its key's."""
    rows, wrong = one_row(
        connection,
        f"SELECT count(*), count(*) FILTER (WHERE key_hash IS DISTINCT FROM {key_hash(target.key)}) "  # noqa: S608
        f"FROM {target.table}",
    )
    slices = _slice_count(rows)
    surplus = sum(_prove_slice(connection, target, number, slices)[1] for number in range(slices))
    return Uniqueness(rows, rows, surplus + wrong + _without_key(connection, target))


def _prove_slice(
    connection: duckdb.DuckDBPyConnection, target: LandedTable, number: int, slices: int
) -> tuple[int, int]:
    bounds = {"first": number * _HASHES // slices, "last": (number + 1) * _HASHES // slices - 1}
    return _prove(connection, target, "key_hash BETWEEN $first::UBIGINT AND $last::UBIGINT", bounds)


def _prove(
    connection: duckdb.DuckDBPyConnection, target: LandedTable, condition: str, values: dict[str, Any]
) -> tuple[int, int]:
    """How many rows there are under a condition, and how many of them repeat a key."""
    within = f"FROM {target.table} WHERE {condition}"
    rows, distinct = one_row(connection, f"SELECT count(key_hash), count(DISTINCT key_hash) {within}", values)
    if rows == distinct:
        return rows, 0
    (surplus,) = one_row(
        connection,
        f"""
        WITH several AS (SELECT key_hash {within} GROUP BY key_hash HAVING count(*) > 1)
        SELECT count({target.key}) - count(DISTINCT {target.key})
        FROM {target.table}
        SEMI JOIN several USING (key_hash)
        """,  # noqa: S608 - names are our own constants
        values,
    )
    return rows, surplus


def _without_key(connection: duckdb.DuckDBPyConnection, target: LandedTable) -> int:
    (without,) = one_row(connection, f"SELECT count(*) FROM {target.table} WHERE {target.key} IS NULL")  # noqa: S608
    return int(without)


def _slice_count(rows: int) -> int:
    return max(1, -(-rows // SLICE_ROWS))
