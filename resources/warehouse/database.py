"""The warehouse file, opened by one writer or by readers, never by both."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import duckdb

from platform_assets.quality.sql_text import text_literal
from resources.settings import Settings
from resources.warehouse.lock import reader_lock, writer_lock

MEMORY_LIMIT = "600MB"
"""Beyond it DuckDB spills to disk. A load of 1.47 million rows peaked at 0.8 GB instead of 1.6 and took no longer."""


class WarehouseMissing(FileNotFoundError):
    """There is no warehouse file yet."""


class Warehouse:
    """One DuckDB file. Its sessions speak UTC.

    Args:
        path: the file; made by the first writer.
        lock_timeout_s: how long to wait for others.
    """

    def __init__(self, path: Path, *, lock_timeout_s: float = 600.0) -> None:
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        self.lock_timeout_s = lock_timeout_s

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The warehouse that a deployment chose."""
        return cls(settings.warehouse_path, lock_timeout_s=settings.warehouse.lock_timeout_s)

    @contextlib.contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        """Keep everybody else out while another program, such as dbt, writes the file.

        Raises:
            LockTimeout: the file was not free in time.
        """
        with writer_lock(self._lock_path, timeout_s=self.lock_timeout_s, purpose=purpose):
            yield

    @contextlib.contextmanager
    def write(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection in one transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            LockTimeout: the file was not free in time.
        """
        with self.locked(purpose), _connect(self.path, read_only=False) as connection:
            connection.begin()
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection; keep it short, a writer waits for it.

        Raises:
            WarehouseMissing: nothing has been written yet.
            LockTimeout: a writer held the file for too long.
        """
        with self._reader_lock(), _connect(self.path, read_only=True) as connection:
            yield connection

    @contextlib.contextmanager
    def attached(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to which more files can be attached, with the warehouse in it, read-only, as `warehouse`.

        Raises: as `read`.
        """
        own, spilling = (text_literal(str(path)) for path in (self.path, self.path.with_suffix(".spilling")))
        with self._reader_lock(), _connect(":memory:", read_only=False) as connection:
            connection.execute(f"SET temp_directory = {spilling}; ATTACH {own} AS warehouse (READ_ONLY)")
            yield connection

    @contextlib.contextmanager
    def _reader_lock(self) -> Iterator[None]:
        if not self.path.exists():
            raise WarehouseMissing(f"There is no warehouse at {self.path} yet; run warehouse_job first.")
        with reader_lock(self._lock_path, timeout_s=self.lock_timeout_s):
            yield


@contextlib.contextmanager
def _connect(path: Path | str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(duckdb.connect(path, read_only=read_only)) as connection:
        # The bar would be drawn into a run's log, where the process has no main file: DuckDB thinks it is interactive.
        connection.execute(
            f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'; SET enable_progress_bar = false"
        )
        yield connection


def has_table(connection: duckdb.DuckDBPyConnection, name: str, *, database: str | None = None) -> bool:
    """Whether the table `schema.name` is there: in the session's own file, or in the one attached as `database`."""
    schema, _, table = name.partition(".")
    found = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = coalesce($database, current_database()) "
        "AND schema_name = $schema AND table_name = $table",
        {"database": database, "schema": schema, "table": table},
    )
    return found.fetchone() is not None


def one_row(connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any] | None = None) -> tuple[Any, ...]:
    """The first row of a query that always has one, such as a count.

    Raises:
        duckdb.DataError: it has none.
    """
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise duckdb.DataError(f"No row from: {query}")
    return row
