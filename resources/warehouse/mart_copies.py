"""Copies of single marts: left as they are, renewed by the days that changed, or written as a whole.

The copy of a mart with days holds the rows and the fingerprint of each of them in a table `days`. Where some differ,
the new copy is a clone of the last one in which these days are replaced. With 10 million orders in 695 days and 2 days
changed: fingerprints 0.6 s, clone 0.3 s, days 0.7 s; the whole took 33 s.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from platform_assets.quality.sql_text import text_literal
from resources.durable_files import sync

MAX_RENEWALS = 100
"""Then a copy is written as a whole again: renewed days stand behind the others, and what they replaced leaves gaps."""

MAX_RENEWED_SHARE = 0.5
"""Of the rows; with more than that to replace, the whole is as cheap and in order."""


@dataclass(frozen=True)
class ServedMart:
    """A mart that may leave the warehouse; the copy is ordered, so that look-ups by these columns read little.

    `has_days`: the first of the columns is the business day to which a row belongs for good or until it is replaced.
    """

    name: str
    order_by: tuple[str, ...]
    has_days: bool = False


class SnapshotTable(msgspec.Struct, frozen=True):
    """One mart in a snapshot; equal fingerprints mean equal rows. `file` is relative to the folder of snapshots."""

    rows: int
    fingerprint: str
    file: str = ""
    renewals: int = 0

    def holds_the_rows_of(self, other: "SnapshotTable") -> bool:
        """Whether the rows are the same, wherever they are."""
        return (self.rows, self.fingerprint) == (other.rows, other.fingerprint)


def publish_mart(
    connection: duckdb.DuckDBPyConnection, folder: Path, mart: ServedMart, *, before: SnapshotTable | None, version: str
) -> SnapshotTable:
    """The copy that serves from now on; `connection` has the warehouse attached as `warehouse`.

    Raises:
        duckdb.CatalogException: the mart does not exist.
    """
    found = _fingerprints(connection, mart)
    is_there = before is not None and (folder / before.file).is_file()
    if before is not None and is_there and before.holds_the_rows_of(found):
        return before
    path = folder / f"{mart.name}-{version}.duckdb"
    temporary = path.with_suffix(".tmp")
    try:
        is_renewed = (
            before is not None and is_there and _renew(connection, folder / before.file, temporary, mart, before)
        )
        if not is_renewed:
            _write_whole(connection, temporary, mart)
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(folder)
    renewals = before.renewals + 1 if before is not None and is_renewed else 0
    return msgspec.structs.replace(found, file=path.name, renewals=renewals)


def describe_mart(connection: duckdb.DuckDBPyConnection, table: str) -> SnapshotTable:
    """Rows and fingerprint of a table: the sum of the rows' hashes, which their order does not change."""
    return mart_description(connection.execute(description_query(table)).fetchone())


def description_query(table: str) -> str:
    """The query behind `describe_mart`, for readers that have no connection of their own."""
    return f"SELECT count(*), sum(hash(mart)) FROM {table} AS mart"  # noqa: S608 - our own names


def mart_description(row: Sequence[int | None] | None) -> SnapshotTable:
    """What `description_query` answered."""
    rows, fingerprint = row if row is not None else (0, None)
    return SnapshotTable(int(rows or 0), f"{int(fingerprint or 0):x}")


def _fingerprints(connection: duckdb.DuckDBPyConnection, mart: ServedMart) -> SnapshotTable:
    """Those of the warehouse's mart; those of its days stay behind as the temporary table `found_days`."""
    table = f"warehouse.marts.{mart.name}"
    if not mart.has_days:
        return describe_mart(connection, table)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE found_days AS "  # noqa: S608 - our own names
        f"SELECT {mart.order_by[0]} AS day, count(*) AS row_count, sum(hash(mart)) AS fingerprint "
        f"FROM {table} AS mart GROUP BY day"
    )
    return mart_description(connection.execute("SELECT sum(row_count), sum(fingerprint) FROM found_days").fetchone())


def _renew(
    connection: duckdb.DuckDBPyConnection, source: Path, target: Path, mart: ServedMart, before: SnapshotTable
) -> bool:
    """Write the last copy with the days that changed; False where the whole has to be written."""
    if not mart.has_days or before.renewals >= MAX_RENEWALS:
        return False
    shutil.copyfile(source, target)
    day, table = mart.order_by[0], f"published.marts.{mart.name}"
    with _attached(connection, target):
        if _columns(connection, "published", mart) != _columns(connection, "warehouse", mart):
            return False
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE changed_days AS "
            "SELECT coalesce(found.day, held.day) AS day, coalesce(found.row_count, 0) AS row_count "
            "FROM found_days AS found FULL JOIN published.days AS held ON found.day = held.day "
            "WHERE (found.row_count, found.fingerprint) IS DISTINCT FROM (held.row_count, held.fingerprint)"
        )
        shares = connection.execute(
            "SELECT sum(row_count) <= $share * (SELECT sum(row_count) FROM found_days), count(day) = count(*) "
            "FROM changed_days",
            {"share": MAX_RENEWED_SHARE},
        ).fetchone()
        if shares is None or not all(shares):  # too much has changed, or a row is without a day
            return False
        connection.execute(
            f"""
            BEGIN;
            DELETE FROM {table} WHERE {day} IN (SELECT day FROM changed_days);
            INSERT INTO {table} FROM warehouse.marts.{mart.name}
            WHERE {day} IN (SELECT day FROM changed_days) ORDER BY {", ".join(mart.order_by)};
            DELETE FROM published.days;
            INSERT INTO published.days FROM found_days ORDER BY day;
            COMMIT;
            """  # noqa: S608 - our own names
        )
    return True


def _write_whole(connection: duckdb.DuckDBPyConnection, target: Path, mart: ServedMart) -> None:
    target.unlink(missing_ok=True)
    with _attached(connection, target):
        connection.execute("CREATE SCHEMA published.marts")
        connection.execute(
            f"CREATE TABLE published.marts.{mart.name} AS "
            f"FROM warehouse.marts.{mart.name} ORDER BY {', '.join(mart.order_by)}"
        )
        if mart.has_days:
            connection.execute("CREATE TABLE published.days AS FROM found_days ORDER BY day")


@contextlib.contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    connection.execute(f"ATTACH {text_literal(str(path))} AS published")
    try:
        yield
        connection.execute("CHECKPOINT published")  # everything into the file, nothing in a log beside it
    finally:
        connection.execute("DETACH published")


def _columns(connection: duckdb.DuckDBPyConnection, database: str, mart: ServedMart) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = ? AND schema_name = 'marts' AND table_name = ? ORDER BY column_index",
        [database, mart.name],
    ).fetchall()
