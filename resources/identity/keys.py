"""API keys and ingestion write keys. The secret is shown once; afterwards only its hash is known."""

import enum
from collections.abc import Set
from dataclasses import dataclass

from sqlalchemy import select

from platform_assets.contracts.access import ROLE_SCOPES, WRITE_KEY_SCOPES, Role, Scope
from resources.identity.actor import Actor
from resources.identity.audit import AuditLog
from resources.identity.database import IdentityDatabase
from resources.identity.errors import Conflict, Forbidden, Invalid, NotFound
from resources.identity.identifiers import API_KEY_PREFIX, WRITE_KEY_PREFIX, new_id, new_secret, secret_hash
from resources.identity.models import ApiKey, User

MAX_KEYS_PER_OWNER = 100
MAX_NAME_CHARS = 64


class KeyKind(enum.StrEnum):
    """A write key only sends events, since it stands in web pages and apps; an API key does what its scopes say."""

    API = "api"
    WRITE = "write"


@dataclass(frozen=True)
class KeyRecord:
    """What may be told of a key. Times are milliseconds since 1970, UTC."""

    id: str
    owner_id: str
    kind: KeyKind
    name: str
    scopes: frozenset[Scope]
    events_per_minute: int | None
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


@dataclass(frozen=True)
class NewKey:
    """What a key is to be. `scopes` None is all that its kind and its owner's role allow."""

    kind: KeyKind
    name: str
    scopes: Set[Scope] | None = None
    events_per_minute: int | None = None
    expires_ms: int | None = None


class Keys:
    """The keys of all owners. Where `owner_id` is given, others' keys do not exist."""

    def __init__(self, database: IdentityDatabase, audit: AuditLog) -> None:
        self._database = database
        self._audit = audit

    async def create(self, owner_id: str, new: NewKey, by: Actor, *, within: Set[Scope]) -> tuple[KeyRecord, str]:
        """A key and its secret. It holds no scope that its maker (`within`) or its owner's role has not.

        Raises:
            NotFound: no such owner.
            Forbidden: a scope that cannot be given.
            Invalid: no name, or an expiry in the past.
            Conflict: the owner is closed or has too many keys.
        """
        if not new.name.strip() or len(new.name) > MAX_NAME_CHARS or not new.name.isprintable():
            raise Invalid(f"A key has a name of 1 to {MAX_NAME_CHARS} printable characters.")
        secret = new_secret(WRITE_KEY_PREFIX if new.kind is KeyKind.WRITE else API_KEY_PREFIX)
        async with self._audit.change(by) as change:
            owner = await change.session.get(User, owner_id)
            if owner is None:
                raise NotFound("There is no such owner.")
            if not owner.is_active:
                raise Conflict("The owner's account is closed.")
            if new.expires_ms is not None and new.expires_ms <= change.now_ms:
                raise Invalid("The key would have expired already.")
            alive = select(ApiKey.id).where(ApiKey.owner_id == owner_id, ApiKey.revoked_ms.is_(None))
            if len((await change.session.scalars(alive)).all()) >= MAX_KEYS_PER_OWNER:
                raise Conflict(f"An owner has at most {MAX_KEYS_PER_OWNER} keys; revoke one first.")
            scopes = _scopes(new, Role(owner.role), within)
            key = ApiKey(
                id=new_id("key", change.now_ms), owner_id=owner_id, kind=new.kind.value, name=new.name.strip(),
                secret_hash=secret_hash(secret), scopes=" ".join(sorted(scopes)),
                events_per_minute=new.events_per_minute, created_ms=change.now_ms, expires_ms=new.expires_ms,
            )  # fmt: skip
            change.session.add(key)
            change.record("key.created", key.id, owner=owner_id, kind=new.kind.value, scopes=key.scopes)
        return _record(key), secret

    async def get(self, key_id: str, *, owner_id: str | None) -> KeyRecord:
        """One key.

        Raises:
            NotFound: there is none, or it is another owner's.
        """
        async with self._database.reading() as session:
            return _record(_visible(await session.get(ApiKey, key_id), owner_id))

    async def page(self, after: str | None, limit: int, *, owner_id: str | None) -> list[KeyRecord]:
        """Keys in the order in which they were made, after an id; revoked ones too."""
        query = select(ApiKey).order_by(ApiKey.id).limit(limit)
        if after is not None:
            query = query.where(ApiKey.id > after)
        if owner_id is not None:
            query = query.where(ApiKey.owner_id == owner_id)
        async with self._database.reading() as session:
            return [_record(key) for key in await session.scalars(query)]

    async def revoke(self, key_id: str, by: Actor, *, owner_id: str | None) -> KeyRecord:
        """End a key for good; once more changes nothing.

        Raises:
            NotFound: there is none, or it is another owner's.
        """
        async with self._audit.change(by) as change:
            key = _visible(await change.session.get(ApiKey, key_id), owner_id)
            if key.revoked_ms is None:
                key.revoked_ms = change.now_ms
                change.record("key.revoked", key.id, owner=key.owner_id)
        return _record(key)


def scopes_in_force(key: ApiKey, role: Role) -> frozenset[Scope]:
    """What the key may do now: its own scopes, as far as its owner's role of today has them."""
    return frozenset(Scope(scope) for scope in key.scopes.split()) & ROLE_SCOPES[role]


def _scopes(new: NewKey, role: Role, within: Set[Scope]) -> frozenset[Scope]:
    possible = ROLE_SCOPES[role] & within
    if new.kind is KeyKind.WRITE:
        possible &= WRITE_KEY_SCOPES
    wanted = frozenset(possible if new.scopes is None else new.scopes)
    if new.kind is KeyKind.WRITE and new.scopes is None:
        wanted = WRITE_KEY_SCOPES
    if not wanted:
        raise Invalid("A key needs at least one scope.")
    if wanted - possible:
        raise Forbidden(
            f"The key cannot hold {', '.join(sorted(wanted - possible))}: its kind, owner or maker does not."
        )
    return wanted


def _visible(key: ApiKey | None, owner_id: str | None) -> ApiKey:
    if key is None or (owner_id is not None and key.owner_id != owner_id):
        raise NotFound("There is no such key.")
    return key


def _record(key: ApiKey) -> KeyRecord:
    return KeyRecord(
        id=key.id, owner_id=key.owner_id, kind=KeyKind(key.kind), name=key.name,
        scopes=frozenset(Scope(scope) for scope in key.scopes.split()), events_per_minute=key.events_per_minute,
        created_ms=key.created_ms, expires_ms=key.expires_ms, revoked_ms=key.revoked_ms,
    )  # fmt: skip
