"""The first start of a local platform: an administrator and a write key, both random.

No configuration has a default account. In deployments nobody is made: `analytics users add` does it.
"""

import asyncio
import secrets

from platform_assets.contracts.access import Role, Scope
from resources.identity.actor import SYSTEM
from resources.identity.errors import NotFound
from resources.identity.first_credentials import write_first_credentials
from resources.identity.keys import KeyKind, NewKey
from resources.identity.service import Identity
from resources.identity.users import UserKind, UserRecord
from resources.settings import Settings

ADMINISTRATOR = "admin"
INGESTION = "ingestion"


def make_first_credentials(settings: Settings) -> bool:
    """Make the administrator and the write key where nobody can log in yet; False where somebody can."""
    return asyncio.run(_make(settings))


async def _make(settings: Settings) -> bool:
    identity = Identity(settings)
    await identity.start()
    try:
        if await identity.users.has_people():
            return False
        ingestion = await _ingestion(identity)
        _, write_key = await identity.keys.create(
            ingestion.id, NewKey(KeyKind.WRITE, "first write key"), SYSTEM, within=frozenset(Scope)
        )
        password = secrets.token_urlsafe(18)
        # The file first: an administrator whose password nobody knows would keep the next start from making one.
        write_first_credentials(settings, user_name=ADMINISTRATOR, password=password, write_key=write_key)
        await identity.users.create(ADMINISTRATOR, Role.ADMIN, UserKind.USER, password, SYSTEM)
        return True
    finally:
        await identity.stop()


async def _ingestion(identity: Identity) -> UserRecord:
    try:
        return await identity.users.named(INGESTION)
    except NotFound:
        return await identity.users.create(INGESTION, Role.ENGINEER, UserKind.SERVICE, None, SYSTEM)
