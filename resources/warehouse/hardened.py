"""The one way to run a query that a person can influence.

The files are opened read-only; the engine reaches no other file, no network and no extension, its settings are locked,
and each query has limits of time, memory, threads and rows.

What the memory limit leaves out: a string that one function call makes is not counted by DuckDB, and not interrupted
before it is made (repeat('a', 400000000) took 1.6 GB beside a limit of 128 MB). `person_sql` refuses the functions that
are made for it, and others can be bent to it. So a person's SQL text belongs in a process that may die, a run or a
command; the API takes none and compiles metrics instead.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from platform_assets.quality.sql_text import quoted, text_literal
from resources.warehouse.person_sql import QueryInvalid, QueryRefused, check_person_sql

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class QueryLimits:
    """What one query may take. Memory and threads are shared by all queries on one database."""

    seconds: float = 5.0
    rows: int = 10_000
    memory: str = "256MB"
    threads: int = 1


DEFAULT_LIMITS = QueryLimits()
# Making Python objects of rows holds the interpreter; between chunks other threads, such as a server's, get their turn.
_CHUNK_ROWS = 500


@dataclass(frozen=True)
class QueryRows:
    """What a query gave: the first `limits.rows` rows, and whether there were more."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool


class QueryTooLong(TimeoutError):
    """The query was ended at its time limit."""


class QueryTooLarge(MemoryError):
    """The query wanted more memory than its limit."""


class DatabaseUnreadable(RuntimeError):
    """The file cannot be opened or read; its cause is in the exception that this one was raised from."""


class HardenedDatabase:
    """DuckDB files for reading. Safe to share between threads: each query has a cursor of its own.

    Args:
        files: the name of each database in queries, and its file. A table is `schema.table` in the first of them.
        views: `schema.name` and the SELECT behind it, beside the files' tables.
        limits: of every query; `seconds` and `rows` can be set for one query.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        views: Mapping[tuple[str, str], str] | None = None,
        limits: QueryLimits = DEFAULT_LIMITS,
    ) -> None:
        """Raises DatabaseUnreadable."""
        self.limits = limits
        # In memory, with the files attached: a file that is opened itself has one configuration in a whole process.
        self._connection = duckdb.connect(":memory:", config=_configuration(limits))
        try:
            self._attach(files, views or {})
        except BaseException as error:
            self._connection.close()
            if isinstance(error, duckdb.Error):
                raise DatabaseUnreadable("The database cannot be opened.") from error
            raise
        self._schema = next(iter(files), None) if not views else None

    def run(
        self, sql: str, parameters: Parameters | None = None, *, seconds: float | None = None, rows: int | None = None
    ) -> QueryRows:
        """Run SQL of our own making, with a person's values as parameters only.

        Raises:
            QueryTooLong, QueryTooLarge: a limit was reached; the row limit is no error.
            QueryRefused: it wanted to reach outside.
            QueryInvalid: a name or a type is wrong, or a value does not fit.
            DatabaseUnreadable: the file is damaged or gone.
        """
        most_seconds = self.limits.seconds if seconds is None else seconds
        most_rows = self.limits.rows if rows is None else rows
        with contextlib.closing(self._connection.cursor()) as cursor, _watched(cursor, most_seconds):
            if self._schema is not None:
                cursor.execute(f"USE {quoted(self._schema)}")
            # The result is streamed: rows beyond the limit are never made.
            cursor.execute(sql, parameters)
            columns = tuple(str(column[0]) for column in cursor.description or ())
            found: list[tuple[Any, ...]] = []
            while len(found) <= most_rows and (chunk := cursor.fetchmany(min(_CHUNK_ROWS, most_rows + 1 - len(found)))):
                found += chunk
        return QueryRows(columns, found[:most_rows], truncated=len(found) > most_rows)

    def ask(
        self, sql: str, parameters: Parameters | None = None, *, seconds: float | None = None, rows: int | None = None
    ) -> QueryRows:
        """Run SQL that a person wrote: one SELECT over tables.

        Raises: as `run`; QueryRefused and QueryInvalid also before anything runs.
        """
        with contextlib.closing(self._connection.cursor()) as cursor:
            check_person_sql(cursor, sql)
        return self.run(sql, parameters, seconds=seconds, rows=rows)

    def close(self) -> None:
        """Let go of the files."""
        self._connection.close()

    def __enter__(self) -> "HardenedDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attach(self, files: Mapping[str, Path], views: Mapping[tuple[str, str], str]) -> None:
        connection = self._connection
        for name, path in files.items():
            connection.execute(f"ATTACH {text_literal(str(path))} AS {quoted(name)} (READ_ONLY)")
        for (schema, name), select in views.items():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
            connection.execute(f"CREATE VIEW {quoted(schema)}.{quoted(name)} AS {select}")
        # In this order: with the file system gone external access cannot be set, and with the lock nothing can.
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
        connection.execute("SET lock_configuration = true")


def _configuration(limits: QueryLimits) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": limits.memory,
        "threads": str(limits.threads),
        # No spilling: a query that needs more memory fails at once instead of filling a disk.
        "temp_directory": "",
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        # Else a table's name that DuckDB does not know may be a variable of the Python code that calls.
        "python_enable_replacements": "false",
    }


@contextlib.contextmanager
def _watched(cursor: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt the cursor at the time limit, and turn DuckDB's errors into ours. A timer costs 0.05 ms."""
    watchdog = threading.Timer(seconds, _interrupt, [cursor])
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    except duckdb.InterruptException:
        raise QueryTooLong(f"The query took longer than {seconds:g} s; ask for fewer rows or a shorter time.") from None
    except duckdb.OutOfMemoryException:
        raise QueryTooLarge("The query needs more memory than it may take; ask for fewer groups.") from None
    except duckdb.PermissionException:
        raise QueryRefused("A query reads the tables given to it; files, networks and settings are closed.") from None
    except (duckdb.IOException, duckdb.InternalException, duckdb.FatalException) as error:
        raise DatabaseUnreadable("The database cannot be read.") from error
    except duckdb.Error as error:
        raise QueryInvalid(str(error).splitlines()[0]) from None
    finally:
        watchdog.cancel()


def _interrupt(cursor: duckdb.DuckDBPyConnection) -> None:
    # Closed just now: the query was over at the last moment.
    with contextlib.suppress(duckdb.ConnectionException):
        cursor.interrupt()
