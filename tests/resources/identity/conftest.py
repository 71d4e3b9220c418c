"""An identity of its own for every test: on SQLite, and in the integration tests on a real Postgres too."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from pydantic import SecretStr

from platform_assets.contracts.access import Role
from resources.identity.actor import Actor
from resources.identity.schema import migrate
from resources.identity.service import Identity
from resources.identity.users import UserKind, UserRecord
from resources.settings import IdentitySettings, Settings
from tests.postgres_server import running_postgres

PASSWORD = "correct horse battery"
BY = Actor("tests", "192.0.2.1", "request-1")


class Clock:
    """Milliseconds since 1970 that stand still until a test moves them."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


async def add(identity: Identity, name: str = "ada", role: Role = Role.ENGINEER) -> UserRecord:
    """A user with `PASSWORD`."""
    return await identity.users.create(name, role, UserKind.USER, PASSWORD, BY)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a Postgres server that the session's tests share."""
    with running_postgres() as address:
        yield address


@pytest.fixture
def clock() -> Clock:
    """The time that rows are stamped with."""
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings on an empty database of the test's own, of each kind."""
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path)
    server: str = request.getfixturevalue("postgres")
    name = f"identity_{time.time_ns()}"
    asyncio.run(_create_database(server, name))
    url = server.rpartition("/")[0] + f"/{name}"
    return Settings(data_dir=tmp_path, identity=IdentitySettings(database_url=SecretStr(url)))


@pytest_asyncio.fixture
async def identity(settings: Settings, clock: Clock) -> AsyncIterator[Identity]:
    """A started identity."""
    made = Identity(settings, clock)
    await migrate(made.database)
    await made.start()
    yield made
    await made.stop()


async def _create_database(server: str, name: str) -> None:
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
