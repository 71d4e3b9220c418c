"""The tables: made by migrations, the same as the models say, and looked at before a server serves."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection

from resources.identity.database import IdentityDatabase, IdentityUnavailable, asynchronous
from resources.identity.models import Base
from resources.identity.schema import _MIGRATIONS, HEAD, SchemaBehind, migrate, prepare, revision
from resources.identity.service import Identity
from resources.settings import IdentitySettings, Settings


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_migrations_make_what_the_models_say(identity: Identity) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with identity.database.reading() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []


async def test_a_server_that_is_behind_is_refused_with_the_command(settings: Settings) -> None:
    database = IdentityDatabase(settings.identity_url)
    try:
        if database.is_sqlite:
            await prepare(database)  # a file is nobody else's: it is migrated on the spot
            assert await revision(database) == HEAD
        else:
            with pytest.raises(SchemaBehind, match="analytics identity migrate"):
                await prepare(database)
            await migrate(database)
            await prepare(database)
    finally:
        await database.close()


async def test_processes_that_migrate_at_once_do_not_meet(settings: Settings) -> None:
    databases = [IdentityDatabase(settings.identity_url) for _ in range(3)]
    await asyncio.gather(*(migrate(database) for database in databases))
    for database in databases:
        assert await revision(database) == HEAD
        await database.close()


def test_the_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "identity.sqlite"
    IdentityDatabase(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    url = SecretStr("postgresql://identity:Zk3vT9qLw2Xr@127.0.0.1:1/identity")
    identity = Identity(Settings(data_dir=tmp_path, identity=IdentitySettings(database_url=url)))
    with pytest.raises(IdentityUnavailable, match=r"127\.0\.0\.1:1 .*DATABASE_URL") as refused:
        await identity.start()
    await identity.database.close()
    assert "Zk3vT9qLw2Xr" not in str(refused.value)


def test_sslmode_is_written_in_the_drivers_words() -> None:
    url = asynchronous("postgresql://u:p@db.example/identity?sslmode=require")
    assert (url.drivername, dict(url.query)) == ("postgresql+asyncpg", {"ssl": "require"})
