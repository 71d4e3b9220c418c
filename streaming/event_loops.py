"""Event loops beside a thread that computes: they ask the system for events no more often than is of use.

asyncio asks before every turn, and with the question, even one that does not wait, a thread hands the interpreter's
lock to whoever computes and gets it back after `sys.getswitchinterval()`. From the broker's answer to its decoding it
is some 50 turns in two threads. Measured at 50,000 events/s with an interval of 1 ms: nine tenths of the fetches were
being decoded after 8 ms where it had been 12.
"""

import asyncio
import selectors
import time

POLL_EVERY_S = 0.001


class SparingSelector(selectors.DefaultSelector):
    """Asks at most once a millisecond where the loop has something to do anyway."""

    def __init__(self) -> None:
        super().__init__()
        self._asked_at = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What has happened; nothing where it would not wait for it and has asked just now."""
        if timeout is not None and timeout <= 0 and time.monotonic() - self._asked_at < POLL_EVERY_S:
            return []
        found = super().select(timeout)
        self._asked_at = time.monotonic()
        return found


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(SparingSelector())


def poll_sparingly() -> None:
    """Have every loop that this process makes from now on use the selector."""
    asyncio.set_event_loop_policy(_Policy())
