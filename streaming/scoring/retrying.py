"""Repeats what a broker or a disk refuses for now, and says meanwhile that scoring is paused."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from resources.event_log.topics import LogUnavailable
from resources.online_store import OnlineStoreError

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0


class Interrupted(Exception):
    """Waiting ended because the process stops or its partitions move."""


class Patience:
    """`reason` is set while something is refused."""

    def __init__(self, gives_up: Callable[[], bool]) -> None:
        self._gives_up = gives_up
        self.reason: str | None = None

    async def until_done(self, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """The result of the first attempt that neither the log nor a store refuses.

        Raises:
            Interrupted: it was time to give up first.
        """
        delay = FIRST_RETRY_S
        while True:
            try:
                result = await work()
            except (LogUnavailable, OnlineStoreError) as error:
                self.reason = str(error)
                _log.warning("scoring_paused retry_s=%.1f reason=%s", delay, error)
                await self._pause(delay)
                delay = min(delay * 2, LONGEST_RETRY_S)
            else:
                if self.reason is not None:
                    _log.info("scoring_resumed")
                self.reason = None
                return result

    async def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._gives_up():
                raise Interrupted
            await asyncio.sleep(0.05)
