"""From a credential to the caller: by the database, and then from memory for at most five seconds."""

import asyncio
import functools
import hashlib
import hmac
from collections.abc import Callable
from time import monotonic

from sqlalchemy import select

from platform_assets.contracts.access import ROLE_SCOPES, Principal, PrincipalKind, Role
from resources.identity.access_tokens import LEEWAY_S, AccessTokens, BadToken, ExpiredToken
from resources.identity.database import IdentityDatabase
from resources.identity.identifiers import API_KEY_PREFIX, WRITE_KEY_PREFIX, secret_hash
from resources.identity.keys import KeyKind, scopes_in_force
from resources.identity.models import ApiKey, LogIn, User
from resources.identity.users import UserKind

CACHE_S = 5.0
"""Within this time a revoked key, user or log-in, or a changed role, has its effect in every process."""
MAX_CACHED = 10_000


class Unidentified(Exception):
    """The credential is not valid; `str()` says why, for the log, and `told` what the caller may know."""

    def __init__(self, cause: str, told: str = "The credential is not valid.") -> None:
        super().__init__(cause)
        self.told = told


class Principals:
    """One per process. An identity that was refused is remembered as well: a client with a wrong key asks often."""

    def __init__(self, database: IdentityDatabase, tokens: AccessTokens, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._tokens = tokens
        self._now_ms = now_ms
        self._known: dict[bytes, tuple[float, Principal | Unidentified]] = {}
        self._asked: dict[bytes, asyncio.Future[Principal]] = {}

    async def resolve(self, credential: str) -> Principal:
        """The caller behind an access token, an API key or a write key.

        Raises:
            Unidentified: not valid, or not valid any more.
            IdentityUnavailable: the database cannot be asked and memory does not know.
        """
        digest = hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        if known is not None and known[0] > monotonic():
            if isinstance(known[1], Unidentified):
                raise Unidentified(str(known[1]), known[1].told)  # a new one: tracebacks grow with each raise
            return known[1]
        asked = self._asked.get(digest)
        if asked is None:
            # Requests that come meanwhile wait for the same answer; the first one's end does not end theirs.
            asked = asyncio.ensure_future(self._look_up(digest, credential))
            self._asked[digest] = asked
            asked.add_done_callback(functools.partial(self._answered, digest))
        return await asyncio.shield(asked)

    def forget(self) -> None:
        """Ask the database again for everybody: something was changed here."""
        self._known.clear()

    def _answered(self, digest: bytes, asked: "asyncio.Future[Principal]") -> None:
        self._asked.pop(digest, None)
        if not asked.cancelled():
            asked.exception()  # seen, also where every request that waited for it has gone

    async def _look_up(self, digest: bytes, credential: str) -> Principal:
        asked_at = monotonic()
        try:
            if credential.startswith((API_KEY_PREFIX, WRITE_KEY_PREFIX)):
                principal, valid_s = await self._of_key(credential)
            else:
                principal, valid_s = await self._of_token(credential)
        except Unidentified as error:
            self._remember(digest, asked_at + CACHE_S, error)
            raise
        # From when it was asked: what changes while the database answers counts from then.
        self._remember(digest, asked_at + min(CACHE_S, valid_s), principal)
        return principal

    def _remember(self, digest: bytes, until: float, found: Principal | Unidentified) -> None:
        if len(self._known) >= MAX_CACHED:
            self._known.clear()
        self._known[digest] = (until, found)

    async def _of_key(self, secret: str) -> tuple[Principal, float]:
        wanted = secret_hash(secret)
        async with self._database.reading() as session:
            row = (
                await session.execute(
                    select(ApiKey, User).join(User, User.id == ApiKey.owner_id).where(ApiKey.secret_hash == wanted)
                )
            ).first()
        if row is None:
            raise Unidentified("unknown key")
        key, owner = row
        if not hmac.compare_digest(key.secret_hash, wanted):
            raise Unidentified("unknown key")
        now = self._now_ms()
        if key.revoked_ms is not None:
            raise Unidentified(f"key {key.id} was revoked")
        if key.expires_ms is not None and key.expires_ms <= now:
            raise Unidentified(f"key {key.id} expired")
        if not owner.is_active:
            raise Unidentified(f"the owner of key {key.id} is closed")
        role = Role(owner.role)
        principal = Principal(
            kind=PrincipalKind.KEY,
            name=key.name,
            id=key.id,
            owner_id=key.owner_id,
            scopes=scopes_in_force(key, role),
            role=None if key.kind == KeyKind.WRITE.value else role,
            events_per_minute=key.events_per_minute,
        )
        return principal, CACHE_S if key.expires_ms is None else (key.expires_ms - now) / 1000

    async def _of_token(self, token: str) -> tuple[Principal, float]:
        try:
            claims = self._tokens.verify(token)
        except ExpiredToken:
            told = "The access token has expired; get a new one from POST /v1/tokens/refresh."
            raise Unidentified("access token: expired", told) from None
        except BadToken as error:
            raise Unidentified(f"access token: {error}") from None
        async with self._database.reading() as session:
            row = (
                await session.execute(
                    select(LogIn, User).join(User, User.id == LogIn.user_id).where(LogIn.id == claims.log_in_id)
                )
            ).first()
        if row is None:
            raise Unidentified("access token: its log-in is unknown")
        log_in, user = row
        if log_in.revoked_ms is not None:
            raise Unidentified(f"access token: log-in {log_in.id} was ended")
        if user.id != claims.user_id or not user.is_active:
            raise Unidentified(f"access token: user {claims.user_id} is closed or another")
        role = Role(user.role)
        kind = PrincipalKind.USER if user.kind == UserKind.USER.value else PrincipalKind.SERVICE
        principal = Principal(kind, user.name, user.id, user.id, ROLE_SCOPES[role], role)
        return principal, claims.expires_at + LEEWAY_S - self._now_ms() / 1000
