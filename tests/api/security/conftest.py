"""A strict API (nobody comes in without a credential) with an account for each role and a key of each kind."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import select

from api.main import create_app
from platform_assets.contracts.access import ROLE_SCOPES, Role, Scope
from resources.identity.actor import SYSTEM
from resources.identity.keys import KeyKind, NewKey
from resources.identity.log_ins import TokenPair
from resources.identity.models import AuditEntry
from resources.identity.service import Identity
from resources.identity.users import UserKind, UserRecord
from resources.settings import ApiSettings, Auth, KafkaSettings, LimitsSettings, Settings

PASSWORD = "correct horse battery"


@dataclass
class Door:
    """The application, a client of it, and who may come in."""

    app: FastAPI
    http: httpx.AsyncClient
    settings: Settings
    users: dict[Role, UserRecord] = field(default_factory=dict)
    log_ins: dict[Role, TokenPair] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        identity: Identity = self.app.state.identity
        return identity

    def bearer(self, role: Role) -> dict[str, str]:
        """The header of a logged-in user of this role."""
        return {"Authorization": f"Bearer {self.log_ins[role].access_token}"}

    async def audited(self, action: str) -> list[dict[str, Any]]:
        """The audit entries of an action, with their details."""
        await self.identity.audit.flush()
        async with self.identity.database.reading() as session:
            rows = await session.scalars(
                select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.sequence)
            )
            return [
                {"actor": row.actor, "address": row.address, "outcome": row.outcome, "subject": row.subject}
                | json.loads(row.details)
                for row in rows
            ]

    async def add(self, role: Role, name: str | None = None) -> tuple[UserRecord, TokenPair]:
        """A user of this role, logged in."""
        name = name or role.value
        user = await self.identity.users.create(name, role, UserKind.USER, PASSWORD, SYSTEM)
        return user, await self.identity.log_ins.begin(name, PASSWORD, SYSTEM)


async def opened(settings: Settings) -> AsyncIterator[Door]:
    """The door with everybody behind it, for the time of a test or module."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        door = Door(app, http, settings)
        for role in Role:
            door.users[role], door.log_ins[role] = await door.add(role)
        owner = door.users[Role.ADMIN]
        for kind in KeyKind:
            new = NewKey(kind, f"{kind.value} key", None if kind is KeyKind.WRITE else ROLE_SCOPES[Role.VIEWER])
            _, door.keys[kind.value] = await door.identity.keys.create(owner.id, new, SYSTEM, within=frozenset(Scope))
        yield door


def strict(folder: Path) -> Settings:
    """Settings under which nobody is trusted, without an event log."""
    return Settings(
        data_dir=folder,
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"),
        api=ApiSettings(acknowledgement_timeout_s=0.3, auth=Auth.REQUIRED),
        # Tests ask from one address, hundreds of times a minute.
        limits=LimitsSettings(requests_per_minute=10**6),
    )


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A door of the test's own."""
    async for made in opened(strict(tmp_path)):
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """One door for a module whose tests change nothing."""
    async for made in opened(strict(tmp_path_factory.mktemp("door"))):
        yield made
