"""Sends the source rows through the front door, as any client would, and remembers how far it got.

Several requests are under way at once; progress counts the contiguous prefix that was answered, so a killed replay
starts again at most a few requests earlier. What it repeats carries the same event ids.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pyarrow as pa

from deployments.local.demo.dataset import Batch, batches

REQUEST_ROWS = 1000
UNDER_WAY = 4
_GIVE_UP_S = 120.0


class ReplayFailed(RuntimeError):
    """The API answered something that a repetition cannot mend, or nothing for two minutes."""


@dataclass
class Progress:
    """`done` rows were answered, `refused` of them with a reason; `seconds` of sending in this and earlier starts."""

    done: int
    refused: int
    seconds: float


async def replay(rows: pa.Table, api: str, progress: Progress, on_progress: Callable[[Progress], None]) -> None:
    """Send the rows from `progress.done` on.

    Raises:
        ReplayFailed: see there.
    """
    pending: dict[int, tuple[int, int]] = {}
    work: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=UNDER_WAY)
    before, started = progress.seconds, time.monotonic()

    def answered(batch: Batch, refused: int) -> None:
        pending[batch.first] = (batch.count, refused)
        while progress.done in pending:
            count, bad = pending.pop(progress.done)
            progress.done += count
            progress.refused += bad
        progress.seconds = before + time.monotonic() - started
        on_progress(progress)

    async def feed() -> None:
        for batch in batches(rows, start=progress.done, size=REQUEST_ROWS):
            await work.put(batch)
        for _ in range(UNDER_WAY):
            await work.put(None)

    async def send(client: httpx.AsyncClient) -> None:
        while (batch := await work.get()) is not None:
            answered(batch, await _post(client, batch))

    async with httpx.AsyncClient(base_url=api, timeout=30.0) as client, asyncio.TaskGroup() as group:
        group.create_task(feed())
        for _ in range(UNDER_WAY):
            group.create_task(send(client))


async def _post(client: httpx.AsyncClient, batch: Batch) -> int:
    """Send one request until it is answered; returns how many of its rows were refused."""
    deadline = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            response = await client.post(
                "/v1/events", content=batch.body, headers={"Content-Type": "application/x-ndjson"}
            )
        except httpx.TransportError as error:
            reason = f"{type(error).__name__}: {error}"
            wait_s = 0.5
        else:
            if response.status_code in (httpx.codes.ACCEPTED, httpx.codes.MULTI_STATUS):
                return int(response.json()["data"]["refused"])
            if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                return batch.count
            if response.status_code not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                raise ReplayFailed(f"The API answered {response.status_code}: {response.text[:500]}")
            reason = f"{response.status_code}: {response.text[:200]}"
            wait_s = float(response.headers.get("Retry-After", "1"))
        if time.monotonic() > deadline:
            raise ReplayFailed(f"No success for {_GIVE_UP_S:.0f} s; the last answer was {reason}")
        await asyncio.sleep(wait_s)
