"""Passwords: Argon2id on threads of their own, and the same work for users who do not exist."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

from resources.identity.errors import Busy, Invalid

# The first choice of OWASP's cheat sheet: 19 MiB, two passes, one lane; some 20 ms of one core.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16)
# Two at once bound the memory to 38 MiB and leave the event loop its share of two cores.
_THREADS = 2
MAX_WAITING = 32
MIN_LENGTH = 12
MAX_LENGTH = 256

T = TypeVar("T")


class Passwords:
    """One per process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        # What the password of an unknown user is held against.
        self._nobody = _HASHER.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The stored form of a new password.

        Raises:
            Invalid: too short or too long.
            Busy: too many wait for it already.
        """
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            raise Invalid(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
        return await self._on_thread(_hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; the same time is spent where there is none to compare with.

        Raises:
            Busy: too many wait for it already.
        """
        matches = await self._on_thread(_verify, stored or self._nobody, password[:MAX_LENGTH])
        return matches and stored is not None and len(password) <= MAX_LENGTH

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True)

    async def _on_thread(self, work: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= MAX_WAITING:
            raise Busy("Too many passwords are being checked; try again in a second.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1


def _hash(password: str) -> str:
    return _HASHER.hash(password)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except argon2.exceptions.VerifyMismatchError:
        return False
