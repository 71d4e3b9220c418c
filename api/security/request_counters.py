"""Counts what callers ask for, in windows of a minute: in this process, or in Redis for all processes together.

A caller's window starts with its first request. One count costs 1 µs in memory and one round trip in Redis.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

WINDOW_S = 60

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a caller has used of its window, this request included, and in how many seconds the window ends."""

    used: int
    resets_in_s: float


class CountersUnavailable(Exception):
    """The store that the processes share does not answer."""


class RequestCounters(Protocol):
    """Something that counts."""

    async def add(self, key: str, amount: int = 1) -> Counted:
        """Count `amount` more.

        Raises:
            CountersUnavailable: they could not be counted.
        """

    async def close(self) -> None:
        """Let go of connections."""


class MemoryCounters:
    """Counts in this process alone.

    The memory storage of `limits` 5.8 looks through all its keys at every request: 7 µs with one, 110 µs with 1,000,
    1.5 ms with 20,000 callers. Here the windows stand in the order in which they end, so the ended ones are at the
    front. Beyond `max_callers` the oldest window is forgotten: memory stays bounded, whoever asks from wherever.
    """

    def __init__(self, *, max_callers: int = 100_000, now: Callable[[], float] = time.monotonic) -> None:
        self._windows: dict[str, tuple[float, int]] = {}  # when it ends, and what is used
        self._max_callers = max_callers
        self._now = now

    async def add(self, key: str, amount: int = 1) -> Counted:
        """Count `amount` more."""
        now = self._now()
        ends_at, used = self._windows.get(key, (0.0, 0))
        if ends_at <= now:
            self._windows.pop(key, None)  # so that the new one stands at the end
            self._forget(now)
            ends_at, used = now + WINDOW_S, 0
        self._windows[key] = ends_at, used + amount
        return Counted(used + amount, ends_at - now)

    async def close(self) -> None:
        """Nothing is open."""

    def _forget(self, now: float) -> None:
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            if windows[oldest][0] > now and len(windows) < self._max_callers:
                return
            del windows[oldest]


class RedisCounters:
    """Counts in Redis, through `limits`: a script increments and sets the expiry in one step, so no count is lost.

    A Redis that does not answer within `timeout_s` is left alone for `rest_s`: meanwhile no request waits for it.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.25, rest_s: float = 5.0) -> None:
        from limits.aio.storage import RedisStorage  # 0.3 s that a process without Redis does not spend
        from redis.exceptions import RedisError

        self._storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="analytics:limits",
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
        self._faults = (RedisError, OSError, TimeoutError)
        self._timeout_s = timeout_s
        self._rest_s = rest_s
        self._rests_until = 0.0
        self._is_down = False
        self._ends: dict[str, float] = {}

    async def add(self, key: str, amount: int = 1) -> Counted:
        """Count `amount` more.

        Raises:
            CountersUnavailable: Redis does not answer, or did not a moment ago.
        """
        now = time.time()
        if now < self._rests_until:
            raise CountersUnavailable
        try:
            async with asyncio.timeout(self._timeout_s):
                used = await self._storage.incr(key, WINDOW_S, amount)
                ends_at = now + WINDOW_S if used == amount else await self._end_of(key, now)
        except self._faults as error:
            self._rests_until = now + self._rest_s
            if not self._is_down:
                logger.error("Redis does not count requests", extra={"cause": type(error).__name__})
            self._is_down = True
            raise CountersUnavailable from error
        if self._is_down:
            logger.warning("Redis counts requests again")
            self._is_down = False
        self._remember(key, ends_at)
        return Counted(used, max(0.0, ends_at - now))

    async def close(self) -> None:
        """Close the connections."""
        await self._storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]  # redispy's has it

    async def _end_of(self, key: str, now: float) -> float:
        known = self._ends.get(key, 0.0)
        return known if known > now else await self._storage.get_expiry(key)

    def _remember(self, key: str, ends_at: float) -> None:
        if len(self._ends) >= 100_000:
            self._ends.clear()  # each costs one more round trip
        self._ends[key] = ends_at
