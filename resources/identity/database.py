"""The identity database: SQLite in the data folder, or Postgres by a setting."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

BUSY_TIMEOUT_MS = 10_000
_POOL_SIZE = 5
_WRITES = "writes"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


class IdentityUnavailable(RuntimeError):
    """The identity database cannot be reached or used; `str()` names the cause and the remedy, never the password."""


class IdentityDatabase:
    """A pool of connections and two kinds of session: one that reads, one that writes in a transaction."""

    def __init__(self, url: str) -> None:
        self.url = asynchronous(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _make_private(self.sqlite_path)
        # Parameters stay out of errors and logs: they are hashes and names.
        self.engine = create_async_engine(
            self.url, pool_size=_POOL_SIZE, pool_pre_ping=not self.is_sqlite, hide_parameters=True
        )
        if self.is_sqlite:
            _prepare_sqlite(self.engine)
        self._read = async_sessionmaker(self.engine, expire_on_commit=False)
        self._write = async_sessionmaker(
            self.engine.execution_options(**{_WRITES: True}), expire_on_commit=False, autoflush=False
        )

    @property
    def sqlite_path(self) -> Path:
        """The database's file."""
        return Path(self.url.database or "")

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that changes nothing.

        Raises:
            IdentityUnavailable: the database cannot be reached.
        """
        with self._translated():
            async with self._read() as session:
                yield session

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back where it raises. SQLite has one at a time.

        Raises:
            IdentityUnavailable: the database cannot be reached.
        """
        with self._translated():
            async with self._write.begin() as session:
                yield session

    async def close(self) -> None:
        """Close the connections."""
        await self.engine.dispose()

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except (OSError, TimeoutError) as error:
            raise IdentityUnavailable(f"{self._place()} does not answer: {type(error).__name__}") from error
        except DBAPIError as error:
            if not (error.connection_invalidated or type(error).__name__ in {"OperationalError", "InterfaceError"}):
                raise
            raise IdentityUnavailable(f"{self._place()} cannot be used: {error.orig}") from error

    def _place(self) -> str:
        where = str(self.sqlite_path) if self.is_sqlite else f"{self.url.host}:{self.url.port or 5432}"
        return f"The identity database at {where} (ANALYTICS_IDENTITY__DATABASE_URL)"


def asynchronous(url: str) -> URL:
    """The address with our driver, and with the driver's own word for `sslmode`.

    Raises:
        IdentityUnavailable: no such kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise IdentityUnavailable(
            "ANALYTICS_IDENTITY__DATABASE_URL is no database address; write postgresql://user:password@host/database."
        ) from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise IdentityUnavailable(
            f"ANALYTICS_IDENTITY__DATABASE_URL names {parsed.get_backend_name()}; only postgresql and sqlite will do."
        )
    mode = parsed.query.get("sslmode")
    if mode is not None:
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed.set(drivername=driver)


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # SQLite gives its journal the file's own mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins transactions at times of its own
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: Connection) -> None:
        # A transaction that reads first and then writes would find the file changed; so a writer waits at its start.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
