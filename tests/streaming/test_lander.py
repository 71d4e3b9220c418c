"""The lander keeps the order: rejections acknowledged, then the file; and waits out a broker or disk that is away."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.rejections import decode_rejection
from platform_assets.contracts.topics import EVENTS
from resources.event_log.topics import Log, LogUnavailable
from resources.landing_zone import LandingZone
from streaming.decoding import SCHEMAS
from streaming.incarnations import Incarnations
from streaming.lander import Lander
from streaming.sink import Admission, LandingSink, Limits
from tests.streaming_records import a_batch, an_event, event_batch

TOPIC = EVENTS.name


class FixedIncarnations(Incarnations):
    """A broker whose topics never change, without a broker."""

    def __init__(self) -> None:
        super().__init__("unused:1")

    def describe(self, topics: object) -> dict[str, Log]:
        return {TOPIC: Log(TOPIC, "log1", 4)}


class Rejected:
    """The rejected topic: unavailable for the first `failures` calls."""

    def __init__(self, root: Path, failures: int = 0) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.files_at_append: list[int] = []
        self._root = root
        self._failures = failures

    async def append(self, records: list[tuple[bytes, bytes]]) -> None:
        self.files_at_append.append(len(list(self._root.rglob("*.parquet"))))
        if self._failures:
            self._failures -= 1
            raise LogUnavailable("away")
        self.records += records


class Bench:
    """A lander over a temporary landing zone."""

    def __init__(self, root: Path, *, failures: int = 0, file_rows: int = 1) -> None:
        self.root = root
        self.rejected = Rejected(root, failures)
        self.stopping = False
        sink = LandingSink(LandingZone(root), Limits(file_rows, 1e9, 1 << 40), SCHEMAS, verify=lambda _: None)
        self.lander = Lander(sink, FixedIncarnations(), self.rejected.append, gives_up=lambda: self.stopping)

    def files(self) -> list[tuple[int, int]]:
        return [(file.first, file.last) for file in LandingZone(self.root).files(TOPIC)]


def readiness(bench: Bench) -> bool:
    """As the health page asks it."""
    return bench.lander.is_ready


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stopping = True
    await bench.lander.stop()


async def test_lander_has_rejections_acknowledged_before_the_file_that_covers_them(bench: Bench) -> None:
    """A poison record is on the rejected topic when the name of a file first covers its offset."""
    assert await bench.lander.open([(TOPIC, 0)]) == {(TOPIC, 0): 0}
    good = encode_event(an_event("g"))
    batch = a_batch([(0, good), (1, b"junk"), (2, good)], start=0, next_offset=3)
    assert await bench.lander.take(batch) is Admission.TAKE
    (record,) = bench.rejected.records
    assert decode_rejection(record[1]).source_offset == 1
    assert bench.rejected.files_at_append == [0]
    assert bench.files() == [(0, 2)]


async def test_lander_covers_a_batch_of_nothing_but_poison(bench: Bench) -> None:
    """The position moves past it, with an empty file, so that a restart does not begin with it again."""
    await bench.lander.open([(TOPIC, 0)])
    await bench.lander.take(a_batch([(0, b"junk"), (1, b"junk")], start=0, next_offset=2))
    await bench.lander.release([(TOPIC, 0)])
    assert bench.files() == [(0, 1)]
    assert len(bench.rejected.records) == 2


async def test_lander_waits_for_the_rejected_topic_and_lands_nothing_meanwhile(tmp_path: Path) -> None:
    """While the broker does not acknowledge, the batch is tried again; the file comes after the acknowledgement."""
    bench = Bench(tmp_path, failures=1)
    await bench.lander.open([(TOPIC, 0)])
    assert await bench.lander.take(a_batch([(0, b"junk")], start=0, next_offset=1)) is Admission.TAKE
    assert bench.rejected.files_at_append == [0, 0]
    await bench.lander.stop()
    assert bench.files() == [(0, 0)]


async def test_lander_gives_a_batch_up_when_it_must_stop_before_its_rejections_are_acknowledged(tmp_path: Path) -> None:
    """Stopping does not wait for a broker that is away, and does not cover what was not rejected yet."""
    bench = Bench(tmp_path, failures=1000)
    await bench.lander.open([(TOPIC, 0)])
    taking = asyncio.create_task(bench.lander.take(a_batch([(0, b"junk")], start=0, next_offset=1)))
    await asyncio.sleep(0.1)
    bench.stopping = True
    assert await asyncio.wait_for(taking, 5) is Admission.NOT_OWNED
    await bench.lander.stop()
    assert bench.files() == []


async def test_lander_pauses_on_a_full_disk_reports_it_and_resumes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consumption waits, readiness fails with the reason, and everything lands once there is room again."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await bench.lander.open([(TOPIC, 0)])
    assert readiness(bench) is True
    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        taking = asyncio.create_task(bench.lander.take(event_batch([0, 1], start=0, next_offset=2)))
        await asyncio.sleep(0.3)
        assert not taking.done()
        paused = bench.lander.paused
        assert paused is not None
        assert "No space left" in paused.reason
        assert readiness(bench) is False
    async with asyncio.timeout(5):
        while not taking.done():
            await bench.lander.close_due()
            await asyncio.sleep(0.05)
    assert bench.files() == [(0, 1)]
    assert readiness(bench) is True


async def test_lander_lets_go_of_what_it_cannot_land_without_losing_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revoked while the disk is full: the next owner starts at the last finished file."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    await bench.lander.open([(TOPIC, 0)])
    await bench.lander.take(event_batch([0], start=0, next_offset=1))
    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        bench.stopping = True
        await bench.lander.take(event_batch([1], start=1, next_offset=2))
        await bench.lander.release([(TOPIC, 0)])
    assert await bench.lander.open([(TOPIC, 0)]) == {(TOPIC, 0): 1}


async def test_lander_asks_for_what_a_gap_lacks(bench: Bench) -> None:
    """A batch after a dropped one is not taken, and nothing of it is rejected or landed."""
    await bench.lander.open([(TOPIC, 0)])
    assert await bench.lander.take(a_batch([(5, b"junk")], start=5, next_offset=6)) is Admission.GAP
    assert not bench.rejected.records
    assert bench.lander.report()[0]["position"] == 0
