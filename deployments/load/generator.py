"""Sends the load: on a schedule that nothing slows, or as fast as so many connections are answered."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deployments.load.bodies import Bodies
from deployments.load.connection import Answer, Connection, ConnectionLost, request_head
from streaming.benchmark.latency import an_empty_histogram

ACCEPTED = 202
PROBE_EVERY_S = 0.02
RECONNECT_S = 0.05


@dataclass
class Ledger:
    """What the client knows of its requests, all of `batch` events.

    An unknown one was sent and not answered: the server may have taken it. `first_failure` is the first answer other
    than 202, as an example.
    """

    batch: int
    sent: int = 0
    acknowledged: int = 0
    unknown: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    unacknowledged: list[int] = field(default_factory=list)
    """The number of the first event of each request that was not acknowledged."""
    first_failure: str | None = None
    latency: Any = field(default_factory=an_empty_histogram)

    def note(self, answer: Answer, first: int, intended: float, measured: bool) -> None:
        """An answer came, to a request that should have been sent at a time of the monotonic clock."""
        self.statuses[answer.status] += 1
        if answer.status != ACCEPTED:
            self.unacknowledged.append(first)
            self.first_failure = self.first_failure or f"{answer.status}: {answer.body[:300].decode(errors='replace')}"
            return
        self.acknowledged += 1
        if measured:
            self.latency.record_value(max(1, round((time.monotonic() - intended) * 1_000_000)))


@dataclass(frozen=True)
class Target:
    """Where the load goes."""

    host: str
    port: int
    path: str
    headers: dict[str, str]


@dataclass
class Generator:
    """One run of load. `health` is the latency of GET /health meanwhile, in microseconds."""

    target: Target
    bodies: Bodies
    connections: int
    warmup_s: float
    ledger: Ledger
    health: Any = field(default_factory=an_empty_histogram)
    began: float = 0.0
    """When measuring began, on the monotonic clock; 0 before."""
    acknowledged_at_begin: int = 0

    async def paced(self, eps: int, duration_s: float) -> None:
        """`eps` events a second for so long. A request that goes out late keeps its intended time."""
        due: asyncio.Queue[float | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._send_due(due)) for _ in range(self.connections)]
        interval = self.bodies.batch / eps
        start = time.monotonic()
        for number in range(round((self.warmup_s + duration_s) / interval)):
            intended = start + number * interval
            delay = intended - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            due.put_nowait(intended)
        for _ in workers:
            due.put_nowait(None)
        await asyncio.gather(*workers)

    async def saturated(self, duration_s: float) -> None:
        """Each connection sends its next request when it has its answer."""
        end = time.monotonic() + self.warmup_s + duration_s
        await asyncio.gather(*(self._send_until(end) for _ in range(self.connections)))

    async def run(self, load: Callable[[], Any]) -> float:
        """Run `paced` or `saturated` with probes of /health beside it; returns the seconds that were measured."""
        probing = asyncio.create_task(self._probe())
        beginning = asyncio.create_task(self._begin())
        await load()
        took_s = time.monotonic() - self.began
        for task in (probing, beginning):
            task.cancel()
        await asyncio.gather(probing, beginning, return_exceptions=True)
        return took_s

    async def _begin(self) -> None:
        await asyncio.sleep(self.warmup_s)
        self.began = time.monotonic()
        self.acknowledged_at_begin = self.ledger.acknowledged

    async def _send_due(self, due: "asyncio.Queue[float | None]") -> None:
        connection: Connection | None = None
        while (intended := await due.get()) is not None:
            connection = await self._send(connection, intended)
        if connection is not None:
            connection.close()

    async def _send_until(self, end: float) -> None:
        connection: Connection | None = None
        while (now := time.monotonic()) < end:
            connection = await self._send(connection, now)
        if connection is not None:
            connection.close()

    async def _send(self, connection: Connection | None, intended: float) -> Connection | None:
        first = self.bodies.made
        body = self.bodies.next()
        self.ledger.sent += 1
        target = self.target
        try:
            if connection is None:
                connection = await Connection.to(target.host, target.port)
        except OSError:
            self.ledger.statuses[0] += 1
            self.ledger.unacknowledged.append(first)
            await asyncio.sleep(RECONNECT_S)
            return None
        try:
            head = request_head("POST", target.path, f"{target.host}:{target.port}", target.headers, len(body))
            answer = await connection.request(head, body)
        except ConnectionLost:
            self.ledger.unknown += 1
            self.ledger.unacknowledged.append(first)
            return None
        self.ledger.note(answer, first, intended, bool(self.began) and intended >= self.began)
        return connection

    async def _probe(self) -> None:
        head = request_head("GET", "/health", f"{self.target.host}:{self.target.port}", {}, 0)
        connection = await Connection.to(self.target.host, self.target.port)
        while True:
            asked = time.monotonic()
            try:
                await connection.request(head, b"")
            except ConnectionLost:
                connection = await Connection.to(self.target.host, self.target.port)
                continue
            if self.began:
                self.health.record_value(max(1, round((time.monotonic() - asked) * 1_000_000)))
            await asyncio.sleep(PROBE_EVERY_S)
