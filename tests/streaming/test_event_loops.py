"""A loop that is busy asks the system rarely, and yet hears of everything."""

import asyncio
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streaming.event_loops import POLL_EVERY_S, poll_sparingly


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float | None]]:
    """How long each question to the system was to wait at most, in loops that were made meanwhile."""
    found: list[float | None] = []
    ask = selectors.DefaultSelector.select

    def count(selector: selectors.DefaultSelector, timeout: float | None = None) -> Any:
        found.append(timeout)
        return ask(selector, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", count)
    poll_sparingly()
    yield found
    asyncio.set_event_loop_policy(None)


async def take_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def test_busy_loop_asks_no_more_than_once_a_millisecond(asked: list[float | None]) -> None:
    """asyncio's own asks before each of the turns."""
    begun = time.monotonic()
    asyncio.run(take_turns(5_000))
    assert len([timeout for timeout in asked if timeout == 0]) <= (time.monotonic() - begun) / POLL_EVERY_S + 10


def test_busy_loop_hears_of_what_arrives(asked: list[float | None]) -> None:
    """Bytes on a socket, however much else there is to do."""

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            busy = asyncio.create_task(take_turns(10**9))
            received = asyncio.create_task(loop.sock_recv(near, 8))
            await asyncio.sleep(0)
            far.send(b"news")
            found = await asyncio.wait_for(received, 5)
            busy.cancel()
            return found

    assert asyncio.run(run()) == b"news"
    assert asked


def test_busy_loop_keeps_its_timers(asked: list[float | None]) -> None:
    """A timer that is due is no event of the system's."""

    async def run() -> float:
        busy = asyncio.create_task(take_turns(10**9))
        begun = time.monotonic()
        await asyncio.sleep(0.02)
        busy.cancel()
        return time.monotonic() - begun

    assert 0.02 <= asyncio.run(run()) < 1


def test_idle_loop_waits_for_its_events(asked: list[float | None]) -> None:
    """With nothing to do it sleeps until what another thread hands over wakes it."""

    def rest() -> str:
        time.sleep(0.05)
        return "done"

    async def run() -> str:
        return await asyncio.to_thread(rest)

    assert asyncio.run(run()) == "done"
    assert len(asked) < 40
