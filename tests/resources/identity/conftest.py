"""An identity of its own for every test: on SQLite, and where Postgres runs, on a database of it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from platform_assets.contracts.access import Role
from resources.identity.actor import Actor
from resources.identity.service import Identity
from resources.identity.users import UserKind, UserRecord
from resources.settings import Settings

PASSWORD = "correct horse battery"
BY = Actor("tests", "192.0.2.1", "request-1")


class Clock:
    """Time in milliseconds that stands still until a test moves it."""

    def __init__(self) -> None:
        import time

        self.ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@pytest.fixture
def clock() -> Clock:
    """The time that rows are stamped with."""
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Local settings on a folder of the test's own."""
    return Settings(data_dir=tmp_path)


@pytest_asyncio.fixture
async def identity(settings: Settings, clock: Clock) -> AsyncIterator[Identity]:
    """A started identity."""
    made = Identity(settings, clock)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def add_user(identity: Identity) -> Callable[..., object]:
    """Makes a user with `PASSWORD`."""

    async def add(name: str = "ada", role: Role = Role.ENGINEER) -> UserRecord:
        return await identity.users.create(name, role, UserKind.USER, PASSWORD, BY)

    return add
