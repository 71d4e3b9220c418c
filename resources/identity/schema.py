"""Brings the identity database to this release's tables, and refuses to work on others."""

import asyncio
import fcntl
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, inspect, text

from resources.identity.database import IdentityDatabase, IdentityUnavailable

# A test holds this against the newest file in migrations/versions; knowing it spares the start of a process 0.2 s of
# importing Alembic.
HEAD = "0001"
MIGRATE = "analytics identity migrate"

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do that nothing else in the database locks by.
_ADVISORY_LOCK = 7_201_934


class SchemaBehind(IdentityUnavailable):
    """The database has not this release's tables."""


async def revision(database: IdentityDatabase) -> str | None:
    """The migration that the database stands at; None where it is empty."""
    async with database.reading() as session:
        connection = await session.connection()
        if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
            return None
        found = await session.execute(text("SELECT version_num FROM alembic_version"))
        return found.scalar_one_or_none()


async def prepare(database: IdentityDatabase) -> None:
    """Have this release's tables: a SQLite file is migrated here, a shared server only by the command.

    Raises:
        SchemaBehind: a server whose tables are older, newer or missing.
        IdentityUnavailable: the database cannot be reached.
    """
    found = await revision(database)
    if found == HEAD:
        return
    if not database.is_sqlite:
        raise SchemaBehind(
            f"The identity database stands at {found or 'no'} migration, this release needs {HEAD}. "
            f"Run `{MIGRATE}` with the same settings, then start again."
        )
    await migrate(database)


async def migrate(database: IdentityDatabase) -> None:
    """Run the missing migrations in one transaction; who comes second waits and finds nothing to do."""
    # On a thread: whoever holds the lock may need this event loop to let go of it.
    lock = await asyncio.to_thread(_lock, database.sqlite_path) if database.is_sqlite else None
    try:
        async with database.writing() as session:
            connection = await session.connection()
            if lock is None:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
            await connection.run_sync(_upgrade)
    finally:
        if lock is not None:
            lock.close()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _lock(database: Path) -> IO[str]:
    """One process at a time; the lock goes when the file is closed, also by a killed process."""
    lock = database.with_name(f"{database.name}.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
