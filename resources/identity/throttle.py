"""Slows down guessing: how often a log-in may be tried, counted in the database, so by all processes together."""

import hashlib
from collections.abc import Callable

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from resources.identity.database import IdentityDatabase
from resources.identity.errors import TooManyAttempts
from resources.identity.models import AuditHead, LogInAttempts

WINDOW_S = 300
# One guesser hits the first; many accounts from one address the second; one account from many addresses the third,
# which is wide because it shuts the owner out as well.
PER_ACCOUNT_AND_ADDRESS = 5
PER_ADDRESS = 30
PER_ACCOUNT = 100


class LogInThrottle:
    """An attempt is counted before the password is looked at, so that parallel ones gain nothing."""

    def __init__(self, database: IdentityDatabase, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def attempt(self, account: str, address: str) -> None:
        """Count an attempt.

        Raises:
            TooManyAttempts: one of the limits is reached; the attempt is not made.
            IdentityUnavailable: it cannot be counted, so it is not made either.
        """
        now, limits = self._now_ms(), _limits(account, address)
        async with self._database.writing() as session:
            await _take_turns(session)
            await session.execute(delete(LogInAttempts).where(LogInAttempts.window_ends_ms <= now))
            query = select(LogInAttempts).where(LogInAttempts.subject.in_(limits))
            found = {row.subject: row for row in await session.scalars(query)}
            over = [row.window_ends_ms for row in found.values() if row.attempts >= limits[row.subject]]
            if not over:
                for subject in limits:
                    row = found.get(subject)
                    if row is None:
                        session.add(LogInAttempts(subject=subject, attempts=1, window_ends_ms=now + WINDOW_S * 1000))
                    else:
                        row.attempts += 1
        if over:
            raise TooManyAttempts(max(1, (max(over) - now + 999) // 1000))

    async def succeeded(self, account: str, address: str) -> None:
        """Take the attempt back that turned out well, and forgive the account its slips from this address."""
        limits = _limits(account, address)
        pair = next(iter(limits))
        async with self._database.writing() as session:
            await _take_turns(session)
            for row in await session.scalars(select(LogInAttempts).where(LogInAttempts.subject.in_(limits))):
                row.attempts = 0 if row.subject == pair else max(0, row.attempts - 1)


async def _take_turns(session: AsyncSession) -> None:
    # A row that is not there yet cannot be locked, so two first attempts would both make it: hence the lock that every
    # change of identity takes first.
    await session.execute(select(AuditHead.id).where(AuditHead.id == 1).with_for_update())


def _limits(account: str, address: str) -> dict[str, int]:
    # Hashed: names are of any length, and somebody will type a password in their place.
    return {
        _subject("pair", account, address): PER_ACCOUNT_AND_ADDRESS,
        _subject("address", address): PER_ADDRESS,
        _subject("account", account): PER_ACCOUNT,
    }


def _subject(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()
