"""Readers with a schedule: each asks at its times, however slow the answer before was (no coordinated omission)."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deployments.load.connection import Connection, ConnectionLost, request_head
from deployments.readers.builds import rows_of
from deployments.readers.questions import Question
from streaming.benchmark.latency import an_empty_histogram

HEALTH = "/health"


@dataclass
class Readings:
    """What the readers met. `answers` counts each different answer by version and question, for the judgement later."""

    latency: Any = field(default_factory=an_empty_histogram)
    health: Any = field(default_factory=an_empty_histogram)
    statuses: Counter[int] = field(default_factory=Counter)
    answers: Counter[tuple[str, str, bytes]] = field(default_factory=Counter)
    lost: int = 0


async def read(
    port: int, asked: Sequence[Question], *, readers: int, a_second: float, until: asyncio.Event, readings: Readings
) -> None:
    """Ask until told to stop: all readers together so many questions a second, and /health ten times a second."""
    tasks = [
        _reader(port, asked, number, pause_s=readers / a_second, until=until, readings=readings)
        for number in range(readers)
    ]
    await asyncio.gather(*tasks, _watch_health(port, until, readings))


async def _reader(
    port: int, asked: Sequence[Question], number: int, *, pause_s: float, until: asyncio.Event, readings: Readings
) -> None:
    choices = random.Random(number)  # noqa: S311 - which question comes next is no secret
    connection = await Connection.to("127.0.0.1", port)
    due = time.perf_counter() + pause_s * choices.random()
    while not until.is_set():
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        question = choices.choice(asked)
        try:
            answer = await connection.request(_head(port, question.path), b"")
        except ConnectionLost:
            readings.lost += 1
            connection = await Connection.to("127.0.0.1", port)
            continue
        readings.latency.record_value(max(1, int((time.perf_counter() - due) * 1e6)))
        readings.statuses[answer.status] += 1
        if answer.status == 200:
            version, rows = rows_of(answer.body)
            readings.answers[version, question.path, rows] += 1
        due += pause_s
    connection.close()


async def _watch_health(port: int, until: asyncio.Event, readings: Readings) -> None:
    connection = await Connection.to("127.0.0.1", port)
    due = time.perf_counter()
    while not until.is_set():
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await connection.request(_head(port, HEALTH), b"")
        readings.health.record_value(max(1, int((time.perf_counter() - due) * 1e6)))
        due += 0.1
    connection.close()


def _head(port: int, path: str) -> bytes:
    return request_head("GET", path, f"127.0.0.1:{port}", {}, 0)
