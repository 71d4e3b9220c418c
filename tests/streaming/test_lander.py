"""The lander waits out a disk that is away: it pauses, backs off, goes on, and loses nothing on the way."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from prometheus_client.exposition import generate_latest

from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from streaming import lander as lander_module
from streaming.decoding import SCHEMAS, decode_events
from streaming.lander import FIRST_RETRY_S, Lander
from streaming.metrics import StreamMetrics
from streaming.sink import LandingSink, Limits
from streaming.threads import Threads
from tests.streaming_records import NOW, event_batch

TOPIC, LOG = EVENTS.name, "log1"
PLACE = (TOPIC, 0)
AT_EVERY_ROW = Limits(file_rows=1, file_age_s=1e9, buffer_bytes=1 << 40)


class Bench:
    """A lander over a temporary landing zone, whose disk may be full."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch, limits: Limits = AT_EVERY_ROW) -> None:
        self.zone = LandingZone(root)
        self.threads = Threads()
        self.metrics = StreamMetrics()
        self.sink = LandingSink(self.zone, limits, SCHEMAS, verify=lambda _: None)
        self.lander = Lander(self.sink, self.threads, self.metrics)
        self.disk_is_full = False
        self.attempts = 0
        self.clock = 1000.0
        self._write_table = pq.write_table
        patch.setattr(pq, "write_table", self._write)
        patch.setattr(lander_module, "time", SimpleNamespace(monotonic=lambda: self.clock))

    def open(self, *partitions: int) -> None:
        for partition in partitions:
            self.sink.open(TOPIC, LOG, partition, self.zone.recover(TOPIC, LOG, partition))

    def take(self, offsets: Iterable[int], partition: int = 0) -> None:
        found = list(offsets)
        batch = event_batch(found, start=found[0], next_offset=found[-1] + 1, partition=partition)
        self.sink.take(decode_events(batch, LOG, NOW))

    def files(self) -> list[tuple[int, int]]:
        return [(file.first, file.last) for file in self.zone.files(TOPIC)]

    def _write(self, *arguments: object, **options: object) -> None:
        self.attempts += 1
        if self.disk_is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._write_table(*arguments, **options)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    yield bench
    bench.threads.shutdown()


async def test_lander_closes_the_files_that_are_due_and_counts_them(bench: Bench) -> None:
    bench.open(0, 1)
    bench.take(range(3))
    bench.take(range(5), partition=1)
    await bench.lander.close_due()
    assert bench.files() == [(0, 2), (0, 4)]
    owned = bench.sink.find(*PLACE)
    assert owned is not None
    assert owned.landed == 3
    page = generate_latest(bench.metrics.registry).decode()
    assert 'landed_rows_total{partition="1",topic="events.v1"} 5.0' in page
    assert "buffer_bytes 0.0" in page


async def test_lander_pauses_on_a_full_disk_with_the_reason_and_backs_off(bench: Bench) -> None:
    """The second attempt waits for its time, the third twice as long, and none longer than the longest."""
    bench.open(0)
    bench.take(range(2))
    bench.disk_is_full = True
    waits = []
    for attempt in range(1, 8):
        await bench.lander.close_due()
        paused = bench.lander.paused
        assert paused is not None
        assert "No space left" in paused.reason
        assert paused.attempts == attempt == bench.attempts
        waits.append(paused.next_attempt_at - bench.clock)
        bench.clock = paused.next_attempt_at - 0.01
        await bench.lander.close_due()
        assert bench.attempts == attempt, "tried before its time"
        bench.clock = paused.next_attempt_at
    assert waits == [FIRST_RETRY_S, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert "analytics_stream_paused 1.0" in generate_latest(bench.metrics.registry).decode()


async def test_lander_resumes_and_lands_all_that_came_while_it_was_paused(bench: Bench) -> None:
    """The file that failed goes first, under its own name, then what was buffered behind it."""
    bench.open(0)
    bench.take(range(2))
    bench.disk_is_full = True
    await bench.lander.close_due()
    bench.take(range(2, 5))
    bench.disk_is_full = False
    bench.clock += FIRST_RETRY_S
    await bench.lander.close_due()
    assert bench.lander.paused is None
    assert bench.files() == [(0, 1)]
    await bench.lander.close_due()
    assert bench.files() == [(0, 1), (2, 4)]
    assert bench.sink.buffered_bytes == 0
    assert "analytics_stream_paused 0.0" in generate_latest(bench.metrics.registry).decode()


async def test_lander_lands_the_file_that_failed_and_what_came_behind_it_on_release(bench: Bench) -> None:
    """A partition that is given away between two attempts: the next owner starts at the end of the second file."""
    bench.open(0)
    bench.take(range(2))
    bench.disk_is_full = True
    await bench.lander.close_due()
    bench.take(range(2, 5))
    bench.disk_is_full = False
    await bench.lander.release([PLACE])
    assert bench.files() == [(0, 1), (2, 4)]
    assert bench.sink.owned == ()
    assert bench.lander.paused is None
    assert bench.zone.next_offset(TOPIC, LOG, 0) == 5


async def test_lander_lets_go_of_what_it_cannot_land_and_says_how_much(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Revoked while the disk is full: the next owner reads those offsets from the log."""
    bench.open(0)
    bench.take(range(2))
    await bench.lander.close_due()
    bench.disk_is_full = True
    bench.take(range(2, 7))
    await bench.lander.release([PLACE])
    assert "released_unlanded offsets=5" in caplog.text
    assert bench.zone.next_offset(TOPIC, LOG, 0) == 2
    assert bench.lander.paused is None


async def test_lander_releases_one_partition_and_keeps_the_others(bench: Bench) -> None:
    bench.open(0, 1)
    bench.take(range(2))
    bench.take(range(3), partition=1)
    await bench.lander.release([PLACE])
    assert [owned.partition for owned in bench.sink.owned] == [1]
    await bench.lander.close_due()
    assert bench.files() == [(0, 1), (0, 2)]


async def test_lander_makes_others_wait_while_it_is_paused_or_full_and_no_longer_than_they_want_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consumption stops with the disk; a worker that stops or loses its partitions does not wait for it."""
    bench = Bench(tmp_path, monkeypatch, Limits(file_rows=1000, file_age_s=1e9, buffer_bytes=1))
    given_up = False
    bench.open(0)
    await asyncio.wait_for(bench.lander.wait_for_room(lambda: False), 5)
    bench.take(range(2))
    waiting = asyncio.create_task(bench.lander.wait_for_room(lambda: given_up))
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the buffers are full"
    bench.disk_is_full = True
    await bench.lander.close_due()
    await asyncio.sleep(0.05)
    assert not waiting.done(), "the disk is full"
    given_up = True
    await asyncio.wait_for(waiting, 5)
    assert bench.sink.buffered_bytes > 0
    bench.threads.shutdown()


async def test_lander_makes_room_when_asked_without_waiting_for_the_age_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the bytes are enough for a file to be closed while the other half is taken."""
    bench = Bench(tmp_path, monkeypatch, Limits(file_rows=1000, file_age_s=1e9, buffer_bytes=1))
    bench.open(0)
    bench.take(range(2))
    running = asyncio.create_task(bench.lander.run())
    await asyncio.wait_for(bench.lander.wait_for_room(lambda: False), 5)
    assert bench.files() == [(0, 1)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bench.threads.shutdown()
