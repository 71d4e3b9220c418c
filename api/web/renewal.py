"""Renews a session for all the requests that a page makes at once.

A refresh token buys a new pair once; a second use of it ends the log-in. A page, however, sends a dozen requests side
by side, each with the same old cookies. The first one renews; the others, and those that were on their way meanwhile,
get what it got.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

from resources.identity.log_ins import TokenPair

KEPT_S = 30.0
"""How long the pair is handed to those that still show the token before it: a slow page's last request."""


class Renewals:
    """One per process; a gateway sends all requests with one refresh token to one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._renewed: dict[bytes, tuple[float, asyncio.Future[TokenPair]]] = {}

    async def renew(self, refresh_token: str, trade: Callable[[], Awaitable[TokenPair]]) -> TokenPair:
        """The pair that follows a refresh token; `trade` gets it where nobody has yet.

        Raises:
            whatever `trade` raises, to each that waited for it.
        """
        now = self._clock()
        self._renewed = {key: kept for key, kept in self._renewed.items() if kept[0] > now}
        digest = hashlib.sha256(refresh_token.encode("utf-8", "surrogateescape")).digest()
        kept = self._renewed.get(digest)
        if kept is not None:
            return await asyncio.shield(kept[1])
        # The first request's end, when its browser goes away say, does not end the others' wait.
        trading = asyncio.ensure_future(trade())
        self._renewed[digest] = (now + KEPT_S, trading)
        try:
            return await asyncio.shield(trading)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._renewed.pop(digest, None)
            raise
