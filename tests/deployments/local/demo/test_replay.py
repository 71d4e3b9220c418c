"""The replay counts what was answered in order, repeats what was not, and gives up with the reason."""

import asyncio
import http.server
import json
import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from aiokafka.partitioner import murmur2

from deployments.local.demo import replay as replay_module
from deployments.local.demo.dataset import load_rows
from deployments.local.demo.replay import Progress, ReplayFailed, replay
from platform_assets.contracts.topics import EVENTS


class Door(http.server.ThreadingHTTPServer):
    """A real HTTP server that answers as a test tells it: status and refused count, by the number of the request."""

    def __init__(self, answer: Callable[[int, int], tuple[int, int]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.lines: list[bytes] = []
        self.requests = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Door
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        lines = self.rfile.read(int(self.headers["Content-Length"])).split(b"\n")
        with self.server.lock:
            self.server.requests += 1
            status, refused = self.server.answer(self.server.requests, len(lines))
            if status in (202, 207):
                self.server.lines += lines
        body = b'{"data":{"refused":%d}}' % refused
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        return


@pytest.fixture
def rows() -> pa.Table:
    return load_rows("sample").slice(0, 10_500)


@pytest.fixture
def door() -> Iterator[Callable[[Callable[[int, int], tuple[int, int]]], Door]]:
    opened: list[Door] = []

    def open_door(answer: Callable[[int, int], tuple[int, int]]) -> Door:
        server = Door(answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.append(server)
        return server

    yield open_door
    for server in opened:
        server.shutdown()
        server.server_close()


OpenDoor = Callable[[Callable[[int, int], tuple[int, int]]], Door]


async def test_replay_sends_every_row_and_counts_the_refused(rows: pa.Table, door: OpenDoor) -> None:
    server = door(lambda number, count: (207, 2) if number == 3 else (202, 0))
    progress = Progress(0, 0, 0.0)
    await replay(rows, server.address, progress, lambda _: None)
    assert progress.done == rows.num_rows
    assert progress.refused == 2
    assert len(set(server.lines)) == rows.num_rows


async def test_households_of_a_partition_are_sent_in_the_order_of_time(rows: pa.Table, door: OpenDoor) -> None:
    """So the watermark of a partition passes nothing that is still to come."""
    server = door(lambda number, count: (202, 0))
    await replay(rows, server.address, Progress(0, 0, 0.0), lambda _: None)
    newest: dict[int, str] = {}
    for line in server.lines:
        event = json.loads(line)
        partition = (murmur2(event["user_id"].encode()) & 0x7FFFFFFF) % EVENTS.partitions
        assert newest.get(partition, "") <= event["occurred_at"]
        newest[partition] = event["occurred_at"]
    assert len(newest) == EVENTS.partitions


async def test_replay_repeats_what_the_door_could_not_take(rows: pa.Table, door: OpenDoor) -> None:
    server = door(lambda number, count: (503, 0) if number % 2 else (202, 0))
    progress = Progress(0, 0, 0.0)
    await replay(rows, server.address, progress, lambda _: None)
    assert len(server.lines) == len(set(server.lines)) == rows.num_rows


async def test_killed_replay_goes_on_with_the_first_row_that_was_not_answered(rows: pa.Table, door: OpenDoor) -> None:
    server = door(lambda number, count: (202, 0) if number <= 5 else (503, 0))
    progress = Progress(0, 0, 0.0)
    running = asyncio.create_task(replay(rows, server.address, progress, lambda _: None))
    while server.requests <= 5:
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert progress.done <= len(server.lines) < rows.num_rows
    server.answer = lambda number, count: (202, 0)
    await replay(rows, server.address, progress, lambda _: None)
    assert progress.done == rows.num_rows
    assert len(set(server.lines)) == rows.num_rows


async def test_replay_gives_up_at_an_answer_that_no_repetition_mends(rows: pa.Table, door: OpenDoor) -> None:
    server = door(lambda number, count: (401, 0))
    with pytest.raises(ExceptionGroup) as failed:
        await replay(rows.slice(0, 1000), server.address, Progress(0, 0, 0.0), lambda _: None)
    assert failed.group_contains(ReplayFailed, match="401")


async def test_replay_gives_up_when_nobody_answers(rows: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_GIVE_UP_S", 1.0)
    with pytest.raises(ExceptionGroup) as failed:
        await replay(rows.slice(0, 1000), "http://127.0.0.1:9", Progress(0, 0, 0.0), lambda _: None)
    assert failed.group_contains(ReplayFailed, match="ConnectError")
