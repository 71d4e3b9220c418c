"""Log-ins: a password buys an access token and a refresh token, each refresh token buys the next pair once."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from resources.identity.access_tokens import ACCESS_TOKEN_S, AccessTokens
from resources.identity.actor import Actor
from resources.identity.audit import AuditLog, Change
from resources.identity.database import IdentityDatabase
from resources.identity.errors import TooManyAttempts, WrongCredentials
from resources.identity.identifiers import REFRESH_PREFIX, new_id, new_secret, secret_hash
from resources.identity.models import LogIn, RefreshToken, User
from resources.identity.passwords import Passwords
from resources.identity.throttle import LogInThrottle
from resources.identity.users import UserKind, normalised

LOG_IN_S = 14 * 24 * 3600
"""A log-in ends after 14 days, however often it was refreshed."""
_KEPT_MS = 24 * 3600 * 1000


@dataclass(frozen=True)
class TokenPair:
    """`expires_in` is the access token's life in seconds; `refresh_expires_ms` is milliseconds since 1970, UTC."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_ms: int
    user_id: str


class LogIns:
    """Begins, renews and ends them."""

    def __init__(
        self,
        database: IdentityDatabase,
        audit: AuditLog,
        passwords: Passwords,
        tokens: AccessTokens,
        throttle: LogInThrottle,
    ) -> None:
        self._database = database
        self._audit = audit
        self._passwords = passwords
        self._tokens = tokens
        self._throttle = throttle

    async def begin(self, name: str, password: str, by: Actor) -> TokenPair:
        """Log in.

        Raises:
            WrongCredentials: unknown, closed, or another password; the same words after the same work.
            TooManyAttempts: by this account or from this address.
            Busy: too many log in at once.
        """
        account = normalised(name)
        try:
            await self._throttle.attempt(account, by.address)
        except TooManyAttempts:
            self._audit.note("log-in.throttled", by, name=account[:64])
            raise
        async with self._database.reading() as session:
            user = await session.scalar(select(User).where(User.name == account))
        stored = user.password_hash if user is not None and user.kind == UserKind.USER.value else None
        matches = await self._passwords.verify(stored, password)
        if user is None or not matches or not user.is_active:
            self._audit.note("log-in.failed", by, subject=user.id if user else "", name=account[:64])
            raise WrongCredentials("The user name or the password is wrong.")
        await self._throttle.succeeded(account, by.address)
        async with self._audit.change(Actor(user.id, by.address, by.request_id)) as change:
            await _forget_expired(change)
            log_in = LogIn(
                id=new_id("log", change.now_ms), user_id=user.id, created_ms=change.now_ms,
                expires_ms=change.now_ms + LOG_IN_S * 1000,
            )  # fmt: skip
            change.session.add(log_in)
            await change.session.flush()  # the refresh token's row refers to it
            secret = _add_refresh_token(change, log_in)
            change.record("log-in", log_in.id)
        return self._pair(log_in, secret)

    async def refresh(self, secret: str, by: Actor) -> TokenPair:
        """Trade a refresh token for a new pair. One that was traded before ends the log-in: somebody has a copy.

        Raises:
            WrongCredentials: not one of ours, expired, ended or used before.
        """
        reused = False
        async with self._audit.change(by) as change:
            token = await change.session.get(RefreshToken, secret_hash(secret))
            log_in = await change.session.get(LogIn, token.log_in_id) if token is not None else None
            user = await change.session.get(User, log_in.user_id) if log_in is not None else None
            alive = log_in is not None and log_in.revoked_ms is None and log_in.expires_ms > change.now_ms
            if token is not None and log_in is not None and user is not None and alive and user.is_active:
                change.by = Actor(user.id, by.address, by.request_id)
                if token.used_ms is None:
                    token.used_ms = change.now_ms
                    fresh = _add_refresh_token(change, log_in)
                    change.record("log-in.refreshed", log_in.id)
                else:
                    reused = True
                    log_in.revoked_ms = change.now_ms
                    change.record("log-in.refresh-reused", log_in.id, "refused")
        if log_in is None or user is None or not alive or not user.is_active or reused:
            if not reused:
                self._audit.note("log-in.refresh-refused", by, subject=log_in.id if log_in else "")
            raise WrongCredentials("The refresh token is not valid any more; log in again.")
        return self._pair(log_in, fresh)

    async def end(self, secret: str, by: Actor) -> None:
        """Log out: the whole log-in, its access tokens included. A token that is not ours changes nothing."""
        async with self._audit.change(by) as change:
            token = await change.session.get(RefreshToken, secret_hash(secret))
            log_in = await change.session.get(LogIn, token.log_in_id) if token is not None else None
            if log_in is not None and log_in.revoked_ms is None:
                change.by = Actor(log_in.user_id, by.address, by.request_id)
                log_in.revoked_ms = change.now_ms
                change.record("log-out", log_in.id)

    def _pair(self, log_in: LogIn, refresh_token: str) -> TokenPair:
        access = self._tokens.issue(log_in.user_id, log_in.id)
        return TokenPair(access, refresh_token, ACCESS_TOKEN_S, log_in.expires_ms, log_in.user_id)


def _add_refresh_token(change: Change, log_in: LogIn) -> str:
    secret = new_secret(REFRESH_PREFIX)
    change.session.add(
        RefreshToken(secret_hash=secret_hash(secret), log_in_id=log_in.id, created_ms=change.now_ms, used_ms=None)
    )
    return secret


async def _forget_expired(change: Change) -> None:
    # A day later, so that what a log-in's last access token shows is still known. Its refresh tokens go with it.
    await change.session.execute(delete(LogIn).where(LogIn.expires_ms < change.now_ms - _KEPT_MS))
