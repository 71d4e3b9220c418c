"""Sends the source rows through the front door, as any client would, and remembers how far it got.

Several requests are under way at once, one for each partition of the events: so every household's lines, and the time
of every partition, come in order, and nothing is late for its window. Progress counts the blocks that were answered
without a gap; a killed replay starts again at most a few blocks earlier. What it repeats carries the same event ids.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pyarrow as pa
import pyarrow.compute as pc
from aiokafka.partitioner import murmur2

from deployments.local.demo.dataset import batches
from platform_assets.contracts.topics import EVENTS

REQUEST_ROWS = 1000
LANES = EVENTS.partitions
BLOCK_ROWS = REQUEST_ROWS * LANES
WAITING_REQUESTS = 2
_GIVE_UP_S = 120.0


class ReplayFailed(RuntimeError):
    """The API answered something that a repetition cannot mend, or nothing for two minutes."""


@dataclass
class Progress:
    """`done` rows were answered, `refused` of them with a reason; `seconds` of sending in this and earlier starts."""

    done: int
    refused: int
    seconds: float


@dataclass
class _Block:
    """Consecutive rows, by the requests that carry them."""

    first: int
    count: int
    unanswered: int
    refused: int = 0


_Request = tuple[_Block, int, bytes]
"""A request's block, how many of its rows it carries, and its body."""


async def replay(rows: pa.Table, api: str, progress: Progress, on_progress: Callable[[Progress], None]) -> None:
    """Send the rows from `progress.done` on.

    Raises:
        ReplayFailed: see there.
    """
    answered_blocks: dict[int, _Block] = {}
    lanes: list[asyncio.Queue[_Request | None]] = [asyncio.Queue(maxsize=WAITING_REQUESTS) for _ in range(LANES)]
    before, started = progress.seconds, time.monotonic()

    def answered(block: _Block, refused: int) -> None:
        block.refused += refused
        block.unanswered -= 1
        if block.unanswered:
            return
        answered_blocks[block.first] = block
        while progress.done in answered_blocks:
            finished = answered_blocks.pop(progress.done)
            progress.done += finished.count
            progress.refused += finished.refused
        progress.seconds = before + time.monotonic() - started
        on_progress(progress)

    async def feed() -> None:
        for first in range(progress.done, rows.num_rows, BLOCK_ROWS):
            for lane, request in _requests(first, rows.slice(first, BLOCK_ROWS)):
                await lanes[lane].put(request)
        for lane_queue in lanes:
            await lane_queue.put(None)

    async def send(client: httpx.AsyncClient, lane: asyncio.Queue[_Request | None]) -> None:
        while (request := await lane.get()) is not None:
            block, count, body = request
            answered(block, await _post(client, count, body))

    async with httpx.AsyncClient(base_url=api, timeout=30.0) as client, asyncio.TaskGroup() as group:
        group.create_task(feed())
        for lane in lanes:
            group.create_task(send(client, lane))


def _requests(first: int, rows: pa.Table) -> list[tuple[int, _Request]]:
    """The requests of one block, each with its lane; a lane's rows keep their order."""
    households = pc.unique(rows["household_id"]).to_pylist()
    block = _Block(first, rows.num_rows, 0)
    found: list[tuple[int, _Request]] = []
    for lane in range(LANES):
        # The partition that Kafka's own clients give a key.
        mine = [one for one in households if (murmur2(str(one).encode()) & 0x7FFFFFFF) % LANES == lane]
        chosen = rows.filter(pc.is_in(rows["household_id"], value_set=pa.array(mine, rows["household_id"].type)))
        found += [(lane, (block, part.count, part.body)) for part in batches(chosen, start=0, size=REQUEST_ROWS)]
    block.unanswered = len(found)
    return found


async def _post(client: httpx.AsyncClient, count: int, body: bytes) -> int:
    """Send one request until it is answered; returns how many of its rows were refused."""
    deadline = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            response = await client.post("/v1/events", content=body, headers={"Content-Type": "application/x-ndjson"})
        except httpx.TransportError as error:
            reason = f"{type(error).__name__}: {error}"
            wait_s = 0.5
        else:
            if response.status_code in (httpx.codes.ACCEPTED, httpx.codes.MULTI_STATUS):
                return int(response.json()["data"]["refused"])
            if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
                return count
            if response.status_code not in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                raise ReplayFailed(f"The API answered {response.status_code}: {response.text[:500]}")
            reason = f"{response.status_code}: {response.text[:200]}"
            wait_s = float(response.headers.get("Retry-After", "1"))
        if time.monotonic() > deadline:
            raise ReplayFailed(f"No success for {_GIVE_UP_S:.0f} s; the last answer was {reason}")
        await asyncio.sleep(wait_s)
